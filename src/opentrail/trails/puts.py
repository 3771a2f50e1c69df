# SPDX-License-Identifier: Apache-2.0
"""Objects on their way into buckets, in threads: a bucket that stays silent holds up its own only."""

from collections.abc import Callable
from concurrent.futures import Future
from typing import Protocol, TypeVar

from opentrail.errors import ClientError, Unavailable
from opentrail.objects.base import Buckets, Put

PUTS_MAX = 32
"""At once over all buckets; one thread each."""
PUTS_EACH_MAX = 4
"""At once into one bucket: eight buckets may stay silent, for their timeouts, until others wait."""
BYTES_MAX = 48 * 1024 * 1024
"""In memory at once. What is larger is put when nothing else is."""

ResultT = TypeVar("ResultT")


class Threads(Protocol):
    """Where waiting work is done: an executor, or what a test moves by hand."""

    def submit(self, work: Callable[[], ResultT], /) -> Future[ResultT]:
        """Begin ``work``, now or soon."""
        ...


class Puts:
    """Puts that are under way. Used by one thread."""

    def __init__(self, buckets: Buckets, threads: Threads, moved: Callable[[], None]) -> None:
        """Begin with none. ``moved`` is called, in any thread, when a put ends."""
        self._buckets = buckets
        self._threads = threads
        self._moved = moved
        self._running: list[tuple[str, int, Future[None]]] = []

    def start(
        self, where: tuple[str, str], data: Callable[[], bytes], size: int, how: Put
    ) -> Future[None] | None:
        """Begin to put the ``size`` bytes of ``data`` at ``where``, a bucket's name and a key.

        None: too much is under way, try again later. The future raises: ClientError. Unavailable.
        """
        name, key = where
        self._running = [each for each in self._running if not each[2].done()]
        running = self._running
        if len(running) >= PUTS_MAX or sum(each[0] == name for each in running) >= PUTS_EACH_MAX:
            return None
        if running and size + sum(each[1] for each in running) > BYTES_MAX:
            return None

        def work() -> None:
            try:
                body = data()
            except OSError as error:
                raise Unavailable(f"a log file cannot be read back: {error.strerror}") from error
            self._buckets.find(name).put(key, body, how)

        future = self._threads.submit(work)
        self._running.append((name, size, future))
        future.add_done_callback(lambda _: self._moved())
        return future


def outcome(future: Future[None]) -> ClientError | Unavailable | None:
    """Return why a put that ended failed; None: it is done. Raises: what nobody expected."""
    error = future.exception()
    if error is None or isinstance(error, ClientError | Unavailable):
        return error
    raise error
