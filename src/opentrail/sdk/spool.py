# SPDX-License-Identifier: Apache-2.0
"""Where records wait until the server has them: on disk, or in memory.

On disk each process has a folder of its own under the spool's, locked while it lives. What a killed
process left there is taken over by the next one that looks.
"""

import contextlib
import logging
import os
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from opentrail.sdk.system import TEMPORARY_SUFFIX, new_id, take_lock, write_file

Batch = Sequence[bytes]
_log = logging.getLogger("opentrail.sdk")
_SUFFIX = ".ndjson"
_LOCK = "lock"


class Store(Protocol):
    """Batches of records, in order. Owned by the sender's thread."""

    def add(self, batch: Batch) -> bool:
        """Keep a batch; False: there is no room for it. Raises: OSError: it is not kept."""
        ...

    def oldest(self) -> Batch | None:
        """Return the batch that came first. Raises: OSError."""
        ...

    def drop_oldest(self) -> None:
        """Forget that batch: the server has it. Raises: OSError: it is still there."""
        ...

    def adopt(self) -> int:
        """Take over what others left; return how many records. Raises: OSError."""
        ...

    def outlasting(self) -> int:
        """Return how many records stay when the process ends. Safe from any thread."""
        ...

    def vanished(self) -> int:
        """Return how many records somebody took away since this was last asked."""
        ...

    def close(self) -> None:
        """Leave; what is in it stays for the next process, if it can."""
        ...

    def forked(self) -> None:
        """Begin empty: this is a new process, and what there is belongs to the old one."""
        ...


class Memory:
    """Batches in memory: what is not sent when the process ends is lost."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self.forked()

    def add(self, batch: Batch) -> bool:
        """See ``Store``."""
        size = sum(map(len, batch))
        if self._bytes + size > self._bytes_max:
            return False
        self._batches.append(batch)
        self._bytes += size
        return True

    def oldest(self) -> Batch | None:
        """See ``Store``."""
        return self._batches[0] if self._batches else None

    def drop_oldest(self) -> None:
        """See ``Store``."""
        self._bytes -= sum(map(len, self._batches.popleft()))

    def adopt(self) -> int:
        """See ``Store``: nobody leaves anything in memory."""
        return 0

    def outlasting(self) -> int:
        """See ``Store``: none of them."""
        return 0

    def vanished(self) -> int:
        """See ``Store``: nobody can."""
        return 0

    def close(self) -> None:
        """See ``Store``: what is in memory goes with it."""

    def forked(self) -> None:
        """See ``Store``."""
        self._batches: deque[Batch] = deque()
        self._bytes = 0


class Spool:
    """Batches in files, one record a line. A crash leaves whole files only."""

    def __init__(self, directory: Path, bytes_max: int) -> None:
        """``bytes_max`` bounds what this process keeps there. Raises nothing: see ``add``."""
        self._directory = directory
        self._bytes_max = bytes_max
        self._lock = -1
        self._begin()

    def _begin(self) -> None:
        self._own = self._directory / new_id()
        self._files: deque[tuple[Path | Batch, int, int]] = deque()
        """File, bytes and records of each batch, or itself in the file's place."""
        self._vanished = 0
        self._adopted = 0
        self._refused: set[Path] = set()
        """Of others' folders, those that cannot be taken over, and were told of."""
        self._troubled = False
        self._bytes = 0
        self._count = 0
        self._open = False

    def _made(self) -> Path:
        """Return this process's folder, made and locked at first use. Raises: OSError."""
        if not self._open:
            self._own.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = take_lock(self._own / _LOCK)
            if lock is None:
                raise BlockingIOError
            self._lock = lock
            self._open = True
        return self._own

    def add(self, batch: Batch) -> bool:
        """See ``Store``. On disk when it returns True, or in memory if that failed."""
        data = b"\n".join(batch) + b"\n"
        if self._bytes + len(data) > self._bytes_max:
            return False
        try:
            path = self._next()
            write_file(path, data)
        except OSError as error:
            # A disk that fails must not keep what the server would take.
            if not self._troubled:
                self._troubled = True
                _log.warning("the spool cannot be written, records wait in memory: %s", error)
            self._note(batch, len(data), len(batch))
        else:
            self._note(path, len(data), len(batch))
        return True

    def _next(self) -> Path:
        self._count += 1
        return self._made() / f"{self._count:012d}{_SUFFIX}"

    def _note(self, file: Path | Batch, size: int, records: int) -> None:
        self._files.append((file, size, records))
        self._bytes += size

    def oldest(self) -> Batch | None:
        """See ``Store``."""
        while self._files:
            path, _, records = self._files[0]
            if not isinstance(path, Path):
                return path
            with contextlib.suppress(FileNotFoundError):
                batch = path.read_bytes().splitlines()
                if batch:
                    return batch
            # Somebody cleaned up behind us: nothing can be sent of it.
            self.drop_oldest()
            self._vanished += records
        return None

    def drop_oldest(self) -> None:
        """See ``Store``."""
        path, size, _ = self._files[0]
        if isinstance(path, Path):
            path.unlink(missing_ok=True)
        self._files.popleft()
        self._bytes -= size

    def adopt(self) -> int:
        """See ``Store``: of processes that no longer live. What cannot be taken over stays."""
        before = self._adopted
        for folder in self._others():
            try:
                self._adopt_one(folder)
            except OSError as error:  # another user's, perhaps: it keeps nobody from the rest
                if folder not in self._refused:
                    self._refused.add(folder)
                    _log.warning("what another process left in the spool stays there: %s", error)
        return self._adopted - before

    def _others(self) -> list[Path]:
        if not self._directory.is_dir():
            return []
        return [folder for folder in sorted(self._directory.iterdir()) if folder != self._own]

    def _adopt_one(self, folder: Path) -> None:
        if (folder / _LOCK).exists():
            lock = take_lock(folder / _LOCK)
            if lock is not None:
                try:
                    self._take_over(folder)
                finally:
                    os.close(lock)

    def _take_over(self, folder: Path) -> None:
        """Make the files of a dead process ours, whatever the bound: they are on the disk already."""
        for file in sorted(folder.iterdir()):
            if file.name.endswith(_SUFFIX):
                mine = self._next()
                file.replace(mine)
                data = mine.read_bytes()
                records = data.count(b"\n")
                self._note(mine, len(data), records)
                self._adopted += records
            elif file.name.endswith(TEMPORARY_SUFFIX):
                file.unlink()
        with contextlib.suppress(OSError):  # another may be at the same; the records are ours
            (folder / _LOCK).unlink()
            folder.rmdir()

    def outlasting(self) -> int:
        """See ``Store``: those in files."""
        return sum(records for file, _, records in self._files.copy() if isinstance(file, Path))

    def vanished(self) -> int:
        """See ``Store``: their files are gone."""
        count, self._vanished = self._vanished, 0
        return count

    def close(self) -> None:
        """See ``Store``. An empty folder goes too."""
        if self._open:
            if not self._files:
                with contextlib.suppress(OSError):
                    (self._own / _LOCK).unlink()
                    self._own.rmdir()
            os.close(self._lock)
            self._begin()

    def forked(self) -> None:
        """See ``Store``."""
        if self._open:
            os.close(self._lock)  # the parent's own descriptor still holds the lock
        self._begin()
