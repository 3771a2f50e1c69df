# SPDX-License-Identifier: Apache-2.0
"""Check an AWS Signature Version 4, in the Authorization header or in a presigned URL.

Follows the IAM User Guide, "Create a signed AWS API request". The values of a header that
repeats are joined by commas, as a ``RequestHead`` has them.
"""

import calendar
import functools
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import quote, quote_from_bytes, unquote_to_bytes

from opentrail.access import refusals
from opentrail.access.chunks import SIGNED_CHUNKS, SIGNED_TRAILER, ChunkCheck, ChunkSigner
from opentrail.aws.request import Credential, RequestHead
from opentrail.errors import ClientError

TIMESTAMPS_CACHED = 1024
"""Distinct seconds remembered: many calls are signed in the same one."""
TIMESTAMP_CHARS = len("20260131T100000Z")
"""Nothing longer or shorter is looked at, or remembered."""
SCOPE_CHARS_MAX = 128
"""Of a region, or of a service's name: those that there are have some 30. Derived keys are kept by them."""
CLOCK_WINDOW_S = 15 * 60
"""How far a client's clock may be off, both ways: AWS's own limit for most services."""

PRESIGNED_SECONDS_MAX = 7 * 24 * 3600
"""A presigned URL lives a week at most (S3 User Guide, "Sharing objects with presigned URLs")."""

SIGNING_KEYS_CACHED = 1024
"""Derived keys that are kept: one per secret, day, region and service, 200 bytes each."""

_ALGORITHM = "AWS4-HMAC-SHA256"
_UNSIGNED = "UNSIGNED-PAYLOAD"
_STREAMING_PREFIX = "STREAMING-"
_UNSIGNED_CHUNKS = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
_LENGTH = re.compile(r"[0-9]{1,15}", re.ASCII)
_RAW_PATH_SERVICES = frozenset({"s3", "s3express", "s3-object-lambda", "s3-outposts"})
_SIGNED_OTHERWISE = frozenset(
    {"x-amz-cf-id", "x-amz-content-sha256", "x-amz-date", "x-amz-security-token"}
)
"""Time and hash are lines of what is signed, the token is compared with the key's; CloudFront marks what
passes it."""
_BLANKS = re.compile(r"[ \t]+")
_CANONICAL_PATH = re.compile(r"(?:/[A-Za-z0-9\-_~][A-Za-z0-9\-._~]*)+/?")
"""Paths of which nothing is encoded, and no segment is empty or made of dots."""
_CANONICAL_QUERY = re.compile(r"(?:[A-Za-z0-9\-._~&=]|%[0-9A-F]{2})*")
_AMZ_DATE = re.compile(r"\d{8}T\d{6}Z", re.ASCII)


def needs_body_hash(head: RequestHead, credential: Credential) -> bool:
    """Return whether ``verify`` needs the SHA-256 of the body that was received.

    It does not where the client left the body unsigned or signs it chunk by chunk: the signature
    then proves who calls, not what the body says.
    """
    declared = head.headers.get("x-amz-content-sha256")
    if declared:
        return declared != _UNSIGNED and not declared.startswith(_STREAMING_PREFIX)
    return not (credential.presigned and credential.signing_name in _RAW_PATH_SERVICES)


def verify(
    head: RequestHead, credential: Credential, payload_sha256: str, secret: str, now_ms: int
) -> None:
    """Check the signature of one request at ``now_ms`` (milliseconds since 1970 UTC).

    ``payload_sha256`` is the lower-case hex SHA-256 of the body as received; it is not looked at
    when ``needs_body_hash`` says no. ``credential`` is what the head says of itself. The session
    token is compared by ``access.authenticate``, not here.

    Raises ClientError: IncompleteSignatureException, InvalidSignatureException.
    """
    timestamp = _timestamp(head, credential)
    _check_scope(head, credential, timestamp)
    _check_time(head, credential, timestamp, now_ms)
    payload = _payload(head, credential, payload_sha256)
    expected = signature(head, credential, timestamp, payload, secret)
    given = credential.signature.encode("latin-1", "replace")
    if not hmac.compare_digest(expected.encode(), given):
        raise refusals.mismatch()


def signature(
    head: RequestHead, credential: Credential, timestamp: str, payload: str, secret: str
) -> str:
    """Return the signature of a request at ``timestamp`` (YYYYMMDDTHHMMSSZ), in lower-case hex.

    ``payload`` is the last line of what is signed: the body's hash, or what stands for it.
    """
    request = _canonical_request(head, credential, payload)
    digest = hashlib.sha256(request.encode("latin-1", "replace")).hexdigest()
    scope = credential.date, credential.region, credential.signing_name
    begun, finish = _signing_hash(secret, *scope)
    inner, outer = begun.copy(), finish.copy()
    text = f"{_ALGORITHM}\n{timestamp}\n{_scope(credential)}\n{digest}"
    inner.update(text.encode("latin-1", "replace"))
    outer.update(inner.digest())
    return outer.hexdigest()


def chunk_signer(
    credential: Credential, timestamp: str, signature: str, secret: str
) -> ChunkSigner:
    """Return what signs the chunks that follow a request with this signature."""
    key = _signing_key(secret, credential.date, credential.region, credential.signing_name)
    return ChunkSigner(key, timestamp, _scope(credential), signature)


def chunk_check(head: RequestHead, credential: Credential, secret: str) -> ChunkCheck | None:
    """Return what checks the chunks of a request that ``verify`` has found good.

    None where nothing is signed chunk by chunk. Raises ClientError: chunks that are signed in
    another way.
    """
    declared = head.headers.get("x-amz-content-sha256", "")
    if not declared.startswith(_STREAMING_PREFIX) or declared == _UNSIGNED_CHUNKS:
        return None
    if declared not in (SIGNED_CHUNKS, SIGNED_TRAILER):
        raise refusals.bad_signature("Chunks that are signed in this way cannot be checked.")
    signer = chunk_signer(credential, _timestamp(head, credential), credential.signature, secret)
    length = head.headers.get("x-amz-decoded-content-length", "")
    return ChunkCheck(
        signer,
        trailer=declared == SIGNED_TRAILER,
        length=int(length) if _LENGTH.fullmatch(length) else None,
    )


def _scope(credential: Credential) -> str:
    return f"{credential.date}/{credential.region}/{credential.signing_name}/aws4_request"


@functools.lru_cache(maxsize=SIGNING_KEYS_CACHED)
def _signing_key(secret: str, date: str, region: str, service: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (date, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


@functools.lru_cache(maxsize=SIGNING_KEYS_CACHED)
def _signing_hash(
    secret: str, date: str, region: str, service: str
) -> tuple["hashlib._Hash", "hashlib._Hash"]:
    """Return the two hashes of an HMAC with the signing key, begun (RFC 2104, 4).

    To go on from there takes a third of the time of an HMAC from its key.
    """
    key = _signing_key(secret, date, region, service).ljust(hashlib.sha256().block_size, b"\0")
    inner, outer = (bytes(byte ^ pad for byte in key) for pad in (0x36, 0x5C))
    return hashlib.sha256(inner), hashlib.sha256(outer)


def _timestamp(head: RequestHead, credential: Credential) -> str:
    """Return the time of signing as ``YYYYMMDDTHHMMSSZ``."""
    if credential.presigned:
        text = _query_value(head.query, "X-Amz-Date")
    else:
        text = head.headers.get("x-amz-date") or _from_http_date(head.headers.get("date", ""))
    if _is_timestamp(text):
        return text
    raise refusals.incomplete(
        "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header"
        " with a valid date."
    )


def _is_timestamp(text: str) -> bool:
    return len(text) == TIMESTAMP_CHARS and _is_date(text)


@functools.lru_cache(maxsize=TIMESTAMPS_CACHED)
def _is_date(text: str) -> bool:
    return _AMZ_DATE.fullmatch(text) is not None


def _from_http_date(text: str) -> str:
    if _is_timestamp(text):
        return text
    try:
        when = parsedate_to_datetime(text)
        aware = when if when.tzinfo else when.replace(tzinfo=UTC)
        return aware.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    except (ValueError, OverflowError):  # no date, or one of no year that there is
        return ""


def _check_scope(head: RequestHead, credential: Credential, timestamp: str) -> None:
    region, name = credential.region, credential.signing_name
    if not (credential.date and 0 < len(region) <= SCOPE_CHARS_MAX >= len(name) > 0):
        raise refusals.incomplete(
            "Credential must have the form KEY/DATE/REGION/SERVICE/aws4_request."
        )
    if not credential.signature:
        raise refusals.incomplete("Authorization header requires 'Signature' parameter.")
    if credential.date != timestamp[:8]:
        raise refusals.bad_signature(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP."
        )
    if "host" not in credential.signed_headers:
        raise refusals.bad_signature(
            "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization."
        )
    # The target decides the operation: unsigned, it would let one signature do another's work.
    if "x-amz-target" in head.headers and "x-amz-target" not in credential.signed_headers:
        raise refusals.bad_signature(
            "'X-Amz-Target' must be a 'SignedHeader' in the AWS Authorization."
        )
    if name in _RAW_PATH_SERVICES and any(
        header.startswith("x-amz-") and header not in credential.signed_headers
        for header in head.headers.keys() - _SIGNED_OTHERWISE
    ):
        # x-amz-copy-source makes a copy of an upload: S3 refuses these, too.
        raise refusals.bad_signature(
            "There were headers present in the request which were not signed."
        )


@functools.lru_cache(maxsize=TIMESTAMPS_CACHED)
def _signed_s(timestamp: str) -> int:
    """Return the epoch seconds of "20260131T100000Z". Raises: ValueError."""
    when = datetime.strptime(timestamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    return calendar.timegm(when.timetuple())


def _check_time(head: RequestHead, credential: Credential, timestamp: str, now_ms: int) -> None:
    try:
        signed_s = _signed_s(timestamp)
    except ValueError:
        raise refusals.incomplete("The date of the signature is not a valid date.") from None
    now_s = now_ms // 1000
    lives_s = _lifetime_s(head) if credential.presigned else CLOCK_WINDOW_S
    if signed_s < now_s - lives_s:
        raise refusals.bad_signature(
            f"Signature expired: {timestamp} is now earlier than {_amz_date(now_s - lives_s)}"
            f" ({_amz_date(now_s)} - {_minutes(lives_s)})"
        )
    if signed_s > now_s + CLOCK_WINDOW_S:
        raise refusals.bad_signature(
            f"Signature not yet current: {timestamp} is still later than"
            f" {_amz_date(now_s + CLOCK_WINDOW_S)}"
            f" ({_amz_date(now_s)} + {_minutes(CLOCK_WINDOW_S)})"
        )


def _lifetime_s(head: RequestHead) -> int:
    text = _query_value(head.query, "X-Amz-Expires")
    if not text:
        return CLOCK_WINDOW_S
    if text.isascii() and text.isdigit() and len(text) <= len(str(PRESIGNED_SECONDS_MAX)):
        seconds = int(text)
        if 1 <= seconds <= PRESIGNED_SECONDS_MAX:
            return seconds
    raise refusals.bad_signature(
        f"X-Amz-Expires must be a number of seconds from 1 to {PRESIGNED_SECONDS_MAX}"
    )


def _amz_date(epoch_s: int) -> str:
    return datetime.fromtimestamp(epoch_s, tz=UTC).strftime("%Y%m%dT%H%M%SZ")


def _minutes(seconds: int) -> str:
    return f"{seconds // 60} min." if seconds % 60 == 0 else f"{seconds} s."


def _payload(head: RequestHead, credential: Credential, payload_sha256: str) -> str:
    """Return the last line of the canonical request.

    Raises ClientError when the hash that the client declared is not the body's.
    """
    declared = head.headers.get("x-amz-content-sha256")
    if not needs_body_hash(head, credential):
        return declared or _UNSIGNED
    if declared and declared != payload_sha256:
        raise _wrong_body(credential.signing_name)
    return payload_sha256


def _wrong_body(signing_name: str) -> ClientError:
    if signing_name in _RAW_PATH_SERVICES:
        return ClientError(
            "XAmzContentSHA256Mismatch",
            "The provided 'x-amz-content-sha256' header does not match what was computed.",
        )
    return refusals.mismatch()


def _canonical_request(head: RequestHead, credential: Credential, payload: str) -> str:
    path = _canonical_path(head.path, credential.signing_name)
    query = _canonical_query(head.query, presigned=credential.presigned) if head.query else ""
    fields = _canonical_fields(head.headers, credential.signed_headers)
    names = ";".join(credential.signed_headers)
    return f"{head.method.upper()}\n{path}\n{query}\n{fields}\n{names}\n{payload}"


def _canonical_fields(headers: Mapping[str, str], names: Sequence[str]) -> str:
    """Return the lines of the signed headers, blanks in them folded."""
    lines = "".join([f"{name}:{headers.get(name, '')}\n" for name in names])
    if "  " in lines or "\t" in lines or ": " in lines or " \n" in lines:  # as hardly ever
        return "".join([f"{name}:{_folded(headers.get(name, ''))}\n" for name in names])
    return lines


def _folded(value: str) -> str:
    """Only blanks and tabs: the bytes of a UTF-8 value, read as latin-1, may look like spaces."""
    return _BLANKS.sub(" ", value.strip(" \t"))


def _canonical_path(path: str, signing_name: str) -> str:
    """S3 signs the path as sent; the others normalise it and encode it once more."""
    if path == "/" or not path:
        return "/"
    if signing_name in _RAW_PATH_SERVICES or _CANONICAL_PATH.fullmatch(path):
        return path
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del kept[-1:]
        elif segment not in ("", "."):
            kept.append(segment)
    normal = "/" + "/".join(kept)
    if kept and path.endswith("/"):
        normal += "/"
    return quote(normal, safe="/~", encoding="latin-1", errors="replace")


def _canonical_query(query: str, *, presigned: bool) -> str:
    if not _CANONICAL_QUERY.fullmatch(query):
        query = "&".join(map(_encoded_pair, query.split("&")))
    pairs = []
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        if not (presigned and name == "X-Amz-Signature"):
            pairs.append((name, value))
    pairs.sort()
    return "&".join([f"{name}={value}" for name, value in pairs])


def _encoded_pair(pair: str) -> str:
    """Encode a parameter as AWS does, however the client wrote it on the wire."""
    name, _, value = pair.partition("=")
    return f"{_encoded(name)}={_encoded(value)}"


def _encoded(text: str) -> str:
    raw = text.replace("+", " ").encode("latin-1", "replace")
    return quote_from_bytes(unquote_to_bytes(raw), safe="-_.~")


def _query_value(query: str, name: str) -> str:
    for pair in query.split("&"):
        key, _, value = pair.partition("=")
        if key == name:
            return value
    return ""
