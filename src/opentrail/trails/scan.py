# SPDX-License-Identifier: Apache-2.0
"""Looks through the log for changes of trails: where a cursor begins, when a chain of digests does.

Digests are named by the second and the trail's name. A trail that is deleted and made anew under
its name, or stopped and started at once, must not overwrite the digests of before; who comes first
is what the log says, not which bucket answers first.
"""

from collections.abc import Iterable

import msgspec

from opentrail.clock import Clock
from opentrail.state.base import Change, State
from opentrail.state.stored import read
from opentrail.trails.progress import Edge, edge_key, edge_last_key, edge_second
from opentrail.trails.timeline import Milestone, Timeline
from opentrail.trails.trail import cursor_key

SCANNED_KEY = "trails/scanned"
"""Where state keeps how far the log was looked through: ``Scanned``."""
SAVE_INTERVAL_S = 60.0
"""What is read without finding a change is written down this often: a start reads so much again."""


class Scanned(msgspec.Struct, frozen=True):
    """How far the log was looked through."""

    position: int = 0
    """Changes before it are known."""
    cut_ms: int = 0
    """Of the last cut before it."""


_encode = msgspec.json.Encoder().encode
_decode_edge = msgspec.json.Decoder(Edge).decode


class Scan:
    """Gives a trail that begins to log its cursor, and each change from then on its second."""

    def __init__(self, state: State, clock: Clock) -> None:
        """See how far it came. Raises: Unavailable."""
        self._state = state
        self._clock = clock
        self._saved_s = clock.monotonic()
        self.scanned = self._load()
        self._unsure = False
        """The last commit did not say how it ended: ``scanned`` may be behind state."""

    def record(self, timeline: Timeline) -> bool:
        """Record the changes that ``timeline`` has behind ``scanned``; return whether there were any.

        1. after a commit whose outcome is unknown, read how far state is: a second that is given
           out moves all later ones of its name, so a change must not be seen twice
        2. one commit: cursors, seconds, how far it came
        A crash before 2, or an old state, repeats it and gives the same. Raises: Unavailable.
        """
        if self._unsure:
            self.scanned, self._unsure = self._load(), False
        values = self._changes(timeline.since(self.scanned.position))
        found = bool(values)
        scanned = Scanned(timeline.read_to, timeline.cut_ms)
        now_s = self._clock.monotonic()
        if found or (scanned != self.scanned and now_s >= self._saved_s + SAVE_INTERVAL_S):
            values[SCANNED_KEY] = _encode(scanned)
            self._unsure = True
            self._state.commit([Change(key, value, None) for key, value in values.items()])
            self._unsure = False
            self._saved_s = now_s
        self.scanned = scanned
        return found

    def _changes(self, milestones: Iterable[Milestone]) -> dict[str, bytes]:
        values: dict[str, bytes] = {}
        for milestone in milestones:
            trail = milestone.trail
            if trail is not None and trail.started_ms:
                cursor = cursor_key(trail.id)
                if trail.logging and cursor not in values and self._state.get(cursor) is None:
                    values[cursor] = str(milestone.position).encode()
                name = edge_last_key(trail)
                last_s = _decode_edge(values[name]).second if name in values else self._last(name)
                edge = _encode(Edge(edge_second(trail, milestone.cut_ms, last_s)))
                values[name] = values[edge_key(trail.id, milestone.position)] = edge
        return values

    def _load(self) -> Scanned:
        entry = self._state.get(SCANNED_KEY)
        return Scanned() if entry is None else read(entry, Scanned)

    def second(self, trail_id: str, milestone: Milestone) -> int:
        """Return the second of a change; 0 for a cut. Raises: Unavailable."""
        if milestone.trail is None:
            return 0
        entry = self._state.get(edge_key(trail_id, milestone.position))
        assert entry is not None, "no cursor passes a change that was not recorded"
        return read(entry, Edge).second

    def _last(self, name: str) -> int:
        entry = self._state.get(name)
        return 0 if entry is None else read(entry, Edge).second
