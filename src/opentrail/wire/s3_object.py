# SPDX-License-Identifier: Apache-2.0
"""GetObject and HeadObject: headers, ranges, conditions.

Amazon S3 API Reference, GetObject and HeadObject; RFC 9110, "Range Requests" and "Conditional
Requests".
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import formatdate, parsedate_to_datetime

from opentrail.errors import ClientError
from opentrail.objects.base import Head

Headers = list[tuple[bytes, bytes]]

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
NOT_MODIFIED = 304
PARTIAL = 206


@dataclass(frozen=True, slots=True)
class Part:
    """What of an object is asked for."""

    status: int
    """200, 206, or 304: nothing."""
    offset: int
    count: int


def part_of(head: Head, headers: Mapping[str, str]) -> Part:
    """Return which part the request's conditions and range ask for.

    Raises: ClientError: PreconditionFailed; InvalidRange.
    """
    if not _unchanged(head, headers):
        raise ClientError(
            "PreconditionFailed",
            "At least one of the pre-conditions you specified did not hold",
            412,
        )
    if _known(head, headers):
        return Part(NOT_MODIFIED, 0, 0)
    found = _RANGE.fullmatch(headers.get("range", "").replace(" ", ""))
    if found is None or found[0] == "bytes=-":
        return Part(200, 0, head.size)
    first, last = found[1], found[2]
    if not first:  # the last so many bytes
        offset, end = max(head.size - int(last), 0), head.size
    else:
        offset, end = int(first), min(int(last or head.size) + 1, head.size)
        if last and int(last) < int(first):
            return Part(200, 0, head.size)
    if offset >= end:
        raise ClientError("InvalidRange", "The requested range is not satisfiable", 416)
    return Part(PARTIAL, offset, end - offset)


def _unchanged(head: Head, headers: Mapping[str, str]) -> bool:
    wanted = headers.get("if-match")
    if wanted is not None:
        return wanted == "*" or head.etag.strip('"') in _tags(wanted)
    limit_s = _seconds(headers.get("if-unmodified-since", ""))
    return limit_s is None or head.modified_ms // 1000 <= limit_s


def _known(head: Head, headers: Mapping[str, str]) -> bool:
    known = headers.get("if-none-match")
    if known is not None:
        return known == "*" or head.etag.strip('"') in _tags(known)
    since_s = _seconds(headers.get("if-modified-since", ""))
    return since_s is not None and head.modified_ms // 1000 <= since_s


def _tags(value: str) -> list[str]:
    return [tag.strip().removeprefix("W/").strip('"') for tag in value.split(",")]


def _seconds(date: str) -> float | None:
    """Return an HTTP date in seconds since 1970; None for one that cannot be read."""
    try:
        return parsedate_to_datetime(date).timestamp() if date else None
    except (ValueError, OverflowError):
        return None


def headers_of(head: Head, part: Part) -> Headers:
    """Return an object's headers. Content-Length is its part's, for HEAD too."""
    found = {
        "Last-Modified": formatdate(head.modified_ms / 1000, usegmt=True),
        "ETag": head.etag,
        "Accept-Ranges": "bytes",
        "Content-Type": head.content_type,
        "Content-Encoding": head.content_encoding,
        "x-amz-server-side-encryption": head.encryption.get("ServerSideEncryption", ""),
        "x-amz-server-side-encryption-aws-kms-key-id": head.encryption.get("SSEKMSKeyId", ""),
        **{f"x-amz-meta-{name}": value for name, value in head.metadata.items()},
    }
    if part.status != NOT_MODIFIED:
        found["Content-Length"] = str(part.count)
    if part.status == PARTIAL:
        last = part.offset + part.count - 1
        found["Content-Range"] = f"bytes {part.offset}-{last}/{head.size}"
    return [(name.encode(), _safe(value)) for name, value in found.items() if value]


def _safe(value: str) -> bytes:
    """Return a header's value: whoever can write in a bucket must not write our headers."""
    return "".join(c if c.isprintable() else "?" for c in value).encode("latin-1", "replace")
