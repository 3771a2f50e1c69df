# SPDX-License-Identifier: Apache-2.0
"""Connections to upstreams: when one is used again, and when it must not be."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from support import upstreams
from support.upstreams import Exchange, Script, Upstream

from opentrail.capture.channel import HEAD_BYTES_MAX, BrokenAnswer, Channel, NoAnswer, Unreachable
from opentrail.capture.dial import Way
from opentrail.capture.upstream import KEEPALIVE_S, Answer, Upstreams, UpstreamSettings

HOST = [(b"host", b"x")]


def sending(upstream: Upstream, work: Callable[["Sender"], Any]) -> Any:
    """Return what ``work`` returns, given something that sends calls to ``upstream``."""

    async def run() -> Any:
        made = Upstreams(
            {"default": UpstreamSettings(upstream.url)},
            connect_timeout_s=1,
            timeout_s=5,
            instance="me",
        )
        try:
            return await work(Sender(made, upstream))
        finally:
            made.close()
            await asyncio.sleep(0.02)  # transports close a turn later

    return asyncio.run(run())


class Sender:
    """Sends calls."""

    def __init__(self, made: Upstreams, upstream: Upstream) -> None:
        self.upstreams = made
        self.upstream = upstream

    async def send(
        self, method: str = "GET", body: bytes | AsyncIterator[bytes] | None = None
    ) -> Answer:
        """Send one call; return its answer, whose body may still stream."""
        settings = self.upstreams.find()
        assert settings is not None
        return await self.upstreams.send(settings, method, "/", HOST, body)

    async def whole(self, method: str = "GET") -> bytes:
        """Send one call; return the body of its answer."""
        answer = await self.send(method)
        await answer.take(1 << 20)
        await asyncio.sleep(0.01)  # what comes too much has come
        return answer.whole


def raw(data: bytes, connections: set[int]) -> Script:
    """Return a script that answers with ``data`` and notes the connection."""

    def script(exchange: Exchange) -> bool:
        exchange.read()
        connections.add(id(exchange._connection))
        exchange.send(data)
        return True

    return script


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.mark.parametrize(
    ("answer", "method", "reused"),
    [
        (OK, "GET", True),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", "GET", True),
        (b"HTTP/1.1 204 No\r\n\r\n", "GET", True),
        (b"HTTP/1.1 304 No\r\nContent-Length: 9\r\n\r\n", "GET", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "HEAD", True),
        (b"HTTP/1.1 200 OK\r\n\r\n", "HEAD", True),
        (b"HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 2\r\n\r\nok", "GET", False),
        (b"HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 9\r\n\r\n", "HEAD", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 9\r\n\r\n", "HEAD", False),
        (OK + OK, "GET", False),
        (OK + b"HTTP", "GET", False),
        (OK + b"x", "GET", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "HEAD", False),
        (b"HTTP/1.1 304 No\r\nContent-Length: 2\r\n\r\nok", "GET", False),
    ],
)
def test_a_connection_is_used_again_only_after_a_clean_end(
    answer: bytes, method: str, *, reused: bool
) -> None:
    """What comes too much would be taken for the answer to the next call."""
    connections: set[int] = set()

    async def twice(sender: Sender) -> list[bytes]:
        return [await sender.whole(method), await sender.whole(method)]

    with upstreams.upstream(raw(answer, connections)) as upstream:
        bodies = sending(upstream, twice)
    assert len(connections) == (1 if reused else 2)
    assert (
        bodies
        == [b"ok" if b"ok" in answer and method == "GET" and b"304" not in answer else b""] * 2
    )


def test_calls_at_once_have_connections_of_their_own() -> None:
    def script(exchange: Exchange) -> bool:
        body = exchange.read().body
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        return True

    async def call(sender: Sender, number: int) -> bool:
        answer = await sender.send("POST", b"%d" % number)
        await answer.take(100)
        return answer.whole == b"%d" % number

    async def many(sender: Sender) -> list[bool]:
        found: list[bool] = []
        for _ in range(5):
            found += await asyncio.gather(*(call(sender, number) for number in range(40)))
        return found

    with upstreams.upstream(script) as upstream:
        assert all(sending(upstream, many))


def test_an_idle_connection_is_dropped_before_the_upstream_does() -> None:
    connections: set[int] = set()

    async def twice(sender: Sender) -> None:
        for seconds in (KEEPALIVE_S - 1, KEEPALIVE_S + 1, 0):
            await sender.whole()
            sender.upstreams.sweep(asyncio.get_running_loop().time() + seconds)

    with upstreams.upstream(raw(OK, connections)) as upstream:
        sending(upstream, twice)
    assert len(connections) == 2


@pytest.mark.parametrize(("seconds", "silent"), [(4, False), (6, True)])
def test_an_upstream_that_does_not_read_is_given_up(seconds: float, *, silent: bool) -> None:
    async def body() -> AsyncIterator[bytes]:
        for _ in range(1000):
            yield b"x" * 65_536

    async def send(sender: Sender) -> bool:
        call = asyncio.create_task(sender.send("PUT", body()))
        await asyncio.sleep(0.1)
        sender.upstreams.sweep(asyncio.get_running_loop().time() + seconds)
        done, _ = await asyncio.wait([call], timeout=0.1)
        if done:
            with pytest.raises(NoAnswer, match="in time"):
                await call
        else:
            call.cancel()
        return bool(done)

    def never_reads(exchange: Exchange) -> bool:
        assert exchange.received.method == b"PUT"
        stuck.wait(5)
        return False

    stuck = threading.Event()
    with upstreams.upstream(never_reads) as upstream:
        assert sending(upstream, send) == silent
        stuck.set()


def test_a_client_that_reads_slowly_is_not_the_upstreams_silence() -> None:
    async def send(sender: Sender) -> int:
        answer = await sender.send()
        await asyncio.sleep(0.05)
        now_s = asyncio.get_running_loop().time()
        sender.upstreams.sweep(now_s + 100)
        assert answer.stream is not None
        size = 0
        while piece := await answer.stream.next():
            size += len(piece)
        return size

    size = 3_000_000
    with upstreams.upstream(upstreams.answer(200, b"x" * size)) as upstream:
        assert sending(upstream, send) == size


@pytest.mark.parametrize(("over", "taken"), [(-100, True), (100, False)])
def test_a_long_head_is_taken_up_to_a_bound(over: int, *, taken: bool) -> None:
    data = (
        b"HTTP/1.1 200 OK\r\nX: "
        + b"x" * (HEAD_BYTES_MAX + over)
        + b"\r\nContent-Length: 2\r\n\r\nok"
    )

    async def send(sender: Sender) -> bool:
        try:
            return await sender.whole() == b"ok"
        except NoAnswer:
            return False

    with upstreams.upstream(upstreams.verbatim(data)) as upstream:
        assert sending(upstream, send) == taken


@pytest.mark.parametrize(("pieces", "taken"), [(15, True), (20, False)])
def test_trailers_are_bounded_too(pieces: int, *, taken: bool) -> None:
    def script(exchange: Exchange) -> bool:
        exchange.read()
        exchange.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n")
        for number in range(pieces):
            time.sleep(0.002)
            exchange.send(b"X-%d: %b\r\n" % (number, b"x" * 4000))
        exchange.send(b"\r\n")
        return True

    async def send(sender: Sender) -> bool:
        try:
            answer = await sender.send()
            await answer.take(100)
        except BrokenAnswer:
            return False
        return answer.whole == b"ok" and "x-1" not in answer.header_map()

    with upstreams.upstream(script) as upstream:
        assert sending(upstream, send) == taken


def test_a_body_that_is_not_wanted_closes_its_connection() -> None:
    connections: set[int] = set()

    async def send(sender: Sender) -> None:
        answer = await sender.send()
        answer.close()
        with pytest.raises(BrokenAnswer):
            await answer.take(1 << 30)
        await sender.send()

    data = b"HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\n\r\n" + b"x" * 100_000
    with upstreams.upstream(raw(data, connections)) as upstream:
        sending(upstream, send)
    assert len(connections) == 2


def test_nobody_there_means_that_nothing_was_sent() -> None:
    async def send(sender: Sender) -> None:
        sender.upstream.url = f"http://127.0.0.1:{upstreams.free_port()}"
        await sender.send()

    with upstreams.upstream() as upstream:
        url, upstream.url = upstream.url, f"http://127.0.0.1:{upstreams.free_port()}"
        with pytest.raises(Unreachable, match="cannot be reached: Connection refused"):
            sending(upstream, send)
        assert url
        assert upstream.received == []


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://a..b", "its name can be none"),
        ("https://127.0.0.1:PORT", "TLS: wrong version number"),
    ],
)
def test_why_an_upstream_cannot_be_reached_is_told(url: str, why: str) -> None:
    def plain(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 no TLS here\r\n\r\n")
        writer.close()

    async def dial() -> None:
        async with await asyncio.start_server(plain, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            way = Way(UpstreamSettings(url.replace("PORT", str(port))), 5.0)
            await way.dial(lambda: Channel(lambda _: None, lambda _: None))

    with pytest.raises(Unreachable) as refused:
        asyncio.run(dial())
    assert refused.value.message == f"the upstream cannot be reached: {why}"


@pytest.mark.parametrize("framing", [b"", b"Content-Length: 9\r\n"], ids=["until closed", "length"])
def test_an_answer_that_our_end_cuts_is_not_whole(framing: bytes) -> None:
    async def send(sender: Sender) -> None:
        answer = await sender.send()
        taking = asyncio.create_task(answer.take(1 << 20))
        await asyncio.sleep(0.02)  # what there is of it has come
        sender.upstreams.close()
        with pytest.raises(BrokenAnswer):
            await taking

    data = b"HTTP/1.1 200 OK\r\n" + framing + b"\r\nhalf"
    with upstreams.upstream(raw(data, set())) as upstream:
        sending(upstream, send)


def test_a_call_that_our_end_cuts_has_no_answer() -> None:
    def silent(exchange: Exchange) -> bool:
        exchange.read()
        return True

    async def send(sender: Sender) -> None:
        asking = asyncio.create_task(sender.send())
        await asyncio.sleep(0.05)
        sender.upstreams.close()
        with pytest.raises(NoAnswer, match="was stopped"):
            await asking

    with upstreams.upstream(silent) as upstream:
        sending(upstream, send)
