# SPDX-License-Identifier: Apache-2.0
"""A mistake of ours in the middle of a call: it is counted, recorded, and holds nothing."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from contextlib import closing
from email.utils import parsedate_to_datetime
from typing import Any, Never, cast

import pytest

from opentrail import config
from opentrail.aws.request import Credential, RequestHead
from opentrail.capture.arrival import Arrival, RequestBody
from opentrail.capture.call import Call
from opentrail.capture.channel import Answer
from opentrail.capture.headers import Headers
from opentrail.capture.reply import Client
from opentrail.capture.stream import Stream
from opentrail.capture.upstream import Upstreams, UpstreamSettings
from opentrail.clock import SystemClock, SystemIds
from opentrail.errors import Unavailable
from opentrail.eventlog.base import Draft
from opentrail.front.process import Front

HEAD = {
    "host": "x",
    "content-type": "application/x-amz-json-1.1",
    "x-amz-target": "SageMaker.CreateModel",
}


class Mistake(AssertionError):
    """What nobody expects."""


class Broken(Upstreams):
    """Something goes wrong on the way."""

    def __init__(self) -> None:
        super().__init__({}, connect_timeout_s=1, timeout_s=1)

    def find(self, *services: str) -> UpstreamSettings | None:
        raise Mistake(services)


class BrokenHead(dict[str, str]):
    """Headers that cannot be read."""

    def get(self, *_: object) -> Never:
        raise Mistake


class Api:
    async def answer(self, call: Call, credential: Credential | None, body: bytes) -> Answer:
        assert (call.target.operation, credential, body) == ("ListTrails", None, b"{}")
        return Answer(200, [(b"content-length", b"2")], whole=b"{}")


class Told:
    """A client that keeps the head of its answer."""

    def answer(self, status: int, headers: Headers, body: bytes, *, last: bool = False) -> None:
        assert body
        assert not last
        self.status, self.headers = status, dict(headers)


class World:
    """A front without a server."""

    def __init__(self, tmp_path, upstreams: Upstreams | None = None, auth: str = "verify") -> None:
        settings = config.load(None, {}, {"data": str(tmp_path), "api.auth": auth})
        self.front = Front(settings, "127.0.0.1:0", SystemClock(), SystemIds())
        self.refuses = False
        self.gateway = self.front.gateway(upstreams or Broken(), self.append, Api())

    async def append(self, drafts: Sequence[Draft]) -> Sequence[int]:
        if self.refuses:
            raise Unavailable("no room")
        return self.front.log.append(drafts)

    def call(self, headers: Mapping[str, str]) -> None:
        """Make one call, in whose middle something goes wrong."""

        with pytest.raises(Mistake):
            self.told(headers, cast(Client, None))

    def told(self, headers: Mapping[str, str], client: Client) -> None:
        """Make one call."""

        async def handle() -> None:
            stream = Stream(asyncio.ReadTransport())
            stream.feed(b"{}")
            stream.end()
            body = RequestBody(stream, 2)
            body.begin()
            arrival = Arrival(RequestHead("POST", "/", "", headers), [], "192.0.2.1")
            await self.gateway.handle(arrival, body, client)

        asyncio.run(handle())

    def settle_owed(self) -> None:
        """Do what the process does again and again while the log can be written."""
        asyncio.run(self.gateway.settle_owed())

    def in_flight(self) -> float:
        return self.metric("opentrail_calls_in_flight")

    def metric(self, name: str) -> float:
        lines = self.front.metrics.text().decode().splitlines()
        return float(next(line for line in lines if line.startswith(name)).split()[-1])

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(entry.data) for entry in self.front.log.entries(0)]


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path)
    with closing(world.front):
        yield world


def test_a_call_that_a_mistake_breaks_off_is_recorded_as_unknown(world):
    world.call(HEAD)
    (event,) = world.events()
    assert event["eventName"] == "CreateModel"
    assert event["additionalEventData"]["outcome"] == "unknown"
    assert "errorCode" not in event
    assert world.front._inflight.claimed() == 0
    assert world.metric("opentrail_calls_recorded_total") == 1
    assert world.in_flight() == 0


def test_where_that_cannot_be_recorded_the_next_start_does_it(tmp_path):
    world = World(tmp_path)
    world.refuses = True
    world.call(HEAD)
    assert world.events() == []
    assert world.metric("opentrail_calls_failed_total") == 1
    assert world.in_flight() == 0
    world.front.close()
    with closing(World(tmp_path).front) as front:
        assert front.recovered == 1


def test_a_call_that_cannot_be_read_is_counted(world):
    world.call(BrokenHead())
    assert world.metric('opentrail_calls_failed_total{reason="error"}') == 1
    assert world.in_flight() == 0


def test_what_a_full_log_did_not_take_is_recorded_once_it_takes_it(world):
    world.refuses = True
    world.call(HEAD)
    world.call(HEAD)
    assert world.events() == []
    assert world.front._inflight.claimed() == 2
    with pytest.raises(Unavailable):
        world.settle_owed()
    world.refuses = False
    world.settle_owed()
    assert [event["eventName"] for event in world.events()] == ["CreateModel"] * 2
    assert world.front._inflight.claimed() == 0
    world.settle_owed()
    assert len(world.events()) == 2


@pytest.mark.parametrize(
    ("auth", "target", "status"),
    [
        ("off", "CloudTrail_20131101.ListTrails", 200),
        ("verify", "CloudTrail_20131101.ListTrails", 400),
        ("verify", "SageMaker.CreateModel", 503),
    ],
)
def test_an_answer_of_our_own_has_the_time_by_which_sdks_put_their_clocks_right(
    tmp_path, auth, target, status
):
    world = World(tmp_path, Upstreams({}, connect_timeout_s=1, timeout_s=1), auth)
    client = Told()
    with closing(world.front):
        world.told(HEAD | {"x-amz-target": target}, cast(Client, client))
    assert client.status == status
    said = parsedate_to_datetime(client.headers[b"date"].decode()).timestamp()
    assert abs(said - SystemClock().now_ms() / 1000) < 60
