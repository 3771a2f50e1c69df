# SPDX-License-Identifier: Apache-2.0
"""Connections: their bounds in number and time, and answers in the order of the requests."""

import asyncio
import logging
import resource

import pytest
from support.front_server import Running, running

from opentrail.capture.arrival import Arrival, ClientGone, RequestBody
from opentrail.capture.reply import Client
from opentrail.front.connection import IDLE_S_MAX, SILENCE_S_MAX, Connection
from opentrail.front.exchange import Exchange
from opentrail.front.server import CONNECTIONS_MAX, OPEN_FILES_KEPT, connections_max

GET = b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n"
LAST = b"GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
POST = b"POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n"


def end_of(began: bytes, seconds: float) -> tuple[bytes, int]:
    """Return what a client gets that says no more than ``began``, and how many calls were given up."""

    async def run() -> tuple[bytes, int]:
        async with running() as front:
            reader, writer = await front.connect()
            writer.write(began)
            await front.later(seconds)
            try:
                answer = await asyncio.wait_for(reader.read(), 0.05)
            except TimeoutError:
                answer = b"open"
            return answer, front.app.gone

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("began", "bound", "answer", "gone"),
    [
        (b"", IDLE_S_MAX, b"", 0),
        (b"POST /p HTTP/1.1\r\nHos", SILENCE_S_MAX, b"", 0),
        (POST + b"12345", SILENCE_S_MAX, b"HTTP/1.1 408 ", 1),
    ],
    ids=["idle", "in the head", "in the body"],
)
def test_a_silent_client_is_given_up(began: bytes, bound: float, answer: bytes, gone: int) -> None:
    assert end_of(began, bound - 1) == (b"open", 0)
    got, counted = end_of(began, bound + 1)
    assert (got[: len(answer)], bool(got), counted) == (answer, bool(answer), gone)


def test_a_head_that_drips_is_given_up() -> None:
    async def run() -> bytes:
        async with running() as front:
            reader, writer = await front.connect()
            writer.write(b"GET / HTTP/1.1\r\n")
            await front.later(SILENCE_S_MAX - 1)
            writer.write(b"X: y\r\n")  # being heard of again does not begin the head anew
            await front.later(SILENCE_S_MAX + 1)
            return await asyncio.wait_for(reader.read(), 1)

    assert asyncio.run(run()) == b""


def test_a_client_that_takes_nothing_is_given_up() -> None:
    ended = asyncio.Event()

    async def endless(arrival: Arrival, body: RequestBody, client: Client) -> None:
        del arrival, body
        client.begin(200, [])
        try:
            while True:
                await client.send(b"x" * 65_536)
        except ClientGone:
            ended.set()

    async def run() -> None:
        async with running(endless) as front:
            _, writer = await front.connect()
            writer.write(GET % 1)
            await front.later(SILENCE_S_MAX - 1)
            assert not ended.is_set()
            await front.later(SILENCE_S_MAX + 1)
            await asyncio.wait_for(ended.wait(), 1)

    asyncio.run(run())


def test_a_client_that_does_not_take_half_an_answer_is_given_up() -> None:
    """What is left of it is too little to make the server wait with writing."""
    broken = asyncio.Event()

    async def half(arrival: Arrival, body: RequestBody, client: Client) -> None:
        del arrival, body
        assert isinstance(client, Exchange)
        assert isinstance(client._connection, Connection)
        transport = client._connection.transport
        client.begin(200, [])
        while not transport.get_write_buffer_size():
            await client.send(b"x" * 8192)
        client.break_off()
        broken.set()

    async def run() -> list[int]:
        async with running(half) as front:
            _, writer = await front.connect()
            writer.write(GET % 1)
            await asyncio.wait_for(broken.wait(), 5)
            there = []
            for seconds in (SILENCE_S_MAX - 1, SILENCE_S_MAX + 1):
                await front.later(seconds)
                await asyncio.sleep(0.02)
                there.append(front.server.connections)
            return there

    assert asyncio.run(run()) == [1, 0]


@pytest.mark.parametrize(("clients", "refused"), [(3, 0), (4, 1)])
def test_connections_are_bounded(clients: int, refused: int) -> None:
    async def run() -> None:
        async with running(connections_max=3) as front:
            for number in range(clients):
                reader, writer = await front.connect()
                writer.write(GET % number)
                line = await reader.readline()
                assert line.split()[1] == (b"200" if number < 3 else b"503")
            assert front.server.refused == refused

    asyncio.run(run())


@pytest.mark.parametrize(
    ("files", "most"),
    [
        (OPEN_FILES_KEPT + 2 * CONNECTIONS_MAX + 2, CONNECTIONS_MAX),
        (OPEN_FILES_KEPT + 2 * CONNECTIONS_MAX - 2, CONNECTIONS_MAX - 1),
        (1, 1),
    ],
)
def test_as_many_connections_as_open_files_allow(
    files: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (files, files))
    assert connections_max() == most


def bodies(answer: bytes) -> list[bytes]:
    """Return the bodies of answers that follow one another."""
    return [part.partition(b"\r\n\r\n")[2] for part in answer.split(b"HTTP/1.1 ")[1:]]


def test_pipelined_requests_are_answered_in_order() -> None:
    async def slow_first(arrival: Arrival, body: RequestBody, client: Client) -> None:
        del body
        path = arrival.head.path.encode()
        await asyncio.sleep(0.05 if path == b"/0" else 0)
        client.answer(200, [(b"content-length", b"%d" % len(path))], path)

    async def run() -> bytes:
        async with running(slow_first) as front:
            return await front.ask(b"".join(GET % number for number in range(50)) + LAST)

    wanted = [b"/%d" % number for number in range(50)] + [b"/last"]
    assert bodies(asyncio.run(run())) == wanted


@pytest.mark.parametrize(
    "garbage", [b"\x00\x01", b"GET /x\r\n\r\n", b"GET / HTTP/1.1\r\nX\r\n\r\n"]
)
def test_what_comes_before_garbage_is_answered(garbage: bytes) -> None:
    async def run() -> bytes:
        async with running() as front:
            return await front.ask(GET % 1 + garbage)

    answer = asyncio.run(run())
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.count(b"HTTP/1.1 400 ") == 1


def test_nothing_is_looked_at_after_the_last_request() -> None:
    async def run() -> list[str]:
        async with running() as front:
            await front.ask(LAST + GET % 2)
            return front.app.paths

    assert asyncio.run(run()) == ["/last"]


def test_a_client_that_waits_behind_another_request_is_told_to_go_on() -> None:
    expects = POST.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n")

    async def slow(arrival: Arrival, body: RequestBody, client: Client) -> None:
        await asyncio.sleep(0.02)
        client.answer(200, [(b"content-length", b"0")], b"")
        del arrival, body

    async def run() -> None:
        async with running(slow) as front:
            reader, writer = await front.connect()
            writer.write(GET % 1 + expects)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200")
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            writer.write(b"0123456789")
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")

    asyncio.run(run())


def test_the_rest_of_a_body_that_nobody_wants_is_passed_over() -> None:
    async def run() -> bytes:
        async with running() as front:
            size = 2_000_000
            long = b"PUT /long HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size
            return await front.ask(long + b"x" * size + LAST)

    assert [b"/long" in body or b"/last" in body for body in bodies(asyncio.run(run()))] == [
        True,
        True,
    ]


def test_a_call_that_fails_closes_the_connection(caplog: pytest.LogCaptureFixture) -> None:
    async def broken(arrival: Arrival, body: RequestBody, client: Client) -> None:
        del arrival, body, client
        raise ValueError("a mistake of ours")

    async def run() -> bytes:
        async with running(broken) as front:
            return await front.ask(GET % 1)

    with caplog.at_level(logging.ERROR):
        assert asyncio.run(run()) == b""
    assert "a mistake of ours" in caplog.text


@pytest.mark.parametrize(("pieces", "status"), [(15, b"200"), (20, b"400")])
def test_trailers_are_bounded_and_no_headers(pieces: int, status: bytes) -> None:
    async def run() -> bytes:
        async with running() as front:
            reader, writer = await front.connect()
            writer.write(b"PUT /t HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
            writer.write(b"1\r\nx\r\n0\r\n")
            try:
                for number in range(pieces):
                    await asyncio.sleep(0.002)
                    writer.write(b"X-%d: " % number + b"x" * 4000 + b"\r\n")
                writer.write(b"\r\n")
                return await reader.readline()
            except ConnectionError:
                return b"reset 400"  # what it had not read overtook its answer

    assert asyncio.run(run()).split()[1] == status


@pytest.mark.parametrize(
    "head",
    [
        b"CONNECT a:1 HTTP/1.1\r\n\r\n",
        GET % 1
        + b"GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 3\r\n\r\nabc",
    ],
)
def test_no_other_protocol_is_begun(head: bytes) -> None:
    async def run() -> tuple[bytes, list[str]]:
        async with running() as front:
            return await front.ask(head), front.app.paths

    answer, paths = asyncio.run(run())
    assert b"HTTP/1.1 400 " in answer
    assert paths in ([], ["/1"])


@pytest.mark.parametrize("name", [b"content-length", b"Content-Length"])
def test_a_length_is_framing_enough_however_it_is_written(name: bytes) -> None:
    """RFC 9112, 6.2: never beside Transfer-Encoding; strict clients refuse such an answer."""

    async def sized(_arrival: Arrival, _body: RequestBody, client: Client) -> None:
        client.answer(200, [(name, b"2")], b"ab")

    async def run() -> bytes:
        async with running(sized) as front:
            return await front.ask(LAST)

    head, _, body = asyncio.run(run()).partition(b"\r\n\r\n")
    assert (b"transfer-encoding" in head, body) == (False, b"ab")


def test_an_old_client_is_told_the_end_by_the_end() -> None:
    async def run() -> bytes:
        async with running() as front:
            return await front.ask(b"GET /old HTTP/1.0\r\n\r\n")

    head, _, body = asyncio.run(run()).partition(b"\r\n\r\n")
    assert (b"transfer-encoding" in head, body) == (False, b"/old")


def test_the_end_waits_for_what_has_begun_and_nothing_else() -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(arrival: Arrival, body: RequestBody, client: Client) -> None:
        del arrival, body
        begun.set()
        await go_on.wait()
        client.answer(200, [(b"content-length", b"2")], b"ok")

    async def stop(front: Running) -> None:
        idle, _ = await front.connect()
        reader, writer = await front.connect()
        writer.write(GET % 1)
        await begun.wait()
        front.stopped.set()
        assert await asyncio.wait_for(idle.read(), 1) == b""
        with pytest.raises(ConnectionError):
            await front.connect()
        go_on.set()
        answer = await asyncio.wait_for(reader.read(), 1)
        assert answer.endswith(b"connection: close\r\n\r\nok")

    async def run() -> None:
        async with running(slow) as front:
            await stop(front)

    asyncio.run(run())


def test_what_comes_in_the_turn_of_the_end_is_answered() -> None:
    async def run() -> bytes:
        async with running() as front:
            reader, _ = await front.connect()
            await asyncio.sleep(0.01)
            (connection,) = front.server._connections
            front.stopped.set()
            connection.data_received(b"GET /_opentrail/health HTTP/1.1\r\n\r\n")
            return await asyncio.wait_for(reader.read(), 1)

    assert b"/_opentrail/health" in asyncio.run(run())


def test_calls_that_do_not_end_are_given_up_and_answered() -> None:
    stopped = asyncio.Event()

    async def endless(arrival: Arrival, body: RequestBody, client: Client) -> None:
        del arrival, body
        await stopped.wait()
        client.answer(503, [], b"stopped")

    async def run() -> bytes:
        async with running(endless, give_up=stopped.set, shutdown_timeout_s=0.05) as front:
            asking = asyncio.create_task(front.ask(GET % 1))
            await asyncio.sleep(0.02)
            front.stopped.set()
            return await asyncio.wait_for(asking, 2)

    answer = asyncio.run(run())
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"stopped" in answer


def test_a_connection_that_comes_with_the_end_is_closed() -> None:
    async def run() -> bytes:
        async with running() as front:
            front.server.closing = True
            reader, _ = await front.connect()
            return await asyncio.wait_for(reader.read(), 2)

    assert asyncio.run(run()) == b""
