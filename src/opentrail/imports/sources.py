# SPDX-License-Identifier: Apache-2.0
"""Where files to import are: on disk, or in a bucket."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from opentrail.errors import UsageError
from opentrail.imports.paths import Wanted, is_digest, left_out, may_hold_records
from opentrail.objects.base import Bucket
from opentrail.objects.names import OWN_FOLDER

LISTING_KEYS_MAX = 1 << 60
"""A bucket is listed to its end."""


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file on disk: an ``importer.Source``."""

    name: str
    size: int
    version: str

    def read(self) -> bytes:
        """See ``Source``."""
        return Path(self.name).read_bytes()


@dataclass(frozen=True, slots=True)
class BucketObject:
    """An object of a bucket: an ``importer.Source``."""

    bucket: Bucket
    key: str
    size: int
    version: str

    @property
    def name(self) -> str:
        """See ``Source``."""
        return f"s3://{self.bucket.name}/{self.key}"

    def read(self) -> bytes:
        """See ``Source``. Raises: ClientError. Unavailable."""
        return self.bucket.get(self.key)[1]


@dataclass(slots=True)
class LeftOut:
    """Files that are not read, and why."""

    digests: int = 0
    pruned: int = 0
    """By what their path says."""
    other: int = 0
    """No log files, by their name."""

    def takes(self, path: str, wanted: Wanted, *, named: bool = False) -> bool:
        """Return whether ``path`` is to be read; count it when not.

        ``named``: somebody asked for this very file, so its ending does not matter.
        """
        if is_digest(path):
            self.digests += 1
        elif left_out(path, wanted):
            self.pruned += 1
        elif not named and not may_hold_records(path):
            self.other += 1
        else:
            return True
        return False


def local(path: Path, wanted: Wanted, out: LeftOut) -> Iterator[LocalFile]:
    """Yield the files at and under ``path`` that may hold records, in the order of their names.

    Links are followed only where ``path`` itself is one. Raises: UsageError: nothing is there.
    """
    if path.is_file():
        if out.takes(str(path), wanted, named=True):
            yield _local_file(path)
    elif path.is_dir():
        yield from _under(path, wanted, out)
    else:
        raise UsageError(f"there is no file or directory {path}")


def _under(folder: Path, wanted: Wanted, out: LeftOut) -> Iterator[LocalFile]:
    for entry in sorted(os.scandir(folder), key=lambda each: each.name):
        if entry.is_dir(follow_symlinks=False):
            if entry.name != OWN_FOLDER:
                yield from _under(Path(entry.path), wanted, out)
        elif entry.is_file(follow_symlinks=False) and out.takes(entry.path, wanted):
            yield _local_file(Path(entry.path))


def _local_file(path: Path) -> LocalFile:
    status = path.stat()
    return LocalFile(str(path.resolve()), status.st_size, f"{status.st_size}-{status.st_mtime_ns}")


def in_bucket(bucket: Bucket, prefix: str, wanted: Wanted, out: LeftOut) -> Iterator[BucketObject]:
    """Yield the objects under ``prefix`` that may hold records. Raises: ClientError. Unavailable."""
    for listed in bucket.list(prefix, limit=LISTING_KEYS_MAX):
        if listed.size and out.takes(listed.key, wanted):
            yield BucketObject(bucket, listed.key, listed.size, f"{listed.size}-{listed.etag}")
