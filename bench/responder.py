# SPDX-License-Identifier: Apache-2.0
"""The fastest upstream there can be in Python: one fixed answer, no parsing to speak of.

``python bench/responder.py`` prints its port.
"""

import asyncio
from typing import cast

import uvloop

BODY = b'{"ModelArn":"arn:aws:sagemaker:us-east-1:123456789012:model/bench"}'
ANSWER = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/x-amz-json-1.1\r\n"
    b"x-amzn-requestid: 6b1b42b9-0c5a-4c5e-9d0e-1f2e3d4c5b6a\r\n"
    b"content-length: " + str(len(BODY)).encode() + b"\r\n\r\n" + BODY
)


class Responder(asyncio.Protocol):
    """Answers each request once its body has arrived."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the connection."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is not derived from it
        self._data = b""

    def data_received(self, data: bytes) -> None:
        """Answer every complete request in what has arrived."""
        self._data += data
        while True:
            end = self._data.find(b"\r\n\r\n")
            if end < 0:
                return
            head = self._data[:end].lower()
            at = head.find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self._data) < end + 4 + length:
                return
            self._data = self._data[end + 4 + length :]
            self._transport.write(ANSWER)


async def main() -> None:
    """Serve until killed."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Responder, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
