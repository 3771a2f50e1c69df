# SPDX-License-Identifier: Apache-2.0
"""The intake of a real server: what it takes, what it refuses, and what survives its death."""

import gzip
import http.client
import json
import socket
import threading
import uuid
from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from support.aws_clients import Key
from support.sent_records import record, sign_in
from support.server import OpenTrail, wait_until

from opentrail.clock import SystemClock, iso_seconds
from opentrail.sdk.post import PATH, HttpPost, Target
from opentrail.sdk.posting import Delivered, NotSent
from opentrail.sdk.signing import Credentials, signed_headers

SENDER = Key("AKIAQCCCCCCCCCCCCCCC", "not-a-real-secret/used-only-by-tests+0001")
CONFIG = f"""
[access_keys.{SENDER.access_key_id}]
secret_access_key = "{SENDER.secret_access_key}"
user_name = "sender"
policies = ["OpenTrailSendAccess"]
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[OpenTrail]:
    with OpenTrail(tmp_path_factory.mktemp("intake") / "data", config=CONFIG) as running:
        yield running


def sent(**fields: Any) -> dict[str, Any]:
    now = iso_seconds(SystemClock().now_ms())
    return record(**{"eventID": str(uuid.uuid4()), "eventTime": now, **fields})


def post(
    server: OpenTrail, body: bytes, key: Key = SENDER, **headers: str
) -> tuple[int, dict[str, Any]]:
    """Send a request; return status and answer. Raises: OSError, HTTPException."""
    host = server.endpoint.removeprefix("http://")
    credentials = Credentials(key.access_key_id, key.secret_access_key)
    now_s = SystemClock().now_ms() / 1000
    signed = signed_headers(credentials, "us-east-1", host, PATH, body, now_s)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection = http.client.HTTPConnection(host, timeout=20)
    try:
        connection.request("POST", PATH, body, {**signed, **named})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def logged(server: OpenTrail) -> Counter[str]:
    return Counter(event["eventID"] for event in server.events())


def test_all_forms_come_in_and_are_found(server):
    four = [sent(eventName=f"Form{number}") for number in range(4)]
    bodies = [json.dumps(each).encode() for each in four]
    plain = b"[" + bodies[0] + b"]"
    assert post(server, plain, content_type="application/json")[1]["accepted"] == 1
    assert post(server, b'{"Records":[' + bodies[1] + b"]}")[1]["accepted"] == 1
    lines = bodies[2] + b"\n" + bodies[2] + b"\n" + bodies[3][:-1]
    status, answer = post(server, gzip.compress(lines), content_encoding="gzip")
    assert status == 200
    assert [each["verdict"] for each in answer["records"]] == ["accepted", "duplicate", "rejected"]
    assert answer["records"][2]["errorCode"] == "InvalidRecord"
    in_log = {event["eventID"]: event for event in server.events()}
    assert [in_log[each["eventID"]] for each in four[:3]] == four[:3]
    assert four[3]["eventID"] not in in_log
    found = server.lookup(
        LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "Form1"}]
    )
    assert [json.loads(each["CloudTrailEvent"]) for each in found] == [four[1]]


def test_a_sign_in_is_looked_up(server):
    event = {**sent(), **sign_in(), "eventID": str(uuid.uuid4())}
    event["eventTime"] = iso_seconds(SystemClock().now_ms())
    assert post(server, json.dumps(event).encode())[1]["accepted"] == 1
    (found,) = server.lookup(
        LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "ConsoleLogin"}]
    )
    assert json.loads(found["CloudTrailEvent"]) == event


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        (b"[" * 100_000, {}, 400, "InvalidRequestException"),
        (b'[{"eventID":', {}, 400, "InvalidRequestException"),
        (b"", {}, 400, "InvalidRequestException"),
        (b"no gzip", {"content_encoding": "gzip"}, 400, "InvalidRequestException"),
        (b"x", {"content_encoding": "br"}, 415, "UnsupportedMediaTypeException"),
        (b" " * (8 * 1024 * 1024 + 1), {}, 413, "RequestEntityTooLargeException"),
        (
            gzip.compress(bytes(200 * 1024 * 1024), 1),
            {"content_encoding": "gzip"},
            413,
            "RequestEntityTooLargeException",
        ),
    ],
)
def test_what_cannot_be_read_is_refused_as_a_whole(server, body, headers, status, code):
    answer = post(server, body, SENDER, **headers)
    assert (answer[0], answer[1]["__type"]) == (status, code)
    assert server.health()["status"] == "ok"


def test_who_may_not_send_is_told_so(server):
    body = json.dumps(sent()).encode()
    assert post(server, body, Key("AKIAQDDDDDDDDDDDDDDD", "x"))[0] == 403
    status, answer = post(server, body, Key(SENDER.access_key_id, "wrong"))
    assert (status, answer["__type"]) == (403, "InvalidSignatureException")
    other = json.dumps([sent(recipientAccountId="210987654321"), sent()]).encode()
    verdicts = post(server, other)[1]["records"]
    assert [each["verdict"] for each in verdicts] == ["rejected", "accepted"]
    assert post(server, other.replace(b"accountId", b"x"), server.admin)[1]["accepted"] == 2
    assert post(server, body, origin="https://evil.example")[0] == 403
    connection = http.client.HTTPConnection(server.endpoint.removeprefix("http://"), timeout=20)
    for method, expected in (("GET", 405), ("POST", 403)):
        connection.request(method, PATH)
        response = connection.getresponse()
        response.read()
        assert response.status == expected
    connection.close()


def test_all_is_counted(server):
    before = server.metrics()
    two = json.dumps([sent(), sent(awsRegion="../..")]).encode()
    post(server, two)
    post(server, two)
    post(server, b"[")
    after = server.metrics()
    name = 'opentrail_intake_records_total{{verdict="{}"}}'
    grown = {
        verdict: after[name.format(verdict)] - before[name.format(verdict)]
        for verdict in ("accepted", "duplicate", "rejected", "failed")
    }
    assert grown == {"accepted": 1, "duplicate": 1, "rejected": 2, "failed": 0}
    assert after["opentrail_intake_window_records"] > 0
    refused = 'opentrail_intake_refused_total{code="InvalidRequestException"}'
    assert after[refused] - before.get(refused, 0) == 1


def test_the_sender_takes_no_offence_at_a_closed_connection(server):
    key = Credentials(SENDER.access_key_id, SENDER.secret_access_key)
    way = HttpPost(Target(server.endpoint, "us-east-1", key))
    one, two = (json.dumps(sent()).encode() for _ in range(2))
    assert way([one]).accepted == 1
    assert way._connection is not None
    way._connection.sock.shutdown(socket.SHUT_RDWR)
    assert way([one, two]) == Delivered(1, 1, ())
    way.close()
    forged = Credentials(key.access_key_id, "x")
    way = HttpPost(Target(server.endpoint, "us-east-1", forged))
    with pytest.raises(NotSent, match="InvalidSignatureException") as caught:
        way([one])
    assert caught.value.again
    way.close()
    with pytest.raises(NotSent, match="refused"):
        HttpPost(Target("http://127.0.0.1:1", "us-east-1", key))([one])


def test_a_reset_forgets_what_came_in(tmp_path):
    with OpenTrail(tmp_path / "data", "--allow-reset", config=CONFIG) as server:
        body = json.dumps(sent()).encode()
        assert post(server, body)[1]["accepted"] == 1
        connection = http.client.HTTPConnection(server.endpoint.removeprefix("http://"))
        connection.request("POST", "/_opentrail/reset", headers={"X-Opentrail-Reset": "yes"})
        assert connection.getresponse().status == 200
        connection.close()
        assert post(server, body)[1]["accepted"] == 1
        assert post(server, body)[1]["duplicates"] == 1


class Sender(threading.Thread):
    """Sends batches until the server dies; knows what it was told of each."""

    def __init__(self, server: OpenTrail) -> None:
        super().__init__(daemon=True)
        self.server = server
        self.acknowledged: set[str] = set()
        self.unknown: list[bytes] = []
        self.batches = 0

    def run(self) -> None:
        while not self.unknown:
            records = [sent() for _ in range(20)]
            body = json.dumps(records).encode()
            try:
                status, answer = post(self.server, body)
            except (OSError, http.client.HTTPException, ValueError):
                self.unknown.append(body)
                return
            assert (status, answer["accepted"]) == (200, 20)
            self.acknowledged |= {each["eventID"] for each in records}
            self.batches += 1


def all_sent(senders: list[Sender]) -> bool:
    return all(each.batches > 3 for each in senders)


def test_a_killed_server_keeps_what_it_acknowledged_and_takes_the_rest_once(tmp_path):
    with OpenTrail(tmp_path / "data", config=CONFIG) as server:
        for _ in range(3):
            senders = [Sender(server) for _ in range(4)]
            for sender in senders:
                sender.start()
            wait_until(partial(all_sent, senders))
            server.kill()
            for sender in senders:
                sender.join(20)
            server.start()
            kept = logged(server)
            acknowledged = {each for sender in senders for each in sender.acknowledged}
            assert acknowledged <= kept.keys()
            for sender in senders:
                (body,) = sender.unknown
                assert post(server, body)[0] == 200
                again = post(server, body)[1]
                assert (again["duplicates"], again["rejected"]) == (20, 0)
            assert set(logged(server).values()) == {1}
