# SPDX-License-Identifier: Apache-2.0
"""ListObjects and ListObjectsV2 over a bucket: pages, common prefixes, tokens.

Amazon S3 API Reference, ListObjects and ListObjectsV2.
"""

import base64
import binascii
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from opentrail.errors import ClientError
from opentrail.objects.base import Bucket, Listed
from opentrail.objects.names import KEY_BYTES_MAX
from opentrail.wire.s3_xml import Owner, contents, document, element

KEYS_MAX = 1000
"""S3's page; a larger max-keys is cut to it."""
_NO_LIMIT = 1 << 62
"""A directory is walked as far as its listing is read."""
_LAST = "\U0010ffff" * (KEY_BYTES_MAX // 4)
"""Behind a prefix: past every key that begins with it, since no key is longer."""

V1_PARAMETERS = frozenset(("prefix", "marker", "delimiter", "max-keys", "encoding-type"))
V2_PARAMETERS = frozenset(
    ("list-type", "prefix", "start-after", "continuation-token", "delimiter", "max-keys",
     "encoding-type", "fetch-owner")
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a listing, in order."""

    entries: tuple[Listed | str, ...]
    """Objects, and common prefixes as text."""
    next: str
    """The last entry's key or prefix when more follow, else ""."""


def page_of(bucket: Bucket, prefix: str, delimiter: str, after: str, limit: int) -> Page:
    """Return the first ``limit`` entries of ``bucket`` behind ``after``.

    Keys that share what stands before the first ``delimiter`` behind ``prefix`` are one entry.
    Raises: ClientError.
    """
    found: list[Listed | str] = []
    for entry in _entries(bucket, prefix, delimiter, after):
        if len(found) == limit:
            return Page(tuple(found), _name(found[-1]) if found else "")
        found.append(entry)
    return Page(tuple(found), "")


def _entries(bucket: Bucket, prefix: str, delimiter: str, after: str) -> Iterator[Listed | str]:
    if delimiter and after.startswith(prefix):
        shared = _shared(after, prefix, delimiter)
        if shared and shared == after:  # a page that ended with a common prefix
            after += _LAST
    going = True
    while going:
        going = False
        for one in bucket.list(prefix, after, _NO_LIMIT):
            shared = _shared(one.key, prefix, delimiter) if delimiter else ""
            if shared:
                yield shared
                after, going = shared + _LAST, True  # past all that it stands for
                break
            yield one


def _shared(key: str, prefix: str, delimiter: str) -> str:
    """Return the common prefix that ``key`` is counted under, or ""."""
    head, found, _ = key[len(prefix) :].partition(delimiter)
    return prefix + head + found if found else ""


def _name(entry: Listed | str) -> str:
    return entry if isinstance(entry, str) else entry.key


def list_v1(bucket: Bucket, query: Mapping[str, str], owner: Owner) -> bytes:
    """Answer ListObjects. Raises: ClientError."""
    asked = _Asked.of(query)
    marker = query.get("marker", "")
    page = page_of(bucket, asked.prefix, asked.delimiter, marker, asked.limit)
    said = [
        element("Name", bucket.name),
        element("Prefix", asked.shown(asked.prefix)),
        element("Marker", asked.shown(marker)),
        *asked.echo(),
        element("IsTruncated", "true" if page.next else "false"),
    ]
    if page.next and asked.delimiter:
        said.append(element("NextMarker", asked.shown(page.next)))
    return document("ListBucketResult", [*said, *asked.entries(page, owner)])


def list_v2(bucket: Bucket, query: Mapping[str, str], owner: Owner) -> bytes:
    """Answer ListObjectsV2. Raises: ClientError."""
    asked = _Asked.of(query)
    token = query.get("continuation-token")
    start = query.get("start-after", "")
    after = start if token is None else _from_token(token)
    page = page_of(bucket, asked.prefix, asked.delimiter, after, asked.limit)
    said = [
        element("Name", bucket.name),
        element("Prefix", asked.shown(asked.prefix)),
        *asked.echo(),
        element("KeyCount", len(page.entries)),
        element("IsTruncated", "true" if page.next else "false"),
    ]
    if token is not None:
        said.append(element("ContinuationToken", token))
    if page.next:
        said.append(element("NextContinuationToken", _token(page.next)))
    if start:
        said.append(element("StartAfter", asked.shown(start)))
    shown_owner = owner if query.get("fetch-owner") == "true" else None
    return document("ListBucketResult", [*said, *asked.entries(page, shown_owner)])


@dataclass(frozen=True, slots=True)
class _Asked:
    """What both versions understand."""

    prefix: str
    delimiter: str
    limit: int
    encoded: bool

    @classmethod
    def of(cls, query: Mapping[str, str]) -> "_Asked":
        """Return what is asked for. Raises: ClientError InvalidArgument."""
        encoding = query.get("encoding-type", "")
        if encoding not in ("", "url"):
            raise ClientError("InvalidArgument", "Invalid Encoding Method specified in Request")
        limit = query.get("max-keys") or str(KEYS_MAX)
        if not (limit.isascii() and limit.isdigit() and len(limit) < 10):  # noqa: PLR2004 - int32
            raise ClientError(
                "InvalidArgument", "Provided max-keys not an integer or within integer range"
            )
        return cls(
            query.get("prefix", ""),
            query.get("delimiter", ""),
            min(int(limit), KEYS_MAX),
            encoded=bool(encoding),
        )

    def shown(self, key: str) -> str:
        """Return ``key`` as this answer writes keys."""
        return quote(key, safe="/*-._") if self.encoded else key

    def echo(self) -> Iterator[str]:
        """Yield the parameters that an answer repeats."""
        yield element("MaxKeys", self.limit)
        if self.delimiter:
            yield element("Delimiter", self.shown(self.delimiter))
        if self.encoded:
            yield element("EncodingType", "url")

    def entries(self, page: Page, owner: Owner | None) -> Iterator[str]:
        """Yield the objects, then the common prefixes."""
        for entry in page.entries:
            if not isinstance(entry, str):
                yield contents(entry, self.shown(entry.key), owner)
        for entry in page.entries:
            if isinstance(entry, str):
                prefix = element("Prefix", self.shown(entry))
                yield f"<CommonPrefixes>{prefix}</CommonPrefixes>"


def _token(key: str) -> str:
    return base64.urlsafe_b64encode(key.encode()).decode()


def _from_token(token: str) -> str:
    try:
        return base64.b64decode(token, b"-_", validate=True).decode()
    except (binascii.Error, UnicodeError):
        raise ClientError(
            "InvalidArgument", "The continuation token provided is incorrect"
        ) from None
