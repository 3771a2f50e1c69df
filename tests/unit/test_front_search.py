# SPDX-License-Identifier: Apache-2.0
"""Downloads whose client leaves: told of truly, and out of the way of others."""

import asyncio
import io
import json
from collections.abc import Callable, Sequence

import pyarrow.parquet as pq
import pytest
from support.data_directories import encoded, record
from support.log_files import HandClock
from support.memory_log import MemoryLog
from support.seeded_ids import SeededIds

from opentrail.access.key_table import KeyTable
from opentrail.aws.request import RequestHead
from opentrail.capture.arrival import Arrival, ClientGone, RequestBody
from opentrail.capture.headers import Headers
from opentrail.capture.identity import Identities, IdentitySettings
from opentrail.capture.stream import Stream
from opentrail.errors import Unavailable
from opentrail.eventlog.base import Draft
from opentrail.front.own_event import OwnEvents
from opentrail.front.search import SearchHttp
from opentrail.history.search import Searcher
from opentrail.wire import search_forms
from opentrail.wire.app import ApiResponse
from opentrail.wire.search_door import Asked, SearchDoor

RECORDS = 4000


class Client:
    """Takes ``pieces`` of an answer, then leaves; None: all. ``silently``: it does so unasked."""

    def __init__(self, pieces: int | None = None, *, silently: bool = False) -> None:
        self._left = pieces
        self._silently = silently
        self.body = b""
        self.status = 0
        self.how = ""

    def answer(self, status: int, headers: Headers, body: bytes, *, last: bool = False) -> None:
        del headers, last
        self.status, self.body, self.how = status, body, "answered"

    def begin(self, status: int, headers: Headers) -> None:
        del headers
        self.status = status

    async def send(self, piece: bytes) -> None:
        assert piece
        if self._left == 0:
            raise ClientGone
        self._left = None if self._left is None else self._left - 1
        self.body += piece

    def end(self) -> None:
        self.how = "ended"

    def break_off(self) -> None:
        self.how = "broken off"

    def on_gone(self, call: Callable[[], None]) -> None:
        if self._silently:
            call()


class World:
    """The search's door over a log in memory, without a process between."""

    def __init__(self) -> None:
        log = MemoryLog()
        log.append([encoded(record(number % 3000)) for number in range(RECORDS)])
        clock = HandClock(1_769_853_600_000)
        self._door = SearchDoor(lambda reads: Searcher(log, (), 0, reads), b"k" * 32, clock)
        self.told: list[dict[str, object]] = []
        self.refusing = False
        events = OwnEvents(
            Identities(IdentitySettings("123456789012", "us-east-1"), KeyTable([])),
            clock,
            SeededIds(1),
        )
        told = (events, self._append)
        self._http = SearchHttp(KeyTable([]), self._search, told, clock, verify=False)

    async def _search(self, asked: Asked) -> ApiResponse:
        return self._door.handle(asked)

    async def _append(self, drafts: Sequence[Draft]) -> list[int]:
        if self.refusing:
            raise Unavailable("full")
        self.told += [json.loads(draft.data) for draft in drafts]
        return [0]

    def ask(self, form: str, client: Client, parameters: str = "", **more: object) -> Client:
        body = Stream(asyncio.ReadTransport())
        body.feed(json.dumps({"format": form, **more}).encode())
        body.end()
        whole = RequestBody(body, 0)
        whole.begin()
        arrival = Arrival(RequestHead("POST", "/_opentrail/search", parameters, {}), [], "")
        asyncio.run(self._http.handle(arrival, whole, client))
        return client


@pytest.fixture
def world(monkeypatch):
    monkeypatch.setattr(search_forms, "GROUP_ROWS", 1000)
    return World()


@pytest.mark.parametrize("silently", [False, True])
def test_clients_that_leave_keep_nobody_out(world, silently):
    for _ in range(search_forms.PARQUET_MAX + 1):
        left = world.ask("parquet", Client(2, silently=silently))
        assert (left.status, left.how) == (200, "")
    client = world.ask("parquet", Client())
    assert (client.status, client.how) == (200, "ended")
    assert pq.ParquetFile(io.BytesIO(client.body)).read().num_rows == RECORDS
    assert [each["eventName"] for each in world.told[-2:]] == ["SearchEvents", "SearchEventsEnded"]
    assert world.told[-1]["responseElements"] == {"records": RECORDS, "complete": True}
    assert {each["responseElements"]["complete"] for each in world.told[1:-2:2]} == {False}


@pytest.mark.parametrize("form", ["ndjson", "parquet"])
def test_a_download_begins_at_its_beginning(world, form):
    page = json.loads(world.ask("json", Client(), maxResults=1000).body)
    refused = world.ask(form, Client(), nextToken=page["nextToken"])
    assert (refused.status, json.loads(refused.body)["__type"]) == (
        400,
        "InvalidNextTokenException",
    )
    assert world.ask(form, Client(), nextToken=None).how == "ended"


def test_what_stands_behind_the_path_is_refused_and_not_passed_over(world):
    for parameters in ("format=csv", "X-Amz-Date=x&maxResults=1000", "query"):
        refused = world.ask("json", Client(), parameters)
        assert (refused.status, json.loads(refused.body)["__type"]) == (
            400,
            "InvalidQueryParameter",
        )
    assert world.ask("json", Client(), "X-Amz-Date=x&&").status == 200


def test_a_log_that_refuses_the_event_keeps_nobody_out(world):
    world.refusing = True
    for _ in range(search_forms.PARQUET_MAX + 1):
        assert world.ask("parquet", Client()).status == 503
    world.refusing = False
    assert world.ask("parquet", Client()).how == "ended"


def test_what_a_client_may_have_read_is_counted(world):
    left = world.ask("ndjson", Client(1))
    assert left.body.count(b"\n") == 1000
    assert world.told[-1]["responseElements"] == {"records": 2000, "complete": False}
    world.ask("ndjson", Client(silently=True))
    assert world.told[-1]["responseElements"] == {"records": 0, "complete": False}
