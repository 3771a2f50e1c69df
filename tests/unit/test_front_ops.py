# SPDX-License-Identifier: Apache-2.0
"""The unsigned endpoints: which requests are answered, and which are kept out before."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from opentrail.aws.request import RequestHead
from opentrail.capture.arrival import Arrival, RequestBody
from opentrail.capture.headers import Headers, text_map
from opentrail.capture.stream import Stream
from opentrail.front.ops import (
    PREFIX,
    RESET_HEADER,
    Endpoint,
    Operations,
    Page,
    json_page,
)

CONFIRMED = (RESET_HEADER.encode(), b"yes")


class Asked:
    """The app, and how often one of its endpoints answered."""

    def __init__(self) -> None:
        self.answers = 0
        endpoints = {
            "health": Endpoint("GET", self._answer),
            "reset": Endpoint("POST", self._answer, RESET_HEADER),
        }
        self.app = Operations(["Audit.Example"])
        self.app.offer(endpoints)

    async def _answer(self) -> Page:
        self.answers += 1
        return json_page(200, {"answer": self.answers})

    def ask(self, method: str, name: str, *headers: tuple[bytes, bytes]) -> dict[str, Any]:
        """Return status, headers and body of one request."""
        arrival = Arrival(
            RequestHead(method, PREFIX + name, "", text_map(list(headers))), list(headers), ""
        )
        client = Answered()
        asyncio.run(self.app.handle(arrival, RequestBody(no_body(), 0), client))
        return {
            "status": client.status,
            "headers": dict(client.headers),
            "body": json.loads(client.body),
        }


def no_body() -> Stream:
    """Return the body of a request that has none."""
    stream = Stream(asyncio.ReadTransport())
    stream.end()
    return stream


class Answered:
    """A client that keeps its answer."""

    def answer(self, status: int, headers: Headers, body: bytes, *, last: bool = False) -> None:
        assert not last
        self.status, self.headers, self.body = status, headers, body

    def begin(self, status: int, headers: Headers) -> None:
        raise AssertionError(status, headers)

    async def send(self, piece: bytes) -> None:
        raise AssertionError(piece)

    def end(self) -> None:
        raise AssertionError

    def break_off(self) -> None:
        raise AssertionError

    def on_gone(self, call: Callable[[], None]) -> None:
        raise AssertionError(call)


@pytest.fixture
def asked():
    return Asked()


def host(name: str) -> tuple[bytes, bytes]:
    return b"host", name.encode("latin-1")


KNOWN = [
    *("localhost", "LocalHost:4540", "127.0.0.1", "127.0.0.1:1", "[::1]", "[::1]:4540"),
    *("192.0.2.1:80", "audit.example", "AUDIT.example:443"),
]
UNKNOWN = [
    *("", ":80", "evil.example", "evil.example:4540", "localhost.evil.example", "localhost:80:80"),
    *("127.0.0.1.evil.example", "127.1", "[::1", "::1", "audit.example.", "x\xff", "[]"),
    *("evil.example#localhost", "localhost@evil.example", "0x7f000001"),
]


@pytest.mark.parametrize("name", KNOWN)
def test_who_asks_by_a_known_name_is_answered(asked, name):
    answer = asked.ask("GET", "health", host(name))
    assert answer["status"] == 200
    assert asked.answers == 1


@pytest.mark.parametrize("name", UNKNOWN)
@pytest.mark.parametrize(("method", "path"), [("GET", "health"), ("POST", "reset"), ("GET", "x")])
def test_who_asks_by_another_name_is_refused(asked, name, method, path):
    answer = asked.ask(method, path, host(name), CONFIRMED)
    assert answer["status"] == 403
    assert "listen.hosts" in answer["body"]["error"]
    assert asked.answers == 0


def test_a_request_without_a_host_is_refused(asked):
    assert asked.ask("GET", "health")["status"] == 403


@pytest.mark.parametrize("origin", [b"http://localhost:4540", b"null", b"", b"http://evil.example"])
@pytest.mark.parametrize(("method", "path"), [("GET", "health"), ("POST", "reset"), ("GET", "x")])
def test_no_page_of_a_browser_may_ask(asked, origin, method, path):
    answer = asked.ask(method, path, host("localhost"), CONFIRMED, (b"origin", origin))
    assert answer["status"] == 403
    assert "Origin" in answer["body"]["error"]
    assert asked.answers == 0


def test_head_asks_as_get_does(asked):
    """Health checks of load balancers and ``wget --spider`` ask so; the connection sends no body."""
    answer = asked.ask("HEAD", "health", host("localhost"))
    assert (answer["status"], asked.answers) == (200, 1)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        *(("POST", "health", "GET"), ("OPTIONS", "health", "GET"), ("get", "health", "GET")),
        *(("GET", "reset", "POST"), ("DELETE", "reset", "POST"), ("HEAD", "reset", "POST")),
    ],
)
def test_another_method_is_told_which_one(asked, method, path, allowed):
    answer = asked.ask(method, path, host("localhost"), CONFIRMED)
    assert answer["status"] == 405
    assert answer["headers"][b"allow"] == allowed.encode()
    assert allowed in answer["body"]["error"]
    assert asked.answers == 0


@pytest.mark.parametrize("value", [None, b"", b"no", b"Yes", b"yes!"])
def test_a_reset_wants_its_header(asked, value):
    headers = () if value is None else ((RESET_HEADER.encode(), value),)
    answer = asked.ask("POST", "reset", host("localhost"), *headers)
    assert answer["status"] == 400
    assert "x-opentrail-reset: yes" in answer["body"]["error"]
    assert asked.answers == 0
    assert asked.ask("POST", "reset", host("localhost"), CONFIRMED)["status"] == 200
    assert asked.answers == 1


@pytest.mark.parametrize("path", ["", "x", "health/", "Health", "../health", "reset/health"])
def test_an_unknown_path_is_told_what_there_is(asked, path):
    answer = asked.ask("GET", path, host("localhost"))
    assert answer["status"] == 404
    assert "/_opentrail/health, /_opentrail/reset" in answer["body"]["error"]


def test_no_answer_is_kept_or_guessed_at_by_a_browser(asked):
    for path in ("health", "nope"):
        headers = asked.ask("GET", path, host("localhost"))["headers"]
        assert headers[b"cache-control"] == b"no-store"
        assert headers[b"x-content-type-options"] == b"nosniff"
        assert headers[b"content-type"] == b"application/json"
