# SPDX-License-Identifier: Apache-2.0
"""What the client sends reaches the upstream byte for byte, and what it answers comes back."""

import pytest
from support import raw_http, upstreams
from support.server import OpenTrail
from support.upstreams import Upstream

from opentrail.front.head import HEAD_BYTES_MAX

SIGNATURE = (
    "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20260101/us-east-1/s3/aws4_request,"
    " SignedHeaders=host;x-amz-date, Signature=00ff"
)
HOP_BY_HOP = {b"connection", b"keep-alive", b"transfer-encoding"}


@pytest.fixture(scope="module")
def upstream():
    with upstreams.upstream() as found:
        yield found


@pytest.fixture(scope="module")
def server(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory):
    with OpenTrail(tmp_path_factory.mktemp("transparent") / "data", upstream=upstream.url) as found:
        yield found
        seen, accounted = found.accounted()
        assert seen == accounted


def sent(server: OpenTrail, upstream: Upstream, request: bytes) -> upstreams.Received:
    """Send a request that is answered well, and return what reached the upstream."""
    upstream.script = upstreams.answer()
    assert raw_http.call(server.endpoint, request).status == 200
    return upstream.last()


@pytest.mark.parametrize(
    "target",
    [
        "/bucket/a%2Fb",
        "/bucket/a+b%20c",
        "/bucket/%C3%BC%F0%9F%98%80",
        "/bucket/%c3%bc",
        "/bucket//double//slash/",
        "//bucket",
        "/bucket/../x/./%2e%2e",
        "/bucket/k?versionId=a%2Bb+c&x-id=GetObject",
        "/bucket?acl",
        "/bucket?acl=",
        "/bucket?a=1&a=2&&b",
        "/bucket?prefix=%2F&marker=%20",
        "/bucket/k??",
        "/bucket/~user$&'()*,;=:@!",
        '/bucket/[x]|^`{}"<>',
        "/" + "k" * 1024,
        "/_opentrail",
        "/%5Fopentrail/health",
    ],
)
def test_the_request_target_is_untouched(
    server: OpenTrail, upstream: Upstream, target: str
) -> None:
    assert sent(server, upstream, raw_http.request(target, method="GET")).target == target.encode()


@pytest.mark.parametrize(
    "target", ["*", "*@127.0.0.1:1/x", "*.example:80/", "http://elsewhere.example/x"]
)
def test_only_the_path_of_a_target_is_ever_used(
    server: OpenTrail, upstream: Upstream, target: str
) -> None:
    before = len(upstream.received)
    answer = raw_http.call(server.endpoint, raw_http.request(target, method="OPTIONS"))
    if target.startswith("http"):
        assert (answer.status, upstream.last().target) == (200, b"/x")
    else:
        assert answer.status == 400
        assert len(upstream.received) == before


def test_an_empty_query_is_no_query(server: OpenTrail, upstream: Upstream) -> None:
    """The one thing that changes: both have the same meaning and the same signature."""
    got = sent(server, upstream, raw_http.request("/bucket/k?", method="GET"))
    assert got.target == b"/bucket/k"


def test_headers_reach_the_upstream_as_they_were_sent(
    server: OpenTrail, upstream: Upstream
) -> None:
    headers = (
        ("Authorization", SIGNATURE),
        ("X-Amz-Date", "20260101T000000Z"),
        ("X-Amz-Meta-Case", "MiXeD,  two  blanks"),
        ("X-Amz-Meta-Utf8", "gr\u00c3\u00bc\u00c3\u009fe"),
        ("X-Amz-Meta-Twice", "one"),
        ("X-Amz-Meta-Twice", "two"),
        ("X-Amz-Meta-Empty", ""),
        ("Cookie", "a=b; c=d"),
        ("Accept-Encoding", "identity"),
        ("User-Agent", "test/1.0 (\u00c2\u00a9)"),
        ("Content-MD5", "1B2M2Y8AsgTpgAmY7PhCfg=="),
    )
    got = sent(server, upstream, raw_http.request("/b/k", b"body", method="PUT", headers=headers))
    wanted = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]
    assert [pair for pair in got.headers() if pair in wanted] == wanted
    added = [name for name, _ in got.headers() if name not in {n for n, _ in wanted}]
    assert sorted(added) == [b"content-length", b"host", b"x-opentrail-instance"]
    assert got.body == b"body"


@pytest.mark.parametrize("host", ["s3.eu-west-1.amazonaws.com", "b.s3.localhost:4566", "[::1]:80"])
def test_the_host_header_is_the_clients(server: OpenTrail, upstream: Upstream, host: str) -> None:
    got = sent(server, upstream, raw_http.request("/k", method="GET", host=host))
    assert got.header(b"host") == [host.encode()]


def test_headers_for_one_hop_end_here(server: OpenTrail, upstream: Upstream) -> None:
    headers = (
        ("Connection", "keep-alive, X-Private"),
        ("Keep-Alive", "timeout=5"),
        ("X-Private", "for this hop"),
        ("TE", "trailers"),
        ("Proxy-Authorization", "Basic eA=="),
        ("X-Public", "for all"),
    )
    got = sent(server, upstream, raw_http.request("/k", method="GET", headers=headers))
    names = {name for name, _ in got.headers()}
    assert names == {b"host", b"x-public", b"x-opentrail-instance"} | (names & {b"connection"})
    assert got.header(b"connection") in ([], [b"keep-alive"])


def test_a_connection_header_cannot_drop_what_the_call_needs(
    server: OpenTrail, upstream: Upstream
) -> None:
    headers = (("Connection", "close, Host, Authorization"), ("Authorization", SIGNATURE))
    got = sent(server, upstream, raw_http.request("/k", method="GET", headers=headers))
    assert got.header(b"authorization") == [SIGNATURE.encode()]
    assert got.header(b"host") == [b"service.example"]


@pytest.mark.parametrize("method", ["GET", "PUT", "POST", "DELETE", "PATCH", "OPTIONS"])
def test_every_method_and_no_body(server: OpenTrail, upstream: Upstream, method: str) -> None:
    got = sent(server, upstream, raw_http.request("/b/k", method=method))
    assert (got.method.decode(), got.size) == (method, 0)


@pytest.mark.parametrize("body", [b"", b"abc\r\nUpgrade: kept\r\n\r\n"])
def test_an_offer_of_http2_is_not_taken_up(
    server: OpenTrail, upstream: Upstream, body: bytes
) -> None:
    headers = (
        ("Connection", "Upgrade, HTTP2-Settings"),
        ("Upgrade", "h2c"),
        ("HTTP2-Settings", "AAMAAABkAAQCAAAAAAIAAAAA"),
    )
    upstream.script = upstreams.answer()
    with raw_http.connection(server.endpoint) as connection:
        for _ in range(2):
            connection.send(raw_http.request("/k", body, headers=headers))
            assert connection.answer().status == 200
            assert upstream.last().body == body
    names = {name for name, _ in upstream.last().headers()}
    assert names <= {b"host", b"x-opentrail-instance", b"content-length", b"content-type"}


SMUGGLED = b"0\r\n\r\nDELETE /b HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize(
    "lines",
    [
        b"Content-Length: 3\r\nTransfer-Encoding: chunked",
        b"Content-Length: 3\r\nContent-Length: 4",
        b"Content-Length: +3",
        b"Transfer-Encoding: chunked, identity",
        b"Transfer-Encoding: gzip, chunked",
        b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding: xchunked\r\nContent-Length: 3",
        b"Transfer-Encoding : chunked",
        b"X: a\r\n folded",
        b"X: a\0b",
        b"X: a\rY: b",
    ],
)
def test_two_readings_of_one_request_are_refused(
    server: OpenTrail, upstream: Upstream, lines: bytes
) -> None:
    before = len(upstream.received)
    request = b"POST /a HTTP/1.1\r\nHost: x\r\n" + lines + b"\r\n\r\n" + SMUGGLED
    assert raw_http.call(server.endpoint, request).status == 400
    assert len(upstream.received) == before


def test_pipelined_requests_are_answered_in_order(server: OpenTrail, upstream: Upstream) -> None:
    upstream.script = upstreams.answer()
    before = len(upstream.received)
    paths = [b"/one", b"/two", b"/three"]
    with raw_http.connection(server.endpoint) as connection:
        connection.send(b"".join(raw_http.request(path, method="GET") for path in paths))
        assert [connection.answer().status for _ in paths] == [200, 200, 200]
    assert [received.target for received in upstream.received[before:]] == paths


def test_trailers_do_not_become_headers(server: OpenTrail, upstream: Upstream) -> None:
    request = raw_http.request("/b/k", method="PUT", headers=(("Transfer-Encoding", "chunked"),))
    trailers = b"X-Amz-Target: SageMaker.DeleteModel\r\nX-Late: 1\r\n"
    got = sent(server, upstream, request + b"3\r\nabc\r\n0\r\n" + trailers + b"\r\n")
    assert got.body == b"abc"
    assert {b"x-late", b"x-amz-target"}.isdisjoint({name for name, _ in got.headers()})


@pytest.mark.parametrize(
    "status", [200, 201, 206, 301, 307, 400, 403, 404, 409, 412, 429, 500, 503]
)
def test_the_answer_comes_back_as_it_was(
    server: OpenTrail, upstream: Upstream, status: int
) -> None:
    headers = (
        ("Content-Type", "application/x-amz-json-1.1"),
        ("x-amzn-RequestId", "11111111-2222-4333-8444-555555555555"),
        ("Set-Cookie", "a=1; Path=/"),
        ("Set-Cookie", "b=2"),
        ("ETag", '"abc"'),
        ("Location", "http://elsewhere.example/%2F"),
        ("Content-Encoding", "gzip"),
        ("Date", "Thu, 01 Jan 2026 00:00:00 GMT"),
        ("Server", "Test/1"),
        ("X-Utf8", "\u00c3\u00bc"),
    )
    body = bytes(range(256)) * 4
    upstream.script = upstreams.answer(status, body, headers)
    answer = raw_http.call(server.endpoint, raw_http.request("/k", method="GET"))
    wanted = [(n.lower().encode(), v.encode("latin-1")) for n, v in headers]
    assert (answer.status, answer.body) == (status, body)
    assert answer.headers == [*wanted, (b"content-length", b"1024")]


@pytest.mark.parametrize(
    ("method", "status", "length"), [("HEAD", 200, 12345), ("HEAD", 404, 7), ("GET", 304, 99)]
)
def test_answers_without_a_body_end_and_keep_the_connection(
    server: OpenTrail, upstream: Upstream, method: str, status: int, length: int
) -> None:
    answer = upstreams.head(status, (("ETag", '"e"'), ("Content-Length", str(length))))

    def script(exchange: upstreams.Exchange) -> bool:
        exchange.read()
        exchange.send(answer)
        return True

    upstream.script = script
    with raw_http.connection(server.endpoint) as connection:
        for _ in range(2):
            connection.send(raw_http.request("/b/k", method=method))
            found = connection.answer(has_body=False)
            assert (found.status, found.header(b"etag")) == (status, [b'"e"'])
            if method == "HEAD":
                assert found.header(b"content-length") == [str(length).encode()]


def test_a_head_that_does_not_end_is_refused(server: OpenTrail) -> None:
    with raw_http.connection(server.endpoint) as connection:
        connection.send(b"GET /k HTTP/1.1\r\nX: " + b"x" * HEAD_BYTES_MAX)
        assert connection.answer().status == 400


@pytest.mark.parametrize("length", [60_000, 64_000])
def test_long_headers_pass(server: OpenTrail, upstream: Upstream, length: int) -> None:
    headers = (("X-Long", "x" * length),)
    got = sent(server, upstream, raw_http.request("/k", method="GET", headers=headers))
    assert got.header(b"x-long") == [b"x" * length]


def test_no_content(server: OpenTrail, upstream: Upstream) -> None:
    answer = upstreams.head(204, (("x-amz-request-id", "R"),))

    def script(exchange: upstreams.Exchange) -> bool:
        exchange.read()
        exchange.send(answer)
        return True

    upstream.script = script
    with raw_http.connection(server.endpoint) as connection:
        for _ in range(2):
            connection.send(raw_http.request("/b/k", method="DELETE"))
            found = connection.answer()
            assert (found.status, found.headers) == (204, [(b"x-amz-request-id", b"R")])


def test_an_answer_without_a_length_ends_with_the_connection(
    server: OpenTrail, upstream: Upstream
) -> None:
    upstream.script = upstreams.verbatim(b"HTTP/1.0 200 OK\r\nX: y\r\n\r\nall of it")
    assert raw_http.call(server.endpoint, raw_http.request("/k", method="GET")).body == b"all of it"


def test_interim_answers_are_not_the_answer(server: OpenTrail, upstream: Upstream) -> None:
    interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
    upstream.script = upstreams.verbatim(
        interim + upstreams.head(200, (("Content-Length", "2"),)) + b"ok"
    )
    answer = raw_http.call(server.endpoint, raw_http.request("/k", method="GET"))
    assert (answer.status, answer.body) == (200, b"ok")
