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
"""Positions kept at the most, 20 bytes each: 40 MB. Where more come in within a day, the oldest are
forgotten first."""
TABLE_RECORDS_MIN = 2**13
"""Room of the first table: 128 KB. Each further one has four times the room of the last."""
TABLE_RECORDS_MAX = 2**19
"""Room of the largest: forgetting takes one table at a time."""
_GROWTH = 4
MARKS_MIN, MARKS_MAX = 2**20, 4 * WINDOW_RECORDS_MAX
"""Bytes, of which each key sets one: nearly all records are new, which then shows in one look, three
times of four at least. The greater number is for more than a quarter as many records as the lesser."""
STAMPS_MAX = 255
"""What a mark can say of the table that set it."""

KEY_BITS = 2**63 - 1
"""Bits of a key."""
PRINT_SHIFT = 47
"""A table knows a key by its place and by its bits from here on, sixteen: of a million new records some
hundred look as if they had come in, and are then told apart by the log's bytes."""
_PRINT_BITS = 2**16 - 1


class _EventId(msgspec.Struct, gc=False):
    event_id: str = msgspec.field(default="", name="eventID")


_decode_id = msgspec.json.Decoder(_EventId).decode


def key_of(event_id: str) -> int:
    """Return the key of an eventID: not the same in another process, so nobody can aim at it."""
    return hash(event_id) & KEY_BITS


def keys_of(event_ids: Sequence[str]) -> list[int]:
    """Return the key of each of ``event_ids``: quicker for many."""
    return [hash(event_id) & KEY_BITS for event_id in event_ids]


def exact_key_of(event_id: str, data: bytes) -> int:
    """Return the key of a record whose eventID another record has already."""
    return hash((event_id, data)) & KEY_BITS


def id_of(data: bytes) -> str:
    """Return the eventID of a record of the log."""
    return _decode_id(data).event_id


def having(event_id: str) -> Callable[[bytes], bool]:
    """Return whether a record has this eventID."""
    return lambda data: id_of(data) == event_id


class _Table:
    """Positions, each with a print of its key, in an open hash table that is at most half full."""

    __slots__ = ("born_ms", "count", "last", "places", "room", "stamp")

    def __init__(self, room: int, born_ms: int, stamp: int) -> None:
        self.room = room
        self.born_ms = born_ms
        self.stamp = stamp
        """What its marks say."""
        self.count = 0
        self.last = 2 * room - 1
        """Index of the last place: with its bits, a key's."""
        self.places = array("Q", bytes(16 * room))
        """0, or one more than a position, shifted, and below it the print of its key."""

    def add(self, keys: Sequence[int], positions: Sequence[int], marks: bytearray) -> None:
        """Note keys and positions; there must be room."""
        places, last, stamp, mark = self.places, self.last, self.stamp, len(marks) - 1
        for key, position in zip(keys, positions, strict=True):
            place = key & last
            while places[place]:
                place = (place + 1) & last
            places[place] = (position + 1) << 16 | key >> PRINT_SHIFT
            marks[key & mark] = stamp
        self.count += len(keys)

    def has(self, key: int) -> bool:
        """Whether something was noted under ``key``, or under one that looks like it."""
        places, last, wanted = self.places, self.last, key >> PRINT_SHIFT
        place = key & last
        while (found := places[place]) and found & _PRINT_BITS != wanted:
            place = (place + 1) & last
        return found != 0

    def all(self, key: int) -> Iterator[int]:
        """Yield all positions under ``key``, and under those that look like it."""
        places, last, wanted = self.places, self.last, key >> PRINT_SHIFT
        place = key & last
        while found := places[place]:
            if found & _PRINT_BITS == wanted:
                yield (found >> 16) - 1
            place = (place + 1) & last


class Window:
    """The positions of the records that came in. Owned by one thread."""

    def __init__(self, read: Callable[[int], bytes | None]) -> None:
        """``read`` returns the record at a position; None when it is no longer kept."""
        self._read = read
        self._tables: list[_Table] = []
        self._marks = bytearray(1)
        """The stamp of the last table to set each; never one of an earlier table."""

    def has(self, key: int) -> bool:
        """Whether something seems to have been noted under ``key``; ``find`` tells."""
        tables, marks = self._tables, self._marks
        if not tables or marks[key & (len(marks) - 1)] < tables[0].stamp:
            return False
        return any(table.has(key) for table in tables)

    def has_any(self, keys: Sequence[int]) -> bool:
        """Whether something seems to have been noted under one of ``keys``."""
        if not self._tables:
            return False
        marks, mark, oldest = self._marks, len(self._marks) - 1, self._tables[0].stamp
        marked = [key for key in keys if marks[key & mark] >= oldest]
        return bool(marked) and any(table.has(key) for key in marked for table in self._tables)

    def find(self, key: int, same: Callable[[bytes], bool]) -> bytes | None:
        """Return the record under ``key`` that is the ``same``, if it still is in the log."""
        for table in self._tables:
            for position in table.all(key):
                data = self._read(position)
                if data is not None and same(data):
                    return data
        return None

    def note(self, keys: Sequence[int], positions: Sequence[int], now_ms: int) -> None:
        """Note records that are in the log since ``now_ms``."""
        at = 0
        while at < len(keys):
            table = self._table(now_ms)
            end = at + table.room - table.count
            table.add(keys[at:end], positions[at:end], self._marks)
            at = end

    def load(self, entries: Iterable[Entry]) -> None:
        """Note the records of the log that were sent to us, in its order."""
        for entry in entries:
            if entry.origin is Origin.INTAKE:
                event_id = id_of(entry.data)
                key = key_of(event_id)
                if self.has(key) and self.find(key, having(event_id)) is not None:
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
        tables.append(_Table(room, now_ms, self._next_stamp()))
        self._make_marks()
        return tables[-1]

    def _next_stamp(self) -> int:
        """Return the stamp of the next table, above all others."""
        tables = self._tables
        if not tables:
            self._marks = bytearray(1)
            return 1
        if tables[-1].stamp == STAMPS_MAX:
            new = bytearray(STAMPS_MAX + 1)  # 0, as if never set, for tables that are forgotten
            for stamp, table in enumerate(tables, 1):
                new[table.stamp], table.stamp = stamp, stamp
            self._marks = self._marks.translate(new)
        return tables[-1].stamp + 1

    def _make_marks(self) -> None:
        """Have enough marks for all the tables there are."""
        enough = 4 * sum(table.room for table in self._tables)
        size = MARKS_MIN if enough <= MARKS_MIN else MARKS_MAX
        if len(self._marks) < size:
            # What a key has set may belong in any of the copies now: it is in all of them.
            self._marks *= size // len(self._marks)

    def __len__(self) -> int:
        return sum(table.count for table in self._tables)

    def since_ms(self) -> int:
        """Return since when all that came in is known; 0: nothing has come in yet."""
        return self._tables[0].born_ms if self._tables else 0

    def clear(self) -> None:
        """Forget everything: the log begins anew."""
        self._tables.clear()
        self._marks = bytearray(1)
