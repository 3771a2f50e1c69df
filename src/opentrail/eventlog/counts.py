# SPDX-License-Identifier: Apache-2.0
"""How many records were ever appended, and how many of them retention deleted: ``log/records.json``.

After docs/format.md. Without it the sealed segments are counted again; only what retention deleted
is then not known any more.
"""

import contextlib
from collections.abc import Callable
from pathlib import Path

import msgspec

from opentrail.durable import Files, read_file, replace_file

NAME = "records.json"
VERSION = 1


class Accounts(msgspec.Struct, frozen=True):
    """What became of all records that were ever appended: ``appended`` is the sum of the others."""

    appended: int
    indexed: int
    """Event history finds them."""
    no_event: int
    """Event history has read them and finds them by nothing: they have no readable eventTime."""
    beyond_retention: int
    """Deleted."""
    waiting: int
    """Not read by Event history yet."""

    @property
    def words(self) -> str:
        """The sum, to be read."""
        return (
            f"{self.appended:,} appended = {self.indexed:,} indexed + {self.no_event:,} that are no"
            f" events + {self.beyond_retention:,} beyond retention + {self.waiting:,} waiting"
        )


class Counted(msgspec.Struct, frozen=True):
    """The file's content."""

    version: int
    log_id: str
    first: int
    """Position of the first segment that is counted one by one."""
    below: int
    """Records in the segments before it, which retention deleted."""
    segments: dict[int, int]
    """First position of a sealed segment -> its records."""

    def expired(self, first: int) -> int:
        """Return the records in the segments before the one that begins at ``first``."""
        return self.below + sum(count for at, count in self.segments.items() if at < first)


def load(log_dir: Path, log_id: str) -> Counted | None:
    """Return what was counted for the log ``log_id``; None when that cannot be read."""
    try:
        found = msgspec.json.decode(read_file(log_dir / NAME), type=Counted)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None
    return found if (found.version, found.log_id) == (VERSION, log_id) else None


def expired_records(log_dir: Path, log_id: str, first: int) -> int | None:
    """Return how many records retention deleted below the segment ``first``; None: not known."""
    found = load(log_dir, log_id)
    if found is None:
        return None if first else 0
    return found.expired(first)


class RecordCounts:
    """The counts of the log that is open for writing. Owned by whoever may append.

    Segments that retention deletes stay counted one by one until the next start: whoever was told
    where the log begins just before must still get the numbers that fit.
    """

    def __init__(self, log_dir: Path, log_id: str, files: Files) -> None:
        """Nothing is counted before ``open``."""
        self._dir = log_dir
        self._files = files
        self._counted = Counted(VERSION, log_id, 0, 0, {})
        self._last = 0
        self.appended = 0
        """Records ever acknowledged."""

    def open(self, firsts: list[int], last: int, count: Callable[[int], int]) -> None:
        """Go on after what is on disk: the segments ``firsts``, the last with ``last`` records.

        ``count`` counts the records of a sealed segment; it is asked for those that no start
        before has counted. Raises: Corrupt: what it raises.
        """
        on_disk = load(self._dir, self._counted.log_id)
        found = on_disk or self._counted
        known = {first: found.segments.get(first, -1) for first in firsts[:-1]}
        segments = {first: each if each >= 0 else count(first) for first, each in known.items()}
        kept = firsts[0] if firsts else found.first
        self._counted = Counted(VERSION, found.log_id, kept, found.expired(kept), segments)
        if self._counted != on_disk and kept > 0:
            self.try_store()
        self._last = last
        self.appended = self._counted.below + sum(segments.values()) + last

    def expired(self, position: int, last: int) -> int:
        """Return how many of them lie in the segments before the one that holds ``position``.

        ``last`` is where the last segment begins.
        """
        counted = self._counted
        begins = (at for at in (*counted.segments, last) if at <= position)
        return counted.expired(max(begins, default=counted.first))

    def add(self, records: int) -> None:
        """Count what was acknowledged in the last segment."""
        self._last += records
        self.appended += records

    def seal(self, first: int) -> None:
        """Count the last segment, which begins at ``first``, as one that does not grow any more."""
        segments = {**self._counted.segments, first: self._last}
        self._counted = msgspec.structs.replace(self._counted, segments=segments)
        self._last = 0
        self.try_store()

    def try_store(self) -> None:
        """Write down what is counted, if the disk takes it: what is not there is counted again."""
        with contextlib.suppress(OSError):
            self.store()

    def store(self) -> None:
        """Write down what is counted, durably. Raises: OSError."""
        replace_file(self._dir / NAME, msgspec.json.encode(self._counted), self._files)
