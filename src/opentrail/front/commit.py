# SPDX-License-Identifier: Apache-2.0
"""Group commit: whoever waits while one fdatasync runs shares the next.

The event loop compresses and writes; the kernel, or where it cannot a thread, does nothing but wait for
the disk. Every step of Python on a second thread has to be won from the busy loop, at the price of the
loop's own.
"""

import asyncio
import errno
import math
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from opentrail.errors import Unavailable
from opentrail.eventlog.base import Draft, MarkKind
from opentrail.eventlog.frame import FRAMES_BYTES_MAX, RECORDS_MAX
from opentrail.eventlog.kernel_sync import KernelSync
from opentrail.eventlog.last import Written
from opentrail.eventlog.segments import Segments

QUICK_SYNC_S_MAX = 0.001
"""A disk whose last fdatasync took no longer may be waited for in the loop, when only one call is
under way: common disks with a write cache take 0.1 to 0.5 ms."""
QUICK_SYNC_AGAIN_S = 1.0
"""A slow disk holds up the loop no more often than that: it may have become quick again."""
SLOWNESS_FADES = 8
"""A slow fdatasync counts by the eighth of what it took longer."""
_CLOSED = "the log is being closed"


@dataclass(slots=True)
class _Waiting:
    drafts: Sequence[Draft]
    size: int
    positions: asyncio.Future[list[int]]
    marks: Sequence[tuple[MarkKind, bytes]] = ()
    """Instead of drafts."""

    def settle(self, positions: list[int] | Unavailable) -> None:
        """Tell the caller, unless it has gone."""
        if self.positions.done():
            return
        if isinstance(positions, Unavailable):
            error = Unavailable(positions.message, positions.hint)
            self.positions.set_exception(error)
        else:
            self.positions.set_result(positions)


@dataclass(frozen=True, slots=True)
class _Synced:
    """What came of one fdatasync."""

    batch: list[_Waiting]
    written: Written
    error: OSError | None


class GroupCommit:
    """Appends for the event loop, one commit at a time."""

    def __init__(self, log: Segments, nobody_else: Callable[[], bool] = lambda: False) -> None:
        """``nobody_else``: whether no more than one call is under way in the whole process."""
        self._log = log
        self._loop = asyncio.get_running_loop()
        self._on_durable: Callable[[], None] | None = None
        self._waiting: list[_Waiting] = []
        self._alone = 0
        self._jobs: list[tuple[Callable[[], object], asyncio.Future[None]]] = []
        self._busy = False
        self._closed = False
        self._nobody_else = nobody_else
        self._sync_s = math.inf
        """About how long an fdatasync takes, and when that was measured."""
        self._measured_s = self._loop.time()
        self._synced: _Synced | None = None
        self._under_way: tuple[list[_Waiting], Written, float] | None = None
        """What the kernel syncs, and since when."""
        self._kernel = KernelSync.open()
        if self._kernel is not None:
            self._loop.add_reader(self._kernel.fileno(), self._kernel_has_synced)
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()
        self._job_thread = ThreadPoolExecutor(1, "log-job")

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
        size = sum([len(draft.data) for draft in drafts])
        self._waiting.append(_Waiting(drafts, size, positions))
        self._go_on_soon()
        return positions

    def append_marks(self, marks: Sequence[tuple[MarkKind, bytes]]) -> asyncio.Future[list[int]]:
        """Return a future of the positions of ``marks``; as ``append`` otherwise.

        They have a commit to themselves: records and marks share no frame.
        """
        positions = self._loop.create_future()
        if not marks:
            positions.set_result([])
            return positions
        self._waiting.append(_Waiting((), 0, positions, marks))
        self._go_on_soon()
        return positions

    async def append_one(self, draft: Draft) -> int:
        """Append one record. Raises: Unavailable."""
        return (await self.append((draft,)))[0]

    async def run(self, work: Callable[[], object]) -> None:
        """Run ``work`` on a thread, between two commits. Raises what it raises."""
        done = self._loop.create_future()
        self._jobs.append((work, done))
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
        if self._closed:
            self._refuse_all()
        elif self._jobs:
            work, done = self._jobs.pop(0)
            job = self._loop.run_in_executor(self._job_thread, work)
            job.add_done_callback(partial(self._ran, done))
        elif self._waiting:
            self._commit(self._next_batch())
        else:
            self._busy = False

    def _next_batch(self) -> list[_Waiting]:
        """Take as much of what waits as one commit takes."""
        size = records = count = 0
        alone = self._alone or self._waiting[0].marks
        for waiting in self._waiting:
            size += waiting.size
            records += len(waiting.drafts)
            if count and (
                size > FRAMES_BYTES_MAX or records > RECORDS_MAX or alone or waiting.marks
            ):
                break
            count += 1
        self._alone = max(0, self._alone - count)
        batch, self._waiting = self._waiting[:count], self._waiting[count:]
        return batch

    def _commit(self, batch: list[_Waiting]) -> None:
        """Write the batch, and have the thread wait for the disk.

        1. write                        (a crash: the next start keeps the frame or cuts it)
        2. fdatasync, on the thread
        3. acknowledge                  (only now does anybody learn a position)
        """
        try:
            written = self._begin(batch)
        except Unavailable as error:
            self._refuse(batch, error)
        except ValueError as error:
            if len(batch) == 1:
                self._refuse(batch, Unavailable(f"the log does not take this: {error}"))
            else:
                # Nothing was written; alone, only the one that is wrong fails.
                self._alone = len(batch)
                self._waiting = batch + self._waiting
                self._loop.call_soon(self._go_on)
        else:
            self._wait_for_disk(batch, written)

    def _begin(self, batch: list[_Waiting]) -> Written:
        """Write the batch. Raises: Unavailable. ValueError: the log does not take it."""
        if batch[0].marks:
            return self._log.begin_marks(batch[0].marks)
        return self._log.begin([draft for waiting in batch for draft in waiting.drafts])

    def _wait_for_disk(self, batch: list[_Waiting], written: Written) -> None:
        """Do step 2: at once when nobody else would have to wait for it, or in the background.

        Two hand-overs take longer than a quick disk's fdatasync.
        """
        if self._is_quick() and self._nobody_else():
            self._sync(batch, written)
            self._acknowledge()
        elif not self._sync_by_kernel(batch, written):
            self._work.put(partial(self._sync_and_tell, batch, written))

    def _is_quick(self) -> bool:
        passed_s = self._loop.time() - self._measured_s
        return self._sync_s <= QUICK_SYNC_S_MAX or passed_s > QUICK_SYNC_AGAIN_S

    def _note_sync(self, took_s: float) -> None:
        """Note how long an fdatasync took: a quick one counts at once, a slow one by and by.

        On a busy machine one that is quick may come back late; a slow disk shows at once all the
        same, for it takes tens of times as long.
        """
        self._measured_s = self._loop.time()
        if took_s < self._sync_s:
            self._sync_s = took_s
        else:
            self._sync_s += (took_s - self._sync_s) / SLOWNESS_FADES

    def _sync_by_kernel(self, batch: list[_Waiting], written: Written) -> bool:
        """Have the kernel wait for the disk; return whether it does."""
        fd = self._log.sync_elsewhere(written)
        if self._kernel is None or fd < 0:
            return False
        try:
            self._kernel.begin(fd)
        except OSError:
            return False  # nothing was begun
        self._under_way = batch, written, self._loop.time()
        return True

    def _kernel_has_synced(self) -> None:
        """Take what came of the kernel's sync."""
        if self._under_way is None or self._kernel is None:
            return  # ``close`` was here first
        (batch, written, began_s), self._under_way = self._under_way, None
        error: OSError | None = None
        try:
            self._kernel.finish()
        except OSError as known:
            error = known
        took_s = self._loop.time() - began_s
        if took_s <= QUICK_SYNC_S_MAX:  # a longer one may only have been noticed late
            self._note_sync(took_s)
        self._synced = _Synced(batch, written, error)
        self._acknowledge()

    def _refuse(self, batch: list[_Waiting], error: Unavailable) -> None:
        for waiting in batch:
            waiting.settle(error)
        self._loop.call_soon(self._go_on)

    def _sync(self, batch: list[_Waiting], written: Written) -> None:
        """Wait for the disk; note what comes of it, whatever that is."""
        error: OSError | None = OSError(errno.EIO, "fdatasync was interrupted")
        began_s = self._loop.time()
        try:
            self._log.sync(written)
            error = None
        except OSError as known:
            error = known
        finally:
            self._note_sync(self._loop.time() - began_s)
            self._synced = _Synced(batch, written, error)

    def _sync_and_tell(self, batch: list[_Waiting], written: Written) -> None:
        try:
            self._sync(batch, written)
        finally:
            self._loop.call_soon_threadsafe(self._acknowledge)

    def _acknowledge(self) -> None:
        """Tell the callers what came of the fdatasync, and go on."""
        synced, self._synced = self._synced, None
        if synced is None:
            return  # ``close`` was here first
        try:
            positions = self._log.finish(synced.written, synced.error)
        except Unavailable as error:
            self._refuse(synced.batch, error)
            return
        first = 0
        for waiting in synced.batch:
            last = first + len(waiting.drafts or waiting.marks)
            waiting.settle(positions[first:last])
            first = last
        if self._on_durable is not None:
            self._on_durable()
        self._go_on()

    def _ran(self, done: asyncio.Future[None], job: asyncio.Future[object]) -> None:
        """Tell whoever waits for a job what came of it, and go on."""
        if not done.done():
            error = job.exception()
            if error is None:
                done.set_result(None)
            else:
                done.set_exception(error)
        self._go_on()

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            work()

    def close(self) -> None:
        """Wait for the running commit or job, refuse what still waits, and end the threads."""
        self._closed = True
        if self._kernel is not None:
            self._loop.remove_reader(self._kernel.fileno())
            self._kernel_has_synced()
            self._kernel.close()
            self._kernel = None
        self._work.put(None)
        self._thread.join()
        self._job_thread.shutdown()
        self._acknowledge()
        self._refuse_all()

    def _refuse_all(self) -> None:
        waiting, self._waiting = self._waiting, []
        jobs, self._jobs = self._jobs, []
        for each in waiting:
            each.settle(Unavailable(_CLOSED))
        for _, done in jobs:
            if not done.done():
                done.set_exception(Unavailable(_CLOSED))
        self._busy = False
