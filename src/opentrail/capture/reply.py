# SPDX-License-Identifier: Apache-2.0
"""An answer on its way back: kept as far as the record needs it, passed on as it streams."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from opentrail.capture.arrival import Receive, RequestBody, Send
from opentrail.capture.call import BODY_KEPT_MAX, Body
from opentrail.capture.upstream import Answer, BrokenAnswer


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
            async for chunk in answer.chunks:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
                if self._watch is None and answer.streams and self.request.done:
                    self._watch = asyncio.create_task(self._drop_when_gone())
            await send({"type": "http.response.body", "body": b""})
        except BrokenAnswer:
            return
        finally:
            if self._watch is not None:
                self._watch.cancel()
            answer.close()

    async def _drop_when_gone(self) -> None:
        """Stop reading from the upstream once nobody is left to read it for."""
        while (await self.receive())["type"] != "http.disconnect":
            pass
        self.answer.close()


async def once(body: bytes) -> AsyncIterator[bytes]:
    """Return a body that is all here as a stream."""
    yield body


async def take(chunks: AsyncIterator[bytes]) -> tuple[Body, AsyncIterator[bytes], bool]:
    """Read up to BODY_KEPT_MAX; return what was kept, all of the stream, and whether it broke."""
    kept: list[bytes] = []
    size = 0
    try:
        async for chunk in chunks:
            kept.append(chunk)
            size += len(chunk)
            if size > BODY_KEPT_MAX:
                data = b"".join(kept)
                return Body(data[:BODY_KEPT_MAX], size), _joined(data, chunks), False
    except BrokenAnswer as error:
        data = b"".join(kept)
        return Body(data, size + 1), _broken(data, error), True
    data = b"".join(kept)
    return Body(data, size), once(data), False


async def _joined(data: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield data
    async for chunk in rest:
        yield chunk


async def _broken(data: bytes, error: BrokenAnswer) -> AsyncIterator[bytes]:
    yield data
    raise error
