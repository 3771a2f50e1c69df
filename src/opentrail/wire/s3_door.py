# SPDX-License-Identifier: Apache-2.0
"""S3's read calls over directory buckets, so that S3's clients can read what trails delivered.

Amazon S3 API Reference. Addressing is by path (``/bucket/key``). Whatever would write, and whatever
is not offered here, is AccessDenied.
"""

import hashlib
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import parse_qsl, unquote

from opentrail.access.policy import authorize
from opentrail.errors import ClientError, Unavailable
from opentrail.event.safe import safe
from opentrail.objects.base import Bucket, Head
from opentrail.wire import s3_listing, s3_object, s3_xml
from opentrail.wire.app import ApiResponse, Principal
from opentrail.wire.s3_object import NOT_MODIFIED, Headers
from opentrail.wire.s3_xml import Owner

READ_BYTES_MAX = 48 * 1024 * 1024
"""Of one answer, which lies in memory: the largest log file, and less than a frame between our
processes. A client that needs more asks for ranges, as S3's tools do from 8 MB on."""
_QUERY_FIELDS_MAX = 32
"""More than any of these calls has."""
_log = logging.getLogger("opentrail.wire")

_SDK_PARAMETERS = frozenset(("x-id",))
"""Put there by SDKs to say the operation; S3 does not look at it."""


class OpenedObject(Protocol):
    """An object that is being read, whatever takes its place meanwhile."""

    @property
    def head(self) -> Head:
        """What is kept of it beside its bytes."""
        ...

    def read(self, offset: int, count: int) -> bytes:
        """Return ``count`` bytes from ``offset``. Raises: Unavailable: it was changed meanwhile."""
        ...


class DirectoryBucket(Bucket, Protocol):
    """A bucket that can be read in parts."""

    def exists(self) -> None:
        """Return if the bucket is there. Raises: ClientError NoSuchBucket."""
        ...

    def opened(self, key: str) -> AbstractContextManager[OpenedObject]:
        """Yield an object: head and bytes are of the same moment. Raises: ClientError NoSuchKey."""
        ...


class DirectoryBuckets(Protocol):
    """Buckets that are directories, by name."""

    def directory(self, name: str) -> DirectoryBucket | None:
        """Return that bucket; None: it is no directory. Raises: ClientError InvalidBucketName."""
        ...


@dataclass(frozen=True, slots=True)
class S3Request:
    """One request signed for ``s3``, authenticated already. Its body is never looked at."""

    method: str
    path: str
    """As it stood in the request line, percent-encoded, without the query."""
    query: str
    headers: Mapping[str, str]
    """Names in lower case."""
    principal: Principal
    request_id: str


@dataclass(frozen=True, slots=True)
class _Call:
    """A request, taken apart."""

    request: S3Request
    bucket: DirectoryBucket
    key: str
    query: Mapping[str, str]


class S3Door:
    """Answers S3's read calls. Synchronous, safe from several threads, pure but for its buckets."""

    def __init__(self, buckets: DirectoryBuckets, account: str, region: str) -> None:
        """``account`` owns all directory buckets, which are in ``region``."""
        self._buckets = buckets
        self._account = account
        self._region = region
        self._owner = Owner(hashlib.sha256(account.encode()).hexdigest(), account)

    def handle(self, request: S3Request) -> ApiResponse:
        """Answer ``request``: an error is an answer too, so nothing is raised on purpose."""
        try:
            status, headers, body = self._answer(request)
        except ClientError as error:
            return self._error(request, error)
        except Unavailable as error:
            # Which disk it was is not the client's to know.
            _log.error("a directory bucket could not be read: %s", safe(str(error)))
            message = "Please reduce your request rate."
            return self._error(request, ClientError("ServiceUnavailable", message, 503))
        return ApiResponse(status, [*self._headers(request), *headers], body)

    def _answer(self, request: S3Request) -> tuple[int, Headers, bytes]:
        """Return status, headers and body.

        1. find the operation           (an unknown one has no action to allow)
        2. ask the caller's policies    (before the bucket: who may do nothing learns nothing)
        3. find the bucket, and answer
        Raises: ClientError. Unavailable.
        """
        name, key = split_path(request.path)
        query = dict(_parameters(request.query))
        operation, action = _operation(request.method, name, key, query)
        resource = f"arn:aws:s3:::{name}/{key}" if key else f"arn:aws:s3:::{name}"
        expected = request.headers.get("x-amz-expected-bucket-owner", self._account)
        allowed = authorize(request.principal.policies, action, resource)
        if not allowed or expected != self._account:
            raise _denied()
        bucket = self._buckets.directory(name)
        if bucket is None:
            raise _denied()
        bucket.exists()
        return operation(self, _Call(request, bucket, key, query))

    def location(self, _call: _Call) -> tuple[int, Headers, bytes]:
        """GetBucketLocation."""
        return 200, _XML, s3_xml.location(self._region)

    def acl(self, _call: _Call) -> tuple[int, Headers, bytes]:
        """GetBucketAcl."""
        return 200, _XML, s3_xml.acl(self._owner)

    def head_bucket(self, _call: _Call) -> tuple[int, Headers, bytes]:
        """HeadBucket."""
        return 200, [(b"x-amz-bucket-region", self._region.encode())], b""

    def list_v1(self, call: _Call) -> tuple[int, Headers, bytes]:
        """ListObjects."""
        return 200, _XML, s3_listing.list_v1(call.bucket, call.query, self._owner)

    def list_v2(self, call: _Call) -> tuple[int, Headers, bytes]:
        """ListObjectsV2."""
        return 200, _XML, s3_listing.list_v2(call.bucket, call.query, self._owner)

    def head_object(self, call: _Call) -> tuple[int, Headers, bytes]:
        """HeadObject."""
        with self._opened(call) as found:
            part = s3_object.part_of(found.head, call.request.headers)
            return part.status, s3_object.headers_of(found.head, part), b""

    def get_object(self, call: _Call) -> tuple[int, Headers, bytes]:
        """GetObject. Raises: ClientError EntityTooLarge: ask for ranges."""
        with self._opened(call) as found:
            part = s3_object.part_of(found.head, call.request.headers)
            if part.count > READ_BYTES_MAX:
                message = f"Ask for ranges of at most {READ_BYTES_MAX} bytes."
                raise ClientError("EntityTooLarge", message)
            data = b"" if part.status == NOT_MODIFIED else found.read(part.offset, part.count)
            return part.status, s3_object.headers_of(found.head, part), data

    @contextmanager
    def _opened(self, call: _Call) -> Iterator[OpenedObject]:
        """Yield the object; who may not list does not learn that there is none."""
        try:
            with call.bucket.opened(call.key) as found:
                yield found
        except ClientError as error:
            arn = f"arn:aws:s3:::{call.bucket.name}"
            policies = call.request.principal.policies
            if error.code == "NoSuchKey" and not authorize(policies, "s3:ListBucket", arn):
                raise _denied() from None
            raise

    def _error(self, request: S3Request, error: ClientError) -> ApiResponse:
        body = s3_xml.error(error.code, error.message, unquote(request.path), request.request_id)
        if request.method == "HEAD":
            body = b""
        length = (b"Content-Length", b"%d" % len(body))
        return ApiResponse(error.status, [*self._headers(request), *_XML, length], body)

    def _headers(self, request: S3Request) -> Headers:
        return [
            (b"x-amz-request-id", request.request_id.encode()),
            (b"Server", b"OpenTrail"),
        ]


_XML: Headers = [(b"Content-Type", b"application/xml")]

_Operation = Callable[[S3Door, _Call], tuple[int, Headers, bytes]]

_BUCKET_READS: dict[str, tuple[_Operation, str]] = {
    "location": (S3Door.location, "s3:GetBucketLocation"),
    "acl": (S3Door.acl, "s3:GetBucketAcl"),
}
"""Sub-resource of a bucket -> how it is answered, and the action that must be allowed."""


def _operation(
    method: str, name: str, key: str, query: Mapping[str, str]
) -> tuple[_Operation, str]:
    """Return how a request is answered and the action that must be allowed.

    Raises: ClientError AccessDenied: not at all.
    """
    given = frozenset(query) - _SDK_PARAMETERS
    if not name or method not in ("GET", "HEAD"):
        raise _denied()
    if key:
        if given:
            raise _denied()
        return (S3Door.get_object if method == "GET" else S3Door.head_object), "s3:GetObject"
    if method == "HEAD":
        return S3Door.head_bucket, "s3:ListBucket"
    return _bucket_operation(given, query)


def _bucket_operation(given: frozenset[str], query: Mapping[str, str]) -> tuple[_Operation, str]:
    for parameter, found in _BUCKET_READS.items():
        if given == {parameter}:
            return found
    if query.get("list-type") == "2" and given <= s3_listing.V2_PARAMETERS:
        return S3Door.list_v2, "s3:ListBucket"
    if given <= s3_listing.V1_PARAMETERS:
        return S3Door.list_v1, "s3:ListBucket"
    raise _denied()


def split_path(path: str) -> tuple[str, str]:
    """Return bucket and key of a raw path; both may be empty.

    Raises: ClientError InvalidURI: bytes that are not UTF-8.
    """
    bucket, _, key = path.removeprefix("/").partition("/")
    try:
        return unquote(bucket, errors="strict"), unquote(key, errors="strict")
    except UnicodeDecodeError:
        raise ClientError("InvalidURI", "Couldn't parse the specified URI.") from None


def _parameters(query: str) -> Iterator[tuple[str, str]]:
    try:
        yield from parse_qsl(
            query, keep_blank_values=True, errors="strict", max_num_fields=_QUERY_FIELDS_MAX
        )
    except ValueError:
        raise ClientError("InvalidURI", "Couldn't parse the specified URI.") from None


def _denied() -> ClientError:
    return ClientError("AccessDenied", "Access Denied", 403)
