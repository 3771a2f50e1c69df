# SPDX-License-Identifier: Apache-2.0
"""Lets several processes, each with several threads, read and judge files at once.

Processes, because Python runs in one core at a time; threads, because an S3 endpoint far away answers
late. Results come in order, and no more than some work is under way: memory does not grow with the
bucket.
"""

import multiprocessing
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import chain
from typing import Protocol, TypeVar

from opentrail.errors import Unavailable
from opentrail.trails.examine import Examined, Examiner

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")

BATCH = 16
"""Files for one task: handing them over costs less than looking at them."""
AHEAD = 4
"""Tasks under way or done for each worker: none waits for work, none piles up results."""

Job = Callable[[Examiner, Sequence[ItemT]], list[ResultT]]
Later = Callable[[], list[ResultT]]


class Workers(Protocol):
    """Who looks at files."""

    tasks_max: int
    """More than so many tasks are not begun before the first is done."""

    def begin(self, job: Job[ItemT, ResultT], items: Sequence[ItemT]) -> Later[ResultT]:
        """Begin a task; what is returned waits for its results. It raises: Unavailable."""
        ...


class Here:
    """The caller itself."""

    tasks_max = 1

    def __init__(self, examiner: Examiner) -> None:
        self._examiner = examiner

    def begin(self, job: Job[ItemT, ResultT], items: Sequence[ItemT]) -> Later[ResultT]:
        """See ``Workers``."""
        results = job(self._examiner, items)
        return lambda: results


class Processes:
    """Processes of our own, which begin with the first task. Used by one thread.

    ``opener`` makes what each looks with; it is called there.
    """

    def __init__(self, opener: Callable[[], Examiner], jobs: int, threads: int) -> None:
        self.tasks_max = AHEAD * jobs
        self._jobs = jobs
        self._begun_with = (opener, threads)
        self._begun: ProcessPoolExecutor | None = None

    def _pool(self) -> ProcessPoolExecutor:
        """Return the processes; the first task, which follows at once, forks or spawns them."""
        if self._begun is None:
            # A fork of a process with threads may inherit a lock that nobody will release.
            alone = sys.platform == "linux" and threading.active_count() == 1
            how = multiprocessing.get_context("fork" if alone else "spawn")
            self._begun = ProcessPoolExecutor(self._jobs, how, _open, self._begun_with)
        return self._begun

    def begin(self, job: Job[ItemT, ResultT], items: Sequence[ItemT]) -> Later[ResultT]:
        """See ``Workers``. Raises: Unavailable: a process died."""
        with _alive():
            future = self._pool().submit(_run, job, items)

        def result() -> list[ResultT]:
            with _alive():
                return future.result()

        return result

    def close(self) -> None:
        """End them; what was not begun is not done."""
        if self._begun is not None:
            self._begun.shutdown(cancel_futures=True)


@contextmanager
def _alive() -> Iterator[None]:
    try:
        yield
    except BrokenProcessPool as error:
        raise Unavailable("a process that reads files has died", "try --jobs 1") from error


_mine: list[tuple[Examiner, ThreadPoolExecutor | None]] = []
"""In a process of the pool: what it looks with."""


def _open(opener: Callable[[], Examiner], threads: int) -> None:
    _mine.append((opener(), ThreadPoolExecutor(threads) if threads > 1 else None))


def _run(job: Job[ItemT, ResultT], items: Sequence[ItemT]) -> list[ResultT]:
    examiner, threads = _mine[0]
    if threads is None:
        return job(examiner, items)
    return list(chain.from_iterable(threads.map(lambda item: job(examiner, [item]), items)))


def examined(workers: Workers, keys: Sequence[str]) -> Iterator[Examined]:
    """Yield what is to be said of each digest, in order. Raises: Unavailable."""
    begun: deque[Later[Examined]] = deque()
    for first in range(0, len(keys), BATCH):
        begun.append(workers.begin(Examiner.digests, keys[first : first + BATCH]))
        if len(begun) >= workers.tasks_max:
            yield from begun.popleft()()
    while begun:
        yield from begun.popleft()()
