# SPDX-License-Identifier: Apache-2.0
"""How calls get into the log: a slot while one is under way, then its record."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec

from opentrail.capture.build import BuildSettings, Built, Skipped, build, build_unknown
from opentrail.capture.call import Body, Call
from opentrail.capture.cross_account import owners_copy
from opentrail.capture.identity import Identities
from opentrail.capture.owed import OwedRecords
from opentrail.capture.recover import remember
from opentrail.clock import Ids, uuid_bytes
from opentrail.errors import Unavailable
from opentrail.eventlog.base import Draft, Origin
from opentrail.eventlog.inflight import InFlight

BUILD_ERRORS = (
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
    msgspec.MsgspecError,
)
"""What a mistake of ours in reading a hostile body would raise."""


class Counts(Protocol):
    """What is counted: seen = recorded + excluded + failed + still in flight."""

    def seen(self) -> None:
        """Count a call that arrived."""
        ...

    def recorded(self) -> None:
        """Count a call whose record is durable."""
        ...

    def excluded(self, reason: str) -> None:
        """Count a call that has no record on purpose."""
        ...

    def failed(self, reason: str) -> None:
        """Count a call whose record could not be made."""
        ...


@dataclass(frozen=True, slots=True)
class Recorder:
    """Makes calls durable, and counts them."""

    settings: BuildSettings
    identities: Identities
    append: Callable[[Sequence[Draft]], Awaitable[Sequence[int]]]
    """Durable when it returns. Raises: Unavailable."""
    durable_end: Callable[[], int]
    inflight: InFlight
    counts: Counts
    ids: Ids
    owed: OwedRecords

    def claim(self, call: Call) -> int:
        """Note that ``call`` is about to be forwarded; return its slot. Raises: Unavailable."""
        memory = remember(call, self.durable_end())
        return self.inflight.claim(uuid_bytes(call.event_id), call.finished_ms, memory)

    def made(self, call: Call) -> list[Built] | Skipped:
        """Return the records of ``call``: its own, and that of another account if it is about that."""
        owner = self.identities.other_account(call)
        copy = owners_copy(call, owner, self.ids) if owner else None
        built = self._built(call)
        if isinstance(built, Skipped):
            return built
        theirs = self._built(copy) if copy is not None else None
        return [built, theirs] if isinstance(theirs, Built) else [built]

    def _built(self, call: Call) -> Built | Skipped:
        """Build the record; a body that ``build`` stumbles over must not cost the whole record."""
        try:
            return build(call, self.settings)
        except BUILD_ERRORS as error:
            call.additional["recordIncomplete"] = type(error).__name__
            call.request = Body(b"", call.request.size + 1)
            call.response = Body(b"", call.response.size + 1)
            return build(call, self.settings)

    async def record(self, made: list[Built] | Skipped) -> None:
        """Append what was made of a call, or count why it has no record. Raises: Unavailable."""
        if isinstance(made, Skipped):
            self.counts.excluded(made.reason)
            return
        await self.append(_drafts(made))
        self.counts.recorded()

    def owe(self, made: list[Built] | Skipped, slot: int) -> None:
        """Note that ``record`` could not append what was made of a call that was forwarded."""
        self.counts.failed("append")
        if not isinstance(made, Skipped):
            self.owed.add(_drafts(made), slot)

    async def broken(self, call: Call, slot: int) -> None:
        """Record of a call that an error of ours broke off that nobody knows what came of it.

        If that cannot be appended either, it is owed.
        """
        call.additional["outcomeReason"] = "an error of OpenTrail's own"
        built = build_unknown(call, self.settings)
        made = built if isinstance(built, Skipped) else [built]
        try:
            await self.record(made)
        except Unavailable:
            self.owe(made, slot)
        else:
            self.inflight.release(slot)


def _drafts(made: list[Built]) -> list[Draft]:
    """Return what is appended in one frame: both accounts have their event, or neither."""
    return [Draft(Origin.CAPTURE, each.data) for each in made]
