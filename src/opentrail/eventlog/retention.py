# SPDX-License-Identifier: Apache-2.0
"""Which segments of the log are deleted: the oldest first, by age and by size."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from opentrail.durable import Files
from opentrail.eventlog.counts import RecordCounts
from opentrail.eventlog.published import Published
from opentrail.eventlog.segment import list_firsts, segment_path


@dataclass(frozen=True, slots=True)
class Limits:
    """What may stay."""

    before_ms: int
    """All that was appended before is too old."""
    floor: int
    """Position of the slowest reader: nothing at or past it is deleted, whatever the rest says."""
    bytes_max: int = 0
    """Of all segments together; 0: any size."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """A segment and the one after it."""

    first: int
    next_first: int
    newest_ms: int
    """Of its records."""
    size: int
    """Of its file."""


def expired(segments: Sequence[Sealed], last_size: int, limits: Limits) -> int:
    """Return how many of the sealed ``segments``, from the oldest on, may not stay.

    One goes when all of it is too old, or while all together, with the last one, are too large.
    """
    total = last_size + sum(segment.size for segment in segments)
    gone = 0
    for segment in segments:
        too_old = segment.newest_ms < limits.before_ms
        too_many = 0 < limits.bytes_max < total
        if segment.next_first > limits.floor or not (too_old or too_many):
            break
        gone += 1
        total -= segment.size
    return gone


def sealed(log_dir: Path, before_ms: Callable[[int], int]) -> list[Sealed]:
    """Return the sealed segments; ``before_ms`` tells the newest time before a segment."""
    firsts = list_firsts(log_dir)
    return [
        Sealed(first, after, before_ms(after), segment_path(log_dir, first).stat().st_size)
        for first, after in pairwise(firsts)
    ]


def delete(
    log_dir: Path, first: int, published: Published, counts: RecordCounts, files: Files
) -> None:
    """Delete the segments below the segment ``first``.

        1. write down how many records they have (so that all that was appended stays known)
        2. publish the new first position        (readers skip what is below)
        3. sync it                               (so that no missing segment is taken for damage)
        4. delete the files, oldest first
    A crash after 1: nothing is deleted, and the counts are true as they are. After 2 or 3: the next
    start deletes what is below the first position. Raises: OSError.
    """
    counts.store()
    published.store_first(first)
    published.sync(files)
    for gone in list_firsts(log_dir):
        if gone < first:
            files.unlink(segment_path(log_dir, gone))
    files.sync_dir(log_dir)
