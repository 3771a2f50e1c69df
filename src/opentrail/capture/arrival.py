# SPDX-License-Identifier: Apache-2.0
"""A request as it arrives: its head, where it comes from, and its body while it streams."""

import asyncio
import hashlib
import ipaddress
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping, Sequence
from typing import Any

import msgspec

from opentrail.aws.request import RequestHead
from opentrail.capture.call import BODY_KEPT_MAX, Body

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
"""ASGI's own types (ASGI 3.0 specification); their values are untyped there too."""

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


DECISIVE = frozenset(
    b"authorization content-type host smithy-protocol x-amz-content-sha256 x-amz-date"
    b" x-amz-security-token x-amz-target".split()
)
"""Headers that say what is called, and by whom. One that stands twice is read differently by
different servers (the first, the last, both joined): the record could then tell of another call
than the one that was made."""


BODY_WAIT_S_MAX = 60.0
"""Longest silence of a client within a request: as long as botocore itself waits to write. Without
it clients that never end their requests would hold memory and connections for ever."""


class ClientGone(ConnectionError):
    """The client closed the connection, or fell silent, before its request was complete."""


class WrongBody(ConnectionError):
    """The body that came is not the one that was signed: it must not become complete."""


class Arrival(msgspec.Struct, frozen=True, gc=False):
    """What is known of a request before its body."""

    head: RequestHead
    raw_headers: list[tuple[bytes, bytes]]
    raw_target: str
    source_ip: str
    repeated: str = ""
    """A decisive header that stands more than once; empty when none does."""


def arrive(scope: Scope, trusted_proxies: Sequence[Network]) -> Arrival:
    """Read an ASGI scope."""
    raw_headers: list[tuple[bytes, bytes]] = scope["headers"]
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in raw_headers}
    path = scope["raw_path"].decode("latin-1")
    query = scope["query_string"].decode("latin-1")
    client = scope.get("client")
    peer = client[0] if client else ""
    if trusted_proxies and "x-forwarded-for" in headers:
        peer = _client_behind(peer, raw_headers, trusted_proxies)
    return Arrival(
        RequestHead(scope["method"], path, query, headers),
        raw_headers,
        f"{path}?{query}" if query else path,
        peer,
        _repeated(raw_headers) if len(headers) < len(raw_headers) else "",
    )


def _repeated(raw_headers: Sequence[tuple[bytes, bytes]]) -> str:
    names = [name for name, _ in raw_headers]
    return next((name.decode() for name in DECISIVE if names.count(name) > 1), "")


def _client_behind(
    peer: str, raw_headers: Sequence[tuple[bytes, bytes]], trusted: Sequence[Network]
) -> str:
    """Return the rightmost hop that is not a trusted proxy; what lies left of it is hearsay."""
    hops = [
        hop.strip()
        for name, value in raw_headers
        if name == b"x-forwarded-for"
        for hop in value.decode("latin-1").split(",")
    ]
    current = peer
    for hop in reversed(hops):
        if not _within(current, trusted):
            return current
        if _address(hop) is None:
            return current
        current = hop
    return current


def _within(text: str, networks: Sequence[Network]) -> bool:
    address = _address(text)
    return address is not None and any(address in network for network in networks)


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


class RequestBody:
    """A request's body: passed on as it streams, its beginning kept for the record."""

    def __init__(
        self, receive: Receive, content_length: str, wait_s_max: float = BODY_WAIT_S_MAX
    ) -> None:
        """``content_length`` is the header's text; empty when there is none."""
        self._wait_s_max = wait_s_max
        self._receive = receive
        self._kept = bytearray()
        announced = int(content_length) if content_length.isdecimal() else 0
        self._announced = announced
        self._direct_max = BODY_KEPT_MAX if announced <= BODY_KEPT_MAX else 0
        self.size = 0
        self.done = False
        self.gone = False
        """Whether the client vanished before the end."""
        self.wrong = False
        """Whether the body was not the one that was signed."""
        self._expected = ""
        self._hash = hashlib.sha256()

    async def begin(self) -> None:
        """Read a body that can be kept whole, and of a longer one no more than its first piece.

        A body in one piece costs the many small calls fewer steps, and its hash can be checked
        before anything is forwarded. Raises: ClientGone.
        """
        while not self.done and self.size <= self._direct_max:
            self._kept += await self._next()

    async def _next(self) -> bytes:
        try:
            async with asyncio.timeout(self._wait_s_max):
                message = await self._receive()
        except TimeoutError as error:
            self.gone = True
            raise ClientGone from error
        if message["type"] == "http.disconnect":
            self.gone = True
            raise ClientGone
        chunk: bytes = message.get("body", b"")
        self.done = not message.get("more_body", False)
        self.size += len(chunk)
        return chunk

    def forwarded(self) -> bytes | AsyncIterator[bytes] | None:
        """Return what goes upstream: None when empty, bytes when all is here, else a stream."""
        if not self.done:
            return self._stream()
        return bytes(self._kept) or None

    def expect_sha256(self, digest: str) -> None:
        """Have the rest of the body pass only if all of it hashes to ``digest`` (lower-case hex).

        Its last piece is held back until that is known: no upstream acts on half a body.
        """
        self._expected = digest
        self._hash.update(self._kept)

    async def _stream(self) -> AsyncIterator[bytes]:
        held = bytes(self._kept)
        while not self.done:
            chunk = await self._next()
            room = BODY_KEPT_MAX - len(self._kept)
            if room > 0:
                self._kept += chunk[:room]
            if self._expected:
                self._hash.update(chunk)
            if chunk:
                yield held
                held = chunk
        if self._expected and self._hash.hexdigest() != self._expected:
            self.wrong = True
            raise WrongBody
        yield held

    def kept(self) -> Body:
        """Return what was kept so far; a body that has not ended is never complete."""
        size = self.size if self.done else max(self.size + 1, self._announced)
        return Body(bytes(self._kept[:BODY_KEPT_MAX]), size)

    def sha256(self) -> str:
        """Return the hex digest of the whole body, or "" when it is not here in one piece."""
        whole = self.done and self.size == len(self._kept)
        return hashlib.sha256(self._kept).hexdigest() if whole else ""
