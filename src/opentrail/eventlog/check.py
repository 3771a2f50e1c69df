# SPDX-License-Identifier: Apache-2.0
"""Checking every byte of a log, without changing any: ``opentrail fsck``, and the tests' oracle.

After docs/format.md.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from opentrail.errors import Corrupt
from opentrail.eventlog.frame import BadBytes, FrameHeader, parse_record_header, records_of
from opentrail.eventlog.published import Published
from opentrail.eventlog.segment import (
    DAMAGE_HINT,
    CodecCache,
    SegmentFile,
    list_firsts,
    segment_path,
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as docs/format.md says."""

    where: str
    """File and byte."""
    what: str
    hint: str
    """How to go on."""


@dataclass(slots=True)
class Totals:
    """What was seen."""

    segments: int = 0
    frames: int = 0
    records: int = 0
    records_from: int = 0
    """Those at or past ``LogCheck.count_from``."""
    record_bytes: int = 0
    """Of the records' JSON."""
    marks: int = 0
    """Cut and control frames."""
    file_bytes: int = 0
    unacknowledged_bytes: int = 0
    """Past the durable end: kept or cut off at the next start, or being written just now."""


@dataclass(slots=True)
class LogCheck:
    """One walk over a log."""

    log_dir: Path
    totals: Totals = field(default_factory=Totals)
    """Complete once ``findings`` is exhausted."""
    count_from: int = 0
    _append_ms: int = 0

    def findings(self) -> Iterator[Finding]:
        """Yield what is wrong, in log order, up to the durable end of now.

        A segment is left at its first bad frame: without it nothing says where the next begins.
        Raises: Unavailable: there is no log.
        """
        try:
            published = Published(self.log_dir)
            yield from self._segments(published, published.end())
        except Corrupt as damage:
            yield _finding(damage)

    def _segments(self, published: Published, durable: int) -> Iterator[Finding]:
        """Yield what is wrong with the segments. Raises: Corrupt: of what is published."""
        codecs = CodecCache()
        expected = published.first()
        for start in list_firsts(self.log_dir):
            first = published.first()
            expected = max(expected, first)  # what retention deleted meanwhile is no gap
            if start < first:
                continue
            if start != expected:
                yield self._gap(expected, start)
            try:
                segment = SegmentFile(self.log_dir, start, published.log_id, codecs)
                expected = segment.end()
                yield from self._check_segment(segment, durable)
            except Corrupt as damage:
                yield _finding(damage)
            except FileNotFoundError:
                continue  # deleted just now; or a link to nothing, which is a gap
        expected = max(expected, published.first())
        if expected < durable:
            yield self._gap(expected, durable)

    def _gap(self, begin: int, end: int) -> Finding:
        where = f"{segment_path(self.log_dir, begin)} (positions {begin} to {end})"
        return Finding(where, "acknowledged records are missing or doubled here", DAMAGE_HINT)

    def _check_segment(self, segment: SegmentFile, durable: int) -> Iterator[Finding]:
        """Check the frames below ``durable``. Raises: Corrupt: the rest cannot be checked."""
        self.totals.segments += 1
        self.totals.file_bytes += segment.path.stat().st_size
        if segment.header.before_ms < self._append_ms or (
            segment.header.created_ms < segment.header.before_ms
        ):
            yield _finding(segment.corrupt(BadBytes("the header's times go back"), 0))
        for header, payload in segment.frames(segment.header.first, durable):
            problem = self._check_frame(segment, header, payload)
            if problem:
                yield _finding(segment.corrupt(BadBytes(problem), header.position))
        past = segment.end() - max(durable, segment.header.first)
        self.totals.unacknowledged_bytes += max(0, past)

    def _check_frame(self, segment: SegmentFile, header: FrameHeader, payload: bytes) -> str:
        """Count a frame whose checksums fit; return what else is wrong with it."""
        self.totals.frames += 1
        if header.append_ms < self._append_ms:
            return "append_ms goes back"
        self._append_ms = header.append_ms
        if header.mark_kind is not None:
            self.totals.marks += 1
            return "a mark says that it has records" if header.count else ""
        try:
            records = records_of(header, payload)
            for position in records.positions:
                at = position - header.end + len(payload)
                _, back, _ = parse_record_header(payload, at)
                if position - back != header.position:
                    return "a record is not where it says"
            data = segment.codec.decompress(records.blobs)
        except BadBytes as error:
            return str(error)
        self.totals.records += len(data)
        self.totals.records_from += sum(at >= self.count_from for at in records.positions)
        self.totals.record_bytes += sum(map(len, data))
        return ""


def _finding(damage: Corrupt) -> Finding:
    return Finding(damage.where, damage.message, damage.hint)
