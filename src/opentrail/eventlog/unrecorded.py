# SPDX-License-Identifier: Apache-2.0
"""How many calls passed while the log could not be written, kept where a killed process leaves it.

After docs/format.md: two cells in the header of the in-flight table, written in turn, so that one
of them is whole whenever the process dies. No system call, and no block that the disk must find.
"""

import mmap
import struct
from dataclasses import dataclass

from opentrail.eventlog.frame import checksum

CELLS_AT = 64
"""Offset of the first cell in the table's header."""
_CELL = struct.Struct("<QQQQ")
_U32 = struct.Struct("<I")
CELL_BYTES = 64
"""A cell's distance from the next: each in a cache line of its own."""


@dataclass(frozen=True, slots=True)
class Unrecorded:
    """Calls that were forwarded and have no record."""

    calls: int
    from_ms: int
    """When the first of them came, milliseconds since 1970 UTC."""
    to_ms: int
    """When the last one came."""
    log_end: int
    """The log's durable end when the first one came, or where the event about those before them
    lies: an event about these can only lie behind it."""


class UnrecordedCalls:
    """The two cells. For one thread."""

    def __init__(self, table: mmap.mmap) -> None:
        """Read what is there; a cell that was torn does not count."""
        self._map = table
        found = [_read(table, cell) for cell in (0, 1)]
        whole = [each for each in found if each is not None]
        self.now = max(whole, key=lambda each: each[0])[1] if whole else None
        self._writes = max((each[0] for each in whole), default=0)

    def add(self, now_ms: int, log_end: int) -> None:
        """Count one more call."""
        before = self.now
        if before is None:
            self._store(Unrecorded(1, now_ms, now_ms, log_end))
        else:
            to_ms = max(now_ms, before.to_ms)
            self._store(Unrecorded(before.calls + 1, before.from_ms, to_ms, before.log_end))

    def told(self, told: Unrecorded, log_end: int) -> None:
        """Forget the calls of ``told``: the log says that they passed, at ``log_end``."""
        now = self.now
        if now is None or now.calls <= told.calls:
            self._store(None)
        else:
            self._store(Unrecorded(now.calls - told.calls, told.to_ms, now.to_ms, log_end))

    def begin_anew(self) -> None:
        """Note that the log is another one, in which an event about these calls can lie anywhere."""
        now = self.now
        if now is not None:
            self._store(Unrecorded(now.calls, now.from_ms, now.to_ms, 0))

    def _store(self, now: Unrecorded | None) -> None:
        """Write the older cell; until that is whole, the other one holds."""
        self.now = now
        self._writes += 1
        body = (
            _CELL.pack(now.calls, now.from_ms, now.to_ms, now.log_end)
            if now
            else _CELL.pack(*_NONE)
        )
        cell = _U32.pack(self._writes & _WRITES_MASK) + body
        at = _at(self._writes % 2)
        self._map[at : at + 4 + len(cell)] = _U32.pack(checksum(cell)) + cell


_NONE = (0, 0, 0, 0)
_WRITES_MASK = 0xFFFFFFFF
"""4,000,000,000 calls later the count begins anew; a log that long unwritable is no matter of ours."""


def _at(cell: int) -> int:
    return CELLS_AT + cell * CELL_BYTES


def _read(table: mmap.mmap, cell: int) -> tuple[int, Unrecorded | None] | None:
    """Return how many writes there had been and what the cell says; None when it is torn or new."""
    at = _at(cell)
    body = table[at + 4 : at + 8 + _CELL.size]
    if checksum(body) != _U32.unpack_from(table, at)[0]:
        return None
    (writes,) = _U32.unpack_from(body)
    calls, from_ms, to_ms, log_end = _CELL.unpack_from(body, 4)
    return writes, Unrecorded(calls, from_ms, to_ms, log_end) if calls else None
