# SPDX-License-Identifier: Apache-2.0
"""Sign a request anew: for an upstream with another host, by a key that it knows.

Follows the IAM User Guide, "Create a signed AWS API request". What the client signed is signed, and
nothing that it did not: whoever adds a header on the way to us gains nothing.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec

from opentrail.access import sigv4
from opentrail.access.chunks import HEAD, SIGNATURE_LINE, ChunkSigner
from opentrail.aws.request import Credential, RequestHead

CHUNK_BYTES_MAX = 16 * 1024 * 1024
"""The largest chunk that is signed anew: its signature stands before its data, so that it waits
here. SDKs send 64 KB to 1 MB."""

Headers = list[tuple[bytes, bytes]]

REPLACED = frozenset(
    b"authorization date host x-amz-content-sha256 x-amz-date x-amz-security-token".split()
)
"""Headers that the new signature brings anew."""
_PRESIGNED = frozenset(
    f"X-Amz-{name}"
    for name in (
        *("Algorithm", "Credential", "Date", "Expires"),
        *("Security-Token", "Signature", "SignedHeaders"),
    )
)


@dataclass(frozen=True, slots=True)
class UpstreamKey:
    """A key that the upstream knows."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Resigned:
    """A request with its new signature."""

    target: str
    headers: Headers
    chunks: ChunkSigner
    """Signs what follows, where the body is signed chunk by chunk."""


class Unsigned(msgspec.Struct, frozen=True):
    """What is to be signed."""

    head: RequestHead
    """Path and query for the upstream; of the headers those that go on."""
    raw_headers: Sequence[tuple[bytes, bytes]]
    """The same headers as they go on."""
    signed: frozenset[str]
    """Names of headers that the client signed, in lower case."""
    payload: str
    """What is signed of the body: its SHA-256, or what x-amz-content-sha256 says instead."""
    host: str
    region: str
    signing_name: str


def resign(request: Unsigned, key: UpstreamKey, now_ms: int) -> Resigned:
    """Return the request, signed by ``key`` at ``now_ms``."""
    timestamp = datetime.fromtimestamp(now_ms // 1000, UTC).strftime("%Y%m%dT%H%M%SZ")
    added = {"host": request.host, "x-amz-date": timestamp}
    if key.session_token:
        added["x-amz-security-token"] = key.session_token
    if "x-amz-content-sha256" in request.head.headers or request.signing_name.startswith("s3"):
        added["x-amz-content-sha256"] = request.payload
    kept = [pair for pair in request.raw_headers if pair[0] not in REPLACED]
    present = {name.decode("latin-1") for name, _ in kept}
    names = tuple(sorted((request.signed & present) | added.keys()))
    query = _without_signature(request.head.query)
    head = RequestHead(
        request.head.method, request.head.path, query, {**request.head.headers, **added}
    )
    scope = (timestamp[:8], request.region, request.signing_name)
    credential = Credential(key.access_key_id, *scope, names, "", "")
    signature = sigv4.signature(head, credential, timestamp, request.payload, key.secret_access_key)
    added["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={key.access_key_id}/{'/'.join(scope)}/aws4_request,"
        f" SignedHeaders={';'.join(names)}, Signature={signature}"
    )
    return Resigned(
        f"{head.path}?{query}" if query else head.path,
        [*kept, *((name.encode(), value.encode("latin-1")) for name, value in added.items())],
        sigv4.chunk_signer(credential, timestamp, signature, key.secret_access_key),
    )


def _without_signature(query: str) -> str:
    """Return a query without what a presigned URL has in it."""
    return "&".join(
        pair for pair in query.split("&") if pair and pair.partition("=")[0] not in _PRESIGNED
    )


class ChunkResigner:
    """Signs a body anew, chunk by chunk; its length stays what it was.

    It must have been found well-formed before (``ChunkCheck``): here anything else ends it.
    """

    def __init__(self, signer: ChunkSigner) -> None:
        self._signer = signer
        self._buffer = bytearray()
        self._trailers = b""
        self._state = self._chunk

    def feed(self, data: bytes) -> bytes:
        """Take the next piece, return what can be sent. Raises: ValueError: it is not such a body."""
        self._buffer += data
        out = []
        while piece := self._state():
            out.append(piece)
        return b"".join(out)

    def _line(self) -> bytes:
        """Return the buffer up to its first line's end; nothing when that has not come."""
        end = self._buffer.find(b"\n") + 1
        return bytes(self._buffer[:end])

    def _chunk(self) -> bytes:
        line = self._line()
        if not line:
            return b""
        found = HEAD.fullmatch(line)
        size = int(found[1], 16) if found else CHUNK_BYTES_MAX + 1
        if found is None or size > CHUNK_BYTES_MAX:
            raise ValueError("not a chunk that can be signed anew")
        whole = len(line) + size + (2 if size else 0)
        if len(self._buffer) < whole:
            return b""
        data = bytes(self._buffer[len(line) : len(line) + size])
        del self._buffer[:whole]
        if not size:
            self._state = self._after
        signature = self._signer.chunk(hashlib.sha256(data).hexdigest()).encode()
        return b"%b;chunk-signature=%b\r\n%b%b" % (found[1], signature, data, b"\r\n" * bool(size))

    def _after(self) -> bytes:
        """Pass trailing headers, and sign them anew."""
        line = self._line()
        del self._buffer[: len(line)]
        name, _, value = line.strip().partition(b":")
        if name.lower() == SIGNATURE_LINE:
            signed = hashlib.sha256(self._trailers).hexdigest()
            return b"%b:%b\r\n" % (name, self._signer.trailer(signed).encode())
        if name:
            self._trailers += name.lower() + b":" + value.strip() + b"\n"
        return line
