# SPDX-License-Identifier: Apache-2.0
"""The peer: uvicorn in front of an aiohttp client, passing calls on and recording nothing.

``python bench/passthrough.py http://127.0.0.1:PORT`` prints its port.
"""

import socket
import sys
from typing import Any

import aiohttp
import uvicorn
import uvloop
from yarl import URL

DROPPED = {b"connection", b"keep-alive", b"transfer-encoding", b"expect"}


class Proxy:
    """An ASGI app that forwards everything."""

    def __init__(self, upstream: str, session: aiohttp.ClientSession) -> None:
        """Forward to ``upstream``."""
        self._upstream = upstream
        self._session = session

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401
        """Forward one request."""
        body = b""
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        headers = [
            (name.decode(), value.decode())
            for name, value in scope["headers"]
            if name not in DROPPED
        ]
        url = URL(self._upstream + scope["raw_path"].decode(), encoded=True)
        response = await self._session.request(
            scope["method"], url, headers=headers, data=body, allow_redirects=False
        )
        start = {
            "type": "http.response.start",
            "status": response.status,
            "headers": [h for h in response.raw_headers if h[0].lower() not in DROPPED],
        }
        await send(start)
        await send({"type": "http.response.body", "body": await response.read()})


async def main() -> None:
    """Serve until killed."""
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
    ) as session:
        sock = socket.socket()
        sock.bind(("127.0.0.1", 0))
        print(sock.getsockname()[1], flush=True)
        config = uvicorn.Config(
            Proxy(sys.argv[1], session),
            http="httptools",
            ws="none",
            lifespan="off",
            access_log=False,
            server_header=False,
            date_header=False,
            log_config=None,
        )
        await uvicorn.Server(config).serve(sockets=[sock])


if __name__ == "__main__":
    uvloop.run(main())
