# SPDX-License-Identifier: Apache-2.0
"""From a range of the log to log files: one for each account, region and folder, 50 MB each.

What comes out is a pure function of the range and the trail, however often the reading is left and
taken up again. Memory does not grow with the range.
"""

import re
from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from operator import attrgetter
from pathlib import Path

from opentrail.errors import Unavailable
from opentrail.eventlog.base import Entry, Mark
from opentrail.trails.groups import Group, Selection, Words, grouped
from opentrail.trails.logfile import FILE_BYTES_MAX, LogFile, Packed, Place
from opentrail.trails.scope import delivered
from opentrail.trails.trail import Trail

PLACES_OPEN_MAX = 96
"""Files written at once over all trails, more than two trails of all AWS's regions have: 96 of them
hold some 60 MB. The rest of a range is read again."""
PLACES_EACH_MIN = 2
"""Files that a trail may always write at once: some progress, whatever the others do."""
WAITING_BYTES_MAX = 32 * 1024 * 1024
"""Compressed bytes that wait on disk for one trail's bucket before its reading stops."""
SLICE_RECORDS = 5_000
"""Read at once, some 50 to 200 ms: cuts and the ends of puts are looked at between."""
RUN_RECORDS = 64
"""Taken together, which costs less than each alone; 16 MB of the largest records."""

_REGION = re.compile(r"[a-z0-9-]{1,32}")
_position = attrgetter("position")


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of the files. Tests make them small."""

    file_bytes_max: int = FILE_BYTES_MAX
    places_open_max: int = PLACES_OPEN_MAX
    places_each_min: int = PLACES_EACH_MIN
    waiting_bytes_max: int = WAITING_BYTES_MAX
    slice_records: int = SLICE_RECORDS
    spool_dir: Path | None = None
    """Where compressed bytes wait; None: the system's temporary directory."""


@dataclass(frozen=True, slots=True)
class Part:
    """One log file of a range."""

    place: Place
    number: int
    """0, 1 … of its place."""
    packed: Packed


class OpenFiles:
    """How many files are being written, over all trails."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._count = 0

    def take(self, held: int) -> bool:
        """Return whether who writes ``held`` files may begin one more, and count it."""
        if self._count >= self._limits.places_open_max and held >= self._limits.places_each_min:
            return False
        self._count += 1
        return True

    def give(self, count: int) -> None:
        """Count ``count`` files less."""
        self._count -= count


class Packing:
    """The files of one trail of one range in the making. It may be left, and taken up again.

    A place's first record that is in no finished file is remembered by position; whoever takes the
    reading up again begins at the first of those, and passes over what is in a finished file.
    """

    def __init__(
        self, trail: Trail, span: tuple[int, int], limits: Limits, open_files: OpenFiles
    ) -> None:
        """``span``: where the range begins and ends in the log."""
        self.start, self.end = span
        """Where reading begins or goes on; where the range ends."""
        self.finished = False
        """All parts of the range were made."""
        self.waiting: deque[Part] = deque()
        """Parts in the order in which they were finished; whoever takes one out closes it."""
        self.waiting_bytes = 0
        self.trouble: Unavailable | None = None
        """Why the last reading was left, if it was not because too much waits."""
        self._selection = Selection(trail)
        self._trail = trail
        self._limits = limits
        self._open_files = open_files
        self._places: dict[Words, Place] = {}
        self._open: dict[Place, LogFile] = {}
        self._begun: dict[Place, int] = {}
        """Position of a place's first record that is in no finished file."""
        self._numbers: dict[Place, int] = {}
        self._postponed: set[Place] = set()

    @property
    def is_full(self) -> bool:
        """Whether so much waits that nothing more should be read."""
        return self.waiting_bytes >= self._limits.waiting_bytes_max

    @property
    def has_room(self) -> bool:
        """Little waits."""
        return not self.waiting or 2 * self.waiting_bytes < self._limits.waiting_bytes_max

    def add(self, groups: Iterable[Group]) -> None:
        """Take what the trail selects of some records, which follow those of before in the log.

        Raises: OSError: the spool's disk is full. Corrupt.
        """
        chosen: dict[Place, Group] = {}
        for group in groups:
            words = group.words
            place = self._places.get(words)
            if place is None:
                place = self._places[words] = _place(self._trail, *words)
            selected = self._selection.of(group)
            before = chosen.get(place)
            chosen[place] = selected if before is None else before.merged(selected)
        for place, group in chosen.items():
            if group.entries:
                self._add(place, group.entries, group.times)

    def _add(self, place: Place, entries: Sequence[Entry], times: Sequence[str]) -> None:
        file = self._open.get(place)
        if file is None:
            first = max(self.start, self._begun.get(place, 0))
            skipped = bisect_left(entries, first, key=_position)
            entries, times = entries[skipped:], times[skipped:]
            if not entries or place in self._postponed:
                return
            self._begun.setdefault(place, entries[0].position)
            if not self._open_files.take(len(self._open)):
                self._postponed.add(place)
                return
            file = self._begin(place)
        while True:
            count = file.fits(entries, self._limits.file_bytes_max)
            file.add(entries[:count], times[:count])
            entries, times = entries[count:], times[count:]
            if not entries:
                return
            self._finish(place)
            self._begun[place] = entries[0].position
            file = self._begin(place)

    def complete(self) -> None:
        """Finish what is open: the range was read to its end. Raises: OSError."""
        for place in sorted(self._open):
            self._finish(place)
            del self._open[place]
            self._open_files.give(1)
            self._begun[place] = self.end
        self.finished = not self._postponed
        self.start = min((self._begun[each] for each in self._postponed), default=self.end)
        self._postponed.clear()

    def leave(self, position: int) -> None:
        """Drop what is open: nothing from ``position`` on was read."""
        unfinished = (self._begun[place] for place in {*self._open, *self._postponed})
        self.start = min([position, *unfinished])
        self._postponed.clear()
        self._drop()

    def take(self) -> None:
        """Take out and close the part that waits longest: it is in its bucket."""
        part = self.waiting.popleft()
        self.waiting_bytes -= part.packed.size
        part.packed.close()

    def close(self) -> None:
        """Let go of everything, finished or not."""
        self._drop()
        while self.waiting:
            self.take()

    def _drop(self) -> None:
        for file in self._open.values():
            file.close()
        self._open_files.give(len(self._open))
        self._open.clear()

    def _begin(self, place: Place) -> LogFile:
        file = self._open[place] = LogFile(self._limits.spool_dir)
        return file

    def _finish(self, place: Place) -> None:
        packed = self._open[place].finish()
        number = self._numbers.get(place, 0)
        self._numbers[place] = number + 1
        self.waiting.append(Part(place, number, packed))
        self.waiting_bytes += packed.size


class Reading:
    """One reading of a range, for all trails whose files end with it: read and parsed once."""

    def __init__(
        self, items: Iterable[Entry | Mark], packings: Iterable[Packing], slice_records: int
    ) -> None:
        """``items``: what lies between the first of the packings' starts and their common end."""
        self._items: Iterator[Entry | Mark] = iter(items)
        self._slice = slice_records
        self.packings = list(packings)
        """Those that still take part."""

    def step(self) -> bool:
        """Read on a little; return whether there is more to read.

        Raises: Corrupt: the log does not check out, or a record of it is none.
        """
        count = 0
        items = islice(self._items, self._slice)
        while self.packings and (run := list(islice(items, RUN_RECORDS))):
            count += len(run)
            self._take(run)
        if count == self._slice and self.packings:
            return True
        for packing in self.packings:
            try:
                packing.complete()
            except OSError as error:
                packing.trouble = _full(error)
                packing.leave(packing.end)
        return False

    def _take(self, run: Sequence[Entry | Mark]) -> None:
        """Let each packing have a run of records, or leave where the run begins.

        Whoever leaves at a run's beginning drops all of the run that is in no finished file yet:
        within it the places do not keep the log's order, only the records of each place do.
        """
        groups = grouped([item for item in run if not isinstance(item, Mark) and delivered(item)])
        for packing in self.packings[:]:
            leaves = packing.is_full
            if not leaves:
                try:
                    packing.add(groups)
                except OSError as error:
                    packing.trouble = _full(error)
                    leaves = True
            if leaves:
                packing.leave(run[0].position)
                self.packings = [each for each in self.packings if each is not packing]

    def close(self) -> None:
        """Stop: what is open is dropped, and can be taken up again from its start."""
        for packing in self.packings:
            packing.leave(packing.start)


def _full(error: OSError) -> Unavailable:
    return Unavailable(f"log files cannot be spooled: {error.strerror}")


def _place(trail: Trail, account: str, region: str, folder: str) -> Place:
    """Return where a record's file lies; a region that is no name of one counts as the home."""
    known = region if _REGION.fullmatch(region) else trail.home_region
    return Place(account, known, folder)
