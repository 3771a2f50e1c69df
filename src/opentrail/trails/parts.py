# SPDX-License-Identifier: Apache-2.0
"""From a range of the log to log files: one for each account, region and folder, 50 MB each.

What comes out is a pure function of the range and the trail. Memory does not grow with the range.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from opentrail.errors import Unavailable
from opentrail.event.codec import decode
from opentrail.event.place import account_of
from opentrail.event.record import Record
from opentrail.eventlog.base import Entry, Mark
from opentrail.trails.logfile import FILE_BYTES_MAX, LogFile, Packed, Place, folder_of
from opentrail.trails.scope import NEVER_DELIVERED, takes
from opentrail.trails.trail import Trail

PLACES_OPEN_MAX = 40
"""Files written at once, more than AWS has regions: 40 of them hold some 55 MB. A range with more
places is read again for the rest."""

_REGION = re.compile(r"[a-z0-9-]{1,32}")
Read = Callable[[], Iterable[Entry | Mark]]
"""Reads the range anew, from its beginning."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of the files. Tests make them small."""

    file_bytes_max: int = FILE_BYTES_MAX
    places_open_max: int = PLACES_OPEN_MAX
    spool_dir: Path | None = None
    """Where compressed bytes of unfinished files wait; None: the system's temporary directory."""


@dataclass(frozen=True, slots=True)
class Part:
    """One log file of a range."""

    place: Place
    number: int
    """0, 1 … of its place."""
    packed: Packed


def parts_of(read: Read, trail: Trail, limits: Limits) -> Iterator[Part]:
    """Yield the files that ``trail`` has of a range, each as soon as it is full.

    Raises: Corrupt: the log does not check out. Unavailable: the spool's disk is full.
    """
    done: set[Place] = set()
    while True:
        with closing(_Batch(limits, done)) as batch:
            try:
                yield from batch.write(_selected(read(), trail))
            except OSError as error:
                raise Unavailable(f"log files cannot be spooled: {error.strerror}") from error
            if not batch.postponed:
                return
            done.update(batch.places())


class _Batch:
    """The files of as many places as may be open at once."""

    def __init__(self, limits: Limits, done: set[Place]) -> None:
        self._limits = limits
        self._done = done
        self._files: dict[Place, LogFile] = {}
        self._numbers: dict[Place, int] = {}
        self.postponed = False

    def close(self) -> None:
        for file in self._files.values():
            file.close()

    def places(self) -> Iterable[Place]:
        return self._files.keys()

    def write(self, selected: Iterator[tuple[Entry, Record, Place]]) -> Iterator[Part]:
        bytes_max = self._limits.file_bytes_max
        for entry, record, place in selected:
            file = self._files.get(place)
            if file is None:
                if not self._admits(place):
                    continue
                file = self._begin(place)
            elif file.size + len(entry.data) >= bytes_max:
                yield self._finish(place)
                file = self._begin(place)
            file.add(entry.data, record.event_time, entry.append_ms)
        for place in sorted(self._files):
            yield self._finish(place)

    def _admits(self, place: Place) -> bool:
        if place in self._done:
            return False
        if len(self._files) < self._limits.places_open_max:
            return True
        self.postponed = True
        return False

    def _begin(self, place: Place) -> LogFile:
        file = self._files[place] = LogFile(self._limits.spool_dir)
        return file

    def _finish(self, place: Place) -> Part:
        file = self._files[place]
        number = self._numbers.get(place, 0)
        self._numbers[place] = number + 1
        packed = file.finish()
        file.close()
        return Part(place, number, packed)


def _selected(items: Iterable[Entry | Mark], trail: Trail) -> Iterator[tuple[Entry, Record, Place]]:
    selects = takes(trail)
    places: dict[tuple[str, str, str], Place] = {}
    for item in items:
        if isinstance(item, Mark) or item.origin in NEVER_DELIVERED:
            continue
        record = decode(item.data, "log")
        if selects(record):
            words = (account_of(record), record.aws_region, folder_of(record))
            place = places.get(words)
            if place is None:
                place = places[words] = _place(trail, *words)
            yield item, record, place


def _place(trail: Trail, account: str, region: str, folder: str) -> Place:
    """Return where a record's file lies; a region that is no name of one counts as the home."""
    known = region if _REGION.fullmatch(region) else trail.home_region
    return Place(account, known, folder)
