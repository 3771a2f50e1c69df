# SPDX-License-Identifier: Apache-2.0
"""A directory read as a bucket: a directory bucket, or a copy of any bucket's objects."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from opentrail.errors import ClientError, Unavailable
from opentrail.objects import beneath, sidecar
from opentrail.objects.names import OBJECT_BYTES_MAX, no_such_bucket, no_such_key, segments_of


@dataclass(frozen=True, slots=True)
class ReadDir:
    """Objects in the files of a directory, as they are: no link is followed, nothing is made.

    ``base``: what the keys of the original begin with in front of the paths here ("" or "…/").
    """

    path: Path
    name: str
    base: str = ""

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

        Raises: ClientError NoSuchKey, EntityTooLarge, InvalidArgument, AccessDenied. Unavailable.
        """
        if not key.startswith(self.base):
            raise no_such_key()
        segments = segments_of(key.removeprefix(self.base))
        try:
            return self._metadata(key), self._bytes(segments)
        except FileNotFoundError as error:
            raise no_such_bucket() from error
        except PermissionError as error:
            raise ClientError("AccessDenied", "Access Denied", 403) from error
        except OSError as error:
            raise self._unreadable(error) from error

    def close(self) -> None:
        """Nothing is held."""

    def _bytes(self, segments: tuple[str, ...]) -> bytes:
        fd = beneath.open_file(self.path, segments)
        if fd is None:
            raise no_such_key()
        try:
            size = os.fstat(fd).st_size
            if size > OBJECT_BYTES_MAX:
                raise ClientError("EntityTooLarge", f"longer than {OBJECT_BYTES_MAX} bytes")
            return sidecar.read_at(fd, 0, size)
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

    def _unreadable(self, error: OSError) -> Unavailable:
        return Unavailable(
            f"directory {self.path}: {error.strerror or error}", "look at the disk under it"
        )
