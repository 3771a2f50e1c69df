# SPDX-License-Identifier: Apache-2.0
"""Heads end where they end, however the network splits what a client sends."""

import asyncio
from typing import Any

import pytest

from opentrail.capture.arrival import RequestBody
from opentrail.front.connection import Connection
from opentrail.front.exchange import Exchange
from opentrail.front.head import HeadFilter

SENT = (
    b"PUT /b HTTP/1.1\r\nHost: a\r\nUpGrade: h2c\r\nX: upg\r\nContent-Length: 30\r\n\r\n"
    b"abc\nUpgrade: 1\r\nu\r\nup\r"
)
PASSED = SENT.replace(b"UpGrade:", b"trailer:")


def passed(*pieces: bytes) -> bytes:
    """What the parser gets of the pieces: once it has a whole head, the rest as it comes."""
    heads, out = HeadFilter(), b""
    for piece in pieces:
        out += piece if b"\r\n\r\n" in out else heads.passed(piece)
    return out


def test_every_split_in_three_passes_the_same():
    for first in range(1, len(SENT)):
        for second in range(first + 1, len(SENT)):
            pieces = SENT[:first], SENT[first:second], SENT[second:]
            assert passed(*pieces) == PASSED, pieces


def test_byte_by_byte_and_all_at_once():
    assert passed(SENT) == PASSED
    assert passed(*(SENT[at : at + 1] for at in range(len(SENT)))) == PASSED


class Wire(asyncio.Transport):
    """Takes what is written."""

    def get_extra_info(self, name: str, default: object = None) -> Any:
        del name
        return default

    def write(self, data: object) -> None:
        del data

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class Calls:
    """Answers every request; keeps what came."""

    closing = False

    def __init__(self) -> None:
        self.got: list[tuple[str, bytes | None]] = []
        self.tasks: list[asyncio.Task[None]] = []

    def begin(self, exchange: Exchange) -> None:
        self.tasks.append(asyncio.ensure_future(self.answer(exchange)))

    async def answer(self, exchange: Exchange) -> None:
        body = RequestBody(exchange.stream, exchange.announced)
        body.begin()
        self.got.append((exchange.path, await body.whole(1000)))
        exchange.answer(200, [], b"")

    def opened(self, connection: Connection) -> bool:
        return connection is not None

    def closed(self, connection: Connection) -> None: ...

    def abandoned(self, exchange: Exchange) -> None: ...

    def flush_soon(self, connection: Connection) -> None:
        asyncio.get_running_loop().call_soon(connection.flush)


FIRST = b"POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
BODY = b"a\nupgrade: x\r\n\r\n"
SECOND = b"POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(BODY)


@pytest.mark.parametrize("early", [b"", FIRST[:20], FIRST[:-1], FIRST])
def test_a_body_behind_another_request_passes_as_it_came(early: bytes):
    """Wherever the network splits the two: nothing of a body is taken for a header."""
    sent = FIRST + SECOND + BODY

    async def pieces(*data: bytes) -> list[tuple[str, bytes | None]]:
        calls = Calls()
        connection = Connection(calls)
        connection.connection_made(Wire())
        for piece in data:
            connection.data_received(piece)
        for _ in range(4):
            await asyncio.sleep(0)
        return calls.got

    async def every_split() -> None:
        for at in range(len(early) + 1, len(sent)):
            got = await pieces(early, sent[len(early) : at], sent[at:])
            assert got == [("/1", b"abc"), ("/2", BODY)], at

    asyncio.run(every_split())
