# SPDX-License-Identifier: Apache-2.0
"""Answers are sent at the end of the loop's turn, in order, and none is left behind."""

import asyncio

import pytest
from support.front_server import running

from opentrail.capture.arrival import Arrival, RequestBody
from opentrail.capture.reply import Client
from opentrail.front.exchange import Exchange

GET = b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize("end", ["close", "close_when_idle"])
def test_an_answer_is_sent_before_its_connection_closes(end: str) -> None:
    """Both in one turn of the loop, at whose end alone answers are sent."""

    async def answer(arrival: Arrival, body: RequestBody, client: Client) -> None:
        del arrival, body
        assert isinstance(client, Exchange)
        client.answer(200, [(b"content-length", b"2")], b"ok")
        getattr(client._connection, end)()

    async def run() -> bytes:
        async with running(answer) as front:
            reader, writer = await front.connect()
            writer.write(GET % 1)
            return await asyncio.wait_for(reader.read(), 1)

    assert asyncio.run(run()).endswith(b"\r\n\r\nok")


def test_answers_that_wait_for_the_turns_end_keep_their_order() -> None:
    """Of requests that come together, some are answered whole, some piece by piece."""

    async def answer(arrival: Arrival, body: RequestBody, client: Client) -> None:
        del body
        number = arrival.head.path.encode()
        if number.endswith((b"2", b"4")):
            client.begin(200, [(b"content-length", b"%d" % len(number))])
            await client.send(number)
            client.end()
        else:
            client.answer(200, [(b"content-length", b"%d" % len(number))], number)

    async def run() -> bytes:
        async with running(answer) as front:
            reader, writer = await front.connect()
            writer.write(b"".join(GET % number for number in range(6)) + b"no HTTP\r\n\r\n")
            return await asyncio.wait_for(reader.read(), 1)

    got = asyncio.run(run())
    paths = [(GET % number).split()[1] for number in range(6)]
    assert [got.index(b"\r\n\r\n" + each) for each in paths] == sorted(
        got.index(b"\r\n\r\n" + each) for each in paths
    )
    assert got.count(b"HTTP/1.1 200") == len(paths)
    assert got.rindex(b"HTTP/1.1 400") > got.rindex(b"HTTP/1.1 200")
