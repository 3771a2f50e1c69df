# SPDX-License-Identifier: Apache-2.0
"""Calls of other servers, in threads: one that stays silent holds up its own lane only."""

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol, TypeVar

from opentrail.errors import ClientError, Unavailable

ResultT = TypeVar("ResultT")


class Threads(Protocol):
    """Where waiting work is done: an executor, or what a test moves by hand."""

    def submit(self, work: Callable[[], ResultT], /) -> Future[ResultT]:
        """Begin ``work``, now or soon."""
        ...


JOBS_MAX = 32
"""At once over all lanes; one thread each."""
JOBS_EACH_MAX = 4
"""At once in one lane: eight lanes may stay silent, for their timeouts, until others wait."""
BYTES_MAX = 48 * 1024 * 1024
"""In memory at once. What is larger is sent when nothing else is."""


@dataclass(frozen=True, slots=True)
class _Running:
    lane: str
    size: int
    future: Future[None]


class Jobs:
    """Jobs that are under way. Used by one thread."""

    def __init__(self, threads: Threads, moved: Callable[[], None]) -> None:
        """Begin with none. ``moved`` is called, in any thread, when a job ends."""
        self._threads = threads
        self._moved = moved
        self._running: list[_Running] = []

    def start(self, lane: str, size: int, work: Callable[[], None]) -> Future[None] | None:
        """Begin ``work``, which holds ``size`` bytes and waits for what ``lane`` names.

        None: too much is under way, try again later. The future raises what ``work`` raises.
        """
        self._running = [each for each in self._running if not each.future.done()]
        running = self._running
        if len(running) >= JOBS_MAX or sum(each.lane == lane for each in running) >= JOBS_EACH_MAX:
            return None
        if running and size + sum(each.size for each in running) > BYTES_MAX:
            return None
        future = self._threads.submit(work)
        self._running.append(_Running(lane, size, future))
        future.add_done_callback(lambda _: self._moved())
        return future


def failure(future: Future[None]) -> ClientError | Unavailable | None:
    """Return why a job that ended failed; None: it did not. Raises: what nobody expected."""
    error = future.exception()
    if error is None or isinstance(error, ClientError | Unavailable):
        return error
    raise error


def code_of(error: ClientError | Unavailable) -> str:
    """Return what a status says of ``error``."""
    return error.code if isinstance(error, ClientError) else "ServiceUnavailable"
