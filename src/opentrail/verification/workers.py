# SPDX-License-Identifier: Apache-2.0
"""Lets several processes or threads read and judge files at once.

Processes, because Python runs in one core at a time; threads, because an S3 endpoint answers late, and
what inflates and hashes does not hold Python up. Results come in order, and no more than some work is
under way: memory does not grow with the bucket.
"""

import multiprocessing
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from typing import Protocol, TypeVar

from opentrail.clock import SystemClock
from opentrail.errors import Unavailable
from opentrail.verification.examine import Examined, Examiner

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")

AHEAD = 4
"""Tasks under way or done for each worker: none waits for work, none piles up results."""
TASK_S = 0.02
"""A task is to take so long: handing it over takes a quarter of a millisecond."""
TASK_FAR_S = 0.15
"""A task whose files are asked for by several threads at once: those that end first wait for the last."""
BATCH_FIRST, BATCH_MAX = 4, 512
"""Files for one task, as long as nobody knows how long one takes, and at most."""
GROW_S, GROW_SPAWN_S = 0.03, 0.5
"""With less to do, processes would take longer to begin than the work does: those that can be forked, and others."""

Job = Callable[[Examiner, Sequence[ItemT]], list[ResultT]]
Later = Callable[[], list[ResultT]]


class Workers(Protocol):
    """Who looks at files."""

    @property
    def tasks_max(self) -> int:
        """More than so many tasks are not begun before the first is done."""
        ...

    @property
    def batch(self) -> int:
        """How many files are one task."""
        ...

    def begin(self, job: Job[ItemT, ResultT], items: Sequence[ItemT]) -> Later[ResultT]:
        """Begin a task; what is returned waits for its results. It raises: Unavailable."""
        ...

    def close(self) -> None:
        """End; what was not begun is not done."""
        ...


class Here:
    """The caller itself."""

    tasks_max = 1
    batch = BATCH_FIRST

    def __init__(self, examiner: Examiner) -> None:
        self._examiner = examiner

    def begin(self, job: Job[ItemT, ResultT], items: Sequence[ItemT]) -> Later[ResultT]:
        """See ``Workers``."""
        results = job(self._examiner, items)
        return lambda: results

    def close(self) -> None:
        """See ``Workers``."""


class _Sized:
    """Lets tasks take ``task_s`` each, by how long others took."""

    def __init__(self, workers: int, task_s: float = TASK_S, batch: int = BATCH_FIRST) -> None:
        self.tasks_max = AHEAD * workers
        self.batch = batch
        self._task_s = task_s

    def _results(self, future: "Future[tuple[list[ResultT], float]]", count: int) -> list[ResultT]:
        results, took_s = future.result()
        if count == self.batch:
            fitting = int(count * self._task_s / max(took_s, self._task_s / BATCH_MAX))
            self.batch = min(max(fitting, count // 2, 1), count * 2, BATCH_MAX)
        return results


class Threads(_Sized):
    """Threads of this process."""

    def __init__(self, examiner: Examiner, threads: int) -> None:
        super().__init__(threads)
        self._examiner = examiner
        self._pool = ThreadPoolExecutor(threads)

    def begin(self, job: Job[ItemT, ResultT], items: Sequence[ItemT]) -> Later[ResultT]:
        """See ``Workers``."""
        future = self._pool.submit(_timed, self._examiner, job, items)
        return lambda: self._results(future, len(items))

    def close(self) -> None:
        """See ``Workers``."""
        self._pool.shutdown(cancel_futures=True)


class Processes(_Sized):
    """Processes of our own, which begin with the first task. Used by one thread.

    ``opener`` makes what each looks with; it is called there. ``threads`` of each process look at files
    at once.
    """

    def __init__(self, opener: Callable[[], Examiner], jobs: int, threads: int = 1) -> None:
        if threads == 1:
            super().__init__(jobs)
        else:
            super().__init__(jobs, TASK_FAR_S, 2 * threads)
        self._jobs = jobs
        self._opener = partial(_open, opener, threads)
        self._begun: ProcessPoolExecutor | None = None

    def _pool(self) -> ProcessPoolExecutor:
        """Return the processes; the first task, which follows at once, forks or spawns them."""
        if self._begun is None:
            how = multiprocessing.get_context("fork" if can_fork() else "spawn")
            self._begun = ProcessPoolExecutor(self._jobs, how, self._opener)
        return self._begun

    def start(self) -> None:
        """Begin the processes now: later there may be threads, and no fork any more."""
        self._pool().submit(int)

    def begin(self, job: Job[ItemT, ResultT], items: Sequence[ItemT]) -> Later[ResultT]:
        """See ``Workers``. Raises: Unavailable: a process died."""
        with _alive():
            future = self._pool().submit(_run, job, items)

        def result() -> list[ResultT]:
            with _alive():
                return self._results(future, len(items))

        return result

    def close(self) -> None:
        """See ``Workers``."""
        if self._begun is not None:
            self._begun.shutdown(cancel_futures=True)


class Growing:
    """The caller itself, and ``processes`` from when enough work seems to be left for these to pay."""

    def __init__(self, here: Here, processes: Processes, digests: int) -> None:
        """``digests``: how many there are."""
        self._here, self._processes = here, processes
        self._now: Workers = here
        self._clock = SystemClock()
        self._digests = digests
        self._read = self._listed = self._logs = 0
        """Digests that were read, log files that they list, log files that were looked at."""
        self._spent_s = 0.0

    @property
    def tasks_max(self) -> int:
        """See ``Workers``."""
        return self._now.tasks_max

    @property
    def batch(self) -> int:
        """See ``Workers``."""
        return self._now.batch

    def begin(self, job: Job[ItemT, ResultT], items: Sequence[ItemT]) -> Later[ResultT]:
        """See ``Workers``."""
        if self._now is not self._here:
            return self._now.begin(job, items)
        began_s = self._clock.monotonic()
        results = self._here.begin(job, items)()
        self._spent_s += self._clock.monotonic() - began_s
        for each in results:
            self._count(each)
        if self._spent_s + self._left_s() > (GROW_S if can_fork() else GROW_SPAWN_S):
            self._now = self._processes
        return lambda: results

    def _count(self, result: object) -> None:
        if not isinstance(result, Examined):
            self._logs += 1
            return
        self._read += 1
        self._listed += len(result.digest.log_files) if result.digest is not None else 0

    def _left_s(self) -> float:
        """Return how long the rest seems to take, if the digests to come are like those before."""
        if not self._read or not self._logs:
            return 0
        logs = self._listed * self._digests / self._read
        return max(logs - self._logs, 0) * self._spent_s / self._logs

    def close(self) -> None:
        """See ``Workers``."""
        self._processes.close()


@contextmanager
def _alive() -> Iterator[None]:
    try:
        yield
    except BrokenProcessPool as error:
        raise Unavailable("a process that reads files has died", "try --jobs 1") from error


def can_fork() -> bool:
    """Return whether a process begins at once: one with threads may pass on a lock that nobody releases."""
    return sys.platform == "linux" and threading.active_count() == 1


@dataclass(frozen=True, slots=True)
class _Mine:
    """In a process of the pool: what it looks with, and its threads, if it has several."""

    examiner: Examiner
    threads: ThreadPoolExecutor | None


_mine: list[_Mine] = []


def _open(opener: Callable[[], Examiner], threads: int) -> None:
    _mine.append(_Mine(opener(), ThreadPoolExecutor(threads) if threads > 1 else None))


def _run(job: Job[ItemT, ResultT], items: Sequence[ItemT]) -> tuple[list[ResultT], float]:
    threads = _mine[0].threads
    return _timed(
        _mine[0].examiner, job if threads is None else partial(_each, threads, job), items
    )


def _each(
    threads: ThreadPoolExecutor,
    job: Job[ItemT, ResultT],
    examiner: Examiner,
    items: Sequence[ItemT],
) -> list[ResultT]:
    """Do a job of many items as one of each, on ``threads``."""
    return list(chain.from_iterable(threads.map(lambda item: job(examiner, (item,)), items)))


def _timed(
    examiner: Examiner, job: Job[ItemT, ResultT], items: Sequence[ItemT]
) -> tuple[list[ResultT], float]:
    """Return what a job finds, and in how many seconds."""
    clock = SystemClock()
    began_s = clock.monotonic()
    return job(examiner, items), clock.monotonic() - began_s


def examined(workers: Workers, keys: Iterable[str], bucket: str = "") -> Iterator[Examined]:
    """Yield what is to be said of each digest, in order; ``bucket``: another one, which is at hand.

    Raises: Unavailable.
    """
    job = partial(_examined_there, bucket) if bucket else Examiner.digests
    begun: deque[Later[Examined]] = deque()
    left = iter(keys)
    while batch := list(islice(left, workers.batch)):
        begun.append(workers.begin(job, batch))
        if len(begun) >= workers.tasks_max:
            yield from begun.popleft()()
    while begun:
        yield from begun.popleft()()


def _examined_there(bucket: str, examiner: Examiner, keys: Sequence[str]) -> list[Examined]:
    there = examiner.there(bucket)
    assert there is not None
    return there.digests(keys)
