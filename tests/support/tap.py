# SPDX-License-Identifier: Apache-2.0
"""A wire tap: passes TCP on byte by byte and tells afterwards which HTTP messages went through.

One tap on each side of the gateway shows what it changed.
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

PIECE_BYTES = 64 * 1024
INFORMATIONAL = range(100, 200)
BODILESS = (204, 304)


@dataclass(frozen=True)
class Message:
    """A request or an answer as it came over the wire; the body without chunk framing."""

    start: bytes
    headers: list[tuple[bytes, bytes]]
    """Names in lower case."""
    body: bytes

    @property
    def status(self) -> int:
        """An answer's status."""
        return int(self.start.split(b" ")[1])

    def without(self, names: frozenset[bytes]) -> tuple[bytes, list[tuple[bytes, bytes]], bytes]:
        """Return all of it but the headers called ``names``; of an answer's first line, the status."""
        kept = [(name, value) for name, value in self.headers if name not in names]
        is_answer = self.start.startswith(b"HTTP/")
        return b"%d" % self.status if is_answer else self.start, kept, self.body


@dataclass(frozen=True)
class Exchange:
    """A request and its answer."""

    request: Message
    answer: Message


@dataclass
class _Connection:
    sent: bytearray = field(default_factory=bytearray)
    answered: bytearray = field(default_factory=bytearray)
    pieces: list[tuple[int, int]] = field(default_factory=list)
    """Where a piece of ``sent`` begins, and its number among the pieces of all connections."""


class Tap:
    """What went through one listening port."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._lock = threading.Lock()
        self._count = 0
        self._connections: list[_Connection] = []

    def opened(self) -> _Connection:
        """Note another connection."""
        connection = _Connection()
        with self._lock:
            self._connections.append(connection)
        return connection

    def passed(self, connection: _Connection, data: bytes, *, answer: bool) -> None:
        """Note bytes that are about to be passed on."""
        with self._lock:
            if answer:
                connection.answered += data
                return
            connection.pieces.append((len(connection.sent), self._count))
            self._count += 1
            connection.sent += data

    def exchanges(self) -> list[Exchange]:
        """Return what went through and was answered, in the order of its beginnings."""
        with self._lock:
            found = [numbered for one in self._connections for numbered in _exchanges(one)]
        return [exchange for _, exchange in sorted(found, key=lambda pair: pair[0])]


def _exchanges(connection: _Connection) -> list[tuple[int, Exchange]]:
    requests = list(_requests(bytes(connection.sent)))
    methods = [message.start.split(b" ")[0] for _, message in requests]
    answers = _answers(bytes(connection.answered), methods)
    return [
        (max(number for start, number in connection.pieces if start <= at), Exchange(sent, got))
        for (at, sent), got in zip(requests, answers, strict=False)
    ]


def _requests(data: bytes) -> Iterator[tuple[int, Message]]:
    at = 0
    while (end := data.find(b"\r\n\r\n", at)) >= 0:
        message, after = _message(data, at, end, has_body=True)
        yield at, message
        at = after


def _answers(data: bytes, methods: list[bytes]) -> Iterator[Message]:
    at = 0
    left = iter(methods)
    method = next(left, b"")
    while (end := data.find(b"\r\n\r\n", at)) >= 0:
        status = int(data[at:end].split(b" ", 2)[1])
        has_body = method != b"HEAD" and status not in (*BODILESS, *INFORMATIONAL)
        message, at = _message(data, at, end, has_body=has_body)
        if status not in INFORMATIONAL:
            yield message
            method = next(left, b"")


def _message(data: bytes, at: int, end: int, *, has_body: bool) -> tuple[Message, int]:
    start, *lines = data[at:end].split(b"\r\n")
    pairs = (line.split(b":", 1) for line in lines)
    headers = [(name.lower(), value.strip(b" ")) for name, value in pairs]
    found = dict(headers)
    after = end + 4
    body = b""
    if has_body and found.get(b"transfer-encoding", b"").lower() == b"chunked":
        body, after = _dechunked(data, after)
    elif has_body:
        size = int(found.get(b"content-length", b"0"))
        body, after = data[after : after + size], after + size
    return Message(start, headers, body), after


def _dechunked(data: bytes, at: int) -> tuple[bytes, int]:
    body = b""
    while True:
        line_end = data.index(b"\r\n", at)
        size = int(data[at:line_end].split(b";")[0], 16)
        at = line_end + 2
        body += data[at : at + size]
        at += size + 2
        if size == 0:
            return body, at


class _Listener:
    """Accepts connections and passes on what comes, two threads for each."""

    def __init__(self, target: str) -> None:
        where = urlsplit(target)
        self._target = (where.hostname, where.port)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._open = [self._socket]
        self._threads = [threading.Thread(target=self._accept)]
        self.tap = Tap(f"http://127.0.0.1:{self._socket.getsockname()[1]}")
        self._threads[0].start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._socket.accept()
                server = socket.create_connection(self._target)
                self._open += [client, server]
                connection = self.tap.opened()
                for pair, answer in (((client, server), False), ((server, client), True)):
                    self._threads.append(
                        threading.Thread(target=self._pump, args=(connection, *pair, answer))
                    )
                    self._threads[-1].start()

    def _pump(self, *job: Any) -> None:
        connection, come, go, answer = job
        with suppress(OSError):
            while data := come.recv(PIECE_BYTES):
                self.tap.passed(connection, data, answer=answer)
                go.sendall(data)
        for side in (come, go):
            _shut(side)

    def close(self) -> None:
        """Close all connections and wait for the threads."""
        for one in self._open:
            _shut(one)
            one.close()
        for thread in self._threads:
            thread.join()


def _shut(one: socket.socket) -> None:
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)


@contextmanager
def tap(target: str) -> Iterator[Tap]:
    """Listen on a free port and pass everything on to the server at the URL ``target``."""
    listener = _Listener(target)
    try:
        yield listener.tap
    finally:
        listener.close()
