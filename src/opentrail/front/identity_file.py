# SPDX-License-Identifier: Apache-2.0
"""What was learned of keys, kept for the next start: identities, never secrets.

docs/format.md, "identities.jsonl", has its form: a line a key, the last one counts. Lines are
appended a moment after they were learned; a crash loses that moment, and the calls of those
sessions are then recorded as Unknown. Written anew, whole, at each start and when it has grown.
"""

import logging
import threading
from collections.abc import Sequence
from pathlib import Path

import msgspec

from opentrail.access.key_table import SESSIONS_MAX, KeyTable, Known
from opentrail.durable import OS_FILES, Files, open_file, replace_file

LINE_BYTES_MAX = 8192
"""The longest line that is read: names, paths and ARNs of IAM at their longest take 5 KB."""
FILE_BYTES_MAX = 2 * SESSIONS_MAX * 1024
"""Past it the file is written anew: as many keys as are kept take half of it."""

_log = logging.getLogger("opentrail.front")


class IdentityFile:
    """The file. One thread at a time; the key table is the caller's."""

    def __init__(self, path: Path, files: Files = OS_FILES) -> None:
        self._path = path
        self._files = files
        self._size = 0
        self._turn = threading.Lock()
        self.whole = True
        """Whether the next ``write`` must have all that is known: the file is not to be added to."""

    def load(self, keys: KeyTable, now_ms: int) -> None:
        """Have ``keys`` know what the file says; lines that are damaged or half there are left out."""
        try:
            with open_file(self._path) as file:
                while line := file.readline(LINE_BYTES_MAX):
                    known = _decoded(line)
                    if known is not None:
                        keys.restore(known, now_ms)
        except OSError as error:
            if self._path.exists():
                _log.error("%s cannot be read: %s", self._path, error.strerror)
        keys.changes()

    def write(self, known: Sequence[Known]) -> None:
        """Add ``known``, or where ``whole`` says so write it instead of all that was there.

        Durable when it returns. What fails is logged, and the next write writes everything.
        """
        data = b"".join(msgspec.json.encode(each) + b"\n" for each in known)
        with self._turn:  # the last write, at the end, may find one that is under way
            try:
                self._write(data)
            except OSError as error:
                self.whole = True
                _log.error("%s cannot be written: %s; tried again", self._path, error.strerror)
            else:
                self.whole = self._size > FILE_BYTES_MAX

    def _write(self, data: bytes) -> None:
        if self.whole:
            replace_file(self._path, data, self._files)
            self._size = len(data)
        else:
            self._append(data)

    def _append(self, data: bytes) -> None:
        fd = self._files.open(self._path)
        try:
            self._files.write(fd, data, self._size)
            self._files.sync(fd)
        finally:
            self._files.close(fd)
        self._size += len(data)


def _decoded(line: bytes) -> Known | None:
    try:
        known = msgspec.json.decode(line, type=Known) if line.endswith(b"\n") else None
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return None if known is None or known.key.configured else known
