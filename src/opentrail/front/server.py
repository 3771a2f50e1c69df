# SPDX-License-Identifier: Apache-2.0
"""The HTTP server of the front process: uvicorn with nothing of its own added."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Iterator

import uvicorn

from opentrail.capture.arrival import Receive, Scope, Send
from opentrail.capture.gateway import Gateway
from opentrail.config import split_address
from opentrail.errors import UsageError
from opentrail.front.ops import PREFIX, Operations

SHUTDOWN_TIMEOUT_S = 90
"""Calls that were forwarded get this long to end: past every upstream timeout's default."""
BACKLOG = 2048
"""Connections that may wait to be accepted."""


class App:
    """Two ASGI apps behind one port."""

    def __init__(self, operations: Operations, gateway: Gateway) -> None:
        self._operations = operations
        self._gateway = gateway

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand one request to the app whose it is (ASGI)."""
        if scope["raw_path"].startswith(_PREFIX):
            await self._operations(scope, receive, send)
        else:
            await self._gateway(scope, receive, send)


_PREFIX = PREFIX.encode()


class Server(uvicorn.Server):
    """uvicorn without its signal handlers: it would end the process before our own end."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield


def uvicorn_config(app: App) -> uvicorn.Config:
    """Return how uvicorn serves: it adds nothing to what the upstreams answer."""
    return uvicorn.Config(
        app,
        http="httptools",
        ws="none",
        lifespan="off",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        log_config=None,
        backlog=BACKLOG,
        timeout_graceful_shutdown=SHUTDOWN_TIMEOUT_S,
    )


def stop_on_signals(server: uvicorn.Server) -> None:
    """Have SIGTERM and SIGINT end ``server`` once its calls are answered."""

    def stop() -> None:
        server.should_exit = True

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)


def listen(address: str) -> socket.socket:
    """Return a bound socket. Raises: UsageError."""
    host, port = split_address(address)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
    except OSError as error:
        sock.close()
        raise UsageError(
            f"cannot listen on {address}: {error.strerror}; choose another with --listen"
        ) from error
    return sock
