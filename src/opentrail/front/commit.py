# SPDX-License-Identifier: Apache-2.0
"""Group commit: whoever waits while one fdatasync runs shares the next.

The event loop compresses and writes; a thread does nothing but wait for the disk. Every step of
Python on a second thread would have to be won from the busy loop, at the price of the loop's own.
"""

import asyncio
import errno
import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from opentrail.errors import OpenTrailError, Unavailable
from opentrail.eventlog.base import Draft
from opentrail.eventlog.segments import Segments, Written

BATCH_BYTES_MAX = 8 * 1024 * 1024
"""Most bytes of one commit: bounds what one slow caller's neighbours wait for, and memory."""

Work = Callable[[], None]


@dataclass(slots=True)
class _Waiting:
    drafts: Sequence[Draft]
    size: int
    positions: asyncio.Future[list[int]]


class GroupCommit:
    """Appends for the event loop, one commit at a time."""

    def __init__(self, log: Segments) -> None:
        self._log = log
        self._loop = asyncio.get_running_loop()
        self._on_durable: Callable[[], None] | None = None
        self._waiting: list[_Waiting] = []
        self._jobs: list[Work] = []
        self._busy = False
        self._work: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def on_durable(self, call: Callable[[], None]) -> None:
        """Have ``call`` called in the loop after every commit."""
        self._on_durable = call

    def append(self, drafts: Sequence[Draft]) -> asyncio.Future[list[int]]:
        """Return a future of the positions; it ends when they are durable.

        The future's exception is Unavailable: the outcome is unknown.
        """
        positions = self._loop.create_future()
        if not drafts:
            positions.set_result([])
            return positions
        size = sum(len(draft.data) for draft in drafts)
        self._waiting.append(_Waiting(drafts, size, positions))
        self._go_on_soon()
        return positions

    async def append_one(self, draft: Draft) -> int:
        """Append one record. Raises: Unavailable."""
        return (await self.append((draft,)))[0]

    async def run(self, work: Callable[[], object]) -> None:
        """Run ``work`` on the thread, between two commits. Raises what it raises."""
        done = self._loop.create_future()
        self._jobs.append(lambda: self._report(work, done))
        self._go_on_soon()
        await done

    def use(self, log: Segments) -> None:
        """Append to ``log`` from now on; nothing may be waiting."""
        self._log = log

    def _go_on_soon(self) -> None:
        """Go on once this turn of the loop is over: all that it still brings goes along."""
        if not self._busy:
            self._busy = True
            self._loop.call_soon(self._go_on)

    def _go_on(self) -> None:
        if self._jobs:
            self._work.put(self._jobs.pop(0))
        elif self._waiting:
            self._commit(self._next_batch())
        else:
            self._busy = False

    def _next_batch(self) -> list[_Waiting]:
        """Take as much of what waits as one commit takes."""
        size = count = 0
        for waiting in self._waiting:
            if count and size + waiting.size > BATCH_BYTES_MAX:
                break
            size += waiting.size
            count += 1
        batch, self._waiting = self._waiting[:count], self._waiting[count:]
        return batch

    def _commit(self, batch: list[_Waiting]) -> None:
        """Write the batch, and have the thread wait for the disk.

        1. write                        (a crash: the next start keeps the frame or cuts it)
        2. fdatasync, on the thread
        3. acknowledge                  (only now does anybody learn a position)
        """
        drafts = [draft for waiting in batch for draft in waiting.drafts]
        try:
            written = self._log.begin(drafts)
        except (Unavailable, ValueError) as error:
            self._failed(batch, Unavailable(str(error)))
            self._go_on()
            return
        self._work.put(lambda: self._sync(batch, written))

    def _sync(self, batch: list[_Waiting], written: Written) -> None:
        """Wait for the disk, and have the loop told, whatever comes of it."""
        error: OSError | None = OSError(errno.EIO, "fdatasync was interrupted")
        try:
            self._log.sync()
            error = None
        except OSError as known:
            error = known
        finally:
            self._loop.call_soon_threadsafe(self._synced, batch, written, error)

    def _synced(self, batch: list[_Waiting], written: Written, error: OSError | None) -> None:
        try:
            positions = self._log.finish(written, error)
        except Unavailable as failed:
            self._failed(batch, failed)
        else:
            first = 0
            for waiting in batch:
                last = first + len(waiting.drafts)
                if not waiting.positions.cancelled():
                    waiting.positions.set_result(positions[first:last])
                first = last
            if self._on_durable is not None:
                self._on_durable()
        self._go_on()

    @staticmethod
    def _failed(batch: list[_Waiting], error: Unavailable) -> None:
        for waiting in batch:
            if not waiting.positions.cancelled():
                waiting.positions.set_exception(Unavailable(error.message, error.hint))

    def _report(self, work: Callable[[], object], done: asyncio.Future[None]) -> None:
        try:
            work()
        except (OpenTrailError, OSError) as error:
            self._loop.call_soon_threadsafe(done.set_exception, error)
        else:
            self._loop.call_soon_threadsafe(done.set_result, None)
        finally:
            self._loop.call_soon_threadsafe(self._go_on)

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            work()

    def close(self) -> None:
        """Wait for the running commit and end the thread."""
        self._work.put(None)
        self._thread.join()
