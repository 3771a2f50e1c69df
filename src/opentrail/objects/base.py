# SPDX-License-Identifier: Apache-2.0
"""What the rooms may expect of a bucket, whatever stores it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Head:
    """What is kept of an object beside its bytes."""

    size: int
    etag: str
    """As S3 says it, in double quotes."""
    modified_ms: int
    content_type: str = "binary/octet-stream"
    content_encoding: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """User metadata, names in lower case without ``x-amz-meta-``."""
    encryption: Mapping[str, str] = field(default_factory=dict)
    """ServerSideEncryption and SSEKMSKeyId, in S3's words, when set."""


@dataclass(frozen=True, slots=True)
class Put:
    """How an object is written. CloudTrail's: application/json, gzip, bucket-owner-full-control."""

    content_type: str = "application/json"
    content_encoding: str = "gzip"
    metadata: Mapping[str, str] = field(default_factory=dict)
    acl: str = "bucket-owner-full-control"
    kms_key_id: str = ""
    """SSE-KMS with this key; empty: SSE-S3 (AES256)."""
    kms_context: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Listed:
    """One object of a listing."""

    key: str
    size: int
    etag: str
    modified_ms: int


class Bucket(Protocol):
    """One bucket. Trust: none. Whoever can write here can stop us, not fool us: digests tell.

    Safe from several threads. Errors are ClientError with S3's code (NoSuchBucket, NoSuchKey,
    AccessDenied, InvalidBucketName, KMS.DisabledException …): nothing was changed; or Unavailable: the
    outcome is unknown, and a put may have happened or may happen later still.
    """

    name: str

    def put(self, key: str, data: bytes, how: Put) -> None:
        """Write an object, whole, in the place of the one that has the key.

        Durable when it returns: a directory has synced it, an endpoint has acknowledged it. Whoever gets,
        heads or lists after that finds it. Putting the same bytes again must succeed and change nothing.
        """
        ...

    def get(self, key: str) -> tuple[Head, bytes]:
        """Return an object. Raises: ClientError NoSuchKey."""
        ...

    def head(self, key: str) -> Head:
        """Return an object's head. Raises: ClientError NoSuchKey (404)."""
        ...

    def list(self, prefix: str, after: str = "", limit: int = 1000) -> Iterator[Listed]:
        """Yield objects in key order (UTF-8 bytes), behind ``after``, ``limit`` at most.

        What is put or deleted meanwhile may be among them or not.
        """
        ...

    def acl_readable(self) -> None:
        """Do what CloudTrail's preflight does first: GetBucketAcl. Raises: ClientError."""
        ...


class Buckets(Protocol):
    """Buckets by name."""

    def find(self, name: str) -> Bucket:
        """Return the bucket of that name, existing or not (its calls then raise NoSuchBucket).

        Raises: ClientError InvalidBucketName.
        """
        ...
