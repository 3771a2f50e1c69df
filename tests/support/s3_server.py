# SPDX-License-Identifier: Apache-2.0
"""S3Door on a real port, over directory buckets."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
from support.aws_clients import Key
from support.open_buckets import SettableClock

from opentrail.objects.table import BucketTable
from opentrail.wire.app import ApiResponse, Principal
from opentrail.wire.s3_door import S3Door, S3Request

ACCOUNT = "111122223333"
READER, WRITER, NOBODY = (
    Key(f"AKIATEST{name}", f"secret-of-{name}") for name in ("READ", "ALL", "NO")
)
REQUEST_ID = "11111111-2222-4333-8444-555555555555"


def allowing(*actions: str, resource: str = "*") -> tuple[str, ...]:
    """Return policies that allow ``actions``."""
    statement = {"Effect": "Allow", "Action": actions, "Resource": resource}
    return (msgspec.json.encode({"Version": "2012-10-17", "Statement": [statement]}).decode(),)


POLICIES = {
    READER.access_key_id: allowing("s3:Get*", "s3:List*"),
    WRITER.access_key_id: allowing("s3:*"),
    NOBODY.access_key_id: (),
}


def principal(key: Key) -> Principal:
    """Return who ``key`` is."""
    return Principal(
        f"arn:aws:iam::{ACCOUNT}:user/x", ACCOUNT, key.access_key_id, POLICIES[key.access_key_id]
    )


def door(root: Path, region: str = "us-east-1") -> tuple[S3Door, BucketTable]:
    """Return a door to the directory buckets below ``root``, and the buckets."""
    table = BucketTable({}, root, SettableClock(), region)
    return S3Door(table, ACCOUNT, region), table


def request(path: str = "/", query: str = "", **changes: Any) -> S3Request:
    """Return a reader's GET; ``changes`` replace its fields."""
    usual = S3Request("GET", path, query, {}, principal(READER), REQUEST_ID)
    return replace(usual, **changes)


@contextmanager
def serving(door: S3Door, public_keys: bytes = b"{}") -> Iterator[str]:
    """Yield the endpoint of a server that answers S3's calls by ``door``.

    Any call of CloudTrail's gets ``public_keys``, the answer of ListPublicKeys.
    """

    class Handler(_Handler):
        def found(self) -> ApiResponse:
            if "X-Amz-Target" in self.headers:
                kind = (b"Content-Type", b"application/x-amz-json-1.1")
                return ApiResponse(200, [kind], public_keys)
            return door.handle(self.request_of())

    for method in ("GET", "HEAD", "PUT", "POST", "DELETE"):
        setattr(Handler, f"do_{method}", Handler.answer)
    with running(Handler) as url:
        yield url


@contextmanager
def running(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """Yield the URL of a server on a free port that lets ``handler`` answer."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def found(self) -> ApiResponse:
        """Return the answer to the request."""
        raise NotImplementedError

    def request_of(self) -> S3Request:
        """Return the request as the door takes it; the signature is believed."""
        signed = re.search(r"Credential=([^/]+)/", self.headers["Authorization"])
        assert signed is not None
        path, _, query = self.path.partition("?")
        headers = {name.lower(): value for name, value in self.headers.items()}
        who = principal(Key(signed[1], ""))
        return S3Request(self.command, path, query, headers, who, REQUEST_ID)

    def answer(self) -> None:
        """Answer the request."""
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        found = self.found()
        self.send_response_only(found.status)
        named = {name.lower() for name, _ in found.headers}
        for name, value in found.headers:
            self.send_header(name.decode(), value.decode("latin-1"))
        if b"content-length" not in named and found.status != 304:
            self.send_header("Content-Length", str(len(found.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(found.body)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing."""
