# SPDX-License-Identifier: Apache-2.0
"""CloudTrailApi on a real port, over a history small enough to be obviously right."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
from support.aws_clients import Key
from support.memory_log import MemoryLog
from support.trail_rooms import TrailRooms

from opentrail.clock import iso_seconds
from opentrail.errors import Corrupt
from opentrail.history.index import History
from opentrail.history.lookup import Found, Lookup, Page, found_at
from opentrail.wire.app import ApiRequest, CloudTrailApi, Principal
from opentrail.wire.rooms import Lookups, Rooms
from opentrail.wire.throttle import Throttle

ACCOUNT, OTHER_ACCOUNT = "111122223333", "444455556666"
REGION = "us-east-1"
NOW_S = 1_700_000_000
TOKEN_KEY = b"k" * 32

ADMIN = Key("AKIATESTADMIN", "admin-secret-of-the-tests")
READER = Key("AKIATESTREADER", "reader-secret-of-the-tests")
NOBODY = Key("AKIATESTNOBODY", "nobody-secret-of-the-tests")
STRANGER = Key("AKIATESTSTRANGER", "stranger-secret-of-the-tests")

PRINCIPALS = {
    key.access_key_id: Principal(
        arn=f"arn:aws:iam::{account}:user/{name}",
        account=account,
        access_key_id=key.access_key_id,
        policies=policies,
    )
    for key, account, name, policies in (
        (ADMIN, ACCOUNT, "admin", ("CloudTrailFullAccess",)),
        (READER, ACCOUNT, "reader", ("CloudTrailReadOnlyAccess",)),
        (NOBODY, ACCOUNT, "nobody", ()),
        (STRANGER, OTHER_ACCOUNT, "stranger", ("CloudTrailFullAccess",)),
    )
}


DAMAGE = Corrupt("checksum", "log/1.seg at 10", "restore it")


class StoppedClock:
    """A clock that shows NOW_S."""

    def now_ms(self) -> int:
        return NOW_S * 1000

    def monotonic(self) -> float:
        return 0.0


@dataclass
class SmallHistory:
    """Event history as a list: filter, sort, cut."""

    records: list[bytes] = field(default_factory=list)
    damaged: bool = False

    def put(self, data: bytes) -> bytes:
        """Append ``data``, a record."""
        self.records.append(data)
        return data

    def add(self, **changes: object) -> bytes:
        """Append an ordinary record but for ``changes``."""
        return self.put(record(len(self.records), **changes))

    def lookup(self, query: Lookup) -> Page:
        if self.damaged:
            raise DAMAGE
        matches = sorted(self._matches(query), key=_place, reverse=True)
        return Page(matches[: query.limit], len(matches) > query.limit)

    def _matches(self, query: Lookup) -> Iterator[Found]:
        for position, data in enumerate(self.records):
            found = found_at(position, data)
            assert found is not None
            if _wanted(query, found):
                yield found


class IndexedHistory:
    """The real index, over a log in memory."""

    def __init__(self, directory: Path) -> None:
        self.damaged = False
        self._log = MemoryLog()
        self._index = History.open(directory, self._log, StoppedClock())
        self._count = 0

    def put(self, data: bytes) -> bytes:
        """Append ``data``, a record."""
        self._count += 1
        self._log.append([data])
        while self._index.step():
            pass
        return data

    def add(self, **changes: object) -> bytes:
        """Append an ordinary record but for ``changes``."""
        return self.put(record(self._count, **changes))

    def lookup(self, query: Lookup) -> Page:
        if self.damaged:
            raise DAMAGE
        return self._index.lookup(query)


def _place(found: Found) -> tuple[int, int]:
    return found.derived.event_time_s, found.position


def _wanted(query: Lookup, found: Found) -> bool:
    derived, time_s = found.derived, found.derived.event_time_s
    scope = (derived.account, derived.region, derived.category)
    return (
        scope == (query.account, query.region, query.category)
        and (query.attribute is None or query.attribute[1] in derived.values(query.attribute[0]))
        and (query.start_s is None or query.start_s <= time_s)
        and (query.end_s is None or time_s <= query.end_s)
        and (query.after is None or _place(found) < query.after)
    )


def record(number: int, **changes: object) -> bytes:
    """Return the bytes of an ordinary record, one second later for each ``number``."""
    fields: dict[str, object] = {
        "eventVersion": "1.11",
        "userIdentity": {
            "type": "IAMUser",
            "principalId": "AIDATEST",
            "arn": f"arn:aws:iam::{ACCOUNT}:user/alice",
            "accountId": ACCOUNT,
            "accessKeyId": "AKIATESTALICE",
            "userName": "alice",
        },
        "eventTime": iso_seconds((NOW_S - 10_000 + number) * 1000),
        "eventSource": "sagemaker.amazonaws.com",
        "eventName": "CreateModel",
        "awsRegion": REGION,
        "sourceIPAddress": "192.0.2.1",
        "userAgent": "aws-cli",
        "requestParameters": {"modelName": f"model-{number}", "weight": 70.0},
        "responseElements": None,
        "requestID": f"request-{number}",
        "eventID": f"00000000-0000-4000-8000-{number:012d}",
        "readOnly": False,
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": ACCOUNT,
        "eventCategory": "Management",
    }
    return msgspec.json.encode(fields | changes)


def api(history: Lookups, rooms: TrailRooms | None = None) -> CloudTrailApi:
    """Return the API over ``history`` and the trails of ``rooms``; there are none without."""
    trails = rooms or TrailRooms()
    return CloudTrailApi(
        Rooms(
            history=history,
            trails=trails.registry,
            buckets=trails.buckets,
            targets=trails.targets,
            organizations=trails.organizations,
            trails_max=trails.trails_max,
            public_keys=trails.public_keys,
            clock=trails.clock,
            throttle=Throttle(trails.lookup_requests_s, trails.clock),
            token_key=TOKEN_KEY,
        )
    )


def request(operation: str = "LookupEvents", body: bytes = b"{}", **changes: Any) -> ApiRequest:
    """Return an administrator's request; ``changes`` replace its fields."""
    usual = ApiRequest(
        target=f"CloudTrail_20131101.{operation}",
        content_type="application/x-amz-json-1.1",
        method="POST",
        path="/",
        body=body,
        principal=PRINCIPALS[ADMIN.access_key_id],
        account=ACCOUNT,
        region=REGION,
        request_id="11111111-2222-4333-8444-555555555555",
    )
    return replace(usual, **changes)


@contextmanager
def serving(history: Lookups, rooms: TrailRooms | None = None) -> Iterator[str]:
    """Yield the endpoint of a server that answers CloudTrail's API from what ``api`` is given."""
    answering = api(history, rooms)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            response = answering.handle(self._request())
            self.send_response(response.status)
            for name, value in response.headers:
                self.send_header(name.decode(), value.decode())
            self.send_header("Content-Length", str(len(response.body)))
            self.end_headers()
            self.wfile.write(response.body)

        def _request(self) -> ApiRequest:
            signed = re.search(r"Credential=([^/]+)/\d{8}/([^/]+)/", self.headers["Authorization"])
            assert signed is not None
            principal = PRINCIPALS[signed[1]]
            return ApiRequest(
                target=self.headers.get("X-Amz-Target", ""),
                content_type=self.headers.get("Content-Type", ""),
                method=self.command,
                path=self.path,
                body=self.rfile.read(int(self.headers.get("Content-Length", "0"))),
                principal=principal,
                account=principal.account,
                region=signed[2],
                request_id="11111111-2222-4333-8444-555555555555",
            )

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
