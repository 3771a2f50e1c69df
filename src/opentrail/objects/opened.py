# SPDX-License-Identifier: Apache-2.0
"""Objects of a directory bucket, opened: head and bytes are of one file, whatever takes its name."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from opentrail.errors import Unavailable
from opentrail.objects import beneath, sidecar
from opentrail.objects.base import Head
from opentrail.objects.names import no_such_key, segments_of
from opentrail.objects.sidecar import Sidecar

OPENED_MAX = 2
"""An object is opened again if it was replaced between its bytes and its head."""


@dataclass(frozen=True, slots=True)
class Opened:
    """An object, opened."""

    head: Head
    _fd: int = -1
    """-1: it has no bytes."""
    _file_ns: int = 0
    """Modification time of the file when ``head`` was made."""

    def read(self, offset: int, count: int) -> bytes:
        """Return ``count`` bytes from ``offset``, both within the object.

        Raises: Unavailable: somebody wrote into its file meanwhile. OSError.
        """
        if self._fd < 0:
            return b""
        data = sidecar.read_at(self._fd, offset, count)
        file = os.fstat(self._fd)
        if len(data) != count or (file.st_size, file.st_mtime_ns) != (
            self.head.size,
            self._file_ns,
        ):
            raise Unavailable("an object was changed while it was read")
        return data


class Opening:
    """Opens objects one after another: the last folders stay open meanwhile. For one thread."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._files, self._heads = beneath.Folders(root), beneath.Folders(root)

    @contextmanager
    def opened(self, key: str) -> Iterator[Opened]:
        """Yield an object. Raises: ClientError NoSuchKey. OSError."""
        segments = segments_of(key)
        if not segments[-1]:
            kept = self.kept(key)
            if kept is None or not sidecar.write_path(self._root, segments).is_dir():
                raise no_such_key()
            yield Opened(sidecar.as_head(kept))
            return
        fd, kept = self._file(key, segments)
        try:
            yield Opened(sidecar.head_of(fd, kept), fd, os.fstat(fd).st_mtime_ns)
        finally:
            os.close(fd)

    def kept(self, key: str) -> Sidecar | None:
        """Return what is kept of an object; None: nothing. Raises: OSError."""
        try:
            fd = self._heads.open_file(sidecar.place_of(key))
        except FileNotFoundError:
            return None
        if fd is None:
            return None
        try:
            return sidecar.decode(sidecar.read_at(fd, 0, sidecar.SIDECAR_BYTES_MAX), key)
        finally:
            os.close(fd)

    def close(self) -> None:
        """Let go of the folders."""
        self._files.close()
        self._heads.close()

    def _file(self, key: str, segments: tuple[str, ...]) -> tuple[int, Sidecar | None]:
        """Return a descriptor of an object's bytes, and what is kept of it.

        The bytes first: a put writes the head before it, so one that does not fit is of a put that
        may be done by now. Raises: ClientError NoSuchKey. OSError.
        """
        for tries_left in reversed(range(OPENED_MAX)):
            fd = self._files.open_file(segments)
            if fd is None:
                break
            try:
                kept = self.kept(key)
                fits = kept is None or kept.fits(os.fstat(fd))
            except BaseException:
                os.close(fd)
                raise
            if fits or not tries_left:
                return fd, kept
            os.close(fd)
        raise no_such_key()
