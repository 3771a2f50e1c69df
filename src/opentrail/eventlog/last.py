# SPDX-License-Identifier: Apache-2.0
"""The last segment: the one that the log grows in.

After docs/format.md.
"""

from dataclasses import dataclass
from pathlib import Path

from opentrail.durable import Files
from opentrail.eventlog.frame import SegmentHeader
from opentrail.eventlog.options import SEGMENT_AGE_MS_MAX, LogOptions
from opentrail.eventlog.published import Published
from opentrail.eventlog.segment import create_segment, segment_path


@dataclass(frozen=True, slots=True)
class Written:
    """A frame that is written and not yet durable, and marks that follow it once it is."""

    positions: list[int]
    end: int
    """Position past all of it."""
    append_ms: int
    rest: tuple[tuple[int, bytes], ...] = ()
    """Position and frame of each further mark."""
    records: int = 0
    """How many of the positions are records'."""


class LastSegment:
    """Where frames are written, and when the next segment begins. Knows positions, not frames."""

    def __init__(
        self, log_dir: Path, published: Published, options: LogOptions, files: Files
    ) -> None:
        """Nothing can be written until ``go_on`` or ``roll``."""
        self._dir = log_dir
        self._published = published
        self._bytes_max = options.segment_bytes_max
        self._files = files
        self._fd = -1
        self._must_roll = False
        self._header = SegmentHeader(published.log_id, 0, 0, 0, b"")
        self.path = segment_path(log_dir, 0)
        """The segment's file."""

    @property
    def first(self) -> int:
        """Position of the segment's first frame."""
        return self._header.first

    def go_on(self, header: SegmentHeader, dictionary: bytes) -> None:
        """Append to the segment of ``header``, which is there. Raises: OSError."""
        self.path = segment_path(self._dir, header.first)
        self._fd = self._files.open(self.path)
        self._header = header
        # Records are compressed before they are written, for whatever segment it will be.
        self._must_roll = header.dictionary != dictionary

    def end(self) -> None:
        """Let the next frame begin another segment."""
        self._must_roll = True

    def is_full(self, end: int, size: int, now_ms: int) -> bool:
        """Whether ``size`` more bytes at ``end`` go to a new segment."""
        if end == self._header.first:
            return self._must_roll
        old = now_ms - self._header.created_ms >= SEGMENT_AGE_MS_MAX
        return self._must_roll or old or self._offset(end) + size > self._bytes_max

    def roll(self, end: int, before_ms: int, created_ms: int, dictionary: bytes) -> None:
        """Begin a new segment at ``end``, the end of the log.

            1. sync log/durable          (so that a start after a power loss checks one segment)
            2. make the segment durable  (a crash after it: an empty last segment)
            3. append to it from now on
        Once tried it is tried again until it works: the new file may be there, so that nothing
        may be appended to the old one. Raises: OSError.
        """
        self._must_roll = True
        self._published.sync(self._files)
        header = SegmentHeader(self._published.log_id, end, created_ms, before_ms, dictionary)
        create_segment(self._dir, header, self._files)
        path = segment_path(self._dir, end)
        fd = self._files.open(path)
        self.close()
        self._fd = fd
        self.path = path
        self._header = header
        self._must_roll = False

    def write(self, position: int, data: bytes) -> None:
        """Write ``data`` at ``position``. Not durable without ``sync``. Raises: OSError."""
        self._files.write(self._fd, data, self._offset(position))

    def sync(self) -> None:
        """Return once what was written is on disk; safe on any thread. Raises: OSError."""
        self._files.sync(self._fd)

    def fileno(self) -> int:
        """Return the descriptor of the segment's file."""
        return self._fd

    def cut(self, end: int) -> None:
        """Cut off what was written from ``end`` on. Raises: OSError."""
        self._files.truncate(self._fd, self._offset(end))

    def close(self) -> bool:
        """Close the file; False when it was closed. Raises: OSError."""
        if self._fd < 0:
            return False
        fd, self._fd = self._fd, -1
        self._files.close(fd)
        return True

    def _offset(self, position: int) -> int:
        return self._header.size + position - self._header.first
