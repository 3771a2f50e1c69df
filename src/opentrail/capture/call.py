# SPDX-License-Identifier: Apache-2.0
"""One observed request and its answer: all that a record is built from."""

import zlib
from collections.abc import Mapping
from enum import Enum

import msgspec

from opentrail.aws.request import RequestHead, Target
from opentrail.event.caps import BODY_KEPT_MAX

GZIP_MAGIC = b"\x1f\x8b"
"""How each member of a gzip file begins (RFC 1952, 2.3.1); anything else behind one is padding."""

MEMBERS_MAX = 1000
"""Of one gzip file: each costs a copy of what follows it."""

_REQUEST_ID_HEADERS = ("x-amzn-requestid", "x-amz-request-id", "x-amzn-request-id")


class Outcome(Enum):
    """What is known of the call's end."""

    ANSWERED = "answered"
    """The upstream's status is known."""
    UNREACHABLE = "unreachable"
    """No connection could be made: the upstream did not see the call."""
    UNKNOWN = "unknown"
    """Forwarded, but no status came back (timeout, broken connection, killed process)."""
    REFUSED = "refused"
    """OpenTrail itself refused it before forwarding (bad signature, wrong region, loop)."""


class Body(msgspec.Struct, frozen=True, gc=False):
    """A request or response body as far as it was kept."""

    data: bytes
    """At most BODY_KEPT_MAX bytes."""
    size: int
    """All bytes that went through; ``size > len(data)`` when it was too long to keep."""

    @property
    def complete(self) -> bool:
        """Whether ``data`` is the whole body."""
        return self.size == len(self.data)


EMPTY = Body(b"", 0)


def _is_gzip(coding: str) -> bool:
    """Return whether gzip is all that Content-Encoding names, however often it stands there."""
    named = [each.strip() for each in coding.lower().split(",")]
    return [each for each in named if each not in ("", "identity")] in (["gzip"], ["x-gzip"])


def plain(body: Body, headers: Mapping[str, str]) -> Body:
    """Undo gzip, at most BODY_KEPT_MAX bytes of it; what cannot be undone stays as it is.

    Of a body that was not kept whole, or that inflates past the bound, the beginning is returned,
    with a size that says that it is not complete.
    """
    coding = headers.get("content-encoding")
    if not coding or not body.data or not _is_gzip(coding):
        return body
    try:
        data, whole = _inflated(body.data)
    except zlib.error:
        return body
    return Body(data, len(data) if whole else max(body.size, len(data) + 1))


def _inflated(packed: bytes) -> tuple[bytes, bool]:
    """Return what all members of a gzip file hold, and whether that is all. Raises: zlib.error."""
    data = b""
    for _ in range(MEMBERS_MAX):
        inflater = zlib.decompressobj(zlib.MAX_WBITS | 16)
        data += inflater.decompress(packed, BODY_KEPT_MAX + 1 - len(data))
        packed = inflater.unused_data
        if not inflater.eof or not packed.startswith(GZIP_MAGIC) or len(data) > BODY_KEPT_MAX:
            return data[:BODY_KEPT_MAX], inflater.eof and len(data) <= BODY_KEPT_MAX
    return data, False


class Caller(msgspec.Struct, frozen=True, gc=False):
    """Who made the call, as the record will say it. Made by ``capture.identity``."""

    user_identity: msgspec.Raw
    """The ``userIdentity`` object: JSON bytes in the field order of real records."""
    account: str
    """Twelve digits: the account that the call belongs to (recipientAccountId)."""
    region: str
    """awsRegion."""
    verified: bool
    """Whether the signature was checked against a known secret (or by a verifying upstream)."""
    additional: Mapping[str, object] = {}
    """Marks for additionalEventData: claims that were not accepted, conflicts."""
    invoked_by: str = ""
    """The service that calls; empty when none does."""
    is_service: bool = False
    """Whether the caller is a service itself (AWSService): its events carry a sharedEventID."""
    from_console: bool = False
    """Whether the credentials were born in a console (sessionCredentialFromConsole)."""


class Tls(msgspec.Struct, frozen=True, gc=False):
    """What is known of the TLS of a client's connection."""

    version: str
    """"TLSv1.3"."""
    cipher: str
    """OpenSSL's name: "TLS_AES_256_GCM_SHA384"."""
    client_names: tuple[str, ...] = ()
    """The names in the client's certificate, verified against ``listen.tls_client_ca``: its subject
    (RFC 4514), then its alternative names ("DNS:…", "URI:…", "email:…"); none when it showed none."""


class Call(msgspec.Struct):
    """One observed request and its answer."""

    event_id: str
    target: Target
    head: RequestHead
    caller: Caller
    source_ip: str
    user_agent: str
    finished_ms: int
    """When the upstream's status became known: eventTime. Milliseconds since 1970 UTC."""
    outcome: Outcome
    request: Body = EMPTY
    status: int = 0
    """HTTP status; 0 when there is none."""
    response_headers: Mapping[str, str] = {}
    """Names in lower case."""
    response: Body = EMPTY
    """Kept only where the record needs it (errors, and calls whose response is recorded)."""
    error_code: str = ""
    """Set by OpenTrail for UNREACHABLE and REFUSED calls: the code that the client was given."""
    error_message: str = ""
    request_id: str = ""
    """Given by OpenTrail when no upstream gave one."""
    shared_event_id: str = ""
    """The same in every account's copy of one event; empty when there is one copy only."""
    checks_bucket_owner: bool = False
    """Whether its upstream refuses a wrong x-amz-expected-bucket-owner, as AWS does."""
    tls: Tls | None = None
    """None where the client spoke plain HTTP."""
    additional: dict[str, object] = {}
    """More for additionalEventData (why an outcome is unknown)."""

    @property
    def given_request_id(self) -> str:
        """The upstream's request id, else OpenTrail's; "" when nobody gave one."""
        for name in _REQUEST_ID_HEADERS:
            if found := self.response_headers.get(name):
                return found
        return self.request_id
