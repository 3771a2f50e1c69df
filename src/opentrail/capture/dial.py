# SPDX-License-Identifier: Apache-2.0
"""How an upstream is reached: its address, TLS, and a proxy on the way.

RFC 9112, 3.2.2 (absolute targets, for http through a proxy); RFC 9110, 9.3.6 (CONNECT, for https).
"""

import asyncio
import os
import re
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast
from urllib.parse import SplitResult, urlsplit

from opentrail.capture.channel import TIMED_OUT, Channel, Unreachable
from opentrail.errors import UsageError

CONNECT_BYTES_MAX = 16 * 1024
"""Longest head of a proxy's answer to CONNECT."""
_UNREACHABLE = "the upstream cannot be reached"
_NO_PROXY = "the proxy on the way to the upstream refused or cannot be reached"
_PORTS = {"http": 80, "https": 443}
_ACCEPTED = re.compile(rb"HTTP/1\.[01] 2[0-9][0-9] ")


@dataclass(frozen=True, slots=True)
class UpstreamSettings:
    """Where one service's calls go."""

    url: str
    """Scheme, host and port; no path."""
    trusted_identity: bool = False
    verifies_signatures: bool = False
    forwards_unrecorded: bool = False
    """Whether its calls pass while the log cannot be written; they are counted."""
    ca: str = ""
    """File with the CAs that vouch for it (PEM); empty: the system's."""
    client_cert: str = ""
    """File with the certificate that is shown to it (PEM); empty: none."""
    client_key: str = ""
    """File with its private key (PEM); empty: in the same file."""
    proxy: str = ""
    """http://HOST:PORT; empty: none."""
    credentials_profile: str = ""
    """Where calls are signed anew: the profile of callers without one of their own."""
    checks_bucket_owner: bool = False
    """Whether it refuses a wrong x-amz-expected-bucket-owner, as AWS does."""
    principals: tuple[tuple[str, str], ...] = ()
    """A caller's ARN, role, service or account -> its profile."""

    @property
    def host(self) -> str:
        """What Host says."""
        return urlsplit(self.url).netloc.rpartition("@")[2]


class Way:
    """The way to one upstream, worked out once."""

    def __init__(self, settings: UpstreamSettings, timeout_s: float) -> None:
        """``timeout_s``: for a connection, TLS and proxy included.

        Raises: UsageError: a file of certificates cannot be used.
        """
        split = urlsplit(settings.url)
        self.host, self.port = _address(split)
        self.host_header = split.netloc.rpartition("@")[2].encode()
        """What Host says where the client said nothing."""
        self._timeout_s = timeout_s
        self._tls = _context(settings) if split.scheme == "https" else None
        self._proxy = _address(urlsplit(settings.proxy)) if settings.proxy else None
        absolute = self._proxy is not None and self._tls is None
        self._before = settings.url.rstrip("/").encode() if absolute else b""

    def target(self, raw_target: str) -> bytes:
        """Return the request target that the other end of the connection wants to see."""
        return self._before + raw_target.encode("latin-1")

    async def dial(self, protocol: Callable[[], Channel]) -> Channel:
        """Return a new connection. Raises: Unreachable: no call was sent."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._timeout_s):
                if self._proxy is None:
                    _, channel = await loop.create_connection(
                        protocol, self.host, self.port, ssl=self._tls
                    )
                elif self._tls is None:
                    _, channel = await loop.create_connection(protocol, *self._proxy)
                else:
                    channel = await self._tunnel(self._proxy, self._tls, protocol)
        except TimeoutError as error:
            raise Unreachable(TIMED_OUT) from error
        except (OSError, UnicodeError) as error:  # the latter of a name that can be none
            why = _why(error)
            raise Unreachable(f"{_UNREACHABLE}: {why}" if why else _UNREACHABLE) from error
        return channel

    async def _tunnel(
        self, proxy: tuple[str, int], tls: ssl.SSLContext, protocol: Callable[[], Channel]
    ) -> Channel:
        """Return a connection through the proxy. Raises: Unreachable, OSError."""
        loop = asyncio.get_running_loop()
        try:
            transport, knock = await loop.create_connection(_Connect, *proxy)
        except OSError as error:
            raise Unreachable(_NO_PROXY) from error
        name = f"[{self.host}]" if ":" in self.host else self.host
        there = f"{name}:{self.port}".encode()
        transport.write(b"CONNECT %b HTTP/1.1\r\nHost: %b\r\n\r\n" % (there, there))
        opened = False
        try:
            opened = await knock.opened
        finally:
            if not opened:  # nor when the time is up
                transport.abort()
        if not opened:
            raise Unreachable(_NO_PROXY)
        channel = protocol()
        made = await loop.start_tls(transport, channel, tls, server_hostname=self.host)
        if made is None:
            raise Unreachable(_UNREACHABLE)
        channel.connection_made(made)
        return channel


class _Connect(asyncio.Protocol):
    """Reads a proxy's answer to CONNECT, which nothing may follow before we speak TLS."""

    def __init__(self) -> None:
        self.opened: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._head = b""

    def data_received(self, data: bytes) -> None:
        """Take (a part of) the head."""
        self._head += data
        if b"\r\n\r\n" in self._head:
            alone = self._head.endswith(b"\r\n\r\n")
            self._tell(opened=alone and _ACCEPTED.match(self._head) is not None)
        elif len(self._head) > CONNECT_BYTES_MAX:
            self._tell(opened=False)

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that there will be no answer."""
        del exc
        self._tell(opened=False)

    def _tell(self, *, opened: bool) -> None:
        if not self.opened.done():
            self.opened.set_result(opened)


def _address(split: SplitResult) -> tuple[str, int]:
    return split.hostname or "", split.port or _PORTS[split.scheme]


def _why(error: OSError | UnicodeError) -> str:
    """Return why no connection came about, without the address: clients are told; "" if nobody knows."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate verify failed: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return "TLS: " + (error.reason or "failed").replace("_", " ").lower()
    if isinstance(error, socket.gaierror):
        return error.strerror or ""
    if isinstance(error, OSError):
        return os.strerror(error.errno) if error.errno else ""
    return "its name can be none"


def _context(settings: UpstreamSettings) -> ssl.SSLContext:
    """Return how TLS is spoken to the upstream. Raises: UsageError."""
    try:
        context = ssl.create_default_context(cafile=settings.ca or None)
        if settings.client_cert:
            key = settings.client_key or None
            context.load_cert_chain(settings.client_cert, key, password=_no_password)
    except OSError as error:  # ssl.SSLError is one
        reason = cast(str, getattr(error, "reason", "")) or error.strerror or str(error)
        raise UsageError(
            f"upstream {settings.url}: ca or client_cert cannot be used: {reason}"
        ) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _no_password() -> str:
    """Answer for a key that is encrypted: OpenSSL would ask on the terminal."""
    return ""
