# SPDX-License-Identifier: Apache-2.0
"""A bucket behind an S3 endpoint, over a botocore client.

Amazon S3 API Reference: PutObject, GetObject, HeadObject, ListObjectsV2, GetBucketAcl.
"""

import base64
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol, cast

import msgspec
from botocore import exceptions as driver
from botocore.parsers import ResponseParserError

from opentrail.clock import Clock
from opentrail.errors import ClientError, Unavailable
from opentrail.objects.base import Head, Listed, Put
from opentrail.objects.driver import LET_THROUGH
from opentrail.objects.names import OBJECT_BYTES_MAX

PAGE_KEYS = 1000
"""As many as S3 gives at once."""

_ENDPOINT = "the bucket's endpoint"
_CHECK_PRODUCT = "it does not answer ListObjectsV2 as S3 does"

Answer = Mapping[str, object]


class S3Client(Protocol):
    """The part of botocore's S3 client that is called."""

    def put_object(self, **arguments: object) -> Answer:
        """PutObject."""
        ...

    def get_object(self, **arguments: object) -> Answer:
        """GetObject."""
        ...

    def head_object(self, **arguments: object) -> Answer:
        """HeadObject."""
        ...

    def list_objects_v2(self, **arguments: object) -> Answer:
        """ListObjectsV2."""
        ...

    def get_bucket_acl(self, **arguments: object) -> Answer:
        """GetBucketAcl."""
        ...


class _Body(Protocol):
    def read(self) -> bytes: ...

    def close(self) -> None: ...


class _ObjectAnswer(msgspec.Struct, frozen=True, rename="pascal"):
    """What GetObject and HeadObject say beside the bytes."""

    content_length: int
    last_modified: datetime
    etag: str = msgspec.field(name="ETag")
    content_type: str = "binary/octet-stream"
    content_encoding: str = ""
    metadata: dict[str, str] = {}
    server_side_encryption: str = ""
    kms_key_id: str = msgspec.field(name="SSEKMSKeyId", default="")

    def head(self) -> Head:
        encryption = {
            "ServerSideEncryption": self.server_side_encryption,
            "SSEKMSKeyId": self.kms_key_id,
        }
        return Head(
            size=self.content_length,
            etag=self.etag,
            modified_ms=_ms(self.last_modified),
            content_type=self.content_type,
            content_encoding=self.content_encoding,
            metadata=self.metadata,
            encryption={name: value for name, value in encryption.items() if value},
        )


class _Item(msgspec.Struct, frozen=True, rename="pascal"):
    key: str
    size: int
    last_modified: datetime
    etag: str = msgspec.field(name="ETag")


class _Page(msgspec.Struct, frozen=True, rename="pascal", kw_only=True):
    contents: list[_Item] = []
    is_truncated: bool
    key_count: int | None = None
    next_continuation_token: str = ""


@dataclass(frozen=True, slots=True)
class ObjectLock:
    """How long objects may not be deleted: S3 User Guide, "Locking objects with Object Lock"."""

    mode: str
    days: int
    clock: Clock

    def words(self) -> dict[str, object]:
        """Return what PutObject is told."""
        now = datetime.fromtimestamp(self.clock.now_ms() / 1000, tz=UTC)
        until = now + timedelta(days=self.days)
        return {"ObjectLockMode": self.mode, "ObjectLockRetainUntilDate": until}


class S3Bucket:
    """``objects.base.Bucket`` at an S3 endpoint. Safe from several threads, as its client is.

    ``encryption`` is sent when an object names no KMS key: "AES256", or "" to leave it to the
    bucket's own default (on AWS that is AES256; other servers may know no encryption at all).
    """

    def __init__(
        self, client: S3Client, name: str, encryption: str = "", lock: ObjectLock | None = None
    ) -> None:
        self.name = name
        self._client = client
        self._encryption = encryption
        self._lock = lock
        self._has_acls = True
        """Until its server says that it knows none: its objects are then their bucket's owner's anyway."""

    def put(self, key: str, data: bytes, how: Put) -> None:
        """See ``Bucket``."""
        if self._has_acls:
            try:
                self._put(key, data, how, ACL=how.acl)
            except ClientError as error:
                if not _is_about_acls(error):
                    raise
            else:
                return
        self._put(key, data, how)
        self._has_acls = False

    def _put(self, key: str, data: bytes, how: Put, **acl: str) -> None:
        digest = hashlib.md5(data, usedforsecurity=False).digest()
        answer = _call(
            self._client.put_object,
            Bucket=self.name,
            Key=key,
            Body=data,
            # The one checksum that every S3 knows, and that a bucket with Object Lock demands.
            ContentMD5=base64.b64encode(digest).decode(),
            ContentType=how.content_type,
            Metadata=dict(how.metadata),
            **acl,
            **({"ContentEncoding": how.content_encoding} if how.content_encoding else {}),
            **self._encrypted(how),
            **(self._lock.words() if self._lock is not None and data else {}),
        )
        if not answer.get("ETag"):
            # A page of whatever stands before the S3, with status 200: nothing was put.
            raise Unavailable(f"{_ENDPOINT} does not answer PutObject as S3 does")

    def get(self, key: str) -> tuple[Head, bytes]:
        """See ``Bucket``. Raises: ClientError EntityTooLarge: more than OBJECT_BYTES_MAX."""
        answer = _call(self._client.get_object, Bucket=self.name, Key=key)
        head = _object_of(answer)
        body = cast("_Body", answer["Body"])
        if head.size > OBJECT_BYTES_MAX:
            body.close()
            raise ClientError("EntityTooLarge", f"{key} is longer than {OBJECT_BYTES_MAX} bytes")
        return head, _read(body)

    def head(self, key: str) -> Head:
        """See ``Bucket``."""
        answer = _call(self._client.head_object, Bucket=self.name, Key=key)
        return _object_of(answer)

    def list(self, prefix: str, after: str = "", limit: int = 1000) -> Iterator[Listed]:
        """See ``Bucket``. One request for every PAGE_KEYS objects.

        Raises: Unavailable, too, for a listing that is not whole or not in order: who reads it would
        take what it leaves out for missing.
        """
        where: dict[str, object] = {"StartAfter": after} if after else {}
        last = after
        while limit > 0:
            answer = _call(
                self._client.list_objects_v2,
                Bucket=self.name,
                Prefix=prefix,
                MaxKeys=min(limit, PAGE_KEYS),
                **where,
            )
            page = _page_of(answer)
            for item in page.contents[:limit]:
                if item.key <= last:
                    raise Unavailable(f"{_ENDPOINT} lists keys out of their order", _CHECK_PRODUCT)
                last = item.key
                limit -= 1
                yield Listed(item.key, item.size, item.etag, _ms(item.last_modified))
            if not page.is_truncated:
                return
            where = _behind(page, where)

    def acl_readable(self) -> None:
        """See ``Bucket``. A server without ACLs is asked whether the bucket is there."""
        try:
            _call(self._client.get_bucket_acl, Bucket=self.name)
        except ClientError as error:
            if not _is_about_acls(error):
                raise
            self._seen()

    def _seen(self) -> None:
        try:
            _call(self._client.list_objects_v2, Bucket=self.name, MaxKeys=1)
        except ClientError as error:
            if error.code != "AccessDenied":  # who puts need not list
                raise

    def _encrypted(self, how: Put) -> dict[str, str]:
        if not how.kms_key_id:
            return {"ServerSideEncryption": self._encryption} if self._encryption else {}
        context = base64.b64encode(msgspec.json.encode(dict(how.kms_context))).decode()
        return {
            "ServerSideEncryption": "aws:kms",
            "SSEKMSKeyId": how.kms_key_id,
            **({"SSEKMSEncryptionContext": context} if how.kms_context else {}),
        }


def _is_about_acls(error: ClientError) -> bool:
    """Return whether a server says that it knows no ACLs: Garage, versitygw, R2; Google, in words."""
    in_words = error.code == "InvalidArgument" and "ACL" in error.message
    return error.code in _NO_ACLS or in_words


def _object_of(answer: Answer) -> Head:
    """Return what is said of an object. Raises: Unavailable: nothing that S3 says."""
    try:
        return msgspec.convert(answer, _ObjectAnswer).head()
    except msgspec.ValidationError as error:
        raise Unavailable(f"{_ENDPOINT} does not tell of an object as S3 does") from error


def _page_of(answer: Answer) -> _Page:
    """Return a page of a listing. Raises: Unavailable: it is not a whole one."""
    try:
        page = msgspec.convert(answer, _Page)
    except msgspec.ValidationError as error:
        raise Unavailable(f"{_ENDPOINT} answered a listing that cannot be read") from error
    if page.key_count not in (None, len(page.contents)):
        raise Unavailable(f"{_ENDPOINT} answered a listing that was cut short")
    return page


def _behind(page: _Page, before: Mapping[str, object]) -> dict[str, object]:
    """Return where a page goes on. Raises: Unavailable: nothing new says so."""
    token = page.next_continuation_token
    if token in ("", before.get("ContinuationToken")):
        raise Unavailable(f"{_ENDPOINT} does not say where its listing goes on", _CHECK_PRODUCT)
    return {"ContinuationToken": token}


def _ms(when: datetime) -> int:
    return int(when.timestamp() * 1000)


def _call(operation: Callable[..., Answer], **arguments: object) -> Answer:
    try:
        return operation(**arguments)
    except CALL_ERRORS as error:
        raise mapped(error) from error


def _read(body: _Body) -> bytes:
    try:
        return body.read()
    except driver.BotoCoreError as error:
        raise mapped(error) from error


_UNKNOWN_CODES = frozenset(
    ("InternalError", "RequestTimeout", "RequestTimeoutException", "ServiceUnavailable", "SlowDown",
     "Throttling", "ThrottlingException", "TooManyRequests", "OperationAborted", "InternalFailure",
     "InternalException", "RequestLimitExceeded", "Throttled", "KMSThrottlingException",
     "ThrottledException", "TooManyRequestsException")
)  # fmt: skip
"""Answers after which the same call may succeed."""
_NOT_IMPLEMENTED = 501
_NO_ACLS = frozenset(("NotImplemented", "MethodNotAllowed", "AccessControlListNotSupported", "501"))
_UNKNOWN_STATUS = frozenset((408, 425, 429))
_SERVER_ERROR_MIN = 500
_CODE = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_HEAD_CODES = {
    "404": "NoSuchKey",
    "403": "AccessDenied",
    "301": "PermanentRedirect",
    "400": "BadRequest",
}
"""Of answers without a code only the status is known: HeadObject's have no body."""

_CHECK_SETTINGS = "check its settings: endpoint, region, credentials"

DRIVER_ERRORS: tuple[tuple[type[Exception], str], ...] = (
    (driver.ParamValidationError, "InvalidArgument"),
    (driver.ValidationError, "InvalidArgument"),
    (driver.InvalidDNSNameError, "InvalidBucketName"),
    (driver.UnsupportedS3ArnError, "InvalidBucketName"),
    (driver.HTTPClientError, ""),
    (driver.ConnectionError, ""),
    (driver.IncompleteReadError, ""),
    (driver.ChecksumError, ""),
    (driver.FlexibleChecksumError, ""),
    (driver.BotoCoreError, _CHECK_SETTINGS),
)
"""botocore's error -> an S3 code (one word), or the hint with which the outcome is unknown."""


CALL_ERRORS = (driver.ClientError, driver.BotoCoreError, ResponseParserError, *LET_THROUGH)
"""What a call of a client raises. ResponseParserError: an answer that was cut short, or is of no AWS
service."""


def mapped(error: Exception, who: str = _ENDPOINT) -> ClientError | Unavailable:
    """Return what a caller is to see of botocore's ``error``; ``who`` was called.

    The texts of credential errors may quote what a credential process printed: only their kind
    is told.
    """
    if isinstance(error, driver.ClientError):
        return _answered(error, who)
    if isinstance(error, ResponseParserError):
        # Its text holds the answer, which may hold a secret.
        return Unavailable(f"{who} answered what cannot be read")
    kind = type(error).__name__
    found = next((s for known, s in DRIVER_ERRORS if isinstance(error, known)), _CHECK_SETTINGS)
    if found and " " not in found:
        return ClientError(found, f"{kind}: {error}")
    if found:
        return Unavailable(f"{who} cannot be asked: {kind}", found)
    return Unavailable(f"{who} did not answer: {error}")


def _answered(error: driver.ClientError, who: str) -> ClientError | Unavailable:
    said = error.response.get("Error", {})
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 400))
    code, message = str(said.get("Code") or ""), str(said.get("Message", ""))
    if not _CODE.fullmatch(code):
        code = str(status)  # a page of whatever stands before the server says no more
    code = _HEAD_CODES.get(code, code)
    if status == _NOT_IMPLEMENTED:
        return ClientError(code, message, status)  # nor will it be at the next try
    if status >= _SERVER_ERROR_MIN or status in _UNKNOWN_STATUS or code in _UNKNOWN_CODES:
        return Unavailable(f"{who} answered {code}: {message}")
    return ClientError(code, message, status)
