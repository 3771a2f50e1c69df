# SPDX-License-Identifier: Apache-2.0
"""Work that others do in threads, done here at once or when a test says so."""

from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from opentrail.errors import ClientError, Unavailable

ResultT = TypeVar("ResultT")


class HandThreads:
    """Satisfies ``Threads``. ``held``: work waits until ``finish`` says which is done."""

    def __init__(self) -> None:
        self.held = False
        self.waiting: list[Callable[[], None]] = []

    def submit(self, work: Callable[[], ResultT], /) -> Future[ResultT]:
        future: Future[ResultT] = Future()

        def run() -> None:
            try:
                result = work()
            except (ClientError, Unavailable) as error:
                future.set_exception(error)
            else:
                future.set_result(result)

        if self.held:
            self.waiting.append(run)
        else:
            run()
        return future

    def finish(self, index: int) -> None:
        """Do one of the works that wait."""
        if self.waiting:
            self.waiting.pop(index % len(self.waiting))()

    def release(self) -> None:
        """Hold nothing any more."""
        self.held = False
        while self.waiting:
            self.finish(0)
