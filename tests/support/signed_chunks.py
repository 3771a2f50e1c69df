# SPDX-License-Identifier: Apache-2.0
"""A client that signs an upload chunk by chunk, as AWS's SDK for Java does over http."""

import hashlib
import hmac
from collections.abc import Sequence
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from support.aws_clients import Key

from opentrail.access.chunks import SIGNED_CHUNKS, ChunkSigner

_open = build_opener(ProxyHandler({})).open


def answer(request: Request) -> tuple[int, bytes]:
    """Send a request; return status and body, of an error too."""
    try:
        with _open(request, timeout=20) as found:
            return found.status, found.read()
    except HTTPError as error:
        with error:
            return error.code, error.read()


def put_chunks(
    url: str, key: Key, pieces: Sequence[bytes], spoil: tuple[bytes, bytes] = (b"", b"")
) -> tuple[int, bytes]:
    """Put an object in ``pieces``; what ``spoil`` says first becomes what it says next."""
    headers = {
        "x-amz-content-sha256": SIGNED_CHUNKS,
        "x-amz-decoded-content-length": str(sum(map(len, pieces))),
        "content-encoding": "aws-chunked",
    }
    # Not S3's own signer of botocore: it would hash the body.
    request = AWSRequest("PUT", url, headers)
    credentials = Credentials(key.access_key_id, key.secret_access_key)
    SigV4Auth(credentials, "s3", "us-east-1").add_auth(request)
    sent = dict(request.headers.items())
    date = sent["X-Amz-Date"]
    signer = ChunkSigner(
        _signing_key(key.secret_access_key, date[:8]),
        date,
        f"{date[:8]}/us-east-1/s3/aws4_request",
        sent["Authorization"].rpartition("Signature=")[2],
    )
    body = b""
    for piece in [*pieces, b""]:
        signature = signer.chunk(hashlib.sha256(piece).hexdigest())
        body += f"{len(piece):x};chunk-signature={signature}\r\n".encode() + piece + b"\r\n"
    if spoil[0]:
        body = body.replace(*spoil, 1)
    return answer(Request(url, body, sent, method="PUT"))


def _signing_key(secret: str, day: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (day, "us-east-1", "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key
