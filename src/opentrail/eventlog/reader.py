# SPDX-License-Identifier: Apache-2.0
"""Reading the segments, from any thread and any process, beside the one writer.

After docs/format.md. Files are read with pread, not mapped: a bad disk block is then an error that
says where, not a signal that kills the process.
"""

import bisect
import threading
import uuid
from collections.abc import Iterator, Sequence
from itertools import chain, repeat
from pathlib import Path

from opentrail.errors import Corrupt
from opentrail.eventlog.base import Entry, Mark, Origin
from opentrail.eventlog.blob import BlobCodec
from opentrail.eventlog.frame import (
    FRAME_HEADER_BYTES,
    RECORD_HEADER_BYTES,
    BadBytes,
    FrameHeader,
    SegmentHeader,
    blobs_at,
    parse_frame_header,
    parse_record_header,
    records_of,
)
from opentrail.eventlog.near import neighbours
from opentrail.eventlog.published import Published
from opentrail.eventlog.segment import CodecCache, SegmentFile, list_firsts

SEGMENTS_OPEN_MAX = 64
"""File descriptors that one reader keeps; far below the usual limit of 1,024 for a process."""
READ_AROUND_BYTES = 4096
"""Read before and after a position, so that one system call gets a record and its frame's header."""
DECOMPRESSED_RECORDS = 128
"""Decompressed at once: some 200 KB, which are in the processor's cache when whoever reads comes to them.
A thousand at once took a fifth longer to decompress and parse."""
READ_BEHIND_BYTES = 1024
"""Read from the last of several positions on: four times what a usual record takes."""


class SegmentReader:
    """A LogReader over ``<data>/log``. Makes no threads and holds no locks on files."""

    def __init__(self, log_dir: Path) -> None:
        """Open the log in ``log_dir``. Raises: Unavailable: there is none yet. Corrupt."""
        self._dir = log_dir
        self._published = Published(log_dir)
        self._codecs = CodecCache()
        self._lock = threading.Lock()
        self._open: dict[int, SegmentFile] = {}
        self._recent: SegmentFile | None = None
        self._firsts: list[int] = []
        self._kept = 0
        self._first_seen = (-1, -1)

    @property
    def log_id(self) -> str:
        """See ``LogReader``."""
        return str(uuid.UUID(bytes=self._published.log_id))

    def first(self) -> int:
        """See ``LogReader``."""
        kept = self._published.first()
        if self._first_seen[0] != kept:
            entry = next(self.entries(kept), None)
            if entry is None:
                return self.durable_end()
            self._first_seen = (kept, entry.position)
        return self._first_seen[1]

    def kept_from(self) -> int:
        """Return the position below which retention took everything."""
        return self._published.first()

    def durable_end(self) -> int:
        """See ``LogReader``."""
        return self._published.end()

    def entries(self, start: int, end: int | None = None) -> Iterator[Entry]:
        """See ``LogReader``. Raises: ValueError: nothing begins at ``start``."""
        durable = self.durable_end()
        stop = durable if end is None else min(end, durable)
        for segment, header, payload in self._frames(start, stop, durable):
            yield from _entries_of(segment, header, payload, start, stop)

    def items(self, start: int, end: int | None = None) -> Iterator[Entry | Mark]:
        """See ``LogReader``. Raises: ValueError: nothing begins at ``start``."""
        durable = self.durable_end()
        stop = durable if end is None else min(end, durable)
        for segment, header, payload in self._frames(start, stop, durable):
            kind = header.mark_kind
            if kind is None:
                yield from _entries_of(segment, header, payload, start, stop)
            else:
                yield Mark(header.position, header.append_ms, kind, payload)

    def marks(self, start: int, end: int | None = None) -> Iterator[Mark]:
        """See ``LogReader``. Raises: ValueError: nothing begins at ``start``."""
        durable = self.durable_end()
        stop = durable if end is None else min(end, durable)
        for _, header, payload in self._frames(start, stop, durable):
            kind = header.mark_kind
            if kind is not None:
                yield Mark(header.position, header.append_ms, kind, payload)

    def of_origin(self, origin: Origin, start: int, end: int) -> Iterator[tuple[int, list[Entry]]]:
        """Yield, frame by frame, its end and the records that came in by one way.

        The other records cost a look at their heads only. Raises: as ``entries``.
        """
        durable = self.durable_end()
        stop = min(end, durable)
        for segment, header, payload in self._frames(start, stop, durable):
            entries = _entries_of(segment, header, payload, start, stop, origin)
            yield header.end, list(entries)

    def sampled(self, start: int, step: int) -> Iterator[bytes]:
        """Yield every ``step``-th record from ``start`` on; those between are not decompressed.

        Raises: as ``entries``.
        """
        durable, skipped = self.durable_end(), 0
        for segment, header, payload in self._frames(start, durable, durable):
            try:
                blobs = records_of(header, payload).blobs
                yield from segment.codec.decompress(blobs[skipped::step])
            except BadBytes as error:
                raise segment.corrupt(error, header.position) from error
            skipped = (skipped - len(blobs)) % step

    def read(self, position: int) -> Entry:
        """See ``LogReader``."""
        if not self._published.first() <= position < self.durable_end():
            raise KeyError(position)
        segment = self._segment_at(position)
        if segment is None:
            raise KeyError(position)
        try:
            return _read_one(segment, position)
        except BadBytes as error:
            # Either nothing begins there or it is damaged: what lies around it tells which.
            absent = KeyError(position)
            if self._frame_start(segment, position, self.durable_end(), absent) == position:
                raise absent from None
            raise segment.corrupt(error, position) from error

    def data_at(self, positions: Sequence[int]) -> list[bytes | None]:
        """See ``LogReader``."""
        try:
            found: list[bytes | None] = []
            for codec, blobs in self._gathered(positions):
                found += codec.decompress_unchecked(blobs)
        except (BadBytes, Corrupt, KeyError):
            # One of them at least cannot be had so: alone, each says what it is.
            return [self._data_or_none(position) for position in positions]
        return found

    def _gathered(self, positions: Sequence[int]) -> Iterator[tuple[BlobCodec, list[bytes]]]:
        """Yield the compressed records at ``positions`` in their order, with what decompresses them.

        Raises: BadBytes: not all of them can be had so. KeyError. Corrupt.
        """
        if positions and not self._published.first() <= min(positions):
            raise KeyError(min(positions))
        if positions and max(positions) >= self.durable_end():
            raise KeyError(max(positions))
        last, blobs = None, list[bytes]()
        for low, high, near in neighbours(positions):
            segment = self._segment_at(low)
            if segment is None:
                raise KeyError(low)
            if segment.codec is not last and last is not None:
                yield last, blobs
                blobs = []
            last = segment.codec
            data = segment.read_at(low, high - low + READ_BEHIND_BYTES)
            blobs += blobs_at(data, low, near)
        if last is not None:
            yield last, blobs

    def _data_or_none(self, position: int) -> bytes | None:
        try:
            return self.read(position).data
        except KeyError:
            return None

    def segment_header(self, first: int) -> SegmentHeader:
        """Return the header of the segment that begins at ``first``. Raises: Corrupt."""
        segment = self._segment_at(first, begins=True)
        if segment is None:
            raise KeyError(first)
        return segment.header

    def count(self, first: int) -> int:
        """Return how many records the sealed segment has that begins at ``first``. Raises: Corrupt."""
        segment = self._segment_at(first, begins=True)
        if segment is None:
            raise KeyError(first)
        return sum(header.count for header, _ in segment.frames(first, segment.end()))

    def since(self, append_ms: int, segments_max: int) -> int:
        """Return where to begin reading for all that was appended at ``append_ms`` or later.

        That is the beginning of a segment, of the last ``segments_max`` ones. Raises: Corrupt.
        """
        firsts = list_firsts(self._dir)[-segments_max:]
        start = max([self._published.first(), *firsts[:1]])
        for first in firsts[1:]:
            if self.segment_header(first).before_ms >= append_ms:
                break
            start = first
        return start

    def close(self) -> None:
        """Let go of the files. Iterators that still run keep theirs until they end."""
        with self._lock:
            self._open.clear()
            self._recent = None

    def _frames(
        self, start: int, stop: int, durable: int
    ) -> Iterator[tuple[SegmentFile, FrameHeader, bytes]]:
        """Yield the frames of ``[start, stop)``, the first of which may begin before ``start``."""
        position = max(start, self._published.first())
        if position >= stop:
            return
        segment = self._segment_at(position)
        if segment is not None:
            absent = ValueError(f"nothing begins at {position}")
            position = self._frame_start(segment, position, durable, absent)
        while position < stop:
            if segment is None:
                # Past a segment's end, or retention took it: either way there is a next one.
                position = max(position, self._published.first())
                segment = self._segment_at(position, begins=True)
                continue
            for header, payload in segment.frames(position, durable):
                yield segment, header, payload
                position = header.end
                if position >= stop:
                    return
            if position == segment.header.first:
                raise segment.corrupt(BadBytes("the segment is cut short"), position)
            segment = None

    def _frame_start(
        self, segment: SegmentFile, position: int, durable: int, absent: Exception
    ) -> int:
        """Return the position of the frame that ``position`` is in.

        Raises: ``absent``: neither a frame nor a record begins there. Corrupt.
        """
        try:
            return _frame_start_quick(segment, position)
        except BadBytes:
            pass
        for header, payload in segment.frames(segment.header.first, durable):
            if header.position < position < header.end:
                if position in records_of(header, payload).positions:
                    return header.position
                raise absent
        raise segment.corrupt(BadBytes("the segment is cut short"), position)

    def _segment_at(self, position: int, *, begins: bool = False) -> SegmentFile | None:
        """Return the segment that holds ``position``; None when retention deleted it just now.

        ``begins``: it must begin there. Raises: Corrupt: it is missing or its header is damaged.
        OSError: it cannot be opened now; who was reading must begin anew, as after a crash.
        """
        recent = self._recent
        if not begins and recent is not None and recent.header.first <= position < recent.end_seen:
            return recent
        with self._lock:
            self._drop_expired()
            first = position if begins else self._first_at(position)
            segment = self._open.pop(first, None)
            try:
                if segment is None:
                    segment = SegmentFile(self._dir, first, self._published.log_id, self._codecs)
            except FileNotFoundError:
                self._firsts = []
                if position < self._published.first():
                    return None
                hint = "restore the file from a backup; what is before it can still be read"
                where = str(self._dir / f"{first:020d}.seg")
                raise Corrupt("a segment of the log is missing", where, hint) from None
            self._open[first] = segment
            if len(self._open) > SEGMENTS_OPEN_MAX:
                del self._open[next(iter(self._open))]
            segment.end_seen = segment.end()
            self._recent = segment
            return segment

    def _drop_expired(self) -> None:
        """Let go of the segments that retention deleted: an open file keeps its disk space."""
        kept = self._published.first()
        if kept != self._kept:
            self._kept = kept
            self._open = {at: segment for at, segment in self._open.items() if at >= kept}
            self._recent = None

    def _first_at(self, position: int) -> int:
        """Return the first position of the segment for ``position``, as far as names tell."""
        index = bisect.bisect_right(self._firsts, position)
        if index == 0 or (index == len(self._firsts) and not self._in_last(position)):
            self._firsts = list_firsts(self._dir)
            index = bisect.bisect_right(self._firsts, position)
        return self._firsts[index - 1] if index else position

    def _in_last(self, position: int) -> bool:
        """Whether the last segment known still is the one for ``position``."""
        last = self._open.get(self._firsts[-1])
        return last is not None and position < last.end()


def _entries_of(
    segment: SegmentFile,
    header: FrameHeader,
    payload: bytes,
    start: int,
    stop: int,
    origin: Origin | None = None,
) -> Iterator[Entry]:
    """Return the records of a frame that lie in ``[start, stop)``. Raises: Corrupt.

    ``origin``: only those that came in that way; None: all.
    """
    try:
        records = records_of(header, payload, origin)
    except BadBytes as error:
        raise segment.corrupt(error, header.position) from error
    data = chain.from_iterable(_decompressed(segment, header, records.blobs))
    whole = map(Entry, records.positions, repeat(header.append_ms), records.origins, data)
    if start <= header.position and header.end <= stop:
        return whole
    return (entry for entry in whole if start <= entry.position < stop)


def _decompressed(
    segment: SegmentFile, header: FrameHeader, blobs: Sequence[bytes]
) -> Iterator[list[bytes]]:
    """Yield the records of a frame, some at a time. Raises: Corrupt."""
    for start in range(0, len(blobs), DECOMPRESSED_RECORDS):
        try:
            some = segment.codec.decompress(blobs[start : start + DECOMPRESSED_RECORDS])
        except BadBytes as error:
            raise segment.corrupt(error, header.position) from error
        yield some


def _frame_start_quick(segment: SegmentFile, position: int) -> int:
    """Return where the frame at or around ``position`` begins. Raises: BadBytes: cannot tell."""
    head = segment.read_at(position, FRAME_HEADER_BYTES)
    try:
        return parse_frame_header(head, 0, position).position
    except BadBytes:
        _, back, _ = parse_record_header(head, 0)
    start = position - back
    return parse_frame_header(segment.read_at(start, FRAME_HEADER_BYTES), 0, start).position


def _read_one(segment: SegmentFile, position: int) -> Entry:
    """Return the record at ``position``. Raises: BadBytes: nothing begins there, or damage."""
    start = max(segment.header.first, position - READ_AROUND_BYTES)
    around = segment.read_at(start, position - start + READ_AROUND_BYTES)
    at = position - start
    size, back, origin = parse_record_header(around, at)
    if back <= at:
        frame = parse_frame_header(around, at - back, position - back)
    else:
        head = segment.read_at(position - back, FRAME_HEADER_BYTES)
        frame = parse_frame_header(head, 0, position - back)
    body = at + RECORD_HEADER_BYTES
    blob = around[body : body + size]
    if len(blob) < size:
        blob = segment.read_at(position + RECORD_HEADER_BYTES, size)
    (data,) = segment.codec.decompress_unchecked((blob,))
    return Entry(position, frame.append_ms, origin, data)
