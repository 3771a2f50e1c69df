# SPDX-License-Identifier: Apache-2.0
"""Appends what was sent to us, and says in the log who sent it."""

import asyncio
from collections.abc import Callable, Sequence

from opentrail.capture.intake_senders import Sender, Senders, Sums, Telling
from opentrail.clock import Clock
from opentrail.eventlog.base import Draft

Append = Callable[[Sequence[Draft]], asyncio.Future[list[int]]]
"""Appends; durable when the future ends, whose exception is Unavailable."""
Counted = tuple[int, int, int]
"""How many records were accepted, duplicates and rejected."""


class SentRecords:
    """The intake's way into the log. Owned by the event loop."""

    def __init__(self, append: Append, senders: Senders, clock: Clock) -> None:
        """``senders`` knows who has sent of late."""
        self._append = append
        self._senders = senders
        self._clock = clock

    async def append(self, drafts: Sequence[Draft], sender: Sender, counted: Counted) -> list[int]:
        """Append the records of one request; return their positions when they are durable.

        If it is time to say so, who sent them is in the same append: a crash leaves both or
        neither. Raises: Unavailable.
        """
        now_ms = self._clock.now_ms()
        sums = Sums(1, *counted, now_ms)
        telling = self._senders.tell(sender, sums, now_ms) if drafts else None
        if telling is not None:
            return (await self._told(telling, sums, drafts))[:-1]
        positions = await self._append(drafts) if drafts else []
        self._senders.count(sender, sums)
        return positions

    def begin(
        self, drafts: Sequence[Draft], sender: Sender, now_ms: int
    ) -> asyncio.Future[list[int]] | None:
        """Begin to append records; once they are durable, ``count`` them.

        None: it is time to say who sends, which ``append`` does.
        """
        return None if self._senders.is_time(sender, now_ms) else self._append(drafts)

    def count(self, sender: Sender, counted: Counted) -> None:
        """Count the records of one request, which ``begin`` has appended."""
        self._senders.count(sender, Sums(1, *counted, self._clock.now_ms()))

    async def _told(self, telling: Telling, own: Sums, drafts: Sequence[Draft]) -> list[int]:
        positions: list[int] | None = None
        try:
            positions = await self._append([*drafts, telling.draft])
        finally:
            if positions is None:
                self._senders.untold(telling, own)
        return positions

    async def tell(self, *, all_of_them: bool = False) -> None:
        """Append the events of senders whose minute is over, or of all. Raises: Unavailable."""
        for telling in self._senders.due(self._clock.now_ms(), all_of_them=all_of_them):
            await self._told(telling, Sums(), ())

    def clear(self) -> None:
        """Forget who has sent: the log begins anew."""
        self._senders.clear()
