# SPDX-License-Identifier: Apache-2.0
"""The log's bytes: segment headers, frames and record headers, built and checked without any I/O.

After docs/format.md.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import google_crc32c
import msgspec

from opentrail.event.caps import RECORD_BYTES_MAX
from opentrail.eventlog.base import MarkKind, Origin

VERSION = 1
SEGMENT_MAGIC = b"OTRLSEG\0"
FRAME_MAGIC = b"OTFR"
KIND_RECORDS = 1
FRAMES_BYTES_MAX = 8 * 1024 * 1024
"""Uncompressed record bytes in one frame: what a reader must hold at once, 32 of the largest records."""
RECORDS_MAX = 65_536
"""Records in one frame; with the bound above, what a reader must hold at once."""
MARKS_BYTES_MAX = FRAMES_BYTES_MAX
"""Payload bytes of the marks of one append: far above a trail with all the selectors there may be."""
MARKS_MAX = 16
"""Marks of one append, each with an fdatasync of its own while all others wait; a change has two."""

_SEGMENT = struct.Struct("<8sII16sQQQI")
_FRAME = struct.Struct("<4sIBBHIIIQQ")
_FRAME_CHECKED = struct.Struct("<BBHIIIQQ")
_RECORD = struct.Struct("<IIBB")
_RECORD_FULL = struct.Struct("<IIBBI")
_RECORD_PLACE = struct.Struct("<I4xB5x")
"""Of the same bytes the length and the origin alone: all that a walk over a whole frame needs."""
_U32 = struct.Struct("<I")
SEGMENT_FIXED_BYTES = _SEGMENT.size
FRAME_HEADER_BYTES = _FRAME.size
RECORD_HEADER_BYTES = _RECORD_FULL.size
DICTIONARY_BYTES_MAX = 1024 * 1024
"""More than zstd's trainer ever makes (112,640): a length past it is a damaged header."""
BLOB_BYTES_MAX = RECORD_BYTES_MAX + RECORD_BYTES_MAX // 128 + 64
"""zstd's bound for bytes that do not compress is 1/256 more, and a frame header."""
PAYLOAD_BYTES_MAX = (
    FRAMES_BYTES_MAX + FRAMES_BYTES_MAX // 128 + RECORDS_MAX * (RECORD_HEADER_BYTES + 64)
)
"""The longest payload that the writer can make; a length past it is a damaged header."""

_ORIGINS = {int(origin): origin for origin in Origin}
_MARK_KINDS = {int(kind): kind for kind in MarkKind}

checksum = google_crc32c.value


class BadBytes(Exception):
    """Bytes that are no header, frame or record; the reader adds where they are."""


@dataclass(frozen=True, slots=True)
class SegmentHeader:
    """What a segment says of itself."""

    log_id: bytes
    first: int
    """Position of the segment's first frame."""
    created_ms: int
    before_ms: int
    """The newest append_ms of the segments before; 0 when there was none."""
    dictionary: bytes

    @property
    def size(self) -> int:
        """Bytes of the header in the file."""
        return SEGMENT_FIXED_BYTES + len(self.dictionary) + _U32.size

    def pack(self) -> bytes:
        """Return the header's bytes."""
        head = _SEGMENT.pack(
            SEGMENT_MAGIC,
            VERSION,
            self.size,
            self.log_id,
            self.first,
            self.created_ms,
            self.before_ms,
            len(self.dictionary),
        )
        body = head + self.dictionary
        return body + _U32.pack(checksum(body))


def segment_header_size(start: bytes) -> int:
    """Return the header's length from a segment's first SEGMENT_FIXED_BYTES. Raises: BadBytes."""
    if len(start) < SEGMENT_FIXED_BYTES or not start.startswith(SEGMENT_MAGIC):
        raise BadBytes("not a segment of an OpenTrail log")
    _, version, size, *_, dictionary_size = _SEGMENT.unpack_from(start)
    if version != VERSION:
        raise BadBytes(f"segment version {version}, this OpenTrail reads version {VERSION}")
    if dictionary_size > DICTIONARY_BYTES_MAX or size != SEGMENT_FIXED_BYTES + dictionary_size + 4:
        raise BadBytes("the segment header's lengths do not fit")
    return int(size)


def parse_segment_header(data: bytes) -> SegmentHeader:
    """Parse the ``segment_header_size`` bytes of a segment's header. Raises: BadBytes."""
    if len(data) != segment_header_size(data):
        raise BadBytes("the segment header is cut short")
    if checksum(data[:-4]) != _U32.unpack_from(data, len(data) - 4)[0]:
        raise BadBytes("the segment header's checksum does not fit")
    _, _, _, log_id, first, created_ms, before_ms, _ = _SEGMENT.unpack_from(data)
    dictionary = data[SEGMENT_FIXED_BYTES:-4]
    return SegmentHeader(log_id, first, created_ms, before_ms, dictionary)


class FrameHeader(msgspec.Struct, frozen=True, gc=False):
    """What a frame says of itself."""

    kind: int
    count: int
    payload_size: int
    payload_checksum: int
    position: int
    append_ms: int

    @property
    def end(self) -> int:
        """Position past the frame."""
        return self.position + FRAME_HEADER_BYTES + self.payload_size

    @property
    def mark_kind(self) -> MarkKind | None:
        """The kind of the mark that this frame is; None when it is none."""
        return _MARK_KINDS.get(self.kind)


def parse_frame_header(data: bytes, offset: int, position: int) -> FrameHeader:
    """Parse the frame header at ``data[offset:]`` that must be the one of ``position``.

    Raises: BadBytes: cut short, damaged, or of another position.
    """
    if len(data) - offset < FRAME_HEADER_BYTES:
        raise BadBytes("the frame header is cut short")
    magic, check, version, kind, _, count, size, payload_check, at, append_ms = _FRAME.unpack_from(
        data, offset
    )
    if magic != FRAME_MAGIC:
        raise BadBytes("no frame begins here")
    if checksum(data[offset + 8 : offset + FRAME_HEADER_BYTES]) != check:
        raise BadBytes("the frame header's checksum does not fit")
    if version != VERSION:
        raise BadBytes(f"frame version {version}, this OpenTrail reads version {VERSION}")
    if at != position:
        raise BadBytes(f"the frame says that its position is {at}")
    if size > PAYLOAD_BYTES_MAX:
        raise BadBytes(f"the frame says that it has {size} bytes")
    return FrameHeader(kind, count, size, payload_check, at, append_ms)


def check_payload(header: FrameHeader, payload: bytes) -> None:
    """Check that ``payload`` is all of the frame's, unchanged. Raises: BadBytes."""
    if len(payload) != header.payload_size:
        raise BadBytes("the frame is cut short")
    if checksum(payload) != header.payload_checksum:
        raise BadBytes("the frame's checksum does not fit")


def build_frame(
    position: int, append_ms: int, blobs: Sequence[tuple[int, bytes]]
) -> tuple[bytes, list[int]]:
    """Return one frame of records, and the records' positions.

    ``blobs`` are (origin, compressed record), in log order.
    """
    parts: list[bytes] = [b""]
    positions: list[int] = []
    back = FRAME_HEADER_BYTES
    for origin, blob in blobs:
        size = len(blob)
        head = _RECORD.pack(size, back, origin, 0)
        parts += (head, _U32.pack(checksum(head)), blob)
        positions.append(position + back)
        back += RECORD_HEADER_BYTES + size
    payload = b"".join(parts)
    head = _frame_header(KIND_RECORDS, len(blobs), payload, position, append_ms)
    return head + payload, positions


def build_marks(
    position: int, append_ms: int, marks: Sequence[tuple[MarkKind, bytes]]
) -> list[tuple[int, bytes]]:
    """Return (position, frame) of each of ``marks``; a mark's position is its frame's."""
    frames: list[tuple[int, bytes]] = []
    for kind, payload in marks:
        frame = _frame_header(kind, 0, payload, position, append_ms) + payload
        frames.append((position, frame))
        position += len(frame)
    return frames


def _frame_header(kind: int, count: int, payload: bytes, position: int, append_ms: int) -> bytes:
    checked = _FRAME_CHECKED.pack(
        VERSION, kind, 0, count, len(payload), checksum(payload), position, append_ms
    )
    return b"".join((FRAME_MAGIC, _U32.pack(checksum(checked)), checked))


def parse_record_header(data: bytes, offset: int) -> tuple[int, int, Origin]:
    """Parse the record header at ``data[offset:]``: (blob length, bytes back to its frame, origin).

    Raises: BadBytes.
    """
    if len(data) - offset < RECORD_HEADER_BYTES:
        raise BadBytes("the record header is cut short")
    size, back, origin, _, check = _RECORD_FULL.unpack_from(data, offset)
    if checksum(data[offset : offset + _RECORD.size]) != check:
        raise BadBytes("no record begins here")
    if size > BLOB_BYTES_MAX or back < FRAME_HEADER_BYTES or origin not in _ORIGINS:
        raise BadBytes("the record header's values do not fit")
    return size, back, _ORIGINS[origin]


def blobs_at(data: bytes, start: int, positions: Sequence[int]) -> list[bytes]:
    """Return the compressed records at ``positions``; ``data`` are the bytes from ``start`` on.

    The headers are not checked: a blob has a checksum of its own. Raises: BadBytes: one reaches
    past the end.
    """
    blobs: list[bytes] = []
    end = len(data) - RECORD_HEADER_BYTES
    for position in positions:
        offset = position - start
        if offset > end:
            raise BadBytes("the record header is cut short")
        body = offset + RECORD_HEADER_BYTES
        stop = body + _U32.unpack_from(data, offset)[0]
        if stop > len(data):
            raise BadBytes("the record is cut short")
        blobs.append(data[body:stop])
    return blobs


class Records(msgspec.Struct, frozen=True, gc=False):
    """The records of one frame, column by column: cheaper than an object for each."""

    positions: list[int]
    origins: list[Origin]
    blobs: list[bytes]
    """Compressed."""


def records_of(header: FrameHeader, payload: bytes, origin: Origin | None = None) -> Records:
    """Return the records of a payload that ``check_payload`` passed, in log order.

    ``origin``: only those that came in that way; None: all. A mark has none, nor has a frame of a
    kind that this version does not know. Raises: BadBytes: the payload checks out but was not
    built by these rules.
    """
    positions: list[int] = []
    origins: list[Origin] = []
    blobs: list[bytes] = []
    records = Records(positions, origins, blobs)
    if header.kind != KIND_RECORDS:
        return records
    at, end = 0, len(payload)
    base = header.position + FRAME_HEADER_BYTES
    unpack, known = _RECORD_PLACE.unpack_from, _ORIGINS
    try:
        for _ in range(header.count):
            size, number = unpack(payload, at)
            begin, start = at, at + RECORD_HEADER_BYTES
            at = start + size
            each = known[number]
            if origin is None or each is origin:
                positions.append(base + begin)
                origins.append(each)
                blobs.append(payload[start:at])
    except (struct.error, KeyError) as error:
        raise BadBytes("the frame's records are not of this version") from error
    if at != end:
        raise BadBytes("the frame's records do not fill it")
    return records


def checked_size(records: Sequence[bytes]) -> int:
    """Return the bytes of ``records``. Raises: ValueError: they break the contract."""
    sizes = list(map(len, records))
    longest, size = max(sizes, default=0), sum(sizes)
    if longest > RECORD_BYTES_MAX:
        raise ValueError(f"a record of {longest} bytes; {RECORD_BYTES_MAX} at most")
    if size > FRAMES_BYTES_MAX or len(records) > RECORDS_MAX:
        raise ValueError(f"{len(records)} records of {size} bytes are too many for one append")
    # One search through all of them takes less time than one in each.
    if b"".join(records).find(b"\n") >= 0:
        raise ValueError("a record with a newline; minify it first")
    return size


def check_marks(marks: Sequence[tuple[MarkKind, bytes]]) -> None:
    """Check that one append takes ``marks``. Raises: ValueError: it does not."""
    size = sum(len(payload) for _, payload in marks)
    if size > MARKS_BYTES_MAX or len(marks) > MARKS_MAX:
        raise ValueError(f"{len(marks)} marks of {size} bytes are too many for one append")
