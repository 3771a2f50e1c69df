# SPDX-License-Identifier: Apache-2.0
"""Reading a directory bucket's files without being led out of it: no link is ever followed.

After openat(2) and symlink(7): each name is opened relative to the directory before it, so that
nobody can put a link in the way between a check and its use.
"""

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from opentrail.objects.names import KEY_BYTES_MAX, OWN_FOLDER

_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
"""Without O_NONBLOCK a named pipe would hold us up."""
_NOT_THERE = frozenset(
    (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO, errno.ENAMETOOLONG, errno.EISDIR)
)
"""No file, a file or link where a directory should be, a link, a socket."""


def open_file(root: Path, segments: Sequence[str]) -> int | None:
    """Return a descriptor of the regular file at ``segments`` below ``root``; None: there is none.

    Raises: FileNotFoundError: ``root`` is not there. OSError.
    """
    folders = Folders(root)
    try:
        return folders.open_file(segments)
    finally:
        folders.close()


class Folders:
    """Opens files below ``root``, many times over: the last folder stays open. For one thread."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._names: Sequence[str] | None = None
        """Where it is; None: not where it was to go."""
        self._fd = -1

    def open_file(self, segments: Sequence[str]) -> int | None:
        """See ``open_file``."""
        *names, last = segments
        try:
            if names != self._names:
                self._go_to(names)
            return _regular(os.open(last, _FILE_FLAGS, dir_fd=self._fd))
        except OSError as error:
            if self._fd < 0 or error.errno not in _NOT_THERE:
                raise
            return None

    def _go_to(self, names: Sequence[str]) -> None:
        self.close()
        self._fd = os.open(self._root, _FOLDER_FLAGS)
        for name in names:
            inner = os.open(name, _FOLDER_FLAGS | os.O_NOFOLLOW, dir_fd=self._fd)
            os.close(self._fd)
            self._fd = inner
        self._names = names

    def close(self) -> None:
        """Let go of the folder; the next file opens one anew."""
        if self._fd >= 0:
            os.close(self._fd)
        self._fd, self._names = -1, None


def _regular(fd: int) -> int | None:
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return fd
    os.close(fd)
    return None


def keys(root: Path, prefix: str, after: str) -> Iterator[str]:
    """Yield what may be keys below ``root``, in order of their UTF-8 bytes, behind ``after``.

    Files, and directories with a "/" at their end. Links, special files, names that are not UTF-8 (as
    text that they come near to) and what is longer than keys are (of directories the path alone) are
    among them, so that they hide nothing; nothing can be opened there.
    Raises: FileNotFoundError: ``root`` is not there. OSError.
    """
    yield from _below(root, "", prefix, after)


def _below(folder: Path, base: str, prefix: str, after: str) -> Iterator[str]:
    for name in _names(folder):
        key = base + name
        if key.rstrip("/") == OWN_FOLDER:
            continue
        if len(key.encode()) > KEY_BYTES_MAX:
            key = key.rstrip("/")
        if key > after and key.startswith(prefix):
            yield key
        if key.endswith("/") and _reaches(key, prefix, after):
            try:
                yield from _below(folder / name, key, prefix, after)
            except (FileNotFoundError, NotADirectoryError):
                continue  # it went while we walked


def _reaches(folder: str, prefix: str, after: str) -> bool:
    """Return whether keys that begin with ``folder`` can be asked for."""
    wanted = folder.startswith(prefix) or prefix.startswith(folder)
    return wanted and (after < folder or after.startswith(folder))


def _names(folder: Path) -> list[str]:
    """Return the names in ``folder``, directories with "/", in the order of the keys below them."""
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            name = os.fsencode(entry.name).decode("utf-8", "replace")
            inner = name == entry.name and entry.is_dir(follow_symlinks=False)
            found.append(f"{name}/" if inner else name)
    # Text in order of code points is in order of UTF-8 bytes.
    return sorted(found)
