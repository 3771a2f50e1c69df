# SPDX-License-Identifier: Apache-2.0
"""Group commit: whoever waits while one fdatasync runs shares the next."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from opentrail.errors import Unavailable
from opentrail.eventlog.base import Draft, EventLog

BATCH_BYTES_MAX = 8 * 1024 * 1024
"""Most bytes of one commit: bounds what one slow caller's neighbours wait for, and memory."""


@dataclass(slots=True)
class _Waiting:
    drafts: Sequence[Draft]
    size: int
    positions: asyncio.Future[list[int]]


class GroupCommit:
    """Appends for the event loop, one commit at a time on a thread of its own."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._on_durable: Callable[[], None] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="log")
        self._queue: list[_Waiting] = []
        self._busy = False

    def on_durable(self, call: Callable[[], None]) -> None:
        """Have ``call`` called in the loop after every commit."""
        self._on_durable = call

    def append(self, drafts: Sequence[Draft]) -> asyncio.Future[list[int]]:
        """Return a future of the positions; it ends when they are durable.

        The future's exception is Unavailable: the outcome is unknown.
        """
        waiting = _Waiting(
            drafts,
            sum(len(draft.data) for draft in drafts),
            asyncio.get_running_loop().create_future(),
        )
        self._queue.append(waiting)
        if not self._busy:
            self._commit()
        return waiting.positions

    async def append_one(self, draft: Draft) -> int:
        """Append one record. Raises: Unavailable."""
        return (await self.append((draft,)))[0]

    async def run(self, work: Callable[[], object]) -> None:
        """Run ``work`` on the log's thread, between two commits."""
        await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def use(self, log: EventLog) -> None:
        """Append to ``log`` from now on; nothing may be waiting."""
        self._log = log

    def _commit(self) -> None:
        size = count = 0
        for waiting in self._queue:
            if count and size + waiting.size > BATCH_BYTES_MAX:
                break
            size += waiting.size
            count += 1
        batch, self._queue = self._queue[:count], self._queue[count:]
        drafts = [draft for waiting in batch for draft in waiting.drafts]
        self._busy = True
        loop = asyncio.get_running_loop()
        future = self._thread.submit(self._log.append, drafts)
        future.add_done_callback(
            lambda done: loop.call_soon_threadsafe(self._committed, batch, done)
        )

    def _committed(self, batch: list[_Waiting], done: Future[list[int]]) -> None:
        self._busy = False
        if self._queue:
            self._commit()
        error = done.exception()
        positions = [] if error else done.result()
        first = 0
        for waiting in batch:
            last = first + len(waiting.drafts)
            if waiting.positions.cancelled():
                pass
            elif error is not None:
                waiting.positions.set_exception(_unknown(error))
            else:
                waiting.positions.set_result(positions[first:last])
            first = last
        if error is None and self._on_durable is not None:
            self._on_durable()

    def close(self) -> None:
        """Wait for the running commit and end the thread."""
        self._thread.shutdown()


def _unknown(error: BaseException) -> Unavailable:
    if isinstance(error, Unavailable):
        return Unavailable(error.message, error.hint)
    return Unavailable(f"the log failed: {error}", "see the server's log")
