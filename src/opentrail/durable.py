# SPDX-License-Identifier: Apache-2.0
"""The only door to files that must survive: what is synced, renamed and cut goes through here.

After "Files are hard" (LWN 457667) and fsync(2), fcntl(2) F_FULLFSYNC. Nothing here tries again
after a failed sync: what the disk holds is then unknown until the file is read anew.
"""

import fcntl
import os
import subprocess
import sys
import uuid
from pathlib import Path
from typing import BinaryIO, Protocol

TEMPORARY_SUFFIX = ".tmp"
"""Files that end so were never published: a crash left them, and whoever finds them may delete them."""

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Files(Protocol):
    """The file operations that durability hangs on. Tests give some that fail, lie or forget.

    Every operation raises OSError. A failed ``sync`` or ``sync_dir`` leaves unknown what is kept.
    """

    def create(self, path: Path) -> int:
        """Create ``path``, emptying what is there; return a descriptor to read and write."""
        ...

    def open(self, path: Path) -> int:
        """Open the existing ``path``; return a descriptor to read and write."""
        ...

    def close(self, fd: int) -> None:
        """Close ``fd``. Syncs nothing."""
        ...

    def write(self, fd: int, data: bytes, offset: int) -> None:
        """Write all of ``data`` at ``offset``. Raises: OSError: any part of it may be written."""
        ...

    def truncate(self, fd: int, size: int) -> None:
        """Cut (or extend with zeros) the file to ``size`` bytes. Not durable without ``sync``."""
        ...

    def sync(self, fd: int) -> None:
        """Return once the file's bytes and length, those written through a map too, are on disk."""
        ...

    def rename(self, old: Path, new: Path) -> None:
        """Give ``old`` the name ``new``, replacing it at once. Not durable without ``sync_dir``."""
        ...

    def unlink(self, path: Path) -> None:
        """Remove ``path``; nothing happens if it is not there. Not durable without ``sync_dir``."""
        ...

    def sync_dir(self, path: Path) -> None:
        """Return once the names in the directory ``path`` are on disk."""
        ...

    def free_bytes(self, path: Path) -> int:
        """Bytes that may still be written on the file system of ``path``."""
        ...


class OsFiles:
    """The operating system's files."""

    def create(self, path: Path) -> int:
        """See ``Files``."""
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)

    def open(self, path: Path) -> int:
        """See ``Files``."""
        return os.open(path, os.O_RDWR | os.O_CLOEXEC)

    def close(self, fd: int) -> None:
        """See ``Files``."""
        os.close(fd)

    def write(self, fd: int, data: bytes, offset: int) -> None:
        """See ``Files``. A short write (a nearly full disk) goes on until the system says why."""
        done = os.pwrite(fd, data, offset)
        while done < len(data):
            done += os.pwrite(fd, data[done:], offset + done)

    def truncate(self, fd: int, size: int) -> None:
        """See ``Files``."""
        os.ftruncate(fd, size)

    def sync(self, fd: int) -> None:
        """See ``Files``."""
        if sys.platform == "darwin":
            # fsync there stops at the drive's cache, which a power loss empties.
            fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
        else:
            os.fdatasync(fd)

    def rename(self, old: Path, new: Path) -> None:
        """See ``Files``."""
        os.replace(old, new)

    def unlink(self, path: Path) -> None:
        """See ``Files``."""
        path.unlink(missing_ok=True)

    def sync_dir(self, path: Path) -> None:
        """See ``Files``."""
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def free_bytes(self, path: Path) -> int:
        """See ``Files``."""
        stat = os.statvfs(path)
        return stat.f_bavail * stat.f_frsize


OS_FILES = OsFiles()


def is_there(path: Path) -> bool:
    """Return whether something has that name. Raises: OSError: it cannot be told.

    ``Path.exists`` says no to that in some versions of Python: a file that a bad disk did not show for
    a moment would be made anew.
    """
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def open_file(path: Path) -> BinaryIO:
    """Open a file to be read; a pipe in its place holds nobody up, and is empty. Raises: OSError."""
    return open(path, "rb", opener=_at_once)


def _at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


def read_file(path: Path) -> bytes:
    """Return what is in a file, opened so. Raises: OSError."""
    with open_file(path) as file:
        return file.read()


def publish(temporary: Path, path: Path, files: Files = OS_FILES) -> None:
    """Give the finished file ``temporary`` the name ``path``, durably, in the same directory.

        1. sync the bytes     (a crash before 2 leaves a temporary file and the old ``path``)
        2. rename             (a crash after 2 leaves the old file or the new one, never a mix)
        3. sync the directory (when this returns, it is the new one)

    Raises: OSError: either file may be there.
    """
    fd = files.open(temporary)
    try:
        files.sync(fd)
    finally:
        files.close(fd)
    files.rename(temporary, path)
    files.sync_dir(path.parent)


def replace_file(path: Path, data: bytes, files: Files = OS_FILES) -> None:
    """Make ``path`` hold exactly ``data``, durably; a crash leaves the old content or the new.

    Readable by its owner only. Raises: OSError: either content may be there.
    """
    temporary = path.with_name(path.name + TEMPORARY_SUFFIX)
    fd = files.create(temporary)
    try:
        files.write(fd, data, 0)
    finally:
        files.close(fd)
    publish(temporary, path, files)


def make_dir(path: Path, files: Files = OS_FILES) -> None:
    """Create the directory ``path`` and its parents (0700), durably. Raises: OSError."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    for folder in reversed(missing):
        folder.mkdir(mode=0o700, exist_ok=True)
        files.sync_dir(folder.parent)


def boot_id() -> bytes:
    """Return 16 bytes that change with each start of the machine, and only then.

    A container sees its host's: restarting a container is a killed process, not a power loss.
    Raises: OSError.
    """
    if _BOOT_ID.exists():
        return uuid.UUID(_BOOT_ID.read_text().strip()).bytes
    command = ["/usr/sbin/sysctl", "-n", "kern.bootsessionuuid"]
    answer = subprocess.run(command, capture_output=True, check=False, text=True)  # noqa: S603  # the command is a constant
    if answer.returncode != 0:
        raise OSError(answer.returncode, "the machine's boot id cannot be read")
    return uuid.UUID(answer.stdout.strip()).bytes
