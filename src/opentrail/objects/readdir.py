# SPDX-License-Identifier: Apache-2.0
"""A directory read as a bucket: a directory bucket, or a copy of any bucket's objects."""

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from opentrail.errors import ClientError, Unavailable
from opentrail.objects import beneath, sidecar
from opentrail.objects.names import OBJECT_BYTES_MAX, no_such_bucket, no_such_key, segments_of

NOT_IN_COPY = "NotInCopy"
"""No code of S3's: the key is one of the original that lies outside of the part that was copied."""


class ReadDir:
    """Objects in the files of a directory, as they are: no link is followed, nothing is made.

    ``base``: what the keys of the original begin with in front of the paths here ("" or "…/").
    Safe from several threads.
    """

    def __init__(self, path: Path, name: str, base: str = "") -> None:
        self.path = path
        self.name = name
        self.base = base
        self._folders = beneath.Folders(path)
        self._opening = threading.Lock()

    def keys(self, prefix: str, after: str = "") -> Iterator[str]:
        """Yield the keys of all files, in order of their UTF-8 bytes, behind ``after``.

        Raises: ClientError NoSuchBucket. Unavailable.
        """
        if not (prefix.startswith(self.base) or self.base.startswith(prefix)):
            return
        inner = prefix.removeprefix(self.base) if prefix.startswith(self.base) else ""
        behind = after.removeprefix(self.base) if after.startswith(self.base) else ""
        try:
            for path in beneath.keys(self.path, inner, behind):
                if not path.endswith("/") and self.base + path > after:
                    yield self.base + path
        except FileNotFoundError as error:
            raise no_such_bucket() from error
        except OSError as error:
            raise self._unreadable(error) from error

    def read(self, key: str) -> tuple[Mapping[str, str], bytes]:
        """Return an object's metadata, where it was kept, and its bytes.

        Raises: ClientError NoSuchKey, NOT_IN_COPY, EntityTooLarge, InvalidArgument, AccessDenied; InternalError
        where the disk does not give a file that is there. Unavailable.
        """
        data = self.data(key)
        with self._seam():
            return self._metadata(key), data

    def data(self, key: str) -> bytes:
        """Return an object's bytes alone. Raises: as ``read``."""
        if not key.startswith(self.base):
            raise ClientError(NOT_IN_COPY, f"this is a copy of {self.base} alone", 404)
        segments = segments_of(key.removeprefix(self.base))
        with self._seam():
            return self._bytes(segments)

    def close(self) -> None:
        """Let go of the folder that was read last."""
        with self._opening:
            self._folders.close()

    def _bytes(self, segments: tuple[str, ...]) -> bytes:
        with self._opening:
            fd = self._folders.open_file(segments)
        if fd is None:
            raise no_such_key()
        try:
            size = os.fstat(fd).st_size
            if size > OBJECT_BYTES_MAX:
                raise ClientError("EntityTooLarge", f"longer than {OBJECT_BYTES_MAX} bytes")
            return sidecar.read_at(fd, 0, size)
        except OSError as error:  # one bad sector makes no other file unreadable
            raise ClientError("InternalError", error.strerror or "", 500) from error
        finally:
            os.close(fd)

    def _metadata(self, key: str) -> Mapping[str, str]:
        fd = beneath.open_file(self.path, sidecar.place_of(key))
        if fd is None:
            return {}
        try:
            kept = sidecar.decode(sidecar.read_at(fd, 0, sidecar.SIDECAR_BYTES_MAX), key)
        finally:
            os.close(fd)
        return {} if kept is None else kept.metadata

    @contextmanager
    def _seam(self) -> Iterator[None]:
        """Turn the operating system's errors into S3's."""
        try:
            yield
        except FileNotFoundError as error:
            raise no_such_bucket() from error
        except PermissionError as error:
            raise ClientError("AccessDenied", "Access Denied", 403) from error
        except OSError as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: OSError) -> Unavailable:
        return Unavailable(
            f"directory {self.path}: {error.strerror or error}", "look at the disk under it"
        )
