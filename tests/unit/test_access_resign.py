# SPDX-License-Identifier: Apache-2.0
"""Requests that are signed anew hold for botocore's own signer, which checks every one of them."""

import hashlib

import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from support.signed_requests import Signed, Signer

from opentrail.access.chunks import ChunkCheck, ChunkSigner
from opentrail.access.resign import (
    CHUNK_BYTES_MAX,
    ChunkResigner,
    Resigned,
    Unsigned,
    UpstreamKey,
    resign,
)
from opentrail.access.sigv4 import chunk_signer
from opentrail.aws.request import Credential

KEY = UpstreamKey("ASIAUPSTREAM00000000", "the-upstream-secret", "the-upstream-token")
PLAIN = UpstreamKey("AKIAUPSTREAM00000000", "the-upstream-secret")
HOST = "service.us-east-1.example.com"
NOW_MS = 1_700_000_000_000
TIMESTAMP = "20231114T221320Z"


def resigned(signed: Signed, key: UpstreamKey = KEY, **more: str) -> Resigned:
    declared = signed.head.headers.get("x-amz-content-sha256", "")
    raw = [(name.encode(), value.encode("latin-1")) for name, value in signed.head.headers.items()]
    raw.extend((name.encode(), value.encode()) for name, value in more.items())
    service = signed.credential.signing_name
    presigned = signed.credential.presigned and service == "s3"
    return resign(
        Unsigned(
            signed.head,
            raw,
            frozenset(signed.credential.signed_headers),
            "UNSIGNED-PAYLOAD" if presigned else declared or signed.digest,
            HOST,
            "us-east-1",
            service,
        ),
        key,
        NOW_MS,
    )


def botocores(signed: Signed, made: Resigned, key: UpstreamKey = KEY) -> str:
    """Return the signature that botocore makes of the same request."""
    headers = {name.decode(): value.decode("latin-1") for name, value in made.headers}
    names = headers["authorization"].split("SignedHeaders=")[1].split(",")[0].split(";")
    request = AWSRequest(
        signed.head.method,
        f"https://{HOST}{made.target}",
        {name: headers[name] for name in names},
        signed.body,
    )
    request.context["timestamp"] = TIMESTAMP
    service = signed.credential.signing_name
    kind = S3SigV4Auth if service == "s3" else SigV4Auth
    auth = kind(Credentials(key.access_key_id, key.secret_access_key), service, "us-east-1")
    canonical = auth.canonical_request(request)
    found: str = auth.signature(auth.string_to_sign(request, canonical), request)
    return found


CASES = {
    "json": Signer().sign(
        headers={"x-amz-target": "SageMaker.ListModels", "content-type": "application/json"},
        body=b"{}",
    ),
    "with a session token": Signer(token="the-clients-token").sign(body=b"{}"),
    "rest": Signer("lambda").sign("GET", "http://127.0.0.1/functions/arn%3Aaws%3Alambda/a%20b"),
    "rest with a query": Signer("lambda").sign("GET", "http://127.0.0.1/f?b=2&a=%2F%20x&c="),
    "s3": Signer("s3").sign("PUT", "http://127.0.0.1/bucket/a%20b/../%C3%A9+%7E", body=b"data"),
    "s3 with a sub-resource": Signer("s3").sign("GET", "http://127.0.0.1/bucket?acl"),
    "s3 with metadata": Signer("s3").sign(
        "PUT", "http://127.0.0.1/b/k", {"x-amz-meta-a": "one  two"}, b"data"
    ),
    "s3 presigned": Signer("s3", presigned_s=60).sign("GET", "http://127.0.0.1/b/k?versionId=1"),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("key", [KEY, PLAIN], ids=["session", "long-term"])
def test_botocore_makes_the_same_signature(name, key):
    made = resigned(CASES[name], key)
    headers = dict(made.headers)
    authorization = headers[b"authorization"].decode()
    assert authorization.endswith(f"Signature={botocores(CASES[name], made, key)}")
    assert headers[b"host"] == HOST.encode()
    assert headers.get(b"x-amz-security-token", b"").decode() == key.session_token
    names = [header for header, _ in made.headers]
    assert len(names) == len(set(names))
    text = made.target + repr(made.headers)
    assert "the-clients-token" not in text
    assert "X-Amz-Signature" not in text
    assert CASES[name].credential.signature not in text


def test_what_the_client_did_not_sign_is_not_signed():
    made = resigned(CASES["s3"], KEY, **{"x-amz-acl": "public-read"})
    headers = dict(made.headers)
    assert headers[b"x-amz-acl"] == b"public-read"
    assert b"x-amz-acl" not in headers[b"authorization"]


def test_no_secret_is_shown():
    assert "the-upstream" not in repr(KEY)
    assert "the-upstream" not in repr(resigned(CASES["json"]).chunks)


def signer(secret: str) -> ChunkSigner:
    credential = Credential("k", "20231114", "us-east-1", "s3", ("host",), "", "")
    return chunk_signer(credential, TIMESTAMP, "0" * 64, secret)


def chunked(secret: str, *pieces: bytes, trailer: bytes = b"") -> bytes:
    with_secret = signer(secret)
    body = b""
    for piece in [*pieces, b""]:
        signature = with_secret.chunk(hashlib.sha256(piece).hexdigest()).encode()
        end = b"\r\n" if piece else b""
        body += b"%x;chunk-signature=%b\r\n%b%b" % (len(piece), signature, piece, end)
    if trailer:
        digest = hashlib.sha256(trailer + b"\n").hexdigest()
        line = b"x-amz-trailer-signature:" + with_secret.trailer(digest).encode()
        body += trailer + b"\r\n" + line + b"\r\n"
    return body + b"\r\n"


PIECES = (b"a" * 70_000, b"b\r\n" * 100, b"c")


@pytest.mark.parametrize("step", [1, 7, 85, 4096, 1 << 20])
@pytest.mark.parametrize("trailer", [b"", b"x-amz-checksum-crc32c:sOO8/Q=="])
def test_chunks_are_signed_anew_as_they_come(step, trailer):
    body = chunked("theirs", *PIECES, trailer=trailer)
    resigner = ChunkResigner(signer("ours"))
    made = b"".join(resigner.feed(body[at : at + step]) for at in range(0, len(body), step))
    assert made == chunked("ours", *PIECES, trailer=trailer)
    assert len(made) == len(body)
    length = sum(map(len, PIECES))
    check = ChunkCheck(signer("ours"), trailer=bool(trailer), length=length)
    assert check.feed(made)
    assert check.complete()


def test_a_chunk_of_the_largest_and_one_too_large():
    head = b"%x;chunk-signature=" + b"0" * 64 + b"\r\n"
    assert ChunkResigner(signer("ours")).feed(head % CHUNK_BYTES_MAX) == b""
    for line in (head % (CHUNK_BYTES_MAX + 1), b"nothing\r\n"):
        with pytest.raises(ValueError, match="signed anew"):
            ChunkResigner(signer("ours")).feed(line)
