# SPDX-License-Identifier: Apache-2.0
"""The disk reserve: appends are refused while there is still room for everything else."""

from pathlib import Path

from opentrail.clock import Clock
from opentrail.durable import Files
from opentrail.eventlog.options import DISK_CHECK_INTERVAL_S


class DiskReserve:
    """Looks at the free space of the log's disk, now and then."""

    def __init__(self, log_dir: Path, reserve_bytes: int, clock: Clock, files: Files) -> None:
        self._dir = log_dir
        self._reserve_bytes = reserve_bytes
        self._clock = clock
        self._files = files
        self._refusal = ""
        self._checked_s = float("-inf")

    def refusal(self) -> str:
        """Return "" when there is room, else why not, as one line for an operator."""
        now_s = self._clock.monotonic()
        if now_s - self._checked_s >= DISK_CHECK_INTERVAL_S:
            self._checked_s = now_s
            self._refusal = self._check()
        return self._refusal

    def _check(self) -> str:
        try:
            free = self._files.free_bytes(self._dir)
        except OSError as error:
            return f"{self._dir} does not answer: {error.strerror}"
        if free >= self._reserve_bytes:
            return ""
        return (
            f"{free} bytes are free at {self._dir},"
            f" fewer than the reserve of {self._reserve_bytes}: make room"
        )
