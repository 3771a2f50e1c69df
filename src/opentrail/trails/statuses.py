# SPDX-License-Identifier: Apache-2.0
"""What statuses of targets become: changes to commit together with what they tell of."""

import logging

import msgspec

from opentrail.clock import Clock
from opentrail.errors import ClientError, Unavailable
from opentrail.state.base import Change, State
from opentrail.state.stored import read
from opentrail.trails.jobs import code_of
from opentrail.trails.retry import tried_ms
from opentrail.trails.status import TargetStatus, target_status_key
from opentrail.trails.target import Announces, Copies
from opentrail.trails.trail import Trail

GIVE_UP_MS = 30 * 86_400_000
"""What a target beside the bucket did not take for so long is given up, and counted. CloudTrail
itself tries files for 30 days; of files for buckets see ``backlog``."""

GIVE_UP_DELETED_MS = 3_600_000
"""The same of a deleted trail: topics and log groups are often deleted with it."""

REASON_CHARS_MAX = 500
"""Of what the server's own log tells: whoever refuses may say a lot."""

_encode = msgspec.json.Encoder().encode
_log = logging.getLogger("opentrail.trails")


class Statuses:
    """The statuses in state. Used by one thread."""

    def __init__(self, state: State, clock: Clock) -> None:
        self._state = state
        self._clock = clock

    def worked(self, owner: str, target: str, given_up: int = 0) -> list[Change]:
        """Return the change after a success. Raises: Unavailable."""
        before, now = self._read(owner, target), self._clock.now_ms()
        status = TargetStatus(
            delivered_ms=now, attempted_ms=now, given_up=before.given_up + given_up
        )
        return [_change(owner, target, status)]

    def failed(
        self, trail: Trail, owner: str, target: str, error: ClientError | Unavailable
    ) -> list[Change]:
        """Return the change after a failure: the error stands beside the last success."""
        before, now = self._read(owner, target), self._clock.now_ms()
        tell_why(target, trail, before.error, error)
        more_ms = tried_ms(before.attempted_ms, now) if before.error else 0
        status = msgspec.structs.replace(
            before,
            attempted_ms=now,
            error=told_of(target, error),
            failing_ms=before.failing_ms + more_ms,
        )
        return [_change(owner, target, status)]

    def given_up(self, owner: str, target: str, count: int) -> list[Change]:
        """Return the change after ``count`` more files or records were given up."""
        before = self._read(owner, target)
        return [
            _change(
                owner, target, msgspec.structs.replace(before, given_up=before.given_up + count)
            )
        ]

    def removed(self, owner: str, target: str) -> list[Change]:
        """Return the change when the settings have ``target`` no more: it fails no longer."""
        now = msgspec.structs.replace(self._read(owner, target), error="", failing_ms=0)
        return [_change(owner, target, now)]

    def waits_for(self, trail: Trail, target: Announces | Copies) -> bool:
        """Return whether ``trail``, as it is now, still waits for a target that refuses."""
        tried_for_ms = self._read(trail.id, target.name).failing_ms
        return target.wants(trail) and not (trail.deleted and tried_for_ms >= GIVE_UP_DELETED_MS)

    def without(self, trail: Trail, target: str, count: int) -> list[Change]:
        """Return the change when ``trail`` does without what refused ``count`` files or records.

        What a deleted one still has to send does not wait another hour.
        """
        before = self._read(trail.id, target)
        now = msgspec.structs.replace(
            before,
            error="",
            failing_ms=before.failing_ms if trail.deleted else 0,
            given_up=before.given_up + count,
        )
        return [_change(trail.id, target, now)]

    def oldest_ms(self, owner: str, target: str) -> int:
        """Return from when on things are still sent, milliseconds since 1970 UTC; 0: all are.

        Only once the target has been tried in vain for GIVE_UP_MS is anything too old: a server
        that was off, or a clock that jumped, gives nothing up.
        """
        tried_for_ms = self._read(owner, target).failing_ms
        return self._clock.now_ms() - GIVE_UP_MS if tried_for_ms >= GIVE_UP_MS else 0

    def _read(self, owner: str, target: str) -> TargetStatus:
        entry = self._state.get(target_status_key(owner, target))
        return TargetStatus() if entry is None else read(entry, TargetStatus)


def tell_why(what: str, trail: Trail, before: str, error: ClientError | Unavailable) -> None:
    """Tell the server's own log why ``what`` of ``trail`` waits: a status has the code alone.

    Once, not at each try: ``before`` is the code that the status had.
    """
    if before != told_of(what, error):
        text = "%s of trail %s waits, it is tried again: %r"
        _log.warning(text, what, trail.arn, str(error)[:REASON_CHARS_MAX])


def told_of(target: str, error: ClientError | Unavailable) -> str:
    """Return the code of ``error`` as GetTrailStatus has it: SNS's denial has a name of its own."""
    code = code_of(error)
    denied = target == "sns" and code in ("AccessDenied", "AccessDeniedException")
    return "AuthorizationError" if denied else code


def _change(owner: str, target: str, status: TargetStatus) -> Change:
    return Change(target_status_key(owner, target), _encode(status), None)
