# SPDX-License-Identifier: Apache-2.0
"""File operations that fail (LOST, KEPT), run out of disk, or forget what was not synced."""

import errno
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TypeVar

from opentrail.durable import OsFiles

T = TypeVar("T")


class HandClock:
    """A clock that a test moves."""

    def __init__(self, now_ms: int = 1_700_000_000_000) -> None:
        self.ms = now_ms
        self.seconds = 0.0
        self.step_s = 1.0

    def now_ms(self) -> int:
        return self.ms

    def monotonic(self) -> float:
        self.seconds += self.step_s
        return self.seconds


class Fault(Enum):
    NONE = "none"
    LOST = "lost"
    """The operation fails and did nothing."""
    KEPT = "kept"
    """The operation fails and was done all the same."""


class FaultFiles(OsFiles):
    """Fails the next call of chosen operations; says what was called."""

    def __init__(self) -> None:
        self.next: dict[str, tuple[Fault, int]] = {}
        self.free = 10**12
        self.calls: list[str] = []
        self.watch: Callable[[str], None] = self.calls.append
        """Told of each operation before it is done."""

    def fail(self, operation: str, fault: Fault, code: int = errno.EIO) -> None:
        if fault is not Fault.NONE:
            self.next[operation] = (fault, code)

    def _run(self, operation: str, action: Callable[[], T]) -> T:
        self.watch(operation)
        fault, code = self.next.pop(operation, (Fault.NONE, 0))
        if fault is Fault.LOST:
            raise OSError(code, "injected")
        result = action()
        if fault is Fault.KEPT:
            raise OSError(code, "injected")
        return result

    def create(self, path: Path) -> int:
        return self._run("create", lambda: OsFiles.create(self, path))

    def write(self, fd: int, data: bytes, offset: int) -> None:
        self._run("write", lambda: OsFiles.write(self, fd, data, offset))

    def truncate(self, fd: int, size: int) -> None:
        self._run("truncate", lambda: OsFiles.truncate(self, fd, size))

    def sync(self, fd: int) -> None:
        self._run("sync", lambda: OsFiles.sync(self, fd))

    def rename(self, old: Path, new: Path) -> None:
        self._run("rename", lambda: OsFiles.rename(self, old, new))

    def unlink(self, path: Path) -> None:
        self._run("unlink", lambda: OsFiles.unlink(self, path))

    def sync_dir(self, path: Path) -> None:
        self._run("sync_dir", lambda: OsFiles.sync_dir(self, path))

    def free_bytes(self, path: Path) -> int:
        del path
        return self.free


class PowerCut(BaseException):
    """The process stops here."""


@dataclass
class _Inode:
    synced: bytes = b""
    writes: list[tuple[int, bytes]] = field(default_factory=list)
    """Since the last sync."""
    fresh: bool = True
    """Not written through a map yet."""


class ForgetfulFiles(OsFiles):
    """Real files in ``root``, and what of them a power loss would leave.

    ``steps`` is how many operations are still done before the process stops; None is for ever.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.steps: int | None = None
        self._inodes: dict[Path, _Inode] = {}
        self._fds: dict[int, Path] = {}
        self._names: dict[Path, _Inode] = {}
        self._pending: list[tuple[Path, _Inode | None]] = []
        for path in sorted(root.rglob("*")):
            if path.is_file():
                self._inodes[path] = self._names[path] = _Inode(path.read_bytes(), fresh=False)

    def _step(self) -> None:
        if self.steps is not None:
            if self.steps == 0:
                raise PowerCut
            self.steps -= 1

    def create(self, path: Path) -> int:
        self._step()
        fd = super().create(path)
        self._inodes[path] = _Inode()
        self._pending.append((path, self._inodes[path]))
        self._fds[fd] = path
        return fd

    def open(self, path: Path) -> int:
        self._step()
        fd = super().open(path)
        self._fds[fd] = path
        return fd

    def close(self, fd: int) -> None:
        self._fds.pop(fd, None)
        super().close(fd)

    def write(self, fd: int, data: bytes, offset: int) -> None:
        self._step()
        super().write(fd, data, offset)
        self._inodes[self._fds[fd]].writes.append((offset, data))

    def truncate(self, fd: int, size: int) -> None:
        self._step()
        super().truncate(fd, size)

    def sync(self, fd: int) -> None:
        self._step()
        super().sync(fd)
        path = self._fds[fd]
        self._inodes[path] = self._inodes.get(path) or _Inode()
        self._inodes[path].synced = path.read_bytes()
        self._inodes[path].writes.clear()

    def rename(self, old: Path, new: Path) -> None:
        self._step()
        super().rename(old, new)
        inode = self._inodes.pop(old)
        self._inodes[new] = inode
        self._pending += [(new, inode), (old, None)]

    def unlink(self, path: Path) -> None:
        self._step()
        super().unlink(path)
        self._inodes.pop(path, None)
        self._pending.append((path, None))

    def sync_dir(self, path: Path) -> None:
        self._step()
        super().sync_dir(path)
        self._settle(len(self._pending))

    def free_bytes(self, path: Path) -> int:
        del path
        return 10**12

    def _settle(self, count: int) -> None:
        for path, inode in self._pending[:count]:
            if inode is None:
                self._names.pop(path, None)
            else:
                self._names[path] = inode
        del self._pending[:count]

    def lose_power(self, rng: random.Random, into: Path) -> None:
        """Write to the directory ``into`` what the disk may hold after the power went."""
        self._settle(rng.randint(0, len(self._pending)))
        live = {id(inode): path for path, inode in self._inodes.items()}
        for path, inode in self._names.items():
            if path.name == "lock":
                continue
            data = bytearray(inode.synced)
            for offset, written in inode.writes:
                part = written[: rng.choice([0, len(written), rng.randint(0, len(written))])]
                data[len(data) : offset] = bytes(max(0, offset - len(data)))
                data[offset : offset + len(part)] = part
            if path.name in {"durable", "inflight"} and id(inode) in live and rng.random() < 0.5:
                # The kernel writes maps back whenever it likes.
                data = bytearray(live[id(inode)].read_bytes())
            target = into / path.relative_to(self.root)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
