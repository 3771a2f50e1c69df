# SPDX-License-Identifier: Apache-2.0
"""The short way to an object says what the long way says, or nothing."""

from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler

import pytest
from botocore.credentials import ReadOnlyCredentials
from support.s3_server import READER, door, running, serving

from opentrail.objects.base import Put
from opentrail.objects.s3get import MISSES_MAX, S3Get, Where

KEYS = ["a", "a b+c", "é/%2e", "x/" * 20 + "y", "~!*'()$&=;:@,"]


@contextmanager
def reader(url):
    known = ReadOnlyCredentials(READER.access_key_id, READER.secret_access_key, None)
    fast = S3Get(Where(url, "us-east-1", known), "logs")
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
