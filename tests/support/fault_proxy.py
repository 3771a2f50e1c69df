# SPDX-License-Identifier: Apache-2.0
"""An HTTP proxy between a client and a server, for what networks and servers do wrong.

Each request meets the next fault of a script, or one that ``choose`` picks.
"""

import http.client
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

SLOW_DOWN = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n'
    b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
)


BAD_DIGEST = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n'
    b"<Error><Code>BadDigest</Code><Message>The Content-MD5 did not match.</Message></Error>"
)


class Trouble(Enum):
    """What becomes of a request."""

    NONE = "none"
    RESET_LOST = "reset before it was done"
    RESET_KEPT = "reset after it was done"
    SILENT_LOST = "no answer, not done"
    SILENT_KEPT = "no answer, done"
    ERROR_LOST = "500, not done"
    ERROR_KEPT = "500, done"
    SLOW_DOWN = "503 SlowDown, not done"
    HALF_ANSWER = "done, and half of the answer"
    DAMAGED = "its body damaged on the way"


@dataclass
class Script:
    """What happens next, and what happened."""

    choose: Callable[[], Trouble] = lambda: Trouble.NONE
    next: list[Trouble] = field(default_factory=list)
    silence_s: float = 0.5
    """How long a silent request is held before its connection is closed."""
    met: list[tuple[str, Trouble]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def pick(self, what: str) -> Trouble:
        """Return what the request ``what`` meets."""
        with self.lock:
            trouble = self.next.pop(0) if self.next else self.choose()
            self.met.append((what, trouble))
            return trouble


@contextmanager
def fault_proxy(upstream: str, script: Script) -> Iterator[str]:
    """Yield the URL of a proxy in front of ``upstream``."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(upstream, script))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _handler(upstream: str, script: Script) -> type[BaseHTTPRequestHandler]:
    where = urlsplit(upstream).netloc

    class Handler(_Handler):
        def handled(self, body: bytes) -> None:
            trouble = script.pick(f"{self.command} {self.path}")
            if trouble is Trouble.DAMAGED and body and "Content-MD5" in self.headers:
                # S3 looks, and so the server never sees it; moto does not look.
                self.answer(400, [("Content-Type", "application/xml")], BAD_DIGEST)
                return
            lost = trouble in _LOST
            status, headers, answer = (0, [], b"") if lost else self.forwarded(where, body)
            if trouble in _SILENT:
                time.sleep(script.silence_s)
            if trouble in _RESET:
                self.reset()
            elif trouble is Trouble.SLOW_DOWN:
                self.answer(503, [("Content-Type", "application/xml")], SLOW_DOWN)
            elif trouble in _ERROR:
                self.answer(500, [], b"")
            else:
                self.answer(status, headers, answer, half=trouble is Trouble.HALF_ANSWER)

    for method in ("GET", "HEAD", "PUT", "POST", "DELETE"):
        setattr(Handler, f"do_{method}", Handler.handle_one)
    return Handler


_LOST = {Trouble.RESET_LOST, Trouble.SILENT_LOST, Trouble.ERROR_LOST, Trouble.SLOW_DOWN}
_SILENT = {Trouble.SILENT_LOST, Trouble.SILENT_KEPT}
_RESET = {Trouble.RESET_LOST, Trouble.RESET_KEPT, *_SILENT}
_ERROR = {Trouble.ERROR_LOST, Trouble.ERROR_KEPT}
_HOP = {
    "connection",
    "transfer-encoding",
    "content-length",
    "keep-alive",
    "expect",
    "date",
    "server",
}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handled(self, body: bytes) -> None:
        """Let a request meet its trouble."""
        raise NotImplementedError

    def handle_one(self) -> None:
        """Read a request whole; then let it meet its trouble."""
        try:
            self.handled(self.rfile.read(int(self.headers.get("Content-Length", "0"))))
        except ConnectionError:
            self.close_connection = True  # the client gave up before

    def forwarded(self, where: str, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        """Return the server's answer."""
        connection = http.client.HTTPConnection(where, timeout=20)
        headers = {k: v for k, v in self.headers.items() if k.lower() not in _HOP}
        headers["Content-Length"] = str(len(body))
        connection.request(self.command, self.path, body, headers)
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        return answer.status, answer.getheaders(), data

    def answer(
        self, status: int, headers: list[tuple[str, str]], body: bytes, *, half: bool = False
    ) -> None:
        """Answer; ``half``: promise all of it, send half, and close."""
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in _HOP:
                self.send_header(name, value)
        promised = max(len(body), 2) if half else len(body)
        length = dict(headers).get("Content-Length", "0") if self.command == "HEAD" else promised
        self.send_header("Content-Length", str(length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[: len(body) // 2] if half else body)
        self.close_connection = self.close_connection or half

    def reset(self) -> None:
        """End the connection with a reset."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def finish(self) -> None:
        """Flush nothing into a connection that was reset."""
        try:
            super().finish()
        except (OSError, ValueError):
            return

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base's name
        """Say nothing."""
