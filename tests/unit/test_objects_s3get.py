# SPDX-License-Identifier: Apache-2.0
"""The short way to an object says what the long way says, or nothing."""

import os
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from urllib.parse import quote

import pytest
from support.s3_server import READER, door, running, serving

from opentrail.clock import SystemClock
from opentrail.objects.base import Put
from opentrail.objects.s3ask import S3Key, Where, is_direct, key_of_environment
from opentrail.objects.s3get import MISSES_MAX, S3Get

KEYS = ["a", "a b+c", "é/%2e", "x/" * 20 + "y", "~!*'()$&=;:@,"]


@contextmanager
def reader(url):
    known = S3Key(READER.access_key_id, READER.secret_access_key)
    fast = S3Get(Where(url, "us-east-1", known), "logs", SystemClock())
    yield fast
    fast.close()


def test_it_reads_what_was_put(tmp_path):
    opened, table = door(tmp_path)
    for key in KEYS:
        table.find("logs").put(key, key.encode() * 99, Put(metadata={"signature": "00ff"}))
    with serving(opened) as url, reader(url + "/") as fast:
        for key in KEYS:
            assert fast.get(key) == ({"signature": "00ff"}, key.encode() * 99)
        assert fast.get("none") is None
        assert fast.get("a") is not None


def test_after_some_misses_it_is_no_longer_asked(tmp_path):
    opened, table = door(tmp_path)
    table.find("logs").put("a", b"", Put())
    with serving(opened) as url:
        for count, found in ((MISSES_MAX - 1, True), (MISSES_MAX, False)):
            with reader(url) as fast:
                for _ in range(count):
                    assert fast.get("none") is None
                assert (fast.get("a") is not None) is found


@contextmanager
def answering(head, body):
    """Yield the URL of a server that gives every GET the same answer, and then hangs up."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.wfile.write(b"HTTP/1.1 " + head + b"\r\n\r\n" + body)
            self.close_connection = True

        def log_message(self, *_):
            """Say nothing."""

    with running(Handler) as url:
        yield url


@pytest.mark.parametrize(
    ("head", "body"),
    [
        (b"200 OK\r\nContent-Length: 9", b"short"),
        (b"200 OK\r\nContent-Length: 999999999999", b"x"),
        (b"200 OK\r\nTransfer-Encoding: chunked", b"9\r\nshort"),
        (b"200 OK\r\nContent-Type: text/html\r\nContent-Length: 4", b"soon"),
        (b"206 Partial Content\r\nContent-Length: 1", b"x"),
        (b"301 Moved\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0", b""),
        (b"nonsense", b""),
    ],
)
def test_no_other_answer_is_taken_for_the_object(head, body):
    with answering(head, body) as url, reader(url) as fast:
        assert fast.get("a") is None
    with reader(url) as fast:
        assert fast.get("a") is None  # nobody is there


def page_of(keys, more="false", count=None, kind="url", before=""):
    """Return a page of a listing as S3 writes it."""
    items = "".join(f"<Contents><Key>{quote(key)}</Key><Owner>x</Owner></Contents>" for key in keys)
    return (
        f"{before}<ListBucketResult xmlns='x'><EncodingType>{kind}</EncodingType>"
        f"<KeyCount>{len(keys) if count is None else count}</KeyCount>"
        f"<IsTruncated>{more}</IsTruncated>{items}</ListBucketResult>"
    ).encode()


def test_it_lists_what_is_there(tmp_path):
    opened, table = door(tmp_path)
    bucket = table.find("logs")
    for key in KEYS:
        bucket.put(key, b"", Put())
    with serving(opened) as url, reader(url) as fast:
        assert fast.page("", "") == (sorted(KEYS), False)
        assert fast.page("a", "a") == (["a b+c"], False)
        assert fast.page("\ud800", "") is None


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (page_of(["a", "b"], "true"), (["a", "b"], True)),
        (page_of([]), ([], False)),
        (page_of(["a+b", "a\n", "é"]), None),  # not in order
        (page_of(["a", "b"], count=3), None),
        (page_of(["a"], kind=""), None),
        (page_of([], "true"), None),  # it would be asked for ever
        (page_of(["a"], "maybe"), None),
        (page_of(["a"])[:-3], None),
        (page_of(["a"], before="<!DOCTYPE x [<!ENTITY e 'e'>]>"), None),
        (b"", None),
    ],
)
def test_only_a_whole_listing_is_taken_for_one(body, found):
    head = b"200 OK\r\nContent-Length: %d" % len(body)
    with answering(head, body) as url, reader(url) as fast:
        assert fast.page("", "") == found
    with answering(head, body) as url, reader(url) as fast:
        assert fast.page("", "b") in (([], False), None)  # what comes again is no progress


@pytest.mark.parametrize("kept", [True, False])
def test_a_connection_is_kept_and_made_anew_when_it_was_closed(kept):
    connections = set()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            connections.add(self.client_address)
            self.wfile.write(b'HTTP/1.1 200 OK\r\nETag: "1"\r\nContent-Length: 1\r\n\r\n1')
            self.close_connection = not kept  # without a word

        def log_message(self, *_):
            """Say nothing."""

    with running(Handler) as url, reader(url) as fast:
        for _ in range(3):
            assert fast.get("a") == ({}, b"1")
    assert len(connections) == (1 if kept else 3)


@pytest.mark.parametrize(
    ("environment", "key"),
    [
        ({}, None),
        ({"AWS_ACCESS_KEY_ID": "A"}, None),
        ({"AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "s"}, S3Key("A", "s")),
        (
            {"AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "s", "AWS_SESSION_TOKEN": "t"},
            S3Key("A", "s", "t"),
        ),
        (
            {
                "AWS_ACCESS_KEY_ID": "A",
                "AWS_SECRET_ACCESS_KEY": "s",
                "AWS_CREDENTIAL_EXPIRATION": "2026-01-01T00:00:00Z",
            },
            None,
        ),
    ],
)
def test_the_environments_key_is_the_one_that_botocore_takes(environment, key, monkeypatch):
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert key_of_environment() == key


@pytest.mark.parametrize(
    ("endpoint", "direct"),
    [
        ("http://127.0.0.1:9000", True),
        ("https://s3.local/path", True),
        ("http://x:port", False),
        ("ftp://x", False),
        ("http://", False),
        ("http://x:99999", False),
    ],
)
def test_which_endpoints_are_asked_directly(endpoint, direct, monkeypatch):
    for scheme in ("http", "https", "HTTP", "HTTPS", "all", "ALL"):
        monkeypatch.delenv(f"{scheme}_proxy", raising=False)
    assert is_direct(endpoint) is direct
    monkeypatch.setenv("http_proxy", "http://proxy:3128")
    assert is_direct(endpoint) is (direct and endpoint.startswith("https"))
