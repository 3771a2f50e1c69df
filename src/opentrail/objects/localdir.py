# SPDX-License-Identifier: Apache-2.0
"""A bucket that is a directory: each object a file under its key, its head beside it.

The layout is that of ``docs/format-buckets.md``.
"""

import errno
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from opentrail.clock import Clock
from opentrail.durable import OS_FILES, Files, make_dir, publish, replace_file
from opentrail.errors import ClientError, Unavailable
from opentrail.objects import beneath, sidecar
from opentrail.objects.base import Head, Listed, Put
from opentrail.objects.names import OBJECT_BYTES_MAX, no_such_bucket, segments_of
from opentrail.objects.opened import Opened, Opening
from opentrail.objects.sidecar import Sidecar


class LocalDir:
    """``objects.base.Bucket`` in the directory ``path``. Safe from several threads.

    With ``create`` the directory is made by the first put; without, a missing one is NoSuchBucket
    (a file system that is not mounted must not be written past). Nothing is encrypted here.
    """

    def __init__(
        self,
        path: Path,
        name: str,
        clock: Clock,
        *,
        create: bool = True,
        files: Files = OS_FILES,
    ) -> None:
        self.name = name
        self._path = path
        self._clock = clock
        self._create = create
        self._files = files
        self._writing = threading.Lock()

    @property
    def path(self) -> Path:
        """The directory."""
        return self._path

    def put(self, key: str, data: bytes, how: Put) -> None:
        """See ``Bucket``.

            1. the bytes go to a file of ours    (a crash leaves it; the next put overwrites it)
            2. the head is written               (a crash: a new key is not there yet; an old one
                                                  has its old bytes and the new head's metadata)
            3. the file gets the key's name      (a crash leaves the old bytes or the new)

        A key that ends in "/" has no bytes: its head is all there is.
        """
        segments = segments_of(key)
        if how.kms_key_id:
            raise ClientError("NotImplemented", "A directory bucket does not encrypt.", 501)
        if not segments[-1] and data:
            raise ClientError(
                "InvalidArgument", "In a directory bucket a key with / at its end is empty."
            )
        with self._seam(), self._writing:
            if not self._same(key, segments, data, how):
                self._write(key, segments, data, how)

    def get(self, key: str) -> tuple[Head, bytes]:
        """See ``Bucket``. Raises: ClientError EntityTooLarge: more than OBJECT_BYTES_MAX."""
        with self.opened(key) as found:
            if found.head.size > OBJECT_BYTES_MAX:
                raise ClientError(
                    "EntityTooLarge", f"{key} is longer than {OBJECT_BYTES_MAX} bytes"
                )
            return found.head, found.read(0, found.head.size)

    def head(self, key: str) -> Head:
        """See ``Bucket``."""
        with self.opened(key) as found:
            return found.head

    @contextmanager
    def opened(self, key: str) -> Iterator[Opened]:
        """Yield an object's head and bytes, of one file, whatever takes its name meanwhile.

        Raises: ClientError NoSuchKey. Unavailable.
        """
        with self._opening() as opening, opening.opened(key) as found:
            yield found

    def list(self, prefix: str, after: str = "", limit: int = 1000) -> Iterator[Listed]:
        """See ``Bucket``. Raises: ClientError AccessDenied: a file may not be read; it is not left out."""
        with self._opening() as opening:
            for key in beneath.keys(self._path, prefix, after):
                if limit <= 0:
                    return
                try:
                    with opening.opened(key) as found:
                        head = found.head
                except ClientError:
                    continue  # a directory that is no object, or a file that went meanwhile
                limit -= 1
                yield Listed(key, head.size, head.etag, head.modified_ms)

    def acl_readable(self) -> None:
        """See ``Bucket``: whoever may name a directory bucket may read its ACL."""
        if not self._create:
            self.exists()

    def exists(self) -> None:
        """Return if the bucket is there. Raises: ClientError NoSuchBucket."""
        if not self._path.is_dir():
            raise no_such_bucket()

    def _write(self, key: str, segments: tuple[str, ...], data: bytes, how: Put) -> None:
        if not self._create:
            self.exists()
        now_ms = self._clock.now_ms()
        if not segments[-1]:
            make_dir(self._place(segments), self._files)
            self._write_head(sidecar.sidecar_of(key, data, how, now_ms, 0))
            return
        temporary = self._place(sidecar.temporary_of(key))
        target = self._place(segments)
        if target.is_dir():
            raise IsADirectoryError(target)
        make_dir(temporary.parent, self._files)
        make_dir(target.parent, self._files)
        fd = self._files.create(temporary)
        try:
            self._files.write(fd, data, 0)
        finally:
            self._files.close(fd)
        file_ns = temporary.stat().st_mtime_ns
        self._write_head(sidecar.sidecar_of(key, data, how, now_ms, file_ns))
        publish(temporary, target, self._files)

    def _write_head(self, head: Sidecar) -> None:
        path = self._place(sidecar.place_of(head.key))
        make_dir(path.parent, self._files)
        replace_file(path, sidecar.encode(head), self._files)

    def _place(self, segments: tuple[str, ...]) -> Path:
        return sidecar.write_path(self._path, segments)

    def _same(self, key: str, segments: tuple[str, ...], data: bytes, how: Put) -> bool:
        """Return whether the object is there already, byte for byte."""
        opening = Opening(self._path)
        try:
            kept = opening.kept(key)
        finally:
            opening.close()
        if kept is None:
            return False
        if sidecar.sidecar_of(key, data, how, kept.modified_ms, kept.file_ns) != kept:
            return False
        if not segments[-1]:
            return self._place(segments).is_dir()
        fd = beneath.open_file(self._path, segments)
        if fd is None:
            return False
        try:
            return kept.fits(os.fstat(fd)) and sidecar.read_at(fd, 0, len(data)) == data
        finally:
            os.close(fd)

    @contextmanager
    def _opening(self) -> Iterator[Opening]:
        """Yield what opens objects. Raises: ClientError NoSuchBucket, too."""
        with self._seam():
            self.exists()
            opening = Opening(self._path)
            try:
                yield opening
            finally:
                opening.close()

    @contextmanager
    def _seam(self) -> Iterator[None]:
        """Turn the operating system's errors into S3's."""
        try:
            yield
        except OSError as error:
            raise _mapped(error, self.name) from error


_CLIENT_ERRORS = {
    errno.ENOENT: ("NoSuchBucket", "The specified bucket does not exist", 404),
    errno.EACCES: ("AccessDenied", "Access Denied", 403),
    errno.EPERM: ("AccessDenied", "Access Denied", 403),
    errno.EROFS: ("AccessDenied", "Access Denied", 403),
    errno.ENAMETOOLONG: ("KeyTooLongError", "Your key is too long", 400),
    **dict.fromkeys(
        (errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ELOOP, errno.EILSEQ),
        (
            "InvalidArgument",
            "A directory bucket cannot hold this key beside those that it has.",
            400,
        ),
    ),
}
"""errno -> S3's code, message and HTTP status. Any other leaves the outcome unknown."""


def _mapped(error: OSError, name: str) -> ClientError | Unavailable:
    number = error.errno
    # NotADirectoryError(path), raised by us, has no number of its own.
    if number is None and isinstance(error, NotADirectoryError | IsADirectoryError):
        number = errno.ENOTDIR
    if number in _CLIENT_ERRORS:
        return ClientError(*_CLIENT_ERRORS[number])
    hint = "look at the disk under the bucket's directory"
    return Unavailable(f"directory bucket {name}: {error.strerror or error}", hint)
