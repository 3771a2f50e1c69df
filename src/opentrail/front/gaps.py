# SPDX-License-Identifier: Apache-2.0
"""The gap event for calls that were forwarded while the log could not be written."""

from collections.abc import Awaitable, Callable

from opentrail.clock import Clock, uuid_bytes
from opentrail.event.gap import Gap, gap_event
from opentrail.event.service_event import event_id_of
from opentrail.eventlog.base import Draft, LogReader, Origin
from opentrail.eventlog.recorded import recorded
from opentrail.eventlog.unrecorded import Unrecorded, UnrecordedCalls

LOG_FAILURE = "log-failure"
"""The gap event's reason."""


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

        None when there is nothing to tell, or the log has the event: it was only not crossed off.
        """
        now = self._calls.now
        if now is None:
            return None
        event_id = self._event_id(now)
        if recorded([uuid_bytes(event_id)], log, min(now.log_end, log.durable_end())):
            self._calls.told(now)
            return None
        return self._event(now, event_id)

    def appended(self) -> None:
        """Forget what ``leftover`` returned an event for: it is durable."""
        if self._calls.now is not None:
            self._calls.told(self._calls.now)

    async def step(self, append: Callable[[Draft], Awaitable[object]]) -> bool:
        """Tell the log; False: there is nothing to tell. Call it while the log can be written.

            1. append the event      (durable when it returns)
            2. forget those calls    (what was counted meanwhile stays for the next event)
        A crash between: ``leftover`` finds the event in the log. An append whose outcome is unknown
        has the log refuse until the next start, which then looks, too. Raises: Unavailable.
        """
        now = self._calls.now
        if now is None:
            return False
        await append(self._event(now, self._event_id(now)))
        self._calls.told(now)
        return True

    def _event_id(self, now: Unrecorded) -> str:
        parts = (now.from_ms, now.to_ms, now.calls)
        return event_id_of(LOG_FAILURE, self._log_id, *map(str, parts))

    def _event(self, now: Unrecorded, event_id: str) -> Draft:
        gap = Gap(LOG_FAILURE, now.from_ms, now.to_ms, now.calls)
        data = gap_event(gap, event_id, self._account, self._region, self._clock.now_ms())
        return Draft(Origin.INTERNAL, data)
