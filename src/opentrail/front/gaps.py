# SPDX-License-Identifier: Apache-2.0
"""The gap event for calls that were forwarded while the log could not be written."""

from collections.abc import Awaitable, Callable, Iterator

import msgspec

from opentrail.clock import Clock
from opentrail.event.gap import Gap, gap_event
from opentrail.event.service_event import event_id_of
from opentrail.eventlog.base import Draft, Entry, LogReader, Origin
from opentrail.eventlog.unrecorded import Unrecorded, UnrecordedCalls

LOG_FAILURE = "log-failure"
"""The gap event's reason."""


class _Details(msgspec.Struct):
    calls: int = 0


class _Event(msgspec.Struct):
    event_id: str = msgspec.field(default="", name="eventID")
    details: _Details = msgspec.field(default_factory=_Details, name="serviceEventDetails")


_decode = msgspec.json.Decoder(_Event).decode


class Gaps:
    """Tells the log, once it can be written again, how many calls passed without it."""

    def __init__(
        self, calls: UnrecordedCalls, log_id: str, account: str, region: str, clock: Clock
    ) -> None:
        self._calls = calls
        self._log_id = log_id
        self._account = account
        self._region = region
        self._clock = clock

    def leftover(self, log: LogReader) -> Draft | None:
        """Return the event that the last process did not append; for its successor, at start.

        None when there is nothing to tell. An event that the log has, and that was only not crossed
        off, is crossed off first: of calls that passed after it was made another one tells.
        Raises: Corrupt.
        """
        now = self._calls.now
        if now is None:
            return None
        found = self._told_in(log, now)
        if found is not None:
            entry, calls = found
            self._calls.told(Unrecorded(calls, now.from_ms, now.to_ms, now.log_end), entry.position)
        now = self._calls.now
        return None if now is None else self._event(now)

    def _told_in(self, log: LogReader, now: Unrecorded) -> tuple[Entry, int] | None:
        """Return the event about ``now`` that the log has, and of how many calls it tells."""
        event_id = self._event_id(now)
        for entry in _entries(log, min(now.log_end, log.durable_end())):
            if entry.origin is Origin.INTERNAL and event_id.encode() in entry.data:
                said = _decode(entry.data)
                if said.event_id == event_id:
                    return entry, said.details.calls
        return None

    def forget(self) -> None:
        """Forget what ``leftover`` returned an event for: it is durable."""
        now = self._calls.now
        if now is not None:
            self._calls.told(now, now.log_end)

    async def step(self, append: Callable[[Draft], Awaitable[int]]) -> bool:
        """Tell the log; False: there is nothing to tell. Call it while the log can be written.

            1. append the event      (durable when it returns)
            2. forget those calls    (what was counted meanwhile stays for the next event)
        A crash between: ``leftover`` finds the event in the log, which says how many calls it told
        of, however many have passed since. An append whose outcome is unknown has the log refuse
        until the next start, which then looks, too. Raises: Unavailable.
        """
        now = self._calls.now
        if now is None:
            return False
        self._calls.told(now, await append(self._event(now)))
        return True

    def _event_id(self, now: Unrecorded) -> str:
        """Return the id of the event about ``now``: the same while more calls are counted.

        Of two such events the second one's ``log_end`` lies at the first one or behind it.
        """
        return event_id_of(LOG_FAILURE, self._log_id, str(now.from_ms), str(now.log_end))

    def _event(self, now: Unrecorded) -> Draft:
        gap = Gap(LOG_FAILURE, now.from_ms, now.to_ms, now.calls)
        event_id = self._event_id(now)
        data = gap_event(gap, event_id, self._account, self._region, self._clock.now_ms())
        return Draft(Origin.INTERNAL, data)


def _entries(log: LogReader, start: int) -> Iterator[Entry]:
    """Yield what lies at ``start`` or behind it; everything if that is no place of this log.

    A process that died in a reset may leave a place of the log before.
    """
    try:
        yield from log.entries(start)
    except ValueError:
        yield from log.entries(0)
