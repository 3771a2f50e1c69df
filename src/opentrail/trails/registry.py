# SPDX-License-Identifier: Apache-2.0
"""The trails that there are: a fold of the log's control marks, kept in state.

The log decides. What state holds under ``trail/`` follows from the marks up to the place that
``trails/applied`` names; an old copy of state is brought up by applying the rest again. A deleted
trail is gone from here, while delivery, which reads the log itself, may still have work with it.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

import msgspec

from opentrail.clock import Clock, Ids, uuid4_text
from opentrail.errors import ClientError, Corrupt, Unavailable
from opentrail.eventlog.base import EventLog, Mark, MarkKind
from opentrail.state.base import Change, Conflict, Entry, State
from opentrail.state.stored import read
from opentrail.trails.fold import fold
from opentrail.trails.status import (
    DeliveryStatus,
    DigestStatus,
    TargetStatus,
    TrailStatus,
    delivery_status_key,
    digest_status_key,
    target_status_key,
)
from opentrail.trails.trail import Control, Cut, Trail, cursor_key, trail_key

APPLIED_KEY: Final = "trails/applied"
LIVE_PREFIX: Final = "trail/"
"""What ``trail_key`` begins with."""

CHANGING_WAIT_S: Final = 10.0
"""Shorter than what clients wait for an answer; the API's threads are few."""

BEHIND_PACE: Final = 0.5
"""How fast the time of cuts passes while the clock is behind the newest one, because it was ahead for
a while: slower than the clock, which so catches up, and not at all slow, for digests come by it."""

StoredT = TypeVar("StoredT")

_encode = msgspec.json.Encoder().encode


class Applied(msgspec.Struct, frozen=True):
    """How far the log's marks are in state."""

    log_id: str
    position: int = 0
    """All marks below are applied."""
    cut_ms: int = 0
    """The newest cut's."""


class Registry:
    """All trails of all accounts. Safe from several threads; the only writer of marks."""

    def __init__(self, log: EventLog, state: State, clock: Clock, ids: Ids) -> None:
        self._changing = threading.Lock()
        self._lock = threading.Lock()
        self._log = log
        self._state = state
        self._clock = clock
        self._ids = ids
        self._stale = True
        """Memory may differ from log and state: some append or commit did not say how it ended."""
        self._applied = Applied(log.log_id)
        self._cut_s = clock.monotonic()
        """When the newest cut was seen first."""
        self._version = 0
        self._trails: dict[str, Trail] = {}

    @classmethod
    def open(cls, log: EventLog, state: State, clock: Clock, ids: Ids) -> "Registry":
        """Return the registry, with every mark of the log applied.

        Raises: Corrupt: a mark cannot be read, or state belongs to another log. Unavailable.
        """
        registry = cls(log, state, clock, ids)
        registry.trails()
        return registry

    def new_id(self) -> str:
        """Return an id for a trail that is to be."""
        return uuid4_text(self._ids)

    def trails(self) -> list[Trail]:
        """Return all trails that are not deleted, by account, home region and name.

        Raises: Unavailable. Corrupt.
        """
        with self._believed():
            return sorted(self._trails.values(), key=trail_key)

    def seen_by(self, account: str) -> list[Trail]:
        """Return the account's trails and those that its organization has for it, of all regions.

        Raises: Unavailable. Corrupt.
        """
        return [each for each in self.trails() if account in (each.account, *each.members)]

    def visible(self, account: str, region: str) -> list[Trail]:
        """Return the account's trails of ``region``, then the shadows of its other regions' ones.

        The trails of its organization are among them. Raises: Unavailable. Corrupt.
        """
        mine = self.seen_by(account)
        home = [trail for trail in mine if trail.home_region == region]
        return home + [t for t in mine if t.is_multi_region and t.home_region != region]

    def named(self, account: str, region: str) -> dict[str, Trail]:
        """Return the visible trails by their ARNs, and the account's and region's own by their names.

        Raises: Unavailable. Corrupt.
        """
        found: dict[str, Trail] = {}
        for trail in self.visible(account, region):
            found[trail.arn] = trail
            if trail.home_region == region and trail.account == account:
                found[trail.name] = trail
        return found

    def find(self, account: str, region: str, name_or_arn: str) -> Trail | None:
        """Return the trail that ``named`` has. Raises: Unavailable. Corrupt."""
        return self.named(account, region).get(name_or_arn)

    @contextmanager
    def changing(self, wait_s: float = CHANGING_WAIT_S) -> Iterator[None]:
        """Hold what an operation holds from its first check to its change: one comes at a time.

        Raises: ClientError ConflictException: another one takes long (a bucket does not answer).
        """
        if not self._changing.acquire(timeout=wait_s):
            raise ClientError("ConflictException", "Another trail is being changed; try again.")
        try:
            yield
        finally:
            self._changing.release()

    def change(self, trail: Trail, change: str) -> Trail:
        """Let ``trail`` be as given from here on in the log; ``change`` is the operation's name.

        Raises: Unavailable: the change may or may not have happened. Corrupt.
        """
        with self._refreshed() as cut_ms:
            return self._append(trail, change, cut_ms)

    def taking_over(self, before: Trail, trail: Trail, *, from_gone: bool) -> Trail:
        """Return ``trail``, which is to follow ``before``, as one that takes over ``from_gone`` buckets.

        Else what waits for such a bucket, and all that is behind it, would wait for ever. Hold
        ``changing``. Raises: Unavailable. Corrupt.
        """
        cursor = self._state.get(cursor_key(trail.id))
        if from_gone and cursor is not None:
            return msgspec.structs.replace(trail, takes_over=read(cursor, int))
        is_same = (trail.bucket, trail.prefix) == (before.bucket, before.prefix)
        return trail if is_same else msgspec.structs.replace(trail, takes_over=0)

    def start(self, trail: Trail) -> Trail:
        """Begin to log, unless it does already. Raises: as ``change``."""
        with self._refreshed() as cut_ms:
            now = self._trails.get(trail.id, trail)
            if now.logging:
                return now
            started = msgspec.structs.replace(now, logging=True, started_ms=cut_ms)
            return self._append(started, "StartLogging", cut_ms)

    def stop(self, trail: Trail) -> Trail:
        """End logging, unless it has ended already. Raises: as ``change``."""
        with self._refreshed() as cut_ms:
            now = self._trails.get(trail.id, trail)
            if not now.logging:
                return now
            stopped = msgspec.structs.replace(now, logging=False, stopped_ms=cut_ms)
            return self._append(stopped, "StopLogging", cut_ms)

    def delete(self, trail: Trail) -> Trail:
        """Delete the trail; what it logged so far is still to be delivered. Raises: as ``change``.

        Its tags go after it: a crash between leaves tags of an id that no trail has again.
        """
        with self._refreshed() as cut_ms:
            stopped_ms = cut_ms if trail.logging else trail.stopped_ms
            gone = msgspec.structs.replace(
                trail, logging=False, stopped_ms=stopped_ms, deleted=True
            )
            self._append(gone, "DeleteTrail", cut_ms)
        self.put_tags(trail.id, {})
        return gone

    def cut(self) -> Cut | None:
        """Let log files end here; None: no trail logs, so none is needed.

        Raises: Unavailable: the cut may or may not be there, and another one does no harm. Corrupt.
        """
        with self._refreshed() as cut_ms:
            if not any(trail.logging for trail in self._trails.values()):
                # So that the next start need not look through what holds no mark.
                self._commit([], self._applied)
                return None
            cut = Cut(cut_ms)
            self._stale = True
            self._log.append_marks([(MarkKind.CUT, _encode(cut))])
            self._refresh()
            return cut

    def tags(self, trail_id: str) -> dict[str, str]:
        """Return the tags of a trail, in the order in which they were added. Raises: Unavailable."""
        return _read(self._state.get(tags_key(trail_id)), dict[str, str]) or {}

    def put_tags(self, trail_id: str, tags: dict[str, str]) -> None:
        """Let a trail have these tags and no others. Hold ``changing``. Raises: Unavailable.

        Tags are in state only: no delivery depends on them.
        """
        self._state.commit([Change(tags_key(trail_id), _encode(tags) if tags else None, None)])

    def status(self, trail_id: str) -> TrailStatus:
        """Return what deliveries and digests have written. Raises: Unavailable."""
        delivery = _read(self._state.get(delivery_status_key(trail_id)), DeliveryStatus)
        digest = _read(self._state.get(digest_status_key(trail_id)), DigestStatus)
        sns, logs = (
            _read(self._state.get(target_status_key(trail_id, target)), TargetStatus)
            for target in ("sns", "logs")
        )
        return TrailStatus(
            delivery or DeliveryStatus(),
            digest or DigestStatus(),
            sns or TargetStatus(),
            logs or TargetStatus(),
        )

    def _append(self, trail: Trail, change: str, cut_ms: int) -> Trail:
        """Change a trail. The lock is held and memory is fresh.

        1. append the cut and the control, together      (from here on it has happened)
        2. read them back and put them into state         (one commit)
        3. show them
        A crash before 2 loses nothing: whoever opens the registry next does 2. An append that does
        not say how it ended leaves memory stale: the next call looks into the log first. A cut
        without its control ends files earlier than needed, which does no harm.
        """
        marks = [
            (MarkKind.CUT, _encode(Cut(cut_ms))),
            (MarkKind.CONTROL, _encode(Control(change, trail))),
        ]
        self._stale = True
        self._log.append_marks(marks)
        self._refresh()
        return trail

    @contextmanager
    def _believed(self) -> Iterator[None]:
        """Hold the lock, memory brought up only if it may be wrong: nobody else writes marks."""
        with self._lock:
            if self._stale:
                self._refresh()
            yield

    @contextmanager
    def _refreshed(self) -> Iterator[int]:
        """Hold the lock, memory brought up to the log's end; yield the time of a cut made now.

        It never goes back, whatever the clock does, and never stands still for long.
        """
        with self._lock:
            self._refresh()
            since_s = max(self._clock.monotonic() - self._cut_s, 0.0)
            least_ms = self._applied.cut_ms + int(since_s * 1000 * BEHIND_PACE)
            yield max(least_ms, self._clock.now_ms())

    def _refresh(self) -> None:
        """Bring memory and state up to the log's end."""
        if self._stale:
            self._load()
        self._stale = True
        end = self._log.durable_end()
        marks = list(self._log.marks(self._applied.position, end))
        if marks:
            self._apply(marks, end)
        # State may stay behind: looking again through what holds no mark changes nothing.
        self._applied = msgspec.structs.replace(self._applied, position=end)
        self._stale = False

    def _load(self) -> None:
        entry = self._state.get(APPLIED_KEY)
        self._version = 0 if entry is None else entry.version
        self._applied = _read(entry, Applied) or Applied(self._log.log_id)
        if self._applied.log_id != self._log.log_id:
            raise Corrupt(
                "its trails follow from another log",
                "state.db",
                "put back the one of this log, or move it away: trails are read from the log again",
            )
        self._trails = {}
        for stored in self._state.scan(LIVE_PREFIX):
            trail = _read(stored, Trail)
            assert trail is not None
            self._trails[trail.id] = trail

    def _apply(self, marks: list[Mark], end: int) -> None:
        """Fold ``marks`` into memory, then put what has changed into state, in one commit.

        A key of state belongs to a name, and so to one trail after another.
        """
        changed = fold(marks, self._applied.cut_ms)
        if changed.cut_ms > self._applied.cut_ms:
            self._cut_s = self._clock.monotonic()
        for trail in changed.trails.values():
            self._trails.pop(trail.id, None)
            if not trail.deleted:
                self._trails[trail.id] = trail
        by_key = {trail_key(trail): _encode(trail) for trail in self._trails.values()}
        keys = dict.fromkeys(map(trail_key, changed.trails.values()))
        changes = [Change(key, by_key.get(key), None) for key in keys]
        self._commit(changes, Applied(self._applied.log_id, end, changed.cut_ms))

    def _commit(self, changes: list[Change], applied: Applied) -> None:
        """Commit ``changes`` together with ``applied``. Raises: Unavailable."""
        self._stale = True
        try:
            self._state.commit([*changes, Change(APPLIED_KEY, _encode(applied), self._version)])
        except Conflict as other:
            raise Unavailable("another process has changed the trails") from other
        entry = self._state.get(APPLIED_KEY)
        self._version = 0 if entry is None else entry.version
        self._applied = applied
        self._stale = False


def tags_key(trail_id: str) -> str:
    """Return where state keeps a trail's tags, as a JSON object."""
    return f"tags/{trail_id}"


def _read(entry: Entry | None, kind: type[StoredT]) -> StoredT | None:
    return None if entry is None else read(entry, kind)
