# SPDX-License-Identifier: Apache-2.0
"""An answer on its way back: kept as far as the record needs it, passed on as it streams."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from opentrail.capture.arrival import ClientGone
from opentrail.capture.call import Body
from opentrail.capture.channel import Answer, BrokenAnswer
from opentrail.capture.headers import Headers
from opentrail.event.caps import BODY_KEPT_MAX


class Client(Protocol):
    """Whoever made a call, and waits for the answer; ``front.connection.Exchange`` is one.

    Nothing is raised for a client that is gone, but by ``send``.
    """

    def answer(self, status: int, headers: Headers, body: bytes, *, last: bool = False) -> None:
        """Send a whole answer; ``last``: the connection takes no other call."""
        ...

    def begin(self, status: int, headers: Headers) -> None:
        """Send the head of an answer whose body streams."""
        ...

    async def send(self, piece: bytes) -> None:
        """Send a piece of the body; return when there is room for more. Raises: ClientGone."""
        ...

    def end(self) -> None:
        """End the body."""
        ...

    def break_off(self) -> None:
        """Close the connection: the client must not take what it has for the whole answer."""
        ...

    def on_gone(self, call: Callable[[], None]) -> None:
        """Have ``call`` called if the client goes before the answer has ended."""
        ...


async def reply(answer: Answer, client: Client) -> None:
    """Send ``answer``; a body that breaks off closes the connection, as the upstream did."""
    stream = answer.stream
    if stream is not None and stream.done:
        answer.whole += stream.take()
        answer.stream = stream = None
    if stream is None:
        client.answer(answer.status, answer.headers, answer.whole)
        return
    client.begin(answer.status, answer.headers)
    client.on_gone(answer.close)
    try:
        piece = answer.whole or await stream.next()
        while piece:
            await client.send(piece)
            piece = await stream.next()
    except BrokenAnswer:
        client.break_off()
    except ClientGone:
        return
    else:
        client.end()
    finally:
        answer.close()


async def take(answer: Answer, wait_s: float | None = None) -> tuple[Body, bool]:
    """Read up to BODY_KEPT_MAX; return what was kept, and whether the body broke off before.

    Or did not end within ``wait_s``. ``answer`` still has all of it to send.
    """
    try:
        if answer.stream is not None:
            async with asyncio.timeout(wait_s):
                await answer.take(BODY_KEPT_MAX)
    except (BrokenAnswer, TimeoutError):
        return Body(answer.whole, len(answer.whole) + 1), True
    return Body(answer.whole[:BODY_KEPT_MAX], len(answer.whole)), False
