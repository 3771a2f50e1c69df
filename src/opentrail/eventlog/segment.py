# SPDX-License-Identifier: Apache-2.0
"""One segment file: its name, its header, and its frames as they are read."""

import os
from collections.abc import Iterator
from pathlib import Path
from weakref import WeakValueDictionary

from opentrail.durable import TEMPORARY_SUFFIX, Files, publish
from opentrail.errors import Corrupt
from opentrail.eventlog.blob import BlobCodec
from opentrail.eventlog.frame import (
    FRAME_HEADER_BYTES,
    SEGMENT_FIXED_BYTES,
    BadBytes,
    FrameHeader,
    SegmentHeader,
    check_payload,
    parse_frame_header,
    parse_segment_header,
    segment_header_size,
)

SUFFIX = ".seg"
READ_BYTES = 256 * 1024
"""Read ahead when walking frames: some 1,000 records a system call, and little to throw away."""
DAMAGE_HINT = (
    "keep a copy of the data directory, run `opentrail fsck`, then restore this file from a backup, "
    "or move log/ away to begin a new log"
)
UNREAD_HINT = "the disk did not give it: look at the disk, and run `opentrail fsck`, which says whether it does now"


def segment_path(log_dir: Path, first: int) -> Path:
    """Return the path of the segment whose first position is ``first``."""
    return log_dir / f"{first:020d}{SUFFIX}"


def list_firsts(log_dir: Path) -> list[int]:
    """Return the first positions of the segments in ``log_dir``, ascending.

    Raises: OSError: it cannot be read, which ``Path.glob`` would take for an empty one.
    """
    names = (path.stem for path in log_dir.iterdir() if path.suffix == SUFFIX)
    return sorted(int(name) for name in names if name.isdigit())


def create_segment(log_dir: Path, header: SegmentHeader, files: Files) -> None:
    """Make the empty segment of ``header`` durable; it appears whole or not at all.

    Raises: OSError: it may be there.
    """
    path = segment_path(log_dir, header.first)
    temporary = path.with_name(path.name + TEMPORARY_SUFFIX)
    fd = files.create(temporary)
    try:
        files.write(fd, header.pack(), 0)
    finally:
        files.close(fd)
    publish(temporary, path, files)


def _must(condition: object, message: str) -> None:
    if not condition:
        raise BadBytes(message)


class CodecCache:
    """One codec for each dictionary of the segments that are open: neighbours share one."""

    def __init__(self) -> None:
        self._codecs: WeakValueDictionary[bytes, BlobCodec] = WeakValueDictionary()

    def get(self, dictionary: bytes) -> BlobCodec:
        """Return the codec of ``dictionary``."""
        codec = self._codecs.get(dictionary)
        if codec is None:
            codec = self._codecs[dictionary] = BlobCodec(dictionary)
        return codec


def _hint(error: Exception) -> str:
    return UNREAD_HINT if isinstance(error, OSError) else DAMAGE_HINT


class SegmentFile:
    """An open segment, for reading. Closed when nobody refers to it any more.

    So a thread that still reads a segment which retention deleted is not disturbed.
    """

    def __init__(self, log_dir: Path, first: int, log_id: bytes, codecs: CodecCache) -> None:
        """Open and check the header. Raises: FileNotFoundError. Corrupt."""
        self.path = segment_path(log_dir, first)
        self._fd = -1
        self._fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            size = segment_header_size(os.pread(self._fd, SEGMENT_FIXED_BYTES, 0))
            self.header = parse_segment_header(os.pread(self._fd, size, 0))
            same = self.header.first == first and self.header.log_id == log_id
            _must(same, "the segment is of another place or another log")
        except (BadBytes, OSError) as error:
            raise Corrupt(str(error), f"{self.path} at byte 0", _hint(error)) from error
        self._base = self.header.size - first
        self.end_seen = first
        """Position that the file was seen to reach; for the reader that caches it."""
        self.codec = codecs.get(self.header.dictionary)

    def __del__(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)

    def corrupt(self, error: Exception, position: int) -> Corrupt:
        """Return ``error`` as the damage at ``position``."""
        where = f"{self.path} at byte {self._base + position} (position {position})"
        return Corrupt(str(error), where, _hint(error))

    def end(self) -> int:
        """Return the position past the file's last byte."""
        return os.fstat(self._fd).st_size - self._base

    def read_at(self, position: int, size: int) -> bytes:
        """Return ``size`` bytes from ``position``, fewer at the file's end. Raises: Corrupt."""
        try:
            return os.pread(self._fd, size, self._base + position)
        except OSError as error:
            raise self.corrupt(error, position) from error

    def frames(self, position: int, end: int) -> Iterator[tuple[FrameHeader, bytes]]:
        """Yield (header, payload) of the frames from ``position`` on, checked.

        Stops at ``end`` or at the end of the file. Raises: Corrupt.
        """
        data, at = b"", 0
        while position < end:
            if len(data) - at < FRAME_HEADER_BYTES:
                data, at = self.read_at(position, min(READ_BYTES, end - position)), 0
                if not data:
                    return
            try:
                header = parse_frame_header(data, at, position)
                stop = at + FRAME_HEADER_BYTES + header.payload_size
                _must(header.end <= end, "the frame reaches past the durable end")
                if stop > len(data):
                    size = max(READ_BYTES, stop - at)
                    data, at = self.read_at(position, size), 0
                    stop = FRAME_HEADER_BYTES + header.payload_size
                payload = data[at + FRAME_HEADER_BYTES : stop]
                check_payload(header, payload)
            except BadBytes as error:
                raise self.corrupt(error, position) from error
            yield header, payload
            at, position = stop, header.end
