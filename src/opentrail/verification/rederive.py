# SPDX-License-Identifier: Apache-2.0
"""Which log files the log gives a trail: the same ranges, keys and bytes that delivery made.

Delivery is a function of the log alone, so what must be in a bucket can be worked out again: of a
trail of the server here, verification proves with it that no selected record is missing.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from opentrail.eventlog.base import LogReader
from opentrail.trails.digestfile import HASH_ALGORITHM, LogFileEntry
from opentrail.trails.logfile import FileName, log_file_key
from opentrail.trails.parts import Limits, OpenFiles, Packing, Reading
from opentrail.trails.timeline import Milestone, Timeline
from opentrail.trails.trail import Trail


@dataclass(frozen=True, slots=True)
class Derived:
    """A log file as the log gives it."""

    entry: LogFileEntry
    """As a digest would list it, without the times of its events."""
    records: int
    cut_ms: int


class Rederivation:
    """The files of one trail, from the first of its changes that the log still has."""

    def __init__(self, log: LogReader, trail: Trail, through: int) -> None:
        """``trail``: as it is now. ``through``: a position up to which it was delivered.

        Raises: Corrupt.
        """
        self._log = log
        self._timeline = Timeline(log, 0, 0)
        self._timeline.extend()
        self._through = through
        self._begin = self._first(trail)
        self.since_ms = 0 if self._begin is None else self._begin[0].cut_ms
        """When what is known begins, milliseconds since 1970 UTC; 0: nothing is."""

    def _first(self, trail: Trail) -> tuple[Milestone, Trail] | None:
        """Return where to begin, and what the trail was from there on.

        When the log has grown out of all of the trail's changes, that is its first cut: the trail
        is since then as it is now.
        """
        milestones = self._timeline.since(0)
        for each in milestones:
            if each.trail is not None and each.trail.id == trail.id:
                return each, each.trail
        return next(((each, trail) for each in milestones if each.trail is None), None)

    def files(self) -> Iterator[Derived]:
        """Yield the files in the order of the log. Raises: Corrupt. Unavailable."""
        if self._begin is None:
            return
        milestone, trail = self._begin
        start = milestone.position
        while True:
            end = self._timeline.next(start, trail)
            if end is None or end.position > self._through:
                return
            if trail.logging:
                yield from self._range(trail, start, end)
            start, trail = end.position, end.trail or trail

    def _range(self, trail: Trail, start: int, end: Milestone) -> Iterator[Derived]:
        limits, there = Limits(), self._timeline.destination(trail, start)
        packing = Packing(trail, (start, end.position), limits, OpenFiles(limits))
        try:
            while not packing.finished:
                items = self._log.items(packing.start, packing.end)
                reading = Reading(items, [packing], limits.slice_records)
                more = True
                while more:
                    more = reading.step()
                    if packing.trouble is not None:
                        raise packing.trouble
                    yield from self._taken(packing, there, end)
        finally:
            packing.close()

    def _taken(self, packing: Packing, trail: Trail, end: Milestone) -> Iterator[Derived]:
        while packing.waiting:
            part = packing.waiting[0]
            name = FileName(self._log.log_id, end.position, end.cut_ms, part.place, part.number)
            key = log_file_key(trail, name)
            entry = LogFileEntry(trail.bucket, key, part.packed.sha256, HASH_ALGORITHM)
            yield Derived(entry, part.packed.records, end.cut_ms)
            packing.take()
