# SPDX-License-Identifier: Apache-2.0
"""Buckets in memory: the contract of ``objects.base``, and faults when a test wants some."""

import gzip
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from support.log_files import Fault
from support.open_buckets import NOW_MS, Kind

from opentrail.errors import ClientError, Unavailable
from opentrail.objects.base import Head, Listed, Put


@dataclass
class Stored:
    """One object."""

    head: Head
    data: bytes


def encryption(how: Put) -> dict[str, str]:
    if not how.kms_key_id:
        return {"ServerSideEncryption": "AES256"}
    return {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": how.kms_key_id}


@dataclass
class MemoryBucket:
    """Satisfies ``Bucket``; the next put meets ``fault``, every call ``refusal``, an S3 error code.

    ``write_once``: other bytes at a key that is taken are an AssertionError.
    """

    name: str
    exists: bool = True
    write_once: bool = False
    fault: Fault = Fault.NONE
    refusal: str = ""
    puts: int = 0
    objects: dict[str, Stored] = field(default_factory=dict)

    def put(self, key: str, data: bytes, how: Put) -> None:
        self.check()
        fault, self.fault = self.fault, Fault.NONE
        if fault is Fault.LOST:
            raise Unavailable("injected: the put was lost")
        there = self.objects.get(key)
        same = there is not None and (there.data, there.head.metadata) == (data, how.metadata)
        assert there is None or same or not self.write_once, key
        if not same:
            etag = f'"{hashlib.md5(data).hexdigest()}"'
            kind, coding = how.content_type, how.content_encoding
            meta = dict(how.metadata)
            head = Head(len(data), etag, NOW_MS, kind, coding, meta, encryption(how))
            self.objects[key] = Stored(head, data)
        self.puts += 1
        if fault is Fault.KEPT:
            raise Unavailable("injected: the put was kept")

    def get(self, key: str) -> tuple[Head, bytes]:
        return self.head(key), self.objects[key].data

    def head(self, key: str) -> Head:
        self.check()
        if key not in self.objects:
            raise ClientError("NoSuchKey", "The specified key does not exist.", 404)
        return self.objects[key].head

    def list(self, prefix: str, after: str = "", limit: int = 1000) -> Iterator[Listed]:
        self.check()
        found = sorted(self.objects, key=str.encode)
        keys = [k for k in found if k.startswith(prefix) and k.encode() > after.encode()]
        for key in keys[:limit]:
            head = self.objects[key].head
            yield Listed(key, head.size, head.etag, head.modified_ms)

    def acl_readable(self) -> None:
        self.check()

    def check(self) -> None:
        if not self.exists:
            raise ClientError("NoSuchBucket", "The specified bucket does not exist", 404)
        if self.refusal:
            raise ClientError(self.refusal, "refused as the test wants", 403)

    def unpacked(self, key: str) -> bytes:
        """The object's bytes without gzip: one member, nothing behind it."""
        return gzip.decompress(self.objects[key].data)


class MemoryBuckets:
    """Satisfies ``Buckets``: those that a test has made."""

    def __init__(self, *names: str, write_once: bool = False) -> None:
        self.all = {name: MemoryBucket(name, write_once=write_once) for name in names}

    def find(self, name: str) -> MemoryBucket:
        return self.all.get(name, MemoryBucket(name, exists=False))


def in_memory() -> Kind:
    """Return buckets in memory, for the contract suite."""
    return Kind(make=MemoryBucket, absent=MemoryBucket("absent", exists=False))
