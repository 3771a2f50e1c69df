# SPDX-License-Identifier: Apache-2.0
"""Opening a log for writing: check it, cut off what a crash left half done, or say what is damaged.

After docs/format.md, 'Opening'.
"""

import bisect
from dataclasses import dataclass
from pathlib import Path

from opentrail.durable import TEMPORARY_SUFFIX, Files
from opentrail.errors import Corrupt
from opentrail.eventlog.frame import (
    FRAME_HEADER_BYTES,
    FRAME_MAGIC,
    BadBytes,
    SegmentHeader,
    parse_frame_header,
)
from opentrail.eventlog.published import Published
from opentrail.eventlog.segment import (
    DAMAGE_HINT,
    CodecCache,
    SegmentFile,
    list_firsts,
    segment_path,
)


@dataclass(frozen=True, slots=True)
class Tail:
    """Where appending goes on."""

    header: SegmentHeader
    end: int
    """Position past the last frame."""
    append_ms: int
    """The log's newest append_ms; 0 when there is none."""
    records: int
    """In the last segment."""


def recover(log_dir: Path, published: Published, files: Files) -> Tail | None:
    """Make the log ready to append to; None when it has no segment yet.

        1. delete temporary files and segments below the first position kept
        2. check that segments follow each other, with good headers
        3. check every frame from the segment that holds the durable end on
        4. cut off the first frame past the durable end that does not check out
        5. sync the last segment and the names
        6. publish its end
    A crash anywhere: the next start does the same; 4 only ever cuts what was not acknowledged, and
    6 comes after 5, so that what is published is on disk even after a killed process.

    Raises: Corrupt: what was acknowledged does not check out; nothing was cut. OSError.
    """
    _sweep(log_dir, published.first(), files)
    segments = _chain(log_dir, published)
    if not segments:
        return None
    tail = _check_frames(segments, published.end())
    header = segments[-1].header
    fd = files.open(segments[-1].path)
    try:
        if segments[-1].end() > tail.end:
            files.truncate(fd, tail.end - header.first + header.size)
        files.sync(fd)
    finally:
        files.close(fd)
    files.sync_dir(log_dir)
    published.store_end(tail.end)
    published.sync(files)
    return tail


def _sweep(log_dir: Path, first: int, files: Files) -> None:
    """Delete what an interrupted roll or retention left."""
    for path in sorted(log_dir.iterdir()):
        if path.suffix == TEMPORARY_SUFFIX:
            files.unlink(path)
    for kept in list_firsts(log_dir):
        if kept < first:
            files.unlink(segment_path(log_dir, kept))


def _chain(log_dir: Path, published: Published) -> list[SegmentFile]:
    """Return the segments in order. Raises: Corrupt: one is missing, cut short or damaged."""
    codecs = CodecCache()
    segments: list[SegmentFile] = []
    expected = published.first()
    for first in list_firsts(log_dir):
        if first != expected and segments:
            raise segments[-1].corrupt(BadBytes("the segment's length does not fit"), expected)
        if first != expected:
            break
        segment = SegmentFile(log_dir, first, published.log_id, codecs)
        segments.append(segment)
        expected = segment.end()
    if not segments and published.end() == 0:
        return []
    if not segments or expected < published.end():
        path = segment_path(log_dir, expected)
        raise Corrupt("acknowledged records are missing here", str(path), DAMAGE_HINT)
    return segments


def _check_frames(segments: list[SegmentFile], durable: int) -> Tail:
    """Check the frames from the segment that holds ``durable`` on. Raises: Corrupt."""
    firsts = [segment.header.first for segment in segments]
    holder = max(bisect.bisect_right(firsts, durable) - 1, 0)
    end = firsts[holder]
    append_ms = segments[holder].header.before_ms
    records = 0
    for segment in segments[holder:]:
        last = segment is segments[-1]
        records = 0
        for stop in (durable, segment.end()):
            try:
                for header, _ in segment.frames(end, min(stop, segment.end())):
                    end, append_ms = header.end, header.append_ms
                    records += header.count
            except Corrupt as damage:
                torn = isinstance(damage.__cause__, BadBytes) and end >= durable and last
                if not torn or _good_frame_after(segment, end):
                    raise
                return Tail(segment.header, end, append_ms, records)
    return Tail(segments[-1].header, end, append_ms, records)


def _good_frame_after(segment: SegmentFile, position: int) -> bool:
    """Whether a frame follows the bad one at ``position``: then that was no torn write.

    The bytes of the bad frame itself are passed over if its header tells how many they are, lest
    something in a record look like a frame.
    """
    data = segment.read_at(position, segment.end() - position)
    try:
        at = parse_frame_header(data, 0, position).end - position
    except BadBytes:
        at = 1
    while (at := data.find(FRAME_MAGIC, at)) >= 0:
        try:
            parse_frame_header(data[at : at + FRAME_HEADER_BYTES], 0, position + at)
        except BadBytes:
            at += 1
        else:
            return True
    return False
