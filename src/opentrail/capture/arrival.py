# SPDX-License-Identifier: Apache-2.0
"""A request as it arrives: its head, where it comes from, and its body while it streams."""

import hashlib
import ipaddress
import re
from collections.abc import AsyncIterator, Sequence
from typing import NoReturn, Protocol

import msgspec

from opentrail.aws.request import RequestHead
from opentrail.capture.call import Body, Tls
from opentrail.capture.headers import Headers, joined_map, text_map
from opentrail.capture.stream import WAITING_BYTES_MAX, Stream
from opentrail.event.caps import BODY_KEPT_MAX

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_PORTED = re.compile(r"\[([^\[\]]+)\](?::[0-9]+)?|([0-9.]+):[0-9]+")

DECISIVE = frozenset(
    b"authorization content-type host smithy-protocol x-amz-content-sha256 x-amz-date"
    b" x-amz-security-token x-amz-target".split()
)
"""Headers that say what is called, and by whom. One that stands twice is read differently by
different servers (the first, the last, both joined): the record could then tell of another call
than the one that was made."""


class ClientGone(ConnectionError):
    """The client closed the connection, or fell silent, before its request was complete."""


class WrongBody(ConnectionError):
    """The body that came is not the one that was signed: it must not become complete."""


class Arrival(msgspec.Struct, frozen=True, gc=False):
    """What is known of a request before its body."""

    head: RequestHead
    raw_headers: Headers
    source_ip: str
    repeated: str = ""
    """A decisive header that stands more than once; empty when none does."""
    tls: Tls | None = None
    peer: str = ""
    """Who sent it to us: the connection's other end, whatever its headers say."""


def arrive(
    start: tuple[str, str, str],
    raw_headers: Headers,
    peer: str,
    trusted: Sequence[Network],
    tls: Tls | None = None,
) -> Arrival:
    """Read a request's head: ``start`` is method, path and query, ``peer`` who sent it."""
    headers = text_map(raw_headers)
    repeats = len(headers) < len(raw_headers)
    if repeats:
        headers = joined_map(raw_headers)
    source_ip = peer
    if trusted and "x-forwarded-for" in headers:
        source_ip = _client_behind(peer, raw_headers, trusted)
    return Arrival(
        RequestHead(*start, headers),
        raw_headers,
        source_ip,
        _repeated(raw_headers) if repeats else "",
        tls,
        peer,
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
        if not within(current, trusted):
            return current
        named = address_in(hop)
        if not named:
            return current
        current = named
    return current


def address_in(text: str) -> str:
    """Return the address that a connection's end or a hop is called by; "" when it is none.

    It may have a port, as some proxies write it ("10.1.2.3:443", "[2001:db8::1]:443"). An IPv4
    address as IPv6 has it, on a socket of both ("::ffff:10.1.2.3"), is an IPv4 address.
    """
    ported = _PORTED.fullmatch(text)
    address = _address(ported[1] or ported[2] if ported else text)
    if address is None:
        return ""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def within(text: str, networks: Sequence[Network]) -> bool:
    """Return whether an address is of one of ``networks``."""
    address = _address(text)
    return address is not None and any(address in network for network in networks)


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


class BodyCheck(Protocol):
    """Says whether a body is the one that was signed, while it streams."""

    def feed(self, data: bytes) -> bool:
        """Take the next piece; return False when the body is certainly not good."""
        ...

    def complete(self) -> bool:
        """Return whether all that was fed is the whole body that was signed."""
        ...


class Sha256Check:
    """A body whose hash was signed."""

    def __init__(self, digest: str) -> None:
        """``digest``: lower-case hex."""
        self._digest = digest
        self._hash = hashlib.sha256()

    def feed(self, data: bytes) -> bool:
        """See ``BodyCheck``."""
        self._hash.update(data)
        return True

    def complete(self) -> bool:
        """See ``BodyCheck``."""
        return self._hash.hexdigest() == self._digest


class RequestBody:
    """A request's body: passed on as it streams, its beginning kept for the record."""

    __slots__ = ("_announced", "_check", "_kept", "_source", "gone", "size", "wrong")

    def __init__(self, stream: Stream, announced: int) -> None:
        """``announced``: its length as the head says; 0 when it says none."""
        self._source = stream
        self._announced = announced
        self._kept = b""
        self._check: BodyCheck | None = None
        self.size = 0
        """Bytes that were taken from the client so far."""
        self.gone = False
        """Whether the client vanished before the end."""
        self.wrong = False
        """Whether the body was not the one that was signed."""

    @property
    def done(self) -> bool:
        """Whether all of it was taken from the client."""
        return self._source.ended

    @staticmethod
    def begins_with(stream: Stream, announced: int) -> bool:
        """Whether enough has come for the call to begin.

        A body that can be kept is waited for whole: in one piece it costs the many small calls
        fewer steps, and its hash can be checked before anything is forwarded. Of a longer one the
        first piece will do.
        """
        return stream.done or stream.waiting > (BODY_KEPT_MAX if announced <= BODY_KEPT_MAX else 0)

    def begin(self) -> None:
        """Take what has come."""
        self._source.waiting_bytes_max = WAITING_BYTES_MAX
        self._kept = self._source.take()
        self.size = len(self._kept)

    async def _next(self) -> bytes:
        try:
            chunk = await self._source.next()
        except ClientGone:
            self.gone = True
            raise
        self.size += len(chunk)
        return chunk

    @property
    def here(self) -> bytes:
        """What has come of it by now."""
        return self._kept

    async def whole(self, bytes_max: int) -> bytes | None:
        """Return all of it; None when it is longer than ``bytes_max``. Raises: ClientGone."""
        pieces = [self._kept]
        while not self.done and self.size <= bytes_max:
            pieces.append(await self._next())
        return b"".join(pieces) if self.size <= bytes_max else None

    def forwarded(self) -> bytes | AsyncIterator[bytes] | None:
        """Return what goes upstream: None when empty, bytes when all is here, else a stream."""
        if not self._source.ended:
            return self._stream()
        return self._kept or None

    def expect(self, check: BodyCheck) -> bool:
        """Have the body pass only if ``check`` finds it good; return False if it is not already.

        The last piece is held back until that is known: no upstream acts on half a body.
        """
        self._check = check
        return check.feed(self._kept) and (not self.done or check.complete())

    async def _stream(self) -> AsyncIterator[bytes]:
        held = self._kept
        self._kept = held[:BODY_KEPT_MAX]
        while not self.done:
            chunk = await self._next()
            room = BODY_KEPT_MAX - len(self._kept)
            if room > 0:
                self._kept += chunk[:room]
            if self._check is not None and not self._check.feed(chunk):
                self._refuse()
            if chunk:
                yield held
                held = chunk
        if self._check is not None and not self._check.complete():
            self._refuse()
        yield held

    def _refuse(self) -> NoReturn:
        self.wrong = True
        raise WrongBody

    def kept(self) -> Body:
        """Return what was kept so far; a body that has not ended is never complete."""
        size = self.size if self._source.ended else max(self.size + 1, self._announced)
        return Body(self._kept[:BODY_KEPT_MAX], size)

    def sha256(self) -> str:
        """Return the hex digest of the whole body, or "" when it is not here in one piece."""
        whole = self._source.ended and self.size == len(self._kept)
        return hashlib.sha256(self._kept).hexdigest() if whole else ""
