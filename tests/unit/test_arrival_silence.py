# SPDX-License-Identifier: Apache-2.0
"""A client that never ends its request is given up."""

import asyncio

import pytest

from opentrail.capture.arrival import ClientGone, Message, RequestBody


def test_a_silent_client_is_gone_after_a_while():
    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError("it never sends")

    async def begin() -> bool:
        body = RequestBody(receive, "10", wait_s_max=0.05)
        with pytest.raises(ClientGone):
            await body.begin()
        return body.gone

    assert asyncio.run(begin())


def test_a_client_that_sends_is_waited_for():
    pieces = [b"ab", b"cd"]

    async def receive() -> Message:
        await asyncio.sleep(0.01)
        return {"type": "http.request", "body": pieces.pop(0), "more_body": bool(pieces)}

    async def begin() -> bytes:
        body = RequestBody(receive, "4")
        await body.begin()
        return body.kept().data

    assert asyncio.run(begin()) == b"abcd"
