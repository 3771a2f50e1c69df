# SPDX-License-Identifier: Apache-2.0
"""What a directory bucket keeps of an object beside its bytes; see ``docs/format-buckets.md``."""

import hashlib
import os
from pathlib import Path

import msgspec

from opentrail.durable import TEMPORARY_SUFFIX
from opentrail.objects.base import Head, Put
from opentrail.objects.names import OWN_FOLDER

SIDECAR_BYTES_MAX = 64 * 1024
"""S3 allows 2 KB of metadata; what is longer was not written by us."""
_PIECE_BYTES = 1024 * 1024


class Sidecar(msgspec.Struct, frozen=True, kw_only=True):
    """The head of one object, on disk as JSON."""

    key: str
    size: int
    etag: str
    """MD5 of the bytes, hex."""
    modified_ms: int
    file_ns: int
    """Modification time of the file with the bytes when it was written, nanoseconds; 0: no file."""
    content_type: str
    content_encoding: str
    metadata: dict[str, str]

    def fits(self, file: os.stat_result) -> bool:
        """Return whether ``file`` still is what this was written for."""
        return self.size == file.st_size and self.file_ns == file.st_mtime_ns


def place_of(key: str) -> tuple[str, str, str]:
    """Return where below a bucket's directory the sidecar of ``key`` is."""
    name = hashlib.sha256(key.encode()).hexdigest()
    return OWN_FOLDER, "heads", f"{name}.json"


def temporary_of(key: str) -> tuple[str, str, str]:
    """Return where below a bucket's directory the bytes of ``key`` are written first."""
    name = hashlib.sha256(key.encode()).hexdigest()
    return OWN_FOLDER, "new", f"{name}.tmp"


def sidecar_of(key: str, data: bytes, how: Put, modified_ms: int, file_ns: int) -> Sidecar:
    """Return what to keep of an object that holds ``data``."""
    return Sidecar(
        key=key,
        size=len(data),
        etag=hashlib.md5(data, usedforsecurity=False).hexdigest(),
        modified_ms=modified_ms,
        file_ns=file_ns,
        content_type=how.content_type,
        content_encoding=how.content_encoding,
        metadata={name.lower(): value for name, value in how.metadata.items()},
    )


def encode(sidecar: Sidecar) -> bytes:
    """Return the bytes of the sidecar's file."""
    return msgspec.json.encode(sidecar) + b"\n"


def decode(data: bytes, key: str) -> Sidecar | None:
    """Return the sidecar of ``key``; None for bytes that we did not write for it."""
    try:
        sidecar = msgspec.json.decode(data, type=Sidecar)
    except msgspec.DecodeError:
        return None
    return sidecar if sidecar.key == key else None


def head_of(fd: int, sidecar: Sidecar | None) -> Head:
    """Return the head of the object whose bytes are at ``fd``.

    A file that somebody put there or changed is shown as it is: its size, its MD5, its time.
    """
    file = os.fstat(fd)
    if sidecar is not None and sidecar.fits(file):
        return as_head(sidecar)
    kept = sidecar or Sidecar(
        key="", size=0, etag="", modified_ms=0, file_ns=0,
        content_type="binary/octet-stream", content_encoding="", metadata={},
    )  # fmt: skip
    shown = msgspec.structs.replace(
        kept, size=file.st_size, etag=_md5(fd), modified_ms=file.st_mtime_ns // 1_000_000
    )
    return as_head(shown)


def as_head(sidecar: Sidecar) -> Head:
    """Return ``sidecar`` as the head of its object."""
    return Head(
        size=sidecar.size,
        etag=f'"{sidecar.etag}"',
        modified_ms=sidecar.modified_ms,
        content_type=sidecar.content_type,
        content_encoding=sidecar.content_encoding,
        metadata=sidecar.metadata,
    )


def read_at(fd: int, offset: int, count: int) -> bytes:
    """Return ``count`` bytes from ``offset``, fewer at the file's end."""
    pieces = []
    while count > 0 and (piece := os.pread(fd, min(count, _PIECE_BYTES), offset)):
        pieces.append(piece)
        offset += len(piece)
        count -= len(piece)
    return b"".join(pieces)


def _md5(fd: int) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    offset = 0
    while piece := os.pread(fd, _PIECE_BYTES, offset):
        digest.update(piece)
        offset += len(piece)
    return digest.hexdigest()


def write_path(root: Path, segments: tuple[str, ...]) -> Path:
    """Return the path of ``segments`` below ``root`` if no link lies on the way or at its end.

    In our own folder neither where ``durable`` puts its temporary file. Raises:
    NotADirectoryError: there is one, or a file is where a directory should be.
    """
    path = root
    for name in segments[:-1]:
        path = path / name
        if path.is_symlink() or (path.exists() and not path.is_dir()):
            raise NotADirectoryError(path)
    path = path / segments[-1]
    written = [path]
    if segments[0] == OWN_FOLDER:
        written.append(path.with_name(path.name + TEMPORARY_SUFFIX))
    if any(each.is_symlink() for each in written):
        raise NotADirectoryError(path)
    return path
