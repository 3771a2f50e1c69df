# SPDX-License-Identifier: Apache-2.0
"""Following a log as it grows, from another process, across restarts of its server."""

from contextlib import suppress
from itertools import islice
from pathlib import Path

from opentrail.errors import Corrupt, Unavailable
from opentrail.eventlog.base import Entry
from opentrail.eventlog.published import NAME
from opentrail.eventlog.reader import SegmentReader

ENTRIES_AT_ONCE = 1000
"""Records taken in one step, so that whoever follows shows them as they come."""


class Follower:
    """Reads what is appended and kept, in the log's order, each record once. For one thread."""

    def __init__(self, log_dir: Path, position: int | None = None) -> None:
        """Follow from ``position`` on; None: from the end of now. Raises: Unavailable. Corrupt."""
        self._dir = log_dir
        self._open()
        self._position = self._log.durable_end() if position is None else position
        self.resets = 0
        """How often the log was begun anew meanwhile."""
        self.gaps = 0
        """How often retention took what was not read yet: whoever follows was too slow."""

    def _open(self) -> None:
        self._file = _identity(self._dir)
        self._log = SegmentReader(self._dir)

    @property
    def position(self) -> int:
        """Return where the next record will be read."""
        return self._position

    @property
    def log(self) -> SegmentReader:
        """Return the log that is followed now."""
        return self._log

    def step(self) -> list[Entry]:
        """Return the next records; none when there is nothing new.

        A log that was begun anew is followed from its beginning, once the rest of the old one was
        returned. Raises: Corrupt.
        """
        if _identity(self._dir) != self._file:
            rest = self._begin_anew()
            if rest:
                return rest
        kept = self._log.kept_from()
        if self._position < kept:
            self._position = kept
            self.gaps += 1
        found: list[Entry] = []
        end = self._log.durable_end()
        for entry in self._log.entries(self._position, end):
            if len(found) == ENTRIES_AT_ONCE:
                self._position = entry.position
                return found
            found.append(entry)
        self._position = end
        return found

    def _begin_anew(self) -> list[Entry]:
        """Follow the log that there is now, if it can be read already.

        Return what was still unread of another one before, as far as its files are open yet.
        """
        before = self._log
        try:
            self._open()
        except (Unavailable, FileNotFoundError):
            return []  # it is being made
        rest: list[Entry] = []
        if self._log.log_id != before.log_id:
            with suppress(Corrupt):  # the files of that name are the new log's, or gone
                rest.extend(islice(before.entries(self._position), ENTRIES_AT_ONCE))
            self._position = 0
            self.resets += 1
        before.close()
        return rest


def _identity(log_dir: Path) -> tuple[int, int]:
    """Return which file says how far the log is; (0, 0) while there is none."""
    try:
        status = (log_dir / NAME).stat()
    except FileNotFoundError:
        return 0, 0
    return status.st_dev, status.st_ino
