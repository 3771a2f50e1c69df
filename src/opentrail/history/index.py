# SPDX-License-Identifier: Apache-2.0
"""Event history: the index over the log's own records, and its lookups.

The index is never the truth: it can be deleted, and is built anew from the log.
Source: CloudTrail API Reference, "LookupEvents".
"""

from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from opentrail.clock import Clock
from opentrail.durable import OS_FILES, Files
from opentrail.errors import ClientError, Unavailable
from opentrail.eventlog.base import Entry, LogReader, Origin
from opentrail.history.derive import ATTRIBUTES
from opentrail.history.known import Marks, known
from opentrail.history.lookup import Found, Lookup, Page, filter_of, found_at
from opentrail.history.memtable import Memtable
from opentrail.history.recent import BYTES_MAX, Recent
from opentrail.history.runs import MERGE_RUNS, Runs
from opentrail.history.search import READS_MAX, Searcher
from opentrail.history.table import TIME_MAX_S, Bounds, Row, Table, Tally, newest_first
from opentrail.history.terms import COLUMNS, Batch, Collector, term

LOOKUP_WINDOW_S = 90 * 24 * 3600
"""LookupEvents shows the last 90 days of eventTime."""

BATCH_ENTRIES = 4096
"""Records indexed in one step: some 30 ms, so that a step never holds up new events for long."""

FLUSH_ROWS = 50_000
"""Rows of a memtable when it becomes a run: a restart reads at most so many again from the log,
and a lookup scans at most so many."""

MERGE_URGENT_RUNS = 200
"""Unmerged runs past which merging goes before indexing: a value that is not there costs 1.5 us a
run, so these are 0.3 ms."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """The bounds of the index's parts; tests make them small."""

    batch_entries: int = BATCH_ENTRIES
    flush_rows: int = FLUSH_ROWS
    merge_runs: int = MERGE_RUNS
    merge_urgent_runs: int = MERGE_URGENT_RUNS


SIZES = Sizes()


@dataclass(frozen=True, slots=True)
class _Shown:
    """What lookups see: replaced as a whole, never changed."""

    tables: tuple[Table, ...]
    indexed_to: int


class History:
    """The index of one log. One thread calls ``step``; any thread looks up meanwhile.

    At most one History may have a directory open for writing: the server's lock sees to that.
    """

    def __init__(
        self, log: LogReader, runs: Runs, clock: Clock, lookup_window_s: int, sizes: Sizes
    ) -> None:
        """Use ``open``."""
        self._log = log
        self._runs = runs
        self._clock = clock
        self._window_s = lookup_window_s
        self._sizes = sizes
        self._collector = Collector()
        self._memtable = Memtable()
        self._recent: Recent[Found] = Recent()
        self._marks: Marks | None = None
        self._next = runs.covered
        self._shown = _Shown(runs.tables, runs.covered)

    @classmethod
    def open(
        cls,
        path: Path,
        log: LogReader,
        clock: Clock,
        lookup_window_s: int = LOOKUP_WINDOW_S,
        *,
        sizes: Sizes = SIZES,
        files: Files = OS_FILES,
    ) -> "History":
        """Open the index of ``log`` in the directory ``path``; begin it anew if it is not usable.

        Lookups show events whose eventTime is at most ``lookup_window_s`` old. What the runs do
        not cover yet is indexed by ``step``. Raises: Unavailable: the directory cannot be used.
        """
        with _disk_seam(path):
            return cls(log, Runs.open(path, log, files), clock, lookup_window_s, sizes)

    @property
    def rebuilt_because(self) -> str:
        """Why the index was begun anew when it was opened; "" when it was not."""
        return self._runs.rebuilt_because

    def indexed_to(self) -> int:
        """Return the log position below which lookups see every record."""
        return self._shown.indexed_to

    def tally(self) -> tuple[int, Tally]:
        """Return where the log begins, and what the records are that are indexed from there on."""
        first = self._log.first()
        tallies = [table.tally(first) for table in self._shown.tables]
        return first, Tally(sum(t.events for t in tallies), sum(t.others for t in tallies))

    def step(self) -> bool:
        """Do one bounded piece of work. Return False when there was nothing to do.

            1. index the next records of the log, and show them to lookups, all at once (only what
               is durable in the log, so an index on disk is never ahead of its log)
            2. make the memtable a run if it is full
            3. unless there are many more, do a part of a merge or drop what retention took
        A crash anywhere loses the memtable, which is read again from the log.
        Raises: Unavailable: the disk refused; lookups see what was indexed all the same, and the
        next step tries again.
        Corrupt: the log does not check out, or a run that is to be merged.
        """
        before = self._next
        behind = self._index()
        self._show()
        with _disk_seam(self._runs.directory):
            flushed = self._flush_if_full()
            urgent = self._runs.unmerged > self._sizes.merge_urgent_runs
            tidied = (urgent or not behind) and self._tidy()
        return flushed or tidied or self._next > before

    def lookup(self, query: Lookup) -> Page:
        """Return one page of what ``query`` asks for, newest first by (eventTime, position).

        Raises: ClientError: the attribute is none of LookupEvents'. Corrupt: a record of the page
        or a run does not check out.
        """
        shown = self._shown
        scope = (query.account, query.region, query.category)
        name, value = query.attribute or (COLUMNS[0], "")
        if query.attribute and name not in ATTRIBUTES:
            message = f"{name} is not a lookup attribute; use one of {', '.join(ATTRIBUTES)}."
            raise ClientError("InvalidLookupAttributesException", message)
        number = term(scope, name, value)
        rows = newest_first(shown.tables, COLUMNS.index(name), number, self._bounds(query))
        kept = filter_of(query)
        found: list[Found] = []
        while len(found) <= query.limit:
            some = list(islice(rows, query.limit + 1 - len(found)))
            if not some:
                return Page(found, more=False)
            found += kept(some, self._events(some))
        return Page(found[:-1], more=True)

    def searcher(self, reads_max: int = READS_MAX) -> Searcher:
        """Return who answers any question about what is indexed now, and what is not yet."""
        shown = self._shown
        return Searcher(self._log, shown.tables, shown.indexed_to, reads_max)

    def named(self, event_names: Sequence[str], start: int) -> tuple[list[int], int]:
        """Return where records with such eventNames are, from ``start`` on, ascending; and how far.

        None is missing below the second number. Records of other names may be among them; those
        that cannot be shown as events are not. Raises: Corrupt: the index cannot tell.
        """
        searcher = self.searcher()
        if searcher.covered <= start:
            return [], searcher.covered
        return searcher.positions("EventName", event_names, start), searcher.covered

    def prepare(self, records: Sequence[bytes]) -> Batch:
        """Return the rows of ``records``, which are not in the log yet.

        In the place of its position each row has its record's number in ``records``; one that
        cannot be shown as an event has no row.
        """
        entries = (Entry(number, 0, Origin.IMPORT, data) for number, data in enumerate(records))
        return self._collector.collect(entries, all_rows=False)

    def known(self, batch: Batch, records: Sequence[bytes]) -> set[int]:
        """Return which of ``records``, prepared as ``batch``, the log has, byte for byte.

        Of equal ones among them the first counts as new. From the first call on, records may come
        into the index by ``adopt`` alone. Raises: Corrupt.
        """
        tables = self._shown.tables
        if self._marks is None:
            self._marks = Marks(tables)
        return known(tables, self._marks, self._log, batch, records)

    def has(self, records: Sequence[bytes]) -> set[int]:
        """Return which of ``records`` the log has below ``indexed_to``, byte for byte; any thread.

        Of equal ones among them the first counts as new. Raises: Corrupt.
        """
        entries = (Entry(number, 0, Origin.IMPORT, data) for number, data in enumerate(records))
        batch = Collector().collect(entries, all_rows=False)
        return known(self._shown.tables, None, self._log, batch, records)

    def adopt(self, batch: Batch, positions: Sequence[int], end: int) -> None:
        """Take over rows that were prepared and whose records were then appended.

        All of them are events. ``positions`` are theirs by their numbers, ``end`` is the log's end
        behind them. Nothing else may have been appended since ``step`` last returned False.
        Raises: Unavailable: as ``step``.
        """
        batch.positions = array("q", [positions[number] for number in batch.positions])
        self._memtable.add(batch)
        self._next = end
        self._show()
        if self._marks is not None:
            self._marks.add(batch, self._shown.tables)
        with _disk_seam(self._runs.directory):
            self._flush_if_full()
            self._show()
            if self._runs.unmerged > self._sizes.merge_urgent_runs // 2:
                self._tidy()

    def _bounds(self, query: Lookup) -> Bounds:
        oldest_s = self._clock.now_ms() // 1000 - self._window_s
        start_s = max(oldest_s, query.start_s if query.start_s is not None else oldest_s)
        end_s = TIME_MAX_S if query.end_s is None else query.end_s
        before = min((end_s + 1, 0), query.after or (TIME_MAX_S, 0), (TIME_MAX_S, 0))
        return Bounds(min(start_s, TIME_MAX_S), before, self._log.first())

    def _events(self, rows: Sequence[Row]) -> list[Found | None]:
        """Return the events of ``rows``; None in the place of one that is not there any more."""
        known = self._recent.get_all([position for _, position in rows])
        if not all(known):
            self._recall(rows, known)
        return known

    def _recall(self, rows: Sequence[Row], known: list[Found | None]) -> None:
        """Read those of ``rows`` of which nothing is ``known`` yet, and put them there.

        Of a record that retention took since the lookup began there is still nothing.
        """
        missing = [at for at, found in enumerate(known) if found is None]
        whole = self._log.data_at([rows[at][1] for at in missing])
        for at, data in zip(missing, whole, strict=True):
            found = None if data is None else found_at(rows[at][1], data)
            if found is not None:
                known[at] = found
                if len(found.data) <= BYTES_MAX:
                    self._recent.put(found.position, found)

    def _flush_if_full(self) -> bool:
        if len(self._memtable) < self._sizes.flush_rows:
            return False
        self._runs.add(self._memtable.view(), self._next)
        self._memtable = Memtable()
        return True

    def _index(self) -> bool:
        """Put the next records of the log into the memtable; True when there are more."""
        end = self._log.durable_end()
        if self._next >= end:
            return False
        entries = self._log.entries(self._next, end)
        batch = self._collector.collect(islice(entries, self._sizes.batch_entries))
        following = next(entries, None)
        self._memtable.add(batch)
        self._next = end if following is None else following.position
        return following is not None

    def _tidy(self) -> bool:
        """Do a part of a merge, or drop what retention took."""
        tidied = self._runs.merge_part(self._sizes.merge_runs) or self._runs.drop_expired(
            self._log.first()
        )
        if tidied:
            self._show()
        return tidied

    def _show(self) -> None:
        """Let lookups see the index as it is now."""
        tables: tuple[Table, ...] = self._runs.tables
        if len(self._memtable):
            tables = (*tables, self._memtable.view())
        self._shown = _Shown(tables, self._next)


@contextmanager
def _disk_seam(directory: Path) -> Iterator[None]:
    """Map the operating system's errors: the index can be built again, so none is fatal."""
    try:
        yield
    except OSError as error:
        message = f"the index in {directory} cannot be changed: {error.strerror or error}"
        raise Unavailable(message, "it goes on by itself once the disk takes writes") from error
