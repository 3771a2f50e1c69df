# SPDX-License-Identifier: Apache-2.0
"""Copies records to targets as they become durable: each target at its own place in the log.

What is copied, and where to, follows from the log's control marks, as for files: a change holds for
the records behind it, however late they are copied. Only what a target refused goes where the trail
has its records copied by then: the old target may be gone for good.
"""

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass

import msgspec

from opentrail.clock import Clock
from opentrail.state.base import Change, Conflict
from opentrail.state.stored import read
from opentrail.trails.batch import Batch, changed_by, next_batch, owners_of
from opentrail.trails.feedstate import FEED_PREFIX, Feed, Seen, feed_key, seen_key
from opentrail.trails.jobs import Jobs, failure
from opentrail.trails.retry import Retry
from opentrail.trails.statuses import Statuses
from opentrail.trails.target import Copies, TargetRooms
from opentrail.trails.trail import Trail, as_now, same_targets

SAVE_INTERVAL_S = 60.0
"""What was passed over without copying is written down this often: a start reads so much again."""

_encode = msgspec.json.Encoder().encode


@dataclass(slots=True)
class _Lane:
    """A feed and where it is; what it has under way."""

    target: Copies
    owner: str
    feed: Feed
    saved_s: float
    batch: Batch | None = None
    job: Future[None] | None = None
    sent_for: Trail | None = None
    """The trail as it was when its target was sent something last."""
    refused: Trail | None = None
    """The same when its target failed last; until that one works again."""

    def is_refused(self, trail: Trail) -> bool:
        """Return whether the target that ``trail`` has is the one that failed last."""
        return self.refused is not None and same_targets(self.refused, trail)

    @property
    def key(self) -> str:
        """Where state keeps the feed."""
        return feed_key(self.owner, self.target.name)


class Feeder:
    """Moves every feed through the log. One thread; one per data directory."""

    def __init__(self, targets: Sequence[Copies], rooms: TargetRooms, clock: Clock) -> None:
        """Begin where state says; feeds of targets that are no more are dropped.

        Raises: Unavailable.
        """
        self._rooms = rooms
        self._clock = clock
        self._statuses = Statuses(rooms.state, clock)
        self._retry = Retry(clock)
        self._jobs = Jobs(rooms.threads, rooms.moved)
        self._targets = {target.name: target for target in targets}
        self._lanes: dict[str, _Lane] = {}
        self._seen_saved_s = clock.monotonic()
        self._load()
        self._seen = {name: self._seen_by(target) for name, target in self._targets.items()}

    def step(self) -> bool:
        """Copy a batch of each feed that has something; return whether there is more at once.

        1. the target takes a batch              (a crash before 2 sends it again)
        2. one commit: the feed's place, the status
        A target that refuses or fails makes its own feed wait; what waits goes where the trail has
        its records copied by then. Raises: Unavailable: the state. Corrupt: the log does not check
        out.
        """
        self._look()
        moved = self._settle()
        for key in sorted(self._lanes, key=self._retry.failing):  # those that work go first
            lane = self._lanes[key]
            if lane.job is None and not self._waits(lane):
                moved |= self._begin(lane)
        return self._settle() or moved

    def _waits(self, lane: _Lane) -> bool:
        """Return whether it is too early; a trail that was changed meanwhile is tried at once."""
        if not self._retry.waits(lane.key):
            return False
        refused = lane.refused
        if lane.target.shared or refused is None:
            return True
        if as_now(refused, self._rooms.trails()) == refused:
            return True
        self._retry.again(lane.key)
        return False

    def floor(self) -> int:
        """Return the position from which on the log is still needed. Raises: Unavailable."""
        feeds = [read(each, Feed) for each in self._rooms.state.scan(FEED_PREFIX)]
        return min([*(feed.position for feed in feeds), *self._seen.values(), self._end()])

    def behind(self) -> dict[tuple[str, str], int]:
        """Return how many bytes of the log each feed has before it, by target and owner."""
        end = self._end()
        return {
            (lane.target.name, lane.owner): end - lane.feed.position
            for lane in list(self._lanes.values())
        }

    def _end(self) -> int:
        return self._rooms.log.durable_end()

    def _load(self) -> None:
        now_s = self._clock.monotonic()
        for entry in list(self._rooms.state.scan(FEED_PREFIX)):
            owner, name = entry.key.removeprefix(FEED_PREFIX).split("/")
            target = self._targets.get(name)
            if target is None:
                gone = [Change(entry.key, None, None), Change(seen_key(name), None, None)]
                self._rooms.state.commit([*gone, *self._statuses.removed(owner, name)])
            else:
                self._lanes[entry.key] = _Lane(target, owner, read(entry, Feed), now_s)

    def _seen_by(self, target: Copies) -> int:
        """Return how far the log was looked through for ``target``.

        A shared target that is new begins now, with the trails that there are: what was recorded
        before it was asked for is not its.
        """
        entry = self._rooms.state.get(seen_key(target.name))
        if entry is not None:
            return read(entry, Seen).position
        if not target.shared:
            return 0
        end = self._end()
        for trail in self._rooms.trails():
            if target.wants(trail):
                self._add(target, trail, end)
        # At once: what is recorded from now on is its, whatever happens to this process.
        self._rooms.state.commit([Change(seen_key(target.name), _encode(Seen(end)), None)])
        return end

    def _look(self) -> None:
        """Begin the feeds of trails that log and want copies, where they begin to."""
        end = self._end()
        for name, seen in self._seen.items():
            target = self._targets[name]
            if seen >= end:
                continue
            before = len(self._lanes)
            for mark in self._rooms.log.marks(seen, end):
                for trail in changed_by(mark):
                    if trail.logging and target.wants(trail):
                        self._add(target, trail, mark.position)
            self._seen[name] = end
            now_s = self._clock.monotonic()
            if len(self._lanes) > before or now_s >= self._seen_saved_s + SAVE_INTERVAL_S:
                self._save_seen()
                self._seen_saved_s = now_s

    def _add(self, target: Copies, trail: Trail, position: int) -> None:
        for owner in owners_of(trail, target):
            self._add_for(owner, target, trail, position)

    def _add_for(self, owner: str, target: Copies, trail: Trail, position: int) -> None:
        lane = _Lane(target, owner, Feed(position, (trail,)), self._clock.monotonic())
        if lane.key not in self._lanes:
            self._rooms.state.commit([Change(lane.key, _encode(lane.feed), None)])
            self._lanes[lane.key] = lane
        elif self._lanes[lane.key].feed.position == position:
            # The first of several trails of an account, where a shared target begins.
            feed = self._lanes[lane.key].feed
            trails = (*(each for each in feed.trails if each.id != trail.id), trail)
            self._lanes[lane.key].feed = msgspec.structs.replace(feed, trails=trails)

    def _save_seen(self) -> None:
        changes = [
            Change(seen_key(name), _encode(Seen(at)), None) for name, at in self._seen.items()
        ]
        self._rooms.state.commit(changes)

    def _begin(self, lane: _Lane) -> bool:
        """Send what comes next, or pass over it; return whether it was passed over."""
        now_ms, log = self._clock.now_ms(), self._rooms.log
        oldest_ms = self._statuses.oldest_ms(lane.owner, lane.target.name)
        batch = next_batch(lane.target, lane.owner, lane.feed, log, oldest_ms)
        if batch is None:
            return False
        if not batch.records:
            self._pass_over(lane, batch)
            return True
        trail, target, records = batch.trail, lane.target, batch.records
        failed = self._retry.failing(lane.key) or lane.is_refused(trail)
        if failed and not target.shared:
            trail = as_now(trail, self._rooms.trails())
            if not self._statuses.waits_for(trail, target):
                self._do_without(lane, batch, trail)
                return True
        lane.batch, lane.sent_for = batch, trail

        def work() -> None:
            batch.given_up += target.send(trail, records, now_ms)

        lane.job = self._jobs.start(lane.key, batch.size, work)
        return False

    def _pass_over(self, lane: _Lane, batch: Batch) -> None:
        """Move on where nothing is to be copied, and write it down now and then."""
        now_s = self._clock.monotonic()
        lane.feed = batch.after
        if batch.gone and not lane.target.shared:
            del self._lanes[lane.key]
            self._commit([Change(lane.key, None, None)])
        elif batch.given_up or now_s >= lane.saved_s + SAVE_INTERVAL_S:
            given_up = self._statuses.given_up(lane.owner, lane.target.name, batch.given_up)
            self._commit([Change(lane.key, _encode(lane.feed), None), *given_up])
            lane.saved_s = now_s

    def _do_without(self, lane: _Lane, batch: Batch, trail: Trail) -> None:
        """Move on past what the target refused: its trail does not wait for it any more."""
        count = batch.given_up + len(batch.records)
        status = self._statuses.without(trail, lane.target.name, count)
        self._commit([Change(lane.key, _encode(batch.after), None), *status])
        lane.feed, lane.saved_s = batch.after, self._clock.monotonic()

    def _settle(self) -> bool:
        moved = False
        for key, lane in self._lanes.items():
            job, batch = lane.job, lane.batch
            if job is None or batch is None or not job.done():
                continue
            lane.job = lane.batch = None
            error = failure(job)
            if error is not None:
                self._retry.failed(key)
                lane.refused = trail = lane.sent_for or batch.trail
                self._commit(self._statuses.failed(trail, lane.owner, lane.target.name, error))
                continue
            self._retry.worked(key)
            if lane.sent_for is not None and lane.is_refused(lane.sent_for):
                lane.refused = None
            status = self._statuses.worked(lane.owner, lane.target.name, batch.given_up)
            self._commit([Change(key, _encode(batch.after), None), *status])
            lane.feed, lane.saved_s = batch.after, self._clock.monotonic()
            moved = True
        return moved

    def _commit(self, changes: list[Change]) -> None:
        try:
            self._rooms.state.commit(changes)
        except Conflict:
            return
