# SPDX-License-Identifier: Apache-2.0
"""Threads that answer what comes over a link: handing work over is most of what a short call costs."""

import threading
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue

Work = Callable[[], object]


class Answering:
    """So many threads, which do what they are given in its order."""

    def __init__(self, threads: int, name: str) -> None:
        self._name = name
        self._given: SimpleQueue[Work | None] = SimpleQueue()
        self._threads = [self._started() for _ in range(threads)]

    def _started(self) -> threading.Thread:
        thread = threading.Thread(target=self._answer, name=self._name, daemon=True)
        thread.start()
        return thread

    def give(self, work: Work) -> None:
        """Have ``work`` done soon. What it raises is printed, and stops no other."""
        self._given.put(work)

    def close(self) -> None:
        """Return once the work under way is done; what was not begun never is."""
        with suppress(Empty):
            while True:
                self._given.get_nowait()
        for _ in self._threads:
            self._given.put(None)
        for thread in self._threads:
            thread.join()

    def _answer(self) -> None:
        ended = False
        try:
            while (work := self._given.get()) is not None:
                work()
            ended = True
        finally:
            if not ended:
                self._threads.append(self._started())  # in the place of this one
