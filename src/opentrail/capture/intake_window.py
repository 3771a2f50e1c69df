# SPDX-License-Identifier: Apache-2.0
"""Which records came in within the last day, so that one that is sent again is known.

Only where a record lies is remembered, under a hash of its eventID; the log's own bytes decide
whether it is the same, so that no collision can cost a record.
"""

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence

import msgspec

from opentrail.eventlog.base import Entry, Origin

WINDOW_MS = 24 * 3600 * 1000
"""Records are known for a day at least: a sender whose queue is older than that has other troubles."""
WINDOW_RECORDS_MAX = 2**21
"""Positions kept at the most, 36 bytes each: 72 MB. Where more come in within a day, the oldest are
forgotten first."""
TABLE_RECORDS_MIN = 2**13
"""Room of the first table: 288 KB. Each further one has four times the room of the last."""
TABLE_RECORDS_MAX = 2**19
"""Room of the largest: forgetting takes one table at a time."""
_GROWTH = 4
MARKS = 4
"""Bytes of a table for each record of its room, one of which is set for each key: nearly all records
are new, which then shows in one look, three of four times or more."""

KEY_BITS = 2**63 - 1
"""Bits of a key; 0 marks an empty place."""


class _EventId(msgspec.Struct, gc=False):
    event_id: str = msgspec.field(default="", name="eventID")


_decode_id = msgspec.json.Decoder(_EventId).decode


def key_of(event_id: str) -> int:
    """Return the key of an eventID: not the same in another process, so nobody can aim at it."""
    return hash(event_id) & KEY_BITS or 1


def exact_key_of(event_id: str, data: bytes) -> int:
    """Return the key of a record whose eventID another record has already."""
    return hash((event_id, data)) & KEY_BITS or 1


class _Table:
    """Keys and positions, by turns, in an open hash table that is never more than half full."""

    __slots__ = ("born_ms", "count", "last", "mark", "marks", "pairs", "room")

    def __init__(self, room: int, born_ms: int) -> None:
        self.room = room
        self.born_ms = born_ms
        self.count = 0
        self.last = 2 * (2 * room - 1)
        """Index of the last key: with its bits, a key's place."""
        self.pairs = array("Q", bytes(32 * room))
        self.mark = MARKS * room - 1
        """Index of the last mark: with its bits, a key's."""
        self.marks = bytearray(MARKS * room)

    def add(self, keys: Sequence[int], positions: Sequence[int]) -> None:
        """Note keys and positions; there must be room."""
        pairs, last, marks, mark = self.pairs, self.last, self.marks, self.mark
        for key, position in zip(keys, positions, strict=True):
            slot = key & last
            while pairs[slot]:
                slot = (slot + 2) & last
            pairs[slot] = key
            pairs[slot + 1] = position
            marks[key & mark] = 1
        self.count += len(keys)

    def has_any(self, keys: Sequence[int]) -> bool:
        """Whether one of ``keys`` is here."""
        marks, mark = self.marks, self.mark
        marked = [key for key in keys if marks[key & mark]]
        return any(True for key in marked for _ in self.all(key))

    def all(self, key: int) -> Iterator[int]:
        """Yield all positions under ``key``."""
        pairs, last = self.pairs, self.last
        slot = key & last
        while found := pairs[slot]:
            if found == key:
                yield pairs[slot + 1]
            slot = (slot + 2) & last


class Window:
    """The positions of the records that came in. Owned by one thread."""

    def __init__(self, read: Callable[[int], bytes | None]) -> None:
        """``read`` returns the record at a position; None when it is no longer kept."""
        self._read = read
        self._tables: list[_Table] = []

    def has(self, key: int) -> bool:
        """Whether something was noted under ``key``; it may have left the log since."""
        return self.has_any((key,))

    def has_any(self, keys: Sequence[int]) -> bool:
        """Whether something was noted under one of ``keys``."""
        return any(table.has_any(keys) for table in self._tables)

    def find(self, key: int) -> bytes | None:
        """Return the record that was noted under ``key``, if it still is in the log."""
        for table in self._tables:
            for position in table.all(key):
                data = self._read(position)
                if data is not None:
                    return data
        return None

    def note(self, keys: Sequence[int], positions: Sequence[int], now_ms: int) -> None:
        """Note records that are in the log since ``now_ms``."""
        at = 0
        while at < len(keys):
            table = self._table(now_ms)
            end = at + table.room - table.count
            table.add(keys[at:end], positions[at:end])
            at = end

    def load(self, entries: Iterable[Entry]) -> None:
        """Note the records of the log that were sent to us, in its order."""
        for entry in entries:
            if entry.origin is Origin.INTAKE:
                event_id = _decode_id(entry.data).event_id
                key = key_of(event_id)
                if self.has(key):
                    key = exact_key_of(event_id, entry.data)
                self.note((key,), (entry.position,), entry.append_ms)

    def _table(self, now_ms: int) -> _Table:
        """Return the table that takes the next record; forget what is old, or too much."""
        tables = self._tables
        last = tables[-1] if tables else None
        if last is not None and last.count < last.room and now_ms - last.born_ms < WINDOW_MS:
            return last
        room = TABLE_RECORDS_MIN if last is None else min(last.room * _GROWTH, TABLE_RECORDS_MAX)
        if last is not None and last.count < last.room:
            room = TABLE_RECORDS_MIN  # a quiet day: begin small again
        # A table's records are all older than the next table.
        while len(tables) > 1 and now_ms - tables[1].born_ms >= WINDOW_MS:
            del tables[0]
        while tables and sum(table.room for table in tables) + room > WINDOW_RECORDS_MAX:
            del tables[0]
        tables.append(_Table(room, now_ms))
        return tables[-1]

    def __len__(self) -> int:
        return sum(table.count for table in self._tables)

    def since_ms(self) -> int:
        """Return since when all that came in is known; 0: nothing has come in yet."""
        return self._tables[0].born_ms if self._tables else 0

    def clear(self) -> None:
        """Forget everything: the log begins anew."""
        self._tables.clear()
