# SPDX-License-Identifier: Apache-2.0
"""Bodies of all sizes and framings stream both ways, and nobody waits for what is already there."""

import gzip
import hashlib
import json
import socket
import struct
import threading
import time

import pytest
from support import raw_http, upstreams
from support.server import OpenTrail, wait_until
from support.upstreams import Exchange, Upstream

from opentrail.event.caps import BODY_KEPT_MAX

JSON = (("Content-Type", "application/x-amz-json-1.1"), ("X-Amz-Target", "SageMaker.AddTags"))
PUT_OBJECT = (
    (
        "Authorization",
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=00",
    ),
)
BIG = 50 * 1024 * 1024
UPLOADED = 200 * 1024 * 1024
GROWTH_MAX = 16 * 1024 * 1024
"""How much the front process may grow while they pass: a few buffers and the allocator's slack."""
SIZES = [0, 1, BODY_KEPT_MAX - 1, BODY_KEPT_MAX, BODY_KEPT_MAX + 1, 1_000_003]


@pytest.fixture(scope="module")
def upstream():
    with upstreams.upstream() as found:
        yield found


@pytest.fixture(scope="module")
def server(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory):
    with OpenTrail(tmp_path_factory.mktemp("bodies") / "data", upstream=upstream.url) as found:
        yield found
        wait_until(lambda: len(set(found.accounted())) == 1)


def pattern(size: int) -> bytes:
    """Return bytes in which a lost or doubled piece shows."""
    return hashlib.shake_128(str(size).encode()).digest(size)


def chunked(body: bytes, piece: int) -> bytes:
    """Return a body in chunk framing."""
    pieces = [body[at : at + piece] for at in range(0, len(body), piece)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in pieces) + b"0\r\n\r\n"


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_request_bodies(server: OpenTrail, upstream: Upstream, size: int, framing: str) -> None:
    body = pattern(size)
    upstream.script = upstreams.answer()
    headers: tuple[tuple[str, str], ...] = PUT_OBJECT
    if framing == "chunked":
        headers = (*PUT_OBJECT, ("Transfer-Encoding", "chunked"))
    sent = chunked(body, 50_000) if framing == "chunked" else body
    request = raw_http.request("/b/k", sent, method="PUT", headers=headers)
    assert raw_http.call(server.endpoint, request).status == 200
    got = upstream.last()
    assert (got.size, got.sha256) == (size, hashlib.sha256(body).hexdigest())


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("headers", [JSON, PUT_OBJECT], ids=["recorded", "streamed"])
def test_response_bodies(
    server: OpenTrail,
    upstream: Upstream,
    size: int,
    framing: str,
    headers: tuple[tuple[str, str], ...],
) -> None:
    body = pattern(size)
    upstream.script = upstreams.answer(200, body, ())
    if framing == "chunked":
        top = upstreams.head(200, (("Transfer-Encoding", "chunked"),))
        upstream.script = upstreams.verbatim(top + chunked(body, 70_000))
    method, target = ("POST", "/") if headers is JSON else ("GET", "/b/k")
    answer = raw_http.call(
        server.endpoint, raw_http.request(target, b"{}", method=method, headers=headers)
    )
    assert (answer.status, answer.body == body) == (200, True)


@pytest.mark.parametrize("over", [-1, 0, 1])
def test_a_request_at_the_bound_is_recorded(
    server: OpenTrail, upstream: Upstream, over: int
) -> None:
    upstream.script = upstreams.answer()
    body = json.dumps({"ResourceArn": f"arn:{over}", "Tags": []}).encode()
    body += b" " * (BODY_KEPT_MAX + over - len(body))
    assert raw_http.call(server.endpoint, raw_http.request("/", body, headers=JSON)).status == 200
    assert upstream.last().size == BODY_KEPT_MAX + over
    found = server.events()[-1]
    assert found["eventName"] == "AddTags"
    omitted = bool(found["requestParameters"].get("omitted"))
    assert omitted == (over > 0)


def test_a_large_upload_takes_no_memory(server: OpenTrail, upstream: Upstream) -> None:
    upstream.script = upstreams.answer()
    before = server.resident_bytes()
    body = pattern(BIG)
    digest = hashlib.sha256()
    headers = (*PUT_OBJECT, ("Content-Length", str(UPLOADED)))
    with raw_http.connection(server.endpoint) as connection:
        connection.send(raw_http.request("/b/k", method="PUT", headers=headers))
        for _ in range(UPLOADED // BIG):
            digest.update(body)
            connection.send(body)
        assert connection.answer().status == 200
    assert upstream.last().sha256 == digest.hexdigest()
    assert server.resident_bytes() - before < GROWTH_MAX


@pytest.mark.parametrize(
    "kind",
    [
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
        "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
    ],
)
@pytest.mark.parametrize("size", [1000, 400_000])
def test_aws_chunked_uploads_pass_as_they_came(
    server: OpenTrail, upstream: Upstream, kind: str, size: int
) -> None:
    upstream.script = upstreams.answer()
    signature = b"" if "UNSIGNED" in kind else b";chunk-signature=" + b"0f" * 32
    data = pattern(size)
    parts = [data[at : at + 65536] for at in range(0, size, 65536)] + [b""]
    body = b"".join(b"%x%b\r\n%b\r\n" % (len(p), signature, p) for p in parts)
    if kind.endswith("TRAILER"):
        body = body[:-2] + b"x-amz-checksum-crc32:AAAAAA==\r\n\r\n"
    headers = (
        *PUT_OBJECT,
        ("Content-Encoding", "aws-chunked"),
        ("X-Amz-Content-Sha256", kind),
        ("X-Amz-Decoded-Content-Length", str(size)),
        ("X-Amz-Trailer", "x-amz-checksum-crc32"),
    )
    answer = raw_http.call(
        server.endpoint, raw_http.request("/b/chunked", body, method="PUT", headers=headers)
    )
    assert answer.status == 200
    got = upstream.last()
    assert got.sha256 == hashlib.sha256(body).hexdigest()
    assert got.header(b"x-amz-content-sha256") == [kind.encode()]
    event = server.events()[-1]
    assert (event["eventName"], event["requestParameters"]["key"]) == ("PutObject", "chunked")


@pytest.mark.parametrize(
    ("body", "headers", "name", "parameters"),
    [
        (
            b'{"ResourceArn":"arn:aws:sagemaker:::x","Tags":[{"Key":"k","Value":"v"}]}',
            JSON,
            "AddTags",
            {"resourceArn": "arn:aws:sagemaker:::x", "tags": [{"key": "k", "value": "v"}]},
        ),
        (
            b"Action=DeleteAlarms&Version=2010-08-01&AlarmNames.member.1=a",
            (("Content-Type", "application/x-www-form-urlencoded"),),
            "DeleteAlarms",
            {"alarmNames": ["a"]},
        ),
    ],
)
def test_a_gzipped_request_passes_as_it_came_and_is_read(
    server: OpenTrail, upstream: Upstream, body: bytes, headers, name: str, parameters
) -> None:
    upstream.script = upstreams.answer()
    packed = gzip.compress(body)
    headers = (*headers, ("Content-Encoding", "gzip"))
    assert raw_http.call(server.endpoint, raw_http.request("/", packed, headers=headers)).status
    assert upstream.last().body == packed
    event = server.events()[-1]
    assert (event["eventName"], event["requestParameters"]) == (name, parameters)


def test_a_request_that_is_a_stream_of_events_is_refused(
    server: OpenTrail, upstream: Upstream
) -> None:
    before = len(upstream.received)
    authorization = PUT_OBJECT[0][1].replace("/s3/", "/lex/")
    path = "/bots/b/botAliases/a/botLocales/en_US/sessions/s/conversation"
    headers = (
        ("Authorization", authorization),
        ("Content-Type", "application/vnd.amazon.eventstream"),
        ("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-EVENTS"),
    )
    answer = raw_http.call(server.endpoint, raw_http.request(path, b"\0\0", headers=headers))
    assert answer.status == 501
    assert answer.header(b"x-amzn-errortype") == [b"NotImplemented"]
    assert b"stream of events" in answer.body
    assert len(upstream.received) == before
    event = server.events()[-1]
    assert (event["eventName"], event["errorCode"]) == ("StartConversation", "NotImplemented")


def test_a_large_download_takes_no_memory_even_from_a_fast_upstream(
    server: OpenTrail, upstream: Upstream
) -> None:
    body = pattern(BIG)
    upstream.script = upstreams.answer(200, body)
    before = peak = server.resident_bytes()
    with raw_http.connection(server.endpoint) as connection:
        connection.send(raw_http.request("/b/k", method="GET", headers=PUT_OBJECT))
        time.sleep(0.5)  # the client does not read: the upstream must be made to wait
        peak = server.resident_bytes()
        assert connection.answer().body == body
    assert max(peak, server.resident_bytes()) - before < GROWTH_MAX


def test_expect_100_continue(server: OpenTrail, upstream: Upstream) -> None:
    upstream.script = upstreams.answer()
    headers = (*PUT_OBJECT, ("Expect", "100-continue"), ("Content-Length", "5"))
    with raw_http.connection(server.endpoint) as connection:
        connection.send(raw_http.request("/b/k", method="PUT", headers=headers))
        assert connection.answer().status == 100
        connection.send(b"hello")
        assert connection.answer().status == 200
    got = upstream.last()
    assert (got.body, got.header(b"expect")) == (b"hello", [])


def test_a_streaming_answer_is_not_held_back(server: OpenTrail, upstream: Upstream) -> None:
    more = threading.Event()

    def script(exchange: Exchange) -> bool:
        exchange.read()
        exchange.send(
            upstreams.head(
                200,
                (
                    ("Content-Type", "application/vnd.amazon.eventstream"),
                    ("Transfer-Encoding", "chunked"),
                ),
            )
        )
        exchange.send(b"5\r\nfirst\r\n")
        assert more.wait(10)
        exchange.send(b"6\r\nsecond\r\n0\r\n\r\n")
        return True

    upstream.script = script
    path = "/endpoints/e/invocations-response-stream"
    authorization = PUT_OBJECT[0][1].replace("/s3/", "/sagemaker/")
    with raw_http.connection(server.endpoint) as connection:
        connection.send(raw_http.request(path, b"{}", headers=(("Authorization", authorization),)))
        status, _ = connection.head()
        first = connection.more()
        recorded = server.events()[-1]["eventName"]
        more.set()
        rest = b""
        while not rest.endswith(b"0\r\n\r\n"):
            rest += connection.more()
    assert (status, first) == (200, b"5\r\nfirst\r\n")
    assert recorded == "InvokeEndpointWithResponseStream"
    assert rest == b"6\r\nsecond\r\n0\r\n\r\n"


def test_an_answer_before_the_end_of_the_request(server: OpenTrail, upstream: Upstream) -> None:
    refusal = upstreams.head(413, (("Content-Length", "2"), ("Connection", "close"))) + b"no"

    def script(exchange: Exchange) -> bool:
        exchange.send(refusal)
        return False

    upstream.script = script
    headers = (*PUT_OBJECT, ("Content-Length", str(BIG)))
    with raw_http.connection(server.endpoint) as connection:
        connection.send(raw_http.request("/b/early", method="PUT", headers=headers))
        connection.send(b"x" * 300_000)
        answer = connection.answer()
    assert (answer.status, answer.body) == (413, b"no")
    assert server.events()[-1]["errorCode"] == "RequestEntityTooLarge"


@pytest.mark.parametrize("sent", [0, 10, 300_000])
def test_a_client_that_leaves_in_its_request(
    server: OpenTrail, upstream: Upstream, sent: int
) -> None:
    """Small: the upstream saw nothing, so there is nothing to record. Large: it may have acted."""
    upstream.script = upstreams.answer()
    calls, before = len(upstream.received), len(server.events())
    headers = (*PUT_OBJECT, ("Content-Length", "400000" if sent > BODY_KEPT_MAX else "100"))
    with raw_http.connection(server.endpoint) as connection:
        connection.send(raw_http.request("/b/left", method="PUT", headers=headers))
        connection.send(b"x" * sent)
        if sent > BODY_KEPT_MAX:
            wait_until(lambda: len(upstream.received) > calls)
    wait_until(lambda: len(set(server.accounted())) == 1)
    new = server.events()[before:]
    if sent > BODY_KEPT_MAX:
        assert [event["additionalEventData"]["outcome"] for event in new] == ["unknown"]
        assert new[0]["additionalEventData"]["outcomeReason"] == "the client closed the connection"
    else:
        assert (new, len(upstream.received)) == ([], calls)


def test_a_client_that_leaves_in_the_answer_frees_the_upstream(
    server: OpenTrail, upstream: Upstream
) -> None:
    freed = threading.Event()

    def script(exchange: Exchange) -> bool:
        exchange.read()
        exchange.send(upstreams.head(200, (("Transfer-Encoding", "chunked"),)))
        try:
            while True:
                exchange.send(b"400\r\n" + b"x" * 1024 + b"\r\n")
                time.sleep(0.01)
        except OSError:
            freed.set()
        return False

    upstream.script = script
    before = len(server.events())
    with raw_http.connection(server.endpoint) as connection:
        connection.send(raw_http.request("/b/endless", method="GET", headers=PUT_OBJECT))
        connection.head()
        reset = struct.pack("ii", 1, 0)
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
    assert freed.wait(5)
    assert [event["eventName"] for event in server.events()[before:]] == ["GetObject"]


def test_a_client_that_leaves_before_the_answer_is_recorded_with_it(
    server: OpenTrail, upstream: Upstream
) -> None:
    asked, gone = threading.Event(), threading.Event()

    def script(exchange: Exchange) -> bool:
        exchange.read()
        asked.set()
        assert gone.wait(10)
        exchange.send(upstreams.head(200, (("Content-Length", "2"),)) + b"{}")
        return True

    upstream.script = script
    before = len(server.events())
    with raw_http.connection(server.endpoint) as connection:
        connection.send(raw_http.request("/", b"{}", headers=JSON))
        assert asked.wait(5)
    gone.set()
    wait_until(lambda: len(server.events()) > before)
    assert (
        "additionalEventData" not in server.events()[-1]
        or "outcome" not in server.events()[-1]["additionalEventData"]
    )
