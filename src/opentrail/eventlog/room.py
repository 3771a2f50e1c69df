# SPDX-License-Identifier: Apache-2.0
"""Whether the disk takes records: asked before every call, looked at a few times a second.

After statvfs(3), which knows neither a user's quota nor blocks that are set aside: once a write has
failed, only another write tells that there is room again.
"""

from pathlib import Path

from opentrail.clock import Clock
from opentrail.durable import TEMPORARY_SUFFIX, Files, is_there
from opentrail.eventlog.options import DISK_CHECK_INTERVAL_S

PROBE_BYTES = 1024 * 1024
"""Written to see whether a disk that was full takes records again: four of the largest."""


class DiskRoom:
    """The room for one log. Safe from several threads: at worst two of them look at once."""

    def __init__(self, directory: Path, reserve_bytes: int, clock: Clock, files: Files) -> None:
        """``reserve_bytes`` must stay free."""
        self._dir = directory
        self._reserve_bytes = reserve_bytes
        self._clock = clock
        self._files = files
        self._refusal = ""
        self._full = ""
        self._looked_s = float("-inf")

    def refusal(self, file: Path) -> str:
        """Return why nothing may be written to ``file`` now, as one line; "" if it may."""
        now_s = self._clock.monotonic()
        if now_s - self._looked_s >= DISK_CHECK_INTERVAL_S:
            self._looked_s = now_s
            self._refusal = self._look(file)
        return self._refusal

    def ran_out(self, why: str) -> None:
        """Note that a write found no room: ``refusal`` is ``why`` until another one does."""
        self._full = self._refusal = why

    def _look(self, file: Path) -> str:
        try:
            if not is_there(file):
                # The open file would take all that is written, and vanish when it is closed.
                return f"{file} was removed: put it back, or restart OpenTrail to see what is left"
            if self._full and not self._takes_bytes():
                return self._full
            self._full = ""
            free = self._files.free_bytes(self._dir)
        except OSError as error:
            return f"{self._dir} does not answer: {error.strerror}: look at the disk"
        if free >= self._reserve_bytes:
            return ""
        return (
            f"{free} bytes are free at {self._dir}, fewer than the reserve of"
            f" {self._reserve_bytes}: make room"
        )

    def _takes_bytes(self) -> bool:
        """Write some bytes to a file that nobody needs (a crash leaves it: the next start sweeps)."""
        path = self._dir / f"room{TEMPORARY_SUFFIX}"
        try:
            fd = self._files.create(path)
            try:
                self._files.write(fd, bytes(PROBE_BYTES), 0)
            finally:
                self._files.close(fd)
                self._files.unlink(path)
        except OSError:
            return False
        return True
