# SPDX-License-Identifier: Apache-2.0
"""How much of the log state has followed: more than there is, where an older copy of the log was put back.

All that a log lost so would be missing without a word, and what is appended in its place never be delivered.
"""

from collections.abc import Iterator

from opentrail.errors import Corrupt
from opentrail.eventlog.base import LogReader
from opentrail.state.base import State
from opentrail.state.stored import read
from opentrail.trails.registry import APPLIED_KEY, Applied
from opentrail.trails.trail import cursor_key

HINT = "put log/, history/ and state.db back from copies of one time, or the newer log/ alone"


def imported_key(log_id: str) -> str:
    """Return where state keeps how far the log went after an import, as decimal text."""
    return f"imported/{log_id}"


def lost(state: State, log: LogReader) -> Corrupt | None:
    """Return what is to be said of ``log``, if it was longer once.

    It may grow meanwhile. Raises: Corrupt: one of the two is damaged. Unavailable.
    """
    known = max(_followed(state, log.log_id))
    end = log.durable_end()  # after what follows it
    if known <= end:
        return None
    what = f"it knows the log up to position {known}, and the log ends at {end}: records are lost"
    return Corrupt(what, "state.db", HINT)


def _followed(state: State, log_id: str) -> Iterator[int]:
    imported, entry = state.get(imported_key(log_id)), state.get(APPLIED_KEY)
    yield 0 if imported is None else read(imported, int)
    applied = None if entry is None else read(entry, Applied)
    if applied is not None and applied.log_id == log_id:
        yield applied.position
        for cursor in state.scan(cursor_key("")):
            yield read(cursor, int)
