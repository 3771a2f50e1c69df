# SPDX-License-Identifier: Apache-2.0
"""Bytes that wait until a bucket takes them: in memory while they are few, else in a nameless file."""

import io
import tempfile
from pathlib import Path
from typing import IO

MEMORY_BYTES_MAX = 128 * 1024
"""Of one log file: a hundred of them at once stay small."""


class Spool:
    """Written once, then read as often as needed. One thread at once.

    The file has no name, so a crash leaves nothing behind.
    """

    def __init__(self, directory: Path | None = None) -> None:
        """Keep what is too much for memory in ``directory`` (None: the system's for such)."""
        self._directory = directory
        self._file: IO[bytes] = io.BytesIO()
        self._on_disk = False
        self.size = 0

    def write(self, data: bytes) -> None:
        """Append ``data``. Raises: OSError: the disk is full."""
        self.size += len(data)
        if self.size > MEMORY_BYTES_MAX and not self._on_disk:
            held = self.read()
            self._file = tempfile.TemporaryFile(dir=self._directory)  # noqa: SIM115  # see ``close``
            self._on_disk = True
            self._file.write(held)
        self._file.write(data)

    def read(self) -> bytes:
        """Return all of it. Raises: OSError."""
        self._file.seek(0)
        return self._file.read()

    def close(self) -> None:
        """Let go of the bytes."""
        self._file.close()
