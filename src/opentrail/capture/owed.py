# SPDX-License-Identifier: Apache-2.0
"""Records of calls that were made when the log had no room for them: they follow once it has.

Each call's in-flight slot stays until then, so that a process that dies before leaves a trace.
"""

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from opentrail.errors import Unavailable
from opentrail.eventlog.base import Draft
from opentrail.eventlog.inflight import InFlight

OWED_BYTES_MAX = 16 * 1024 * 1024
"""Of records that wait in memory. Calls are refused once the log is known to be full: those that were
under way until then are a few hundred, of some kilobytes each."""


@dataclass(frozen=True, slots=True)
class _Owed:
    drafts: Sequence[Draft]
    """Of one call."""
    size: int
    slot: int


class OwedRecords:
    """What could not be appended. Owned by the event loop."""

    def __init__(self, inflight: InFlight) -> None:
        """``inflight`` has the calls' slots."""
        self._inflight = inflight
        self._waiting: deque[_Owed] = deque()
        self._size = 0

    def add(self, drafts: Sequence[Draft], slot: int) -> None:
        """Keep the records of one call, and its slot.

        Of calls that are more than OWED_BYTES_MAX only the slot is kept: the next start makes a record
        with outcome unknown.
        """
        size = sum(len(draft.data) for draft in drafts)
        if self._size + size <= OWED_BYTES_MAX:
            self._waiting.append(_Owed(drafts, size, slot))
            self._size += size

    async def step(self, append: Callable[[Sequence[Draft]], Awaitable[Sequence[int]]]) -> None:
        """Append what is owed, call by call. Call it while the log can be written.

            1. append the records of one call    (durable when it returns)
            2. release its slot
        A crash before 1: the next start makes a record with outcome unknown. In between: it finds the
        record, and adds nothing. An append that failed was taken back, or the log refuses until the next
        start: no record comes twice. Raises: Unavailable.
        """
        while self._waiting:
            owed = self._waiting.popleft()  # so that who comes meanwhile takes the next
            try:
                await append(owed.drafts)
            except Unavailable:
                self._waiting.append(owed)  # one that the log never takes holds up no other
                raise
            self._size -= owed.size
            self._inflight.release(owed.slot)
