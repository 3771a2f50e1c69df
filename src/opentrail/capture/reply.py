# SPDX-License-Identifier: Apache-2.0
"""An answer on its way back: kept as far as the record needs it, passed on as it streams."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from opentrail.capture.arrival import Receive, RequestBody, Send
from opentrail.capture.call import BODY_KEPT_MAX, Body
from opentrail.capture.upstream import Answer, BrokenAnswer, joined


@dataclass(slots=True)
class Reply:
    """An answer on its way to the client."""

    answer: Answer
    request: RequestBody
    receive: Receive
    _watch: asyncio.Task[None] | None = None

    async def send(self, send: Send) -> None:
        """Send it; a body that breaks off closes the connection, as the upstream did."""
        answer = self.answer
        try:
            await send(
                {"type": "http.response.start", "status": answer.status, "headers": answer.headers}
            )
            if answer.chunks is None:
                await send({"type": "http.response.body", "body": answer.whole})
            else:
                await self._stream(answer.chunks, send)
        finally:
            if self._watch is not None:
                self._watch.cancel()
            answer.close()

    async def _stream(self, chunks: AsyncIterator[bytes], send: Send) -> None:
        try:
            async for chunk in chunks:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
                if self._watch is None and self.answer.streams and self.request.done:
                    self._watch = asyncio.create_task(self._drop_when_gone())
        except BrokenAnswer:
            return
        await send({"type": "http.response.body", "body": b""})

    async def _drop_when_gone(self) -> None:
        """Stop reading from the upstream once nobody is left to read it for."""
        while (await self.receive())["type"] != "http.disconnect":
            pass
        self.answer.close()


async def take(answer: Answer) -> tuple[Body, bool]:
    """Read up to BODY_KEPT_MAX; return what was kept, and whether the body broke off before.

    ``answer`` still has all of it to send.
    """
    kept: list[bytes] = []
    size = 0
    try:
        await answer.read_at_once()
        chunks = answer.chunks
        if chunks is None:
            return Body(answer.whole[:BODY_KEPT_MAX], len(answer.whole)), False
        async for chunk in chunks:
            kept.append(chunk)
            size += len(chunk)
            if size > BODY_KEPT_MAX:
                data = b"".join(kept)
                answer.chunks = joined(data, chunks)
                return Body(data[:BODY_KEPT_MAX], size), False
    except BrokenAnswer as error:
        data = b"".join(kept)
        answer.chunks = _broken(data, error)
        return Body(data, size + 1), True
    answer.whole = kept[0] if len(kept) == 1 else b"".join(kept)
    answer.chunks = None
    return Body(answer.whole, size), False


async def _broken(data: bytes, error: BrokenAnswer) -> AsyncIterator[bytes]:
    yield data
    raise error
