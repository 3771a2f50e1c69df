# SPDX-License-Identifier: Apache-2.0
"""The HTTP server of the front process: uvicorn with nothing of its own added."""

import asyncio
import contextlib
import re
import resource
import signal
import socket
from collections.abc import Iterator

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from opentrail.capture.arrival import Receive, Scope, Send
from opentrail.capture.gateway import Gateway
from opentrail.config import split_address
from opentrail.errors import UsageError
from opentrail.front.ops import PREFIX, Operations

SHUTDOWN_TIMEOUT_S = 90
"""Calls that were forwarded get this long to end: past every upstream timeout's default."""
OPEN_FILES = 65_536
"""Two for each call, client and upstream, of many more than the in-flight table holds."""
BACKLOG = 2048
"""Connections that may wait to be accepted."""
HEAD_BYTES_MAX = 64 * 1024
"""Longest request line and headers: a session token and a presigned query have some KB each."""


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
_UPGRADE = re.compile(rb"\r\nupgrade:", re.IGNORECASE)


def _half_a_name(data: bytes) -> int:
    """Return how many bytes at the end of ``data`` become ``Upgrade:`` if the rest comes next."""
    if data.endswith(b"\r"):
        return 1
    line = data[data.rfind(b"\n") + 1 :].lower()
    return len(line) if b"upgrade:".startswith(line) else 0


def _without_upgrade(data: bytes) -> bytes:
    """Take back a head's offer to speak HTTP/2, which some clients always make (RFC 9110, 7.8).

    The parser would otherwise take the body for the other protocol. Both headers end here anyway.
    """
    end = data.find(b"\r\n\r\n")
    end = len(data) if end < 0 else end
    if _UPGRADE.search(data, 0, end) is None:
        return data
    return _UPGRADE.sub(b"\r\ntrailer:", data[:end]) + data[end:]


class Connection(HttpToolsProtocol):
    """uvicorn's HTTP/1.1, where headers end: in number, and where the body begins."""

    _in_head = True
    _held = b""
    """The end of what came of a head: half of a header's name, perhaps."""
    _before = b""
    """The line break that came before, if one did."""
    _heads = 0
    _head_bytes = 0

    def data_received(self, data: bytes) -> None:
        """Parse what came; refuse a head that does not end."""
        in_head, heads = self._in_head, self._heads
        if in_head:
            data = self._of_head(data)
        super().data_received(data)
        if in_head and heads == self._heads:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES_MAX and not self.transport.is_closing():
                self.send_400_response(f"The headers are longer than {HEAD_BYTES_MAX} bytes.")

    def _of_head(self, data: bytes) -> bytes:
        """Return what the parser is to have of ``data``, the next bytes of a head."""
        before = self._before
        data = before + self._held + data
        held = 0 if b"\r\n\r\n" in data else _half_a_name(data)
        data, self._held = data[: len(data) - held], data[len(data) - held :]
        self._before = b"\r\n" if data.endswith(b"\n") else b""
        return _without_upgrade(data)[len(before) :]

    def on_headers_complete(self) -> None:
        """Begin the call."""
        self._in_head = False
        self._before = b""
        self._heads += 1
        self._head_bytes = 0
        super().on_headers_complete()
        self.headers = []  # what follows the body (RFC 9110, 6.5.1) is not taken for a header

    def on_message_complete(self) -> None:
        """End the call's body; what comes next is another head."""
        self._in_head = True
        super().on_message_complete()


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
        http=Connection,
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


def raise_open_files_limit() -> None:
    """Allow as many open connections as the system does; a shell's usual 1,024 are few."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


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
