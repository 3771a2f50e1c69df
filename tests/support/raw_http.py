# SPDX-License-Identifier: Apache-2.0
"""A client that sends exactly the bytes it is told to, and keeps exactly what comes back."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

ANSWER_S_MAX = 20.0
ANSWER_BYTES_MAX = 64 * 1024


@dataclass(frozen=True)
class RawAnswer:
    """An answer as it came over the wire; the body without chunk framing."""

    status: int
    headers: list[tuple[bytes, bytes]]
    """Names in lower case."""
    body: bytes

    def header(self, name: bytes) -> list[bytes]:
        """Return the values of one header."""
        return [value for key, value in self.headers if key == name]


class RawConnection:
    """One connection; a request may follow another."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self._rest = b""

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.socket.sendall(data)

    def head(self) -> tuple[int, list[tuple[bytes, bytes]]]:
        """Read up to the end of an answer's headers."""
        lines = self._until(b"\r\n\r\n").split(b"\r\n")
        pairs = (line.split(b":", 1) for line in lines[1:])
        return int(lines[0].split(b" ")[1]), [(k.lower(), v.strip(b" ")) for k, v in pairs]

    def answer(self, *, has_body: bool = True) -> RawAnswer:
        """Read one whole answer; raises ConnectionError when it breaks off."""
        status, headers = self.head()
        found = dict(headers)
        if not has_body or status in (204, 304) or status < 200:
            return RawAnswer(status, headers, b"")
        if found.get(b"transfer-encoding") == b"chunked":
            return RawAnswer(status, headers, b"".join(self._chunks()))
        return RawAnswer(status, headers, self._exactly(int(found[b"content-length"])))

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self._until(b"\r\n"), 16):
            yield self._exactly(size)
            self._until(b"\r\n")
        self._until(b"\r\n")

    def _until(self, end: bytes) -> bytes:
        while end not in self._rest:
            self._rest += self.more()
        found, _, self._rest = self._rest.partition(end)
        return found

    def _exactly(self, size: int) -> bytes:
        pieces = [self._rest[:size]]
        self._rest = self._rest[size:]
        missing = size - len(pieces[0])
        while missing:
            data = self.more()
            pieces.append(data[:missing])
            self._rest = data[missing:]
            missing -= len(pieces[-1])
        return b"".join(pieces)

    def more(self) -> bytes:
        """Return what comes next; raises ConnectionError when nothing more comes."""
        data, self._rest = self._rest or self.socket.recv(ANSWER_BYTES_MAX), b""
        if not data:
            raise ConnectionError("the server closed the connection")
        return data


@contextmanager
def connection(endpoint: str) -> Iterator[RawConnection]:
    """Yield a new connection to ``endpoint`` (http://HOST:PORT)."""
    host, port = endpoint.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), ANSWER_S_MAX) as found:
        yield RawConnection(found)


def call(endpoint: str, request: bytes) -> RawAnswer:
    """Send one request as it is and return its answer."""
    with connection(endpoint) as found:
        found.send(request)
        return found.answer(has_body=not request.startswith(b"HEAD "))


def request(
    target: bytes | str = "/",
    body: bytes = b"",
    *,
    method: str = "POST",
    headers: tuple[tuple[str, str], ...] = (),
    host: str = "service.example",
) -> bytes:
    """Return a request's bytes: the target as it is given, the length added where it is missing."""
    path = target.encode("latin-1") if isinstance(target, str) else target
    lines = [f"{name}: {value}".encode("latin-1") for name, value in headers]
    names = {name.lower() for name, _ in headers}
    if "content-length" not in names and "transfer-encoding" not in names and body:
        lines.append(f"Content-Length: {len(body)}".encode())
    top = [method.encode() + b" " + path + b" HTTP/1.1", b"Host: " + host.encode(), *lines]
    return b"\r\n".join([*top, b"", b""]) + body
