# SPDX-License-Identifier: Apache-2.0
"""Files whose n-th change fails: the disk refuses it, or the process is killed there."""

import errno
from enum import Enum
from pathlib import Path

from opentrail.durable import OsFiles


class Killed(Exception):
    """The process died here."""


class Fault(Enum):
    """What happens at the change, and whether it took effect (KEPT) or not (LOST)."""

    REFUSED_LOST = "refused, lost"
    REFUSED_KEPT = "refused, kept"
    KILLED_LOST = "killed, lost"
    KILLED_KEPT = "killed, kept"


class BrittleFiles:
    """``durable.Files`` over the operating system's, sound until ``break_at`` is called."""

    def __init__(self) -> None:
        self._os = OsFiles()
        self._left = 0
        self._fault = Fault.REFUSED_LOST

    def break_at(self, change: int, fault: Fault) -> None:
        """Let the ``change``-th change from now on meet ``fault``; 0: none does."""
        self._left, self._fault = change, fault

    def create(self, path: Path) -> int:
        self._fail_if(lost=True)
        return self._os.create(path)

    def open(self, path: Path) -> int:
        return self._os.open(path)

    def close(self, fd: int) -> None:
        self._os.close(fd)

    def write(self, fd: int, data: bytes, offset: int) -> None:
        self._os.write(fd, data[: len(data) // 2], offset)
        self._fail_if(lost=True)
        self._os.write(fd, data, offset)
        self._fail_if(lost=False)

    def truncate(self, fd: int, size: int) -> None:
        self._os.truncate(fd, size)

    def sync(self, fd: int) -> None:
        self._fail_if(lost=True)
        self._os.sync(fd)

    def rename(self, old: Path, new: Path) -> None:
        self._fail_if(lost=True)
        self._os.rename(old, new)
        self._fail_if(lost=False)

    def unlink(self, path: Path) -> None:
        self._fail_if(lost=True)
        self._os.unlink(path)
        self._fail_if(lost=False)

    def sync_dir(self, path: Path) -> None:
        self._fail_if(lost=True)
        self._os.sync_dir(path)

    def free_bytes(self, path: Path) -> int:
        return self._os.free_bytes(path)

    def _fail_if(self, *, lost: bool) -> None:
        """Fail if this is the change; a KEPT fault comes after the effect, a LOST one before."""
        if self._left == 0 or lost != (self._fault in (Fault.REFUSED_LOST, Fault.KILLED_LOST)):
            return
        self._left -= 1
        if self._left == 0:
            if self._fault in (Fault.KILLED_LOST, Fault.KILLED_KEPT):
                raise Killed
            raise OSError(errno.ENOSPC, "No space left on device")
