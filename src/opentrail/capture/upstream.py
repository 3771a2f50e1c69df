# SPDX-License-Identifier: Apache-2.0
"""The seam to the upstreams: calls go on as they came, over kept connections.

No cookies, no redirects, no decompression, no retries, no rewriting of the URL: what the client
signed is what the upstream sees. A call that found no connection is ``Unreachable`` (the upstream
never saw it); whatever fails later is ``NoAnswer`` (it may have acted).
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping

from opentrail.capture.arrival import ClientGone, WrongBody
from opentrail.capture.channel import (
    NO_VALID_ANSWER,
    Answer,
    BrokenAnswer,
    Channel,
    NoAnswer,
    Unreachable,
)
from opentrail.capture.dial import UpstreamSettings, Way
from opentrail.capture.headers import NOT_FORWARDED, Headers, end_to_end, lines

__all__ = ["Answer", "BrokenAnswer", "NoAnswer", "Unreachable", "UpstreamSettings", "Upstreams"]

KEEPALIVE_S = 4.0
"""Idle connections are dropped before common servers drop theirs (uvicorn: 5 s), so that a call
is rarely written into a connection that is just being closed."""
STOPPED = "OpenTrail was stopped before the upstream had answered"
INSTANCE_HEADER = "x-opentrail-instance"
"""Every OpenTrail on the way adds its own value (unsigned); a request that has ours is a loop."""
_INSTANCE = INSTANCE_HEADER.encode()


class Pool:
    """The connections to one upstream."""

    def __init__(self, way: Way) -> None:
        self.way = way
        self.idle: list[Channel] = []
        self.open: set[Channel] = set()

    def freed(self, channel: Channel) -> None:
        """Keep a connection whose call is answered."""
        self.idle.append(channel)

    def lost(self, channel: Channel) -> None:
        """Forget a connection that is gone."""
        self.open.discard(channel)
        with contextlib.suppress(ValueError):
            self.idle.remove(channel)

    def take(self) -> Channel | None:
        """Return the connection that was used last, if one is free."""
        while self.idle:
            channel = self.idle.pop()
            if not channel.transport.is_closing():
                return channel
        return None

    async def connect(self) -> Channel:
        """Return a new connection. Raises: Unreachable."""
        channel = await self.way.dial(lambda: Channel(self.freed, self.lost))
        if channel.transport.is_closing():
            raise Unreachable(NO_VALID_ANSWER)
        self.open.add(channel)
        return channel

    def sweep(self, now_s: float, silence_s_max: float) -> None:
        """Close what is idle for too long, give up what is silent for too long."""
        idle = set(self.idle)
        for channel in list(self.open):
            if channel not in idle:
                channel.check(now_s, silence_s_max)
            elif now_s - channel.since_s > KEEPALIVE_S:
                channel.abort()
                self.lost(channel)


class Upstreams:
    """Sends calls to the upstream of their service."""

    def __init__(
        self,
        upstreams: Mapping[str, UpstreamSettings],
        *,
        connect_timeout_s: float,
        timeout_s: float,
        instance: str = "",
    ) -> None:
        """``instance``: see ``mark``.

        Raises: UsageError: an upstream's certificates cannot be used.
        """
        self._upstreams = dict(upstreams)
        self._instance = instance.encode()
        self._timeout_s = timeout_s
        self._pools = {
            settings: Pool(Way(settings, connect_timeout_s))
            for settings in set(self._upstreams.values())
        }
        self._pumps: set[asyncio.Task[None]] = set()

    def mark(self, instance: str) -> None:
        """Mark what is forwarded with ``instance``: a call that comes back is recognised by it."""
        self._instance = instance.encode()

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
        headers: Headers,
        body: bytes | AsyncIterator[bytes] | None,
    ) -> Answer:
        """Send one request and return when the head of its answer is here.

        ``raw_target`` is path and query as they came. Raises: Unreachable, NoAnswer.
        """
        pool = self._pools[upstream]
        channel = pool.take() or await pool.connect()
        verb = method.encode()
        target = pool.way.target(raw_target)
        head = b"%b %b HTTP/1.1\r\n%b" % (verb, target, self._fields(pool, headers, body))
        if body is None or isinstance(body, bytes):
            return await channel.call(head + (body or b""), method=verb, whole=True)
        waiter = channel.call(head, method=verb, whole=False)
        framed = b"content-length" not in {name for name, _ in headers}
        pump = asyncio.create_task(_pump(channel, body, framed=framed))
        self._pumps.add(pump)
        pump.add_done_callback(self._pumps.discard)
        return await waiter

    def _fields(
        self, pool: Pool, headers: Headers, body: bytes | AsyncIterator[bytes] | None
    ) -> bytes:
        """Return the header lines that go on, and the empty line."""
        forwarded = end_to_end(headers, NOT_FORWARDED)
        names = {name for name, _ in headers}
        passed = [self._instance]
        if _INSTANCE in names:
            passed = [value for name, value in forwarded if name == _INSTANCE] + passed
            forwarded = [pair for pair in forwarded if pair[0] != _INSTANCE]
        forwarded.append((_INSTANCE, b",".join(passed)))
        if b"host" not in names:
            forwarded.append((b"host", pool.way.host_header))
        if b"content-length" not in names:
            if isinstance(body, bytes) or (b"transfer-encoding" in names and body is None):
                forwarded.append((b"content-length", b"%d" % len(body or b"")))
            elif body is not None:
                forwarded.append((b"transfer-encoding", b"chunked"))
        return lines(forwarded) + b"\r\n"

    def sweep(self, now_s: float) -> None:
        """Do what is due at ``now_s``, the loop's time: called a few times a second."""
        for pool in self._pools.values():
            pool.sweep(now_s, self._timeout_s)

    def close(self) -> None:
        """Close all connections. An answer that has not ended is broken, whatever says its end."""
        for pool in self._pools.values():
            for channel in list(pool.open):
                channel.fail(STOPPED)


async def _pump(channel: Channel, body: AsyncIterator[bytes], *, framed: bool) -> None:
    """Pass a body on as it streams, in chunks where its length is not known."""
    try:
        async for piece in body:
            if piece:
                await channel.write(b"%x\r\n%b\r\n" % (len(piece), piece) if framed else piece)
        channel.finish(b"0\r\n\r\n" if framed else b"")
    except NoAnswer:
        return  # the answer came before the end, or the upstream is gone: the call knows
    except (ClientGone, WrongBody):
        channel.fail(NO_VALID_ANSWER)
