# SPDX-License-Identifier: Apache-2.0
"""A signed GET on a kept connection, and little more: botocore takes two milliseconds for one.

IAM User Guide, "Create a signed AWS API request"; RFC 9112 through llhttp (httptools).
"""

import datetime as dt
import functools
import hashlib
import hmac
import os
import socket
import ssl
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httptools

from opentrail.clock import Clock

if sys.platform == "darwin":
    from urllib.request import getproxies  # the system's settings, too
else:

    def getproxies() -> Mapping[str, str]:
        """Return URLs of proxies by scheme, as ``urllib.request`` does, which takes long to load."""
        names = {scheme: f"{scheme}_proxy" for scheme in _PORTS}
        found = {
            scheme: os.environ.get(name, os.environ.get(name.upper(), ""))
            for scheme, name in names.items()
        }
        return {scheme: url for scheme, url in found.items() if url}


TIMEOUT_S = 30.0
"""A silence after which nothing is waited for any more."""
HEAD_BYTES_MAX = 64 * 1024
"""S3 allows 2 KB of metadata, and its own headers are fewer."""
_RECEIVED_BYTES = 256 * 1024
"""Asked of the kernel at once."""
_NOTHING_SHA256 = hashlib.sha256(b"").hexdigest()
_ALGORITHM = "AWS4-HMAC-SHA256"
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class S3Key:
    """Who asks."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Where:
    """An S3 endpoint and who asks it."""

    endpoint: str
    """URL."""
    region: str
    key: S3Key
    """As it is now: when it has run out, botocore gets another for itself."""
    ca: str = ""
    """A file with the certificates that it is trusted by; "": the usual ones."""


def is_direct(endpoint: str) -> bool:
    """Return whether ``endpoint`` is a URL that can be asked from here, and through no proxy."""
    try:
        url = urlsplit(endpoint)
        plain = url.scheme in _PORTS and bool(url.hostname) and url.port != 0
    except ValueError:
        return False
    return plain and url.scheme not in getproxies()


def key_of_environment() -> S3Key | None:
    """Return the key of the environment, which AWS's clients take before all others.

    None: there is none, or one that runs out, which botocore gets anew.
    """
    key_id, secret = (
        os.environ.get(f"AWS_{name}", "") for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY")
    )
    if not key_id or not secret or os.environ.get("AWS_CREDENTIAL_EXPIRATION"):
        return None
    token = os.environ.get("AWS_SECURITY_TOKEN") or os.environ.get("AWS_SESSION_TOKEN", "")
    return S3Key(key_id, secret, token)


class Answer:
    """Takes in one answer. What is raised here reaches the caller as HttpParserError."""

    def __init__(self, bytes_max: int) -> None:
        self.parser = httptools.HttpResponseParser(self)
        self.is_whole = self.is_kept = False
        self.head_bytes = 0
        self.headers: list[tuple[bytes, bytes]] = []
        """Names in lower case."""
        self._pieces: list[bytes] = []
        self._left = bytes_max

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.parser.get_status_code()

    @property
    def body(self) -> bytes:
        """What was answered."""
        return b"".join(self._pieces)

    def on_message_begin(self) -> None:
        """Refuse a second answer to one request."""
        if self.is_whole:
            raise ValueError

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep it."""
        self.head_bytes += len(name) + len(value)
        if self.head_bytes > HEAD_BYTES_MAX:
            raise ValueError
        self.headers.append((name.lower(), value))

    def on_body(self, piece: bytes) -> None:
        """Keep it, up to the bound."""
        self._left -= len(piece)
        if self._left < 0:
            raise ValueError
        self._pieces.append(piece)

    def on_message_complete(self) -> None:
        """Nothing more belongs to it."""
        self.is_whole = True
        self.is_kept = self.parser.should_keep_alive()  # asked later, it is about the next answer


class S3Ask:
    """Asks an endpoint, each thread on a connection of its own."""

    def __init__(self, where: Where, clock: Clock) -> None:
        """``where``: its endpoint ``is_direct``."""
        url = urlsplit(where.endpoint)
        self._where = where
        self._clock = clock
        self._host = url.netloc.rpartition("@")[2]
        self._address = (url.hostname or "", url.port or _PORTS[url.scheme])
        self._is_secret = url.scheme == "https"
        self._root = url.path.rstrip("/")
        self._mine = threading.local()
        self._open: set[socket.socket] = set()
        """All threads' connections."""
        self._changing = threading.Lock()

    def ask(self, path: str, query: str, bytes_max: int) -> Answer | None:
        """Return what is answered to a GET of ``path`` (from "/" on) with ``query``.

        Both are encoded, the query's parameters in order. None: nobody answers, or nothing that is
        whole, or more than ``bytes_max``.
        """
        try:
            answer = self._asked(self._signed(self._root + path, query), bytes_max)
        except (OSError, httptools.HttpParserError, httptools.HttpParserUpgrade):
            answer = None
        if answer is None or not answer.is_kept:
            self._drop()
        return answer

    def _asked(self, request: bytes, bytes_max: int) -> Answer | None:
        kept: socket.socket | None = getattr(self._mine, "connection", None)
        if kept is not None and kept.fileno() >= 0:
            answer = self._over(kept, request, bytes_max)
            if answer is not None:
                return answer
            self._drop()  # it was closed meanwhile
        return self._over(self._connect(), request, bytes_max)

    def _over(self, connection: socket.socket, request: bytes, bytes_max: int) -> Answer | None:
        """Return a whole answer; None: the connection is closed before. Raises: OSError, and more."""
        answer = Answer(bytes_max)
        room = self._room()
        try:
            connection.sendall(request)
            while not answer.is_whole:
                count = connection.recv_into(room)
                if not count:
                    return None
                answer.parser.feed_data(room[:count])
        except ConnectionError:
            return None
        return answer

    def _room(self) -> memoryview:
        """Return what this thread receives into: so much memory for each piece would cost more."""
        room: memoryview | None = getattr(self._mine, "room", None)
        if room is None:
            room = self._mine.room = memoryview(bytearray(_RECEIVED_BYTES))
        return room

    def _signed(self, path: str, query: str) -> bytes:
        """Return a request with its signature."""
        where = self._where
        now = dt.datetime.fromtimestamp(self._clock.now_ms() // 1000, dt.UTC)
        when = f"{now:%Y%m%dT%H%M%SZ}"
        headers = {
            "host": self._host,
            "x-amz-content-sha256": _NOTHING_SHA256,
            "x-amz-date": when,
        }
        if where.key.session_token:
            headers["x-amz-security-token"] = where.key.session_token
        names = ";".join(headers)
        lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
        canonical = f"GET\n{path}\n{query}\n{lines}\n{names}\n{_NOTHING_SHA256}"
        scope = f"{when[:8]}/{where.region}/s3/aws4_request"
        text = f"{_ALGORITHM}\n{when}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        signature = hmac.digest(_signing_key(where.key, scope), text.encode(), "sha256").hex()
        credential = f"Credential={where.key.access_key_id}/{scope}"
        signed = f"{_ALGORITHM} {credential}, SignedHeaders={names}, Signature={signature}"
        target = f"{path}?{query}" if query else path
        head = f"GET {target} HTTP/1.1\n{lines}authorization:{signed}\n\n"
        return head.replace("\n", "\r\n").encode()

    def _connect(self) -> socket.socket:
        connection = socket.create_connection(self._address, TIMEOUT_S)
        self._keep(connection)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._is_secret:
            trusted = ssl.create_default_context(cafile=self._where.ca or None)
            connection = trusted.wrap_socket(connection, server_hostname=self._address[0])
            self._keep(connection)
        return connection

    def _keep(self, connection: socket.socket | None) -> None:
        """Let the calling thread have this connection, and no other any more."""
        kept: socket.socket | None = getattr(self._mine, "connection", None)
        self._mine.connection = connection
        with self._changing:
            if kept is not None:
                self._open.discard(kept)
            if connection is not None:
                self._open.add(connection)

    def _drop(self) -> None:
        kept: socket.socket | None = getattr(self._mine, "connection", None)
        if kept is not None:
            kept.close()
            self._keep(None)

    def close(self) -> None:
        """Let go of all threads' connections; the next call of each makes another."""
        with self._changing:
            for connection in self._open:
                connection.close()
            self._open.clear()


@functools.lru_cache(maxsize=8)
def _signing_key(key: S3Key, scope: str) -> bytes:
    """Return what signs on one day."""
    derived = f"AWS4{key.secret_access_key}".encode()
    for part in scope.split("/"):
        derived = hmac.digest(derived, part.encode(), "sha256")
    return derived
