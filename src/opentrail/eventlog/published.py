# SPDX-License-Identifier: Apache-2.0
"""``log/durable``: how far the log is acknowledged and where it begins, shared by memory map.

After docs/format.md.
"""

import mmap
import os
import struct
from pathlib import Path

from opentrail.durable import Files, replace_file
from opentrail.errors import Corrupt, Unavailable
from opentrail.eventlog.frame import checksum
from opentrail.eventlog.segment import DAMAGE_HINT, list_firsts

NAME = "durable"
MAGIC = b"OTRLDUR\0"
VERSION = 1
BYTES = 64
TORN_READS_MAX = 100
"""A store takes nanoseconds; a value that is still torn after this many reads was torn by a kill."""

_HEAD = struct.Struct("<8sI")
_U32 = struct.Struct("<I")
_PAIR = struct.Struct("<QQ")
_MASK = 2**64 - 1
POSITION_MAX = 2**63 - 1
"""What the index and SQLite can hold: half of a cell that says more was never written."""
_END = 32
_FIRST = 48


def _pair(value: int) -> bytes:
    return _PAIR.pack(value, value ^ _MASK)


def create_published(log_dir: Path, log_id: bytes, files: Files) -> None:
    """Begin the log ``log_id`` (16 bytes) at position 0, durably. Raises: OSError."""
    head = _HEAD.pack(MAGIC, VERSION)
    data = head + _U32.pack(checksum(head + log_id)) + log_id + _pair(0) + _pair(0)
    replace_file(log_dir / NAME, data, files)


class Published:
    """The map. One writer stores; any number of threads and processes load."""

    def __init__(self, log_dir: Path, *, write: bool = False) -> None:
        """Map the file. Raises: Unavailable: no log there (yet). Corrupt."""
        path = log_dir / NAME
        try:
            # A pipe in its place holds nobody up.
            how = (os.O_RDWR if write else os.O_RDONLY) | os.O_CLOEXEC | os.O_NONBLOCK
            fd = os.open(path, how)
        except FileNotFoundError:
            if list_firsts(log_dir):
                # Without it nothing tells an acknowledged record from a torn one.
                raise Corrupt("the file is missing", str(path), DAMAGE_HINT) from None
            raise Unavailable(f"there is no log in {log_dir}", "start `opentrail serve`") from None
        try:
            if os.fstat(fd).st_size != BYTES:
                raise self._corrupt(path, "the file is not 64 bytes long")
            access = mmap.ACCESS_WRITE if write else mmap.ACCESS_READ
            self._map = mmap.mmap(fd, BYTES, access=access)
        finally:
            os.close(fd)
        self._path = path
        self.log_id = self._checked_log_id()

    @staticmethod
    def _corrupt(path: Path, message: str) -> Corrupt:
        hint = "restore the data directory from a backup, or move log/ away to begin a new log"
        return Corrupt(message, str(path), hint)

    def _checked_log_id(self) -> bytes:
        head = self._map[: _HEAD.size]
        log_id = self._map[16:32]
        magic, version = _HEAD.unpack(head)
        if magic != MAGIC:
            raise self._corrupt(self._path, "not the durable end of an OpenTrail log")
        if checksum(head + log_id) != _U32.unpack_from(self._map, _HEAD.size)[0]:
            raise self._corrupt(self._path, "its checksum does not fit")
        if version != VERSION:
            raise self._corrupt(self._path, f"version {version} is not known to this OpenTrail")
        return log_id

    def _load(self, offset: int) -> int:
        value: int
        complement: int
        value, complement = _PAIR.unpack_from(self._map, offset)
        for _ in range(TORN_READS_MAX):
            if value ^ complement == _MASK:
                return value
            value, complement = _PAIR.unpack_from(self._map, offset)
        # A writer killed between the two halves: both were meant, and the smaller is on disk.
        meant = value, complement ^ _MASK
        if max(meant) > POSITION_MAX:
            raise self._corrupt(self._path, "a position in it is damaged")
        return min(meant)

    def end(self) -> int:
        """Return the durable end. Raises: Corrupt."""
        return self._load(_END)

    def first(self) -> int:
        """Return where the first kept segment begins. Raises: Corrupt."""
        return self._load(_FIRST)

    def store_end(self, position: int) -> None:
        """Publish that all below ``position`` is on disk. In memory only: see ``sync``."""
        self._map[_END : _END + 16] = _pair(position)

    def store_first(self, position: int) -> None:
        """Publish that nothing below ``position`` is kept. In memory only: see ``sync``."""
        self._map[_FIRST : _FIRST + 16] = _pair(position)

    def sync(self, files: Files) -> None:
        """Return once what was stored is on disk. Raises: OSError."""
        self._map.flush()
        fd = files.open(self._path)
        try:
            files.sync(fd)
        finally:
            files.close(fd)

    def close(self) -> None:
        """Unmap. Nothing may be loaded or stored afterwards."""
        self._map.close()
