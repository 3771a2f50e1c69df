# SPDX-License-Identifier: Apache-2.0
"""The implementations of EventLog that the contract suite runs over: a new one is one row here."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from support.seeded_ids import SeededIds

from opentrail.clock import Clock
from opentrail.eventlog.base import EventLog
from opentrail.eventlog.segments import LogOptions, Segments

Opener = Callable[[Path, Clock], AbstractContextManager[EventLog]]


@contextmanager
def segments(data: Path, clock: Clock) -> Iterator[EventLog]:
    """The embedded log."""
    log = Segments.open(data, clock, SeededIds(1))
    try:
        yield log
    finally:
        log.close()


@contextmanager
def small_segments(data: Path, clock: Clock) -> Iterator[EventLog]:
    """The embedded log, where nearly every append begins a segment."""
    options = LogOptions(segment_bytes_max=1_000, dictionary=b"")
    log = Segments.open(data, clock, SeededIds(1), options)
    try:
        yield log
    finally:
        log.close()


OPENERS: dict[str, Opener] = {"segments": segments, "small-segments": small_segments}
