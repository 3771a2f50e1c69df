# SPDX-License-Identifier: Apache-2.0
"""The log's marks in memory: where files end, and where a trail's configuration changes.

Delivery asks for "the next mark" all the time; without this each question would read log frames.
"""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from operator import attrgetter

import msgspec

from opentrail.errors import Corrupt
from opentrail.eventlog.base import LogReader, Mark, MarkKind
from opentrail.trails.trail import Control, Cut, Trail, moved

_cut = msgspec.json.Decoder(Cut).decode
_control = msgspec.json.Decoder(Control).decode


@dataclass(frozen=True, slots=True)
class Milestone:
    """A mark, read. Either it ends files or it changes a trail."""

    position: int
    cut_ms: int
    """Of a cut; of a control that of the cut before it. 0: none is known."""
    trail: Trail | None
    """Of a control: what holds from here on. None: a cut."""


_position = attrgetter("position")


class Timeline:
    """The milestones from some position on. One thread."""

    def __init__(self, log: LogReader, start: int, cut_ms: int) -> None:
        """Begin at ``start``, 0 or a mark's position; ``cut_ms`` is of the last cut before it."""
        self._log = log
        self.start = start
        """The milestones before it are not known, or forgotten."""
        self.read_to = start
        self.cut_ms = cut_ms
        """Of the last cut before ``read_to``; 0: none is known."""
        self._milestones: list[Milestone] = []
        self._newest: dict[str, Trail] = {}
        self._take_over: list[tuple[int, Trail]] = []
        """The changes that take earlier ranges over, in log order, with their positions: a few."""

    def newest(self, trail: Trail) -> Trail:
        """Return ``trail``, which holds from some place on, as it is at ``read_to``."""
        return self._newest.get(trail.id, trail)

    def destination(self, trail: Trail, start: int) -> Trail:
        """Return ``trail``, which holds in a range that begins at ``start``, as its files are put.

        They go to its bucket, unless that was gone and a later change took over. Which one did is
        the log's to say: so it does not depend on when they are put.
        """
        for position, later in reversed(self._take_over):
            if later.id == trail.id and position > start >= later.takes_over:
                return moved(trail, later)
        return trail

    def extend(self) -> None:
        """Read what became durable since. Raises: Corrupt."""
        end = self._log.durable_end()
        if end > self.read_to:
            self._milestones += [*map(self._milestone, self._log.marks(self.read_to, end))]
            self.read_to = end

    def at(self, position: int) -> Milestone | None:
        """Return the milestone at ``position``."""
        index = bisect_left(self._milestones, position, key=_position)
        found = self._milestones[index] if index < len(self._milestones) else None
        return found if found is not None and found.position == position else None

    def since(self, position: int) -> list[Milestone]:
        """Return the milestones from ``position`` on, in log order."""
        return self._milestones[bisect_left(self._milestones, position, key=_position) :]

    def next(self, position: int, trail: Trail) -> Milestone | None:
        """Return where the range of ``trail`` that begins behind ``position`` ends, if it does yet.

        That is the next cut or the trail's next change. A trail that does not log has nothing to
        cut: its range ends at its next change, else at the newest cut.
        """
        newest = None
        first = bisect_right(self._milestones, position, key=_position)
        for at in range(first, len(self._milestones)):
            milestone = self._milestones[at]
            if milestone.trail is not None:
                if milestone.trail.id == trail.id:
                    return milestone
            elif trail.logging:
                return milestone
            else:
                newest = milestone
        return newest

    def forget(self, position: int) -> None:
        """Forget the milestones before ``position``: nobody will ask for them any more."""
        del self._milestones[: bisect_left(self._milestones, position, key=_position)]
        self.start = max(self.start, position)

    def _milestone(self, mark: Mark) -> Milestone:
        try:
            if mark.kind is MarkKind.CUT:
                self.cut_ms = max(self.cut_ms, _cut(mark.payload).cut_ms)
                return Milestone(mark.position, self.cut_ms, None)
            trail = _control(mark.payload).trail
            self._newest[trail.id] = trail
            if trail.takes_over:
                self._take_over.append((mark.position, trail))
            return Milestone(mark.position, self.cut_ms, trail)
        except msgspec.DecodeError as error:
            where = f"log, position {mark.position}"
            hint = "was it written by a newer OpenTrail?"
            raise Corrupt(f"a mark cannot be read: {error}", where, hint) from error
