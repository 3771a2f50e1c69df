# SPDX-License-Identifier: Apache-2.0
"""Tells targets of delivered files: each target of each trail in its own order, at its own pace."""

from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

import msgspec

from opentrail.clock import Clock
from opentrail.state.base import Change, Conflict, Entry
from opentrail.state.stored import read
from opentrail.trails.jobs import Jobs, failure
from opentrail.trails.notice import NOTICE_PREFIX, Notice, notices_of, told
from opentrail.trails.retry import Retry
from opentrail.trails.statuses import Statuses
from opentrail.trails.target import Announces, TargetRooms
from opentrail.trails.trail import DeliveredFile, Trail, as_now, same_targets

LOOK_INTERVAL_S = 1.0
"""How often new notices are looked for."""
BEHIND_LANE = chr(ord("/") + 1)
"""After a lane's name: behind all keys of the lane, before the next one's."""


@dataclass(slots=True)
class _Telling:
    entry: Entry
    notice: Notice
    job: Future[None]
    told: int = 0


class Announcer:
    """Takes notices out of state. One thread; one per data directory."""

    def __init__(self, targets: Sequence[Announces], rooms: TargetRooms, clock: Clock) -> None:
        self._targets = {target.name: target for target in targets}
        self._state = rooms.state
        self._clock = clock
        self._trails = rooms.trails
        self._statuses = Statuses(rooms.state, clock)
        self._retry = Retry(clock)
        self._jobs = Jobs(rooms.threads, rooms.moved)
        self._telling: dict[str, _Telling] = {}
        self._refused: dict[str, Trail] = {}
        """The trail as it was when its target failed last, by lane; until that one works again."""
        self._known: dict[str, Entry] = {}
        """The first notice of each target and trail, as it was at ``_looked_s``."""
        self._looked_s = float("-inf")

    def notices(
        self, trail: Trail, files: Sequence[DeliveredFile], position: int
    ) -> dict[str, bytes]:
        """Return what is to be committed with the cursor that moves past ``files``."""
        names = [name for name, target in self._targets.items() if target.wants(trail)]
        return dict(notices_of(names, trail, files, (position, self._clock.now_ms())))

    def step(self) -> bool:
        """Let each target of each trail be told of the next files; return whether one was.

        1. the target is told                    (a crash before 2 tells it again)
        2. one commit: so much was told, the status
        A target that refuses or fails makes its own notices wait; they go where the trail has its
        files told by then. Raises: Unavailable: the state. Corrupt.
        """
        moved = self._settle()
        now_s = self._clock.monotonic()
        if moved or now_s >= self._looked_s + LOOK_INTERVAL_S:
            self._known, self._looked_s = self._firsts(), now_s
        dropped = False
        for lane in sorted(self._known, key=self._retry.failing):  # those that work go first
            if lane not in self._telling and not self._waits(lane):
                dropped |= self._begin(lane, self._known[lane])
        done = self._settle() or dropped
        if done:
            self._looked_s = float("-inf")  # what was told is not to be told again
        return done or moved

    def _waits(self, lane: str) -> bool:
        """Return whether it is too early; a trail that was changed meanwhile is tried at once."""
        if not self._retry.waits(lane):
            return False
        refused = self._refused.get(lane)
        if refused is None or as_now(refused, self._trails()) == refused:
            return True
        self._retry.again(lane)
        return False

    def _is_refused(self, lane: str, trail: Trail) -> bool:
        """Return whether the target that ``trail`` has is the one that failed last."""
        refused = self._refused.get(lane)
        return refused is not None and same_targets(refused, trail)

    def _firsts(self) -> dict[str, Entry]:
        """Return the first notice of each lane: nothing else is read, however many wait."""
        firsts: dict[str, Entry] = {}
        after = ""
        while (entry := self._state.first(NOTICE_PREFIX, after)) is not None:
            lane = entry.key.rpartition("/")[0]
            firsts[lane] = entry
            after = lane + BEHIND_LANE
        return firsts

    def _begin(self, lane: str, entry: Entry) -> bool:
        """Tell a notice, or drop it; return whether it was dropped."""
        name = lane.rpartition("/")[2]
        notice = read(entry, Notice)
        target = self._targets.get(name)
        late = notice.at_ms < self._statuses.oldest_ms(notice.trail.id, name)
        if target is None or late:
            self._give_up(name, entry, notice, counted=late)
            return True
        if self._retry.failing(lane) or self._is_refused(lane, notice.trail):
            notice = msgspec.structs.replace(notice, trail=as_now(notice.trail, self._trails()))
            if not self._statuses.waits_for(notice.trail, target):
                count = len(notice.files) - notice.told
                status = self._statuses.without(notice.trail, name, count)
                self._commit([Change(entry.key, None, entry.version), *status])
                return True
        telling = _Telling(entry, notice, Future())

        def work() -> None:
            telling.told = target.announce(notice)

        job = self._jobs.start(name, len(entry.value), work)
        if job is not None:
            telling.job = job
            self._telling[lane] = telling
        return False

    def _give_up(self, name: str, entry: Entry, notice: Notice, *, counted: bool) -> None:
        """Drop a notice: of a target that is no more, or one that it did not take for long."""
        owner, count = notice.trail.id, len(notice.files) - notice.told
        if counted:
            status = self._statuses.given_up(owner, name, count)
        else:
            status = self._statuses.removed(owner, name)
        self._commit([Change(entry.key, None, entry.version), *status])

    def _settle(self) -> bool:
        moved = False
        for lane in [each for each, telling in self._telling.items() if telling.job.done()]:
            telling = self._telling.pop(lane)
            name, trail_id = lane.rpartition("/")[2], telling.notice.trail.id
            error = failure(telling.job)
            if error is not None:
                self._retry.failed(lane)
                self._refused[lane] = trail = telling.notice.trail
                self._commit(self._statuses.failed(trail, trail_id, name, error))
                continue
            self._retry.worked(lane)
            if self._is_refused(lane, telling.notice.trail):
                del self._refused[lane]
            now = msgspec.structs.replace(telling.notice, told=telling.told)
            done = told(telling.entry.key, telling.entry.version, now)
            self._commit([done, *self._statuses.worked(trail_id, name)])
            moved = True
        return moved

    def _commit(self, changes: Iterable[Change]) -> None:
        try:
            self._state.commit(list(changes))
        except Conflict:
            return  # it was told already: the next step reads what is left
