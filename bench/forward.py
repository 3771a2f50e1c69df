# SPDX-License-Identifier: Apache-2.0
"""OpenTrail's own HTTP on both sides, with nothing between: what is left of a call when nobody records.

``python bench/forward.py http://127.0.0.1:PORT`` prints its port.
"""

import asyncio
import socket
import sys

import uvloop

from opentrail.aws.address import upstream_target
from opentrail.capture.arrival import Arrival, RequestBody
from opentrail.capture.reply import Client, reply
from opentrail.capture.upstream import Upstreams, UpstreamSettings
from opentrail.front.ops import Operations
from opentrail.front.server import Server


class Forward:
    """An app that forwards everything."""

    def __init__(self, url: str) -> None:
        """Forward to ``url``."""
        self._upstream = UpstreamSettings(url)
        self._upstreams = Upstreams(
            {"default": self._upstream}, connect_timeout_s=5, timeout_s=60, instance="bench"
        )

    async def handle(self, arrival: Arrival, body: RequestBody, client: Client) -> None:
        """Forward one call."""
        head = arrival.head
        answer = await self._upstreams.send(
            self._upstream,
            head.method,
            upstream_target(head),
            arrival.raw_headers,
            body.forwarded(),
        )
        await reply(answer, client)

    def abandoned(self) -> None:
        """Count nothing."""


async def main() -> None:
    """Serve until killed."""
    app = Forward(sys.argv[1])
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        print(sock.getsockname()[1], flush=True)
        await Server(Operations(()), app).serve(sock, asyncio.Event())


if __name__ == "__main__":
    uvloop.run(main())
