# SPDX-License-Identifier: Apache-2.0
"""One server for one data directory: flock on ``<data>/lock``, whose text says who holds it.

After flock(2): the lock goes with the process, however it ends.
"""

import fcntl
import os
from pathlib import Path
from typing import Self

from opentrail.errors import UsageError

NAME = "lock"
TEXT_BYTES_MAX = 300
"""A process id and a host name with port; what is longer is not ours."""


class DataLock:
    """The held lock."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    @classmethod
    def take(cls, data: Path, address: str) -> Self:
        """Lock the existing directory ``data`` for this process, which listens on ``address``.

        Raises: UsageError: another process holds it, or it cannot be written.
        """
        path = data / NAME
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise UsageError(
                f"{path} cannot be written: {error.strerror}; choose another directory with --data, or"
                " mend its permissions"
            ) from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid, where = _said(fd)
            os.close(fd)
            holder = f"process {pid or 'unknown'}" + (f" at {where}" if where else "")
            raise UsageError(
                f"{data} is in use by {holder}: stop it, or choose another directory with --data"
            ) from None
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()} {address}\n".encode(), 0)
        return cls(fd)

    def release(self) -> None:
        """Let another process have the directory. A second call does nothing."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def last_address(data: Path) -> str:
    """Return where the server that last held the directory ``data`` said it listens; "" if none did.

    It may be gone: whether the lock is held is not looked at, for a server that starts just then
    would find it taken.
    """
    try:
        fd = os.open(data / NAME, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return ""
    try:
        return _said(fd)[1]
    except OSError:
        return ""
    finally:
        os.close(fd)


def _said(fd: int) -> tuple[str, str]:
    """Return the process id and the address that the lock's text has. Raises: OSError."""
    text = os.pread(fd, TEXT_BYTES_MAX, 0).decode(errors="replace")
    pid, _, where = text.strip().partition(" ")
    return pid, where
