# SPDX-License-Identifier: Apache-2.0
"""What the SDK makes of answers: the intake's, and those of whoever else stands in its place."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from opentrail.sdk.post import HttpPost, Target
from opentrail.sdk.posting import NotSent

BOUND = 1000


class Stranger(BaseHTTPRequestHandler):
    """Takes what is short, as the intake; answers as it is told to what is not."""

    protocol_version = "HTTP/1.1"
    status = 413
    answer = b"<html>"
    taken: list[bytes]

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        if len(body) > BOUND:
            status, answer = self.status, self.answer
        else:
            records = body.splitlines()
            self.taken += records
            found = {"accepted": len(records), "duplicates": 0, "records": []}
            status, answer = 200, json.dumps(found).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_args):
        pass


@pytest.fixture
def stranger(monkeypatch) -> Iterator[HttpPost]:
    monkeypatch.setattr(Stranger, "taken", [], raising=False)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Stranger)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    post = HttpPost(Target(f"http://127.0.0.1:{server.server_port}", "us-east-1", lambda: None))
    yield post
    post.close()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def _says(monkeypatch, request):
    status, answer = request.param
    monkeypatch.setattr(Stranger, "status", status)
    monkeypatch.setattr(Stranger, "answer", answer)


def test_what_is_too_long_for_a_proxy_is_sent_in_parts(stranger):
    batch = [b"%03d" % count * 30 for count in range(100)]
    delivered = stranger(batch)
    assert delivered.accepted == 100
    assert Stranger.taken == batch


def test_a_record_that_is_too_long_alone_holds_nobody_up(stranger):
    with pytest.raises(NotSent) as caught:
        stranger([b"x" * 2000])
    assert not caught.value.again


@pytest.mark.parametrize(
    ("_says", "again"),
    [
        ((400, b"<html>The plain HTTP request was sent to HTTPS port"), True),
        ((415, b""), True),
        ((404, b"not here"), True),
        ((502, b"<html>"), True),
        ((400, b'{"__type":"InvalidRequestException","message":"m"}'), False),
        ((400, b'{"__type":"ExpiredTokenException","message":"m"}'), True),
        ((403, b'{"__type":"AccessDeniedException","message":"m"}'), True),
    ],
    indirect=["_says"],
)
@pytest.mark.usefixtures("_says")
def test_only_the_intake_says_that_records_are_wrong(stranger, again):
    with pytest.raises(NotSent) as caught:
        stranger([b"x" * 2000])
    assert caught.value.again is again
