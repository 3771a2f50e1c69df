# SPDX-License-Identifier: Apache-2.0
"""Where files to import are: on disk, or in a bucket."""

import gzip
import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

from opentrail.errors import Unavailable, UsageError
from opentrail.imports.importer import shown
from opentrail.imports.paths import Wanted, is_archive, is_digest, left_out, may_hold_records
from opentrail.objects.base import Bucket
from opentrail.objects.names import OWN_FOLDER

LISTING_KEYS_MAX = 1 << 60
"""A bucket is listed to its end."""
ENDINGS_MAX = 100
"""Of names of files that are not read: more tell nobody anything."""
READ_BYTES = 16 * 1024 * 1024
"""Of a file, at once: nearly all log files come whole."""


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file on disk: an ``importer.Source``."""

    name: str
    size: int
    version: str

    def pieces(self) -> Iterator[bytes]:
        """See ``Source``."""
        with Path(self.name).open("rb") as file:
            while piece := file.read(READ_BYTES):
                yield piece


@dataclass(slots=True)
class Pipe:
    """What another program writes: an ``importer.Source`` that can be read once, and is never known again."""

    name: str
    size: int = 0
    """Read so far."""
    version: str = ""

    def pieces(self) -> Iterator[bytes]:
        """See ``Source``."""
        with Path(self.name).open("rb") as file:
            while piece := file.read(READ_BYTES):
                self.size += len(piece)
                yield piece


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

    def pieces(self) -> Iterator[bytes]:
        """See ``Source``. Raises: ClientError. Unavailable.

        Half an object that some proxy passes for a whole one must not count as done: it would never be
        read again, as the object itself does not change.
        """
        data = self.bucket.get(self.key)[1]
        if len(data) < self.size:
            raise Unavailable(f"{len(data)} bytes came of {self.size}", "run the import again")
        yield data


File = LocalFile | Pipe | BucketObject


class Listing:
    """Files in their order, to be gone through once: on disk, as a bucket has millions of objects."""

    def __init__(self, kept: IO[bytes], files: Iterable[File]) -> None:
        """List ``files`` in ``kept``, an empty file. Raises: OSError: there is no room."""
        self.count = 0
        self.bytes = 0
        """Of all that are listed."""
        self._bucket: Bucket | None = None
        self._makers: list[Callable[[str, int, str], File]] = [LocalFile, Pipe]
        """What makes a file of what is kept of it; behind these, of each bucket."""
        self._kept = kept
        with gzip.GzipFile(fileobj=kept, mode="wb", compresslevel=1) as packed:
            for file in files:
                line = json.dumps([self._maker(file), _text(file), file.size, file.version])
                packed.write(line.encode() + b"\n")
                self.count += 1
                self.bytes += file.size

    def __iter__(self) -> Iterator[File]:
        """Yield the files. Raises: OSError."""
        self._kept.seek(0)
        with gzip.GzipFile(fileobj=self._kept) as lines:
            for line in lines:
                maker, text, size, version = json.loads(line)
                yield self._makers[maker](text, size, version)

    def _maker(self, file: File) -> int:
        if not isinstance(file, BucketObject):
            return self._makers.index(type(file))
        if file.bucket is not self._bucket:
            self._bucket = file.bucket
            self._makers.append(partial(BucketObject, file.bucket))
        return len(self._makers) - 1


def _text(file: File) -> str:
    return file.key if isinstance(file, BucketObject) else file.name


@dataclass(slots=True)
class LeftOut:
    """Files that are not read, and why."""

    digests: int = 0
    pruned: int = 0
    """By what their path says."""
    other: int = 0
    """No log files, by their name; or no files at all (pipes, devices)."""
    endings: dict[str, int] = field(default_factory=dict)
    """How the names of these end, and how many: "" has none. Not all, of very many."""
    links: int = 0
    """Met in a folder: they are not followed, so that nothing is read twice or for ever."""
    archives: list[str] = field(default_factory=list)
    """Met in a folder or bucket: of these nothing is read."""
    folders: list[str] = field(default_factory=list)
    """Folders that cannot be read, and why."""

    def takes(self, path: str, wanted: Wanted, *, named: bool = False) -> bool:
        """Return whether ``path`` is to be read; count it when not.

        ``named``: somebody asked for this very file, so its ending does not matter.
        """
        if is_digest(path):
            self.digests += 1
        elif left_out(path, wanted):
            self.pruned += 1
        elif not named and is_archive(path):
            self.archives.append(shown(path))
        elif not named and not may_hold_records(path):
            self._note_other(PurePosixPath(path).suffix)
        else:
            return True
        return False

    def _note_other(self, ending: str) -> None:
        self.other += 1
        if ending in self.endings or len(self.endings) < ENDINGS_MAX:
            self.endings[ending] = self.endings.get(ending, 0) + 1


def local(
    path: Path, wanted: Wanted, out: LeftOut, into: Path | None = None
) -> Iterator[LocalFile | Pipe]:
    """Yield the files at and under ``path`` that may hold records, in the order of their names.

    Links are followed only where ``path`` itself is one. ``into``: the directory that takes the records,
    in which are none to read. Raises: UsageError: nothing is there that can be read.
    """
    if _is_file(path):
        if out.takes(str(path), wanted, named=True):
            yield _local_file(path.resolve())
    elif path.is_dir():
        own = None if into is None else into.resolve()
        yield from _under(path.resolve(), wanted, out, own)
    elif path.is_fifo():
        yield Pipe(str(path))
    elif path.exists():
        raise UsageError(f"{path} is neither a file, a directory nor a pipe: it cannot be imported")
    else:
        raise UsageError(f"there is no file or directory {path}")


def _is_file(path: Path) -> bool:
    """Return whether ``path`` is a file. Raises: UsageError: nobody may know, or it is no path."""
    try:
        return path.is_file()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error


def _under(folder: Path, wanted: Wanted, out: LeftOut, own: Path | None) -> Iterator[LocalFile]:
    try:
        entries = sorted(os.scandir(folder), key=lambda each: each.name)
    except OSError as error:
        out.folders.append(f"{shown(str(folder))}: {error.strerror}")
        return
    for entry in entries:
        if entry.is_symlink():
            out.links += 1
        elif entry.is_dir(follow_symlinks=False):
            if entry.name != OWN_FOLDER and Path(entry.path) != own:
                yield from _under(Path(entry.path), wanted, out, own)
        elif not entry.is_file(follow_symlinks=False):
            out.other += 1
        elif out.takes(entry.path, wanted):
            yield _local_file(Path(entry.path))


def _local_file(path: Path) -> LocalFile:
    name = str(path)
    try:
        status = path.stat()
    except OSError:
        return LocalFile(name, 0, "")  # it is gone, as reading it will say
    return LocalFile(name, status.st_size, f"{status.st_size}-{status.st_mtime_ns}")


def in_bucket(bucket: Bucket, prefix: str, wanted: Wanted, out: LeftOut) -> Iterator[BucketObject]:
    """Yield the objects under ``prefix`` that may hold records. Raises: ClientError. Unavailable."""
    for listed in bucket.list(prefix, limit=LISTING_KEYS_MAX):
        found = BucketObject(bucket, listed.key, listed.size, f"{listed.size}-{listed.etag}")
        if listed.size and out.takes(found.name, wanted):
            yield found
