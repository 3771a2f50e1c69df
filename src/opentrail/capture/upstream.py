# SPDX-License-Identifier: Apache-2.0
"""The seam to the upstreams: one aiohttp client that passes calls on as they came.

No cookies, no redirects, no decompression, no retries, no rewriting of the URL: what the client
signed is what the upstream sees. Driver errors become ``Unreachable`` (the upstream never saw the
call) or ``NoAnswer`` (it may have acted), in one table.
"""

import functools
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Self

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from opentrail.errors import Unavailable

HEADER_BYTES_MAX = 64 * 1024
"""Longest header line taken from an upstream. S3 user metadata alone may have 2 KB; presigned
locations and session tokens go to some KB."""
URLS_CACHED = 256
"""Parsed URLs that are kept: all calls of the JSON and query protocols have the same one."""
KEEPALIVE_S = 4.0
"""Idle connections are dropped before common servers drop theirs (uvicorn: 5 s), so that a call
is rarely written into a connection that is just being closed."""

HOP_BY_HOP = frozenset(
    b"connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer"
    b" transfer-encoding upgrade".split()
)
"""RFC 9110, 7.6.1: meant for one hop only."""
STATUSES = range(200, 600)
"""What a final answer can have (RFC 9110, 15); 101 would turn the connection into another one."""
NO_BODY = frozenset({204, 304})
"""Their Content-Length, if any, is not that of what follows (RFC 9110, 8.6): it stays behind."""
_END_TO_END = (b"authorization", b"content-", b"host", b"smithy-protocol", b"x-amz")
"""What makes the call: Connection may not name these, or the upstream would be asked for something
else than what is recorded (RFC 9110, 7.6.1: it must not name what all recipients need)."""
_UNSENDABLE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
"""Control characters: no field value may have them (RFC 9110, 5.5), and uvicorn sends none."""
_NO_VALID_ANSWER = "the upstream closed the connection or sent no valid answer"
NOT_FORWARDED = HOP_BY_HOP | {b"expect"}
"""``Expect: 100-continue`` was answered by our own server when the body was first asked for."""


_BROKEN_OFF = "the upstream's answer broke off"


class Unreachable(Unavailable):
    """No connection could be made: the upstream did not see the call."""


class NoAnswer(Unavailable):
    """The call was sent, or partly, and no status came back: it may have taken effect."""


class BrokenAnswer(Unavailable):
    """The status came, the body broke off."""


# The first class that matches decides. Whatever fails before the request can have left is
# Unreachable; everything else may have had an effect.
_FAULTS: tuple[tuple[type[Exception], type[Unavailable]], ...] = (
    (aiohttp.ConnectionTimeoutError, Unreachable),
    (aiohttp.ClientConnectorError, Unreachable),
    (aiohttp.InvalidURL, Unreachable),
    (aiohttp.ClientError, NoAnswer),
    (TimeoutError, NoAnswer),
    (ConnectionError, NoAnswer),
)
DRIVER_ERRORS = tuple(driver for driver, _ in _FAULTS)


def fault(error: Exception) -> Unavailable:
    """Return what a driver error means for the call."""
    kind = next(kind for driver, kind in _FAULTS if isinstance(error, driver))
    if isinstance(error, TimeoutError):
        return kind("the upstream did not answer in time")
    if kind is Unreachable:
        return kind("the upstream cannot be reached")
    return kind(_NO_VALID_ANSWER)


@dataclass(frozen=True, slots=True)
class UpstreamSettings:
    """Where one service's calls go."""

    url: str
    """Scheme, host and port; no path."""
    trusted_identity: bool = False
    verifies_signatures: bool = False


@dataclass(slots=True)
class Answer:
    """An answer: the head, and a body that is here or still streaming."""

    status: int
    headers: list[tuple[bytes, bytes]]
    """End-to-end headers only."""
    chunks: AsyncIterator[bytes] | None = None
    """The body as it streams; None when it is all here, in ``whole``."""
    whole: bytes = b""
    _response: aiohttp.ClientResponse | None = field(default=None, repr=False)

    def header_map(self) -> dict[str, str]:
        """Return the headers with names in lower case; the last value wins."""
        return {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in self.headers}

    async def read_at_once(self) -> None:
        """Take a body that comes in one piece, as short ones do, off the stream.

        Cheaper than the stream. Any other stays one. Raises: BrokenAnswer.
        """
        response, chunks = self._response, self.chunks
        if response is None or chunks is None or not response.content_length:
            return
        try:
            piece = await response.content.readany()
        except DRIVER_ERRORS as error:
            raise BrokenAnswer(_BROKEN_OFF) from error
        if len(piece) == response.content_length:
            self.whole, self.chunks = piece, None
        else:
            self.chunks = joined(piece, chunks)

    @property
    def streams(self) -> bool:
        """Whether more of the body is still to come from the upstream."""
        return self._response is not None and not self._response.content.at_eof()

    def close(self) -> None:
        """Give the connection back, or drop it when the body was not read to its end."""
        if self._response is not None:
            self._response.release()


class Upstreams:
    """Sends calls to the upstream of their service."""

    def __init__(
        self,
        upstreams: Mapping[str, UpstreamSettings],
        *,
        connect_timeout_s: float,
        timeout_s: float,
        instance: str,
    ) -> None:
        """``instance`` marks what we forward, so that a call that comes back is recognised."""
        self._upstreams = dict(upstreams)
        self._instance = instance
        self._timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=connect_timeout_s, sock_read=timeout_s
        )
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEPALIVE_S),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            timeout=self._timeout,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            max_line_size=HEADER_BYTES_MAX,
            max_field_size=HEADER_BYTES_MAX,
        )
        # aiohttp sends an idempotent request again when a kept connection turns out closed; a PUT
        # could then happen twice under one record. It offers no public switch.
        vars(self._session)["_retry_connection"] = False
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    def find(self, *services: str) -> UpstreamSettings | None:
        """Return the upstream of the first of ``services`` that has one, else the default's."""
        for service in (*services, "default"):
            upstream = self._upstreams.get(service)
            if upstream is not None:
                return upstream
        return None

    async def send(
        self,
        upstream: UpstreamSettings,
        method: str,
        raw_target: str,
        headers: list[tuple[bytes, bytes]],
        body: bytes | AsyncIterator[bytes] | None,
    ) -> Answer:
        """Send one request and return when the head of its answer is here.

        ``raw_target`` is path and query as they came. Raises: Unreachable, NoAnswer; and whatever
        ``body`` raises.
        """
        assert self._session is not None
        url = _url(upstream.url, raw_target)
        try:
            response = await self._session.request(
                method,
                url,
                headers=self._forwarded(headers),
                data=body,
                allow_redirects=False,
            )
        except DRIVER_ERRORS as error:
            raise fault(error) from error
        headers = end_to_end(response.raw_headers)
        if response.status not in STATUSES or _UNSENDABLE.search(b"".join(v for _, v in headers)):
            response.close()
            raise NoAnswer(_NO_VALID_ANSWER)
        if response.status in NO_BODY:
            headers = [pair for pair in headers if pair[0] != b"content-length"]
        return Answer(response.status, headers, _chunks(response), _response=response)

    def _forwarded(self, headers: list[tuple[bytes, bytes]]) -> CIMultiDict[str]:
        dropped = NOT_FORWARDED | _named_by_connection(headers)
        forwarded = CIMultiDict(
            [
                (name.decode("latin-1"), _text(value))
                for name, value in headers
                if name not in dropped
            ]
        )
        passed = (*forwarded.getall(INSTANCE_HEADER, ()), self._instance)
        forwarded[INSTANCE_HEADER] = ",".join(passed)
        return forwarded


@functools.lru_cache(maxsize=URLS_CACHED)
def _url(base: str, raw_target: str) -> URL:
    return URL(base.rstrip("/") + raw_target, encoded=True)


def _text(value: bytes) -> str:
    """Return the text that aiohttp, which writes UTF-8, turns into the same bytes again.

    Bytes that are not UTF-8 (few clients still send Latin-1) keep their meaning, not their form.
    """
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


INSTANCE_HEADER = "x-opentrail-instance"
"""Every OpenTrail on the way adds its own value (unsigned); a request that has ours is a loop."""


def end_to_end(headers: "tuple[tuple[bytes, bytes], ...]") -> list[tuple[bytes, bytes]]:
    """Return ``headers`` without those that are meant for one hop."""
    lowered = [(name.lower(), value) for name, value in headers]
    dropped = HOP_BY_HOP | _named_by_connection(lowered)
    return [(name, value) for name, value in lowered if name not in dropped]


def _named_by_connection(headers: list[tuple[bytes, bytes]]) -> frozenset[bytes]:
    values = [value for name, value in headers if name == b"connection"]
    if not values:
        return frozenset()
    named = {part.strip().lower() for part in b",".join(values).split(b",")}
    return frozenset(name for name in named if not name.startswith(_END_TO_END))


async def joined(data: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield ``data``, then ``rest``."""
    yield data
    async for chunk in rest:
        yield chunk


async def _chunks(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    try:
        async for chunk in response.content.iter_any():
            yield chunk
    except DRIVER_ERRORS as error:
        raise BrokenAnswer(_BROKEN_OFF) from error
