# SPDX-License-Identifier: Apache-2.0
"""Upstreams whose every byte a test decides, on real ports, and what they received.

A script answers one request: it gets the exchange and returns whether the connection stays open.
"""

import hashlib
import re
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

BODY_KEPT_MAX = 1 << 20
"""Bytes of a body that are kept; of a longer one its size and digest are."""
PIECE_BYTES = 64 * 1024
SILENCE_S_MAX = 30.0
"""No script waits longer: a test that went wrong must not hang."""
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)


@dataclass
class Received:
    """One request as it came over the wire."""

    head: bytes
    """Request line and headers, with the empty line."""
    body: bytes = b""
    """Without chunk framing."""
    size: int = 0
    sha256: str = ""

    @property
    def target(self) -> bytes:
        """The request target, as it stood in the request line."""
        return self.head.split(b" ", 2)[1]

    @property
    def method(self) -> bytes:
        """The method."""
        return self.head.split(b" ", 1)[0]

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Return the headers, names in lower case."""
        lines = self.head.split(b"\r\n")[1:-2]
        pairs = (line.split(b":", 1) for line in lines)
        return [(name.lower(), value.strip(b" ")) for name, value in pairs]

    def header(self, name: bytes) -> list[bytes]:
        """Return the values of one header."""
        return [value for key, value in self.headers() if key == name]


class Exchange:
    """One request on a connection, and the means to answer it."""

    def __init__(self, connection: socket.socket, head: bytes, rest: bytes) -> None:
        self.received = Received(head)
        self._connection = connection
        self._rest = rest

    def read(self) -> Received:
        """Read the body to its end."""
        self._digest = hashlib.sha256()
        if _CHUNKED.search(self.received.head):
            while size := int(self._line().split(b";")[0], 16):
                self._take(size)
                self._line()
            self._line()
        else:
            length = _LENGTH.search(self.received.head)
            self._take(int(length[1]) if length else 0)
        self.received.sha256 = self._digest.hexdigest()
        return self.received

    def _line(self) -> bytes:
        while b"\r\n" not in self._rest:
            self._rest += self._more()
        line, _, self._rest = self._rest.partition(b"\r\n")
        return line

    def _take(self, size: int) -> None:
        """Read ``size`` bytes of the body; more than that stays for later."""
        while size:
            if not self._rest:
                self._rest = self._more()
            piece, self._rest = self._rest[:size], self._rest[size:]
            size -= len(piece)
            self._digest.update(piece)
            self.received.size += len(piece)
            if len(self.received.body) < BODY_KEPT_MAX:
                self.received.body += piece

    def _more(self) -> bytes:
        data = self._connection.recv(PIECE_BYTES)
        if not data:
            raise ConnectionError("the client closed the connection")
        return data

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._connection.sendall(data)

    def wait_closed(self) -> None:
        """Wait until the other side closes the connection."""
        deadline = time.monotonic() + SILENCE_S_MAX
        while time.monotonic() < deadline:
            ready, _, _ = select.select([self._connection], [], [], 0.1)
            if ready and not self._connection.recv(PIECE_BYTES):
                return

    @property
    def rest(self) -> bytes:
        """What came after this request: the beginning of the next one."""
        return self._rest


Script = Callable[[Exchange], bool]
"""Answers one request; returns whether the connection stays open."""


def answer(
    status: int = 200,
    body: bytes = b"{}",
    headers: tuple[tuple[str, str], ...] = (("Content-Type", "application/x-amz-json-1.1"),),
) -> Script:
    """Return a script that reads the request and answers it properly."""
    data = head(status, (*headers, ("Content-Length", str(len(body))))) + body

    def script(exchange: Exchange) -> bool:
        exchange.read()
        exchange.send(data)
        return True

    return script


def head(status: int, headers: tuple[tuple[str, str], ...] = ()) -> bytes:
    """Return a status line and headers."""
    lines = [f"HTTP/1.1 {status} X", *(f"{name}: {value}" for name, value in headers), "", ""]
    return "\r\n".join(lines).encode("latin-1")


def verbatim(data: bytes) -> Script:
    """Return a script that reads the request, sends these bytes, and closes the connection."""

    def script(exchange: Exchange) -> bool:
        exchange.read()
        exchange.send(data)
        return False

    return script


def silent(exchange: Exchange) -> bool:
    """Read the request and never answer."""
    exchange.read()
    exchange.wait_closed()
    return False


def closes(exchange: Exchange) -> bool:
    """Read the request and close the connection."""
    exchange.read()
    return False


@dataclass
class Upstream:
    """A server on a port of its own; ``script`` may be changed between two calls."""

    script: Script
    url: str = ""
    tls: ssl.SSLContext | None = None
    received: list[Received] = field(default_factory=list)
    """All requests, the oldest first; also those that a script gave up on."""

    def last(self) -> Received:
        """Return the request that came last."""
        return self.received[-1]

    def serve(self, connection: socket.socket) -> None:
        """Answer the requests of one connection."""
        connection.settimeout(SILENCE_S_MAX)
        rest = b""
        open_ = True
        with suppress(OSError):
            if self.tls is not None:
                connection = self.tls.wrap_socket(connection, server_side=True)
        with connection, suppress(OSError):
            while open_:
                while b"\r\n\r\n" not in rest:
                    data = connection.recv(PIECE_BYTES)
                    if not data:
                        return
                    rest += data
                top, _, rest = rest.partition(b"\r\n\r\n")
                exchange = Exchange(connection, top + b"\r\n\r\n", rest)
                self.received.append(exchange.received)
                open_ = self.script(exchange)
                rest = exchange.rest


@contextmanager
def upstream(
    script: Script | None = None, *, port: int = 0, tls: ssl.SSLContext | None = None
) -> Iterator[Upstream]:
    """Run an upstream until the block ends."""
    with socket.create_server(("127.0.0.1", port)) as listener:
        scheme = "https" if tls else "http"
        url = f"{scheme}://127.0.0.1:{listener.getsockname()[1]}"
        found = Upstream(script or answer(), url, tls=tls)
        connections: list[socket.socket] = []

        def accept() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    connections.append(connection)
                    threading.Thread(target=found.serve, args=(connection,), daemon=True).start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield found
        finally:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            for connection in connections:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            thread.join(SILENCE_S_MAX)


def free_port() -> int:
    """Return a port on which nobody listens now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
