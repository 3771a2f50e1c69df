# SPDX-License-Identifier: Apache-2.0
"""The front's HTTP server on a real port, with an app that a test writes."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from opentrail.capture.arrival import Arrival, RequestBody
from opentrail.capture.reply import Client
from opentrail.front.server import Server
from opentrail.front.tls import Certificate

Answering = Callable[[Arrival, RequestBody, Client], Awaitable[None]]


async def hello(arrival: Arrival, body: RequestBody, client: Client) -> None:
    """Answer with the path."""
    del body
    client.answer(200, [(b"content-type", b"text/plain")], arrival.head.path.encode())


@dataclass
class App:
    """Answers as ``answering`` does; counts what never came to its end."""

    answering: Answering = hello
    gone: int = 0
    paths: list[str] = field(default_factory=list)

    async def handle(self, arrival: Arrival, body: RequestBody, client: Client) -> None:
        """See ``server.App``."""
        self.paths.append(arrival.head.path)
        await self.answering(arrival, body, client)

    def begin(self, arrival: Arrival, body: RequestBody, client: Client) -> None:
        """See ``server.Operator``: all is handled."""

    def abandoned(self) -> None:
        """See ``server.App``."""
        self.gone += 1


@dataclass
class Running:
    """The server, its app and its port."""

    server: Server
    app: App
    port: int
    stopped: asyncio.Event
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Return a new connection."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.writers.append(writer)
        return reader, writer

    async def ask(self, request: bytes) -> bytes:
        """Send ``request`` on a new connection; return all that comes until it is closed."""
        reader, writer = await self.connect()
        writer.write(request)
        return await reader.read()

    async def later(self, seconds: float) -> None:
        """Have the server think that so much time has passed since what came last."""
        await asyncio.sleep(0.02)  # so that it has come
        self.server.sweep(asyncio.get_running_loop().time() + seconds)


@asynccontextmanager
async def running(
    answering: Answering = hello,
    *,
    connections_max: int = 100,
    certificate: Certificate | None = None,
    give_up: Callable[[], None] = lambda: None,
    shutdown_timeout_s: float = 90,
) -> AsyncIterator[Running]:
    """Run a server until the block ends."""
    app = App(answering)
    server = Server(
        app, app, connections_max=connections_max, shutdown_timeout_s=shutdown_timeout_s
    )
    stopped = asyncio.Event()
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
        serving = asyncio.create_task(server.serve(sock, stopped, certificate, give_up))
        await asyncio.sleep(0.01)
        found = Running(server, app, port, stopped)
        try:
            yield found
        finally:
            for writer in found.writers:
                writer.close()
            stopped.set()
            await serving
            await asyncio.sleep(0.02)  # transports close a turn later
