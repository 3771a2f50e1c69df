# SPDX-License-Identifier: Apache-2.0
"""What a way to the server is, and to go it while somebody else sees to what comes meanwhile."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass
from typing import Protocol

from opentrail.sdk.guard import Guard
from opentrail.sdk.spool import Batch

MEANWHILE_S = 0.1
"""How long what comes stays in memory at the most while the server is waited for."""


class NotSent(Exception):
    """The server has not taken a batch, as far as is known. Its text says why."""

    def __init__(self, reason: str, *, again: bool) -> None:
        super().__init__(reason)
        self.again = again
        """Whether sending the same later may help."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """What the server says of a batch."""

    accepted: int
    duplicates: int
    rejected: tuple[str, ...]
    """Of each rejected record, its eventID and the reason."""


class Post(Protocol):
    """The way to the server. Called by one thread at a time."""

    def __call__(self, batch: Batch) -> Delivered:
        """Send a batch; blocks, within a bound. Raises: NotSent."""
        ...

    def close(self) -> None:
        """Let go of the connection."""
        ...


def posted(post: Post, batch: Batch, meanwhile: Callable[[], None]) -> Delivered:
    """Post ``batch``, in a thread of its own, and call ``meanwhile`` now and then until it is done.

    A server that is silent must keep nobody from storing what comes. Raises: NotSent.
    """
    answer: Future[Delivered] = Future()
    thread = threading.Thread(
        target=_post_into, args=(answer, post, batch), name="opentrail-post", daemon=True
    )
    try:
        thread.start()
    except RuntimeError:  # the interpreter is on its way out; nothing comes any more
        return post(batch)
    while not wait((answer,), MEANWHILE_S).done:
        meanwhile()
    return answer.result()


def _post_into(answer: "Future[Delivered]", post: Post, batch: Batch) -> None:
    try:
        with Guard(answer.set_exception):
            answer.set_result(post(batch))
    finally:
        if not answer.done():
            answer.set_exception(NotSent("the thread was ended", again=True))
