# SPDX-License-Identifier: Apache-2.0
"""What ``opentrail fsck`` looks at: the log, the index against it, and whether all records add up."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path

from opentrail.errors import Corrupt, Unavailable, UsageError
from opentrail.eventlog.check import LogCheck
from opentrail.eventlog.counts import NAME, Accounts, expired_records
from opentrail.eventlog.dictionary import load
from opentrail.eventlog.published import Published
from opentrail.eventlog.reader import SegmentReader
from opentrail.history.check import Indexed, check, indexed_beside
from opentrail.history.run import REBUILD_HINT
from opentrail.state.sqlite import SqliteState
from opentrail.trails.followed import lost


@dataclass(slots=True)
class Audit:
    """One look at a data directory, which may be in use."""

    data: Path
    walk: LogCheck = field(init=False)
    accounts: Accounts | None = None
    """Once ``findings`` is exhausted; None when the log is damaged, or changed meanwhile."""

    def __post_init__(self) -> None:
        self.walk = LogCheck(self.data / "log")

    def findings(self) -> Iterator[dict[str, str]]:
        """Yield what does not check out: of the log, of the index against it, of their sums."""
        history = self._history()
        damaged = False
        try:
            load(self.data / "log")
        except Corrupt as error:
            found = {"where": error.where, "what": error.message, "hint": error.hint}
            yield {"part": "log", **found}
        try:
            for finding in self.walk.findings():
                damaged = True
                yield {"part": "log", **asdict(finding)}
        except Unavailable as error:
            raise UsageError(f"{self.data / 'log'}: {error.message}") from error
        if damaged or history is None:  # else the index cannot be held against it
            return
        yield from self._state()
        for difference in check(self.data / "history", SegmentReader(self.data / "log")):
            yield {"part": "history", **asdict(difference)}
        yield from self._add_up(history)

    def _history(self) -> Indexed | None:
        """Return what is indexed, and have the walk count what is not."""
        try:
            log = SegmentReader(self.data / "log")
            history = indexed_beside(self.data / "history", log)
        except (Corrupt, Unavailable):
            return None  # the walk says what is wrong
        self.walk.count_from = max(history.covered, history.first)
        return history

    def _state(self) -> Iterator[dict[str, str]]:
        """Yield what state has followed of the log, and the log does not have."""
        path = self.data / "state.db"
        if not path.exists() or self.walk.totals.unacknowledged_bytes:
            return  # after a power loss the log may be known to less than there is, until the next start
        try:
            with closing(SqliteState.open(path)) as state:
                found = lost(state, SegmentReader(self.data / "log"))
        except Corrupt as error:
            found = error
        if found is not None:
            yield {"part": "state", "where": str(path), "what": found.message, "hint": found.hint}

    def _add_up(self, history: Indexed) -> Iterator[dict[str, str]]:
        log_dir = self.data / "log"
        log = SegmentReader(log_dir)
        if log.first() != history.first:
            return  # retention deleted something while the walk went on
        expired = expired_records(log_dir, log.log_id, Published(log_dir).first())
        if expired is None:
            what = "not there, so what retention deleted is not counted"
            hint = (
                "nothing is lost by that; from the next start of the server on it is counted anew"
            )
            yield {"part": "log", "where": str(log_dir / NAME), "what": what, "hint": hint}
            return
        totals, tally = self.walk.totals, history.tally
        self.accounts = Accounts(
            totals.records + expired, tally.events, tally.others, expired, totals.records_from
        )
        missing = totals.records - tally.events - tally.others - totals.records_from
        if missing:
            where = str(self.data / "history")
            what = f"{missing:,} records of the log are neither indexed nor waiting"
            yield {"part": "history", "where": where, "what": what, "hint": REBUILD_HINT}
