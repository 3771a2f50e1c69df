# SPDX-License-Identifier: Apache-2.0
"""The newest rows, in memory, until there are enough of them for a run."""

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from opentrail.history.table import NO_TIME_S, TIME_MAX_S, Bounds, Row, Tally
from opentrail.history.terms import COLUMNS, Batch, Rows, Terms

_CAPACITY = 4096
"""Rows that an empty memtable has room for; it doubles when they are used up."""

_CHUNK_ROWS = 64
"""Rows made into Python numbers at a time: a page of a lookup, and a few more."""

_NEAR = np.uint64((1 << 16) - 1)
_SCANNED_FIRST = 1024
"""Terms looked at first; each next piece is four times as large. A page of what is frequent is in
the first, and what is not there costs five pieces."""

Times = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class View:
    """The memtable as it was at one moment: a ``table.Table``."""

    times: Times
    """Epoch seconds, in log order."""
    reach: Times
    """For each row the newest time up to it."""
    positions: Times
    """Ascending."""
    columns: tuple[tuple[Terms, Rows], ...]
    """Per column: a term, and the row that has it."""
    oldest_s: int
    newest_s: int

    @property
    def newest_position(self) -> int:
        """See ``table.Table``."""
        return int(self.positions[-1])

    def newest_first(self, column: int, term: int, bounds: Bounds) -> Iterator[Sequence[Row]]:
        """See ``table.Table``. Looks from the newest position on, in pieces that grow.

        A row is given once no row before its piece can have a newer time.
        """
        held: Rows | None = None
        for found, reach_s in self._newest_appended(column, np.uint64(term), bounds):
            held = found if held is None else np.concatenate((found, held))
            times = self.times[held]
            ready = times >= reach_s
            if ready.all():
                yield from self._newest_first(times, held)
                held = None
            else:
                yield from self._newest_first(times[ready], held[ready])
                held = held[~ready]

    def _newest_appended(
        self, column: int, wanted: np.uint64, bounds: Bounds
    ) -> Iterator[tuple[Rows, int]]:
        """Yield the rows under ``wanted`` that ``bounds`` allow, the last appended first, in pieces.

        Within a piece they ascend. With each comes the newest time of all rows that come later.
        """
        terms, all_rows = self.columns[column]
        stop, size = len(terms), _SCANNED_FIRST
        low = self._first_from(all_rows, bounds.floor)
        while stop > low:
            start = max(low, stop - size)
            found = self._within(all_rows[start:stop][terms[start:stop] == wanted], bounds)
            # A page needs a few rows, of what is frequent there may be thousands to be sorted.
            last, few = len(found), _CHUNK_ROWS
            while last > few:
                yield found[last - few : last], self.reach.item(found.item(last - few) - 1)
                last, few = last - few, 4 * few
            stop, size = start, 4 * size
            # A row may have terms on both sides of ``stop``.
            yield (
                found[:last],
                self.reach.item(all_rows.item(stop - 1)) if stop > low else NO_TIME_S,
            )

    def _first_from(self, rows: Rows, floor: int) -> int:
        """Return which of ``rows``, which ascend, is the first at or past the position ``floor``."""
        if self.positions[0] >= floor:
            return 0
        return int(rows.searchsorted(np.uint32(self.positions.searchsorted(floor))))

    def _within(self, rows: Rows, bounds: Bounds) -> Rows:
        before_s, before_position = bounds.before
        if bounds.start_s <= self.oldest_s and self.newest_s < before_s:
            # As nearly always; ``_first_from`` has seen to the floor.
            return rows
        times, positions = self.times[rows], self.positions[rows]
        wanted = times >= bounds.start_s
        wanted &= (times < before_s) | ((times == before_s) & (positions < before_position))
        return rows[wanted]

    def _newest_first(self, times: Times, rows: Rows) -> Iterator[Sequence[Row]]:
        # Stable, and in log order before: equal times stay ordered by position.
        order = times.argsort(kind="stable")[::-1]
        for start in range(0, len(order), _CHUNK_ROWS):
            chunk = order[start : start + _CHUNK_ROWS]
            positions = self.positions[rows[chunk]]
            yield list(zip(times[chunk].tolist(), positions.tolist(), strict=True))

    def count(self, column: int, term: int) -> int:
        """See ``table.Table``."""
        return int(np.count_nonzero(self.columns[column][0] == np.uint64(term)))

    def scopes(self, floor: int, known: Container[int]) -> Iterator[tuple[int, int]]:
        """See ``table.Table``."""
        terms, rows = self.columns[0]
        kept = self.positions[rows] >= floor
        found, first = np.unique(terms[kept], return_index=True)
        for number, row in zip(found.tolist(), rows[kept][first].tolist(), strict=True):
            if number not in known:
                yield number, int(self.positions[row])

    def tally(self, floor: int) -> Tally:
        """See ``table.Table``."""
        below = np.searchsorted(self.positions, floor)
        events = int(np.count_nonzero(self.columns[0][1] >= below))
        return Tally(events, len(self.positions) - int(below) - events)

    def has(self, column: int, terms: Terms) -> NDArray[np.bool_]:
        """See ``table.Table``."""
        mine = self.columns[column][0]
        # Sorting what cannot be equal would take most of the time.
        near = np.zeros(1 << 16, np.bool_)
        near[terms & _NEAR] = True
        return np.isin(terms, mine[near[mine & _NEAR]])

    def rows(self) -> tuple[Times, Times]:
        """See ``run.Source``."""
        return self.times, self.positions

    def column(self, column: int) -> tuple[Terms, Rows]:
        """See ``run.Source``."""
        return self.columns[column]


class Memtable:
    """Rows in log order. One thread adds; the views it gives may be read by any."""

    def __init__(self) -> None:
        self._times = _Growing(np.int64)
        self._reach = _Growing(np.int64)
        self._positions = _Growing(np.int64)
        self._columns = tuple((_Growing(np.uint64), _Growing(np.uint32)) for _ in COLUMNS)
        self._oldest_s = TIME_MAX_S
        self._newest_s = NO_TIME_S

    def __len__(self) -> int:
        return self._times.size

    def add(self, batch: Batch) -> None:
        """Add the rows of ``batch``, which lie past all that is here."""
        if not batch.times:
            return
        first = np.uint32(len(self))
        for name, (terms, rows) in zip(COLUMNS, self._columns, strict=True):
            new_terms, new_rows = batch.column(name)
            terms.extend(new_terms)
            rows.extend(new_rows + first)
        self._positions.extend(np.frombuffer(batch.positions, np.int64))
        times = np.frombuffer(batch.times, np.int64)
        newest_s = self._reach.filled()[-1:]
        self._reach.extend(np.maximum.accumulate(np.append(newest_s, times))[len(newest_s) :])
        self._times.extend(times)
        shown = times[times != NO_TIME_S]
        if len(shown):
            self._oldest_s = min(self._oldest_s, int(shown.min()))
            self._newest_s = max(self._newest_s, int(shown.max()))

    def view(self) -> View:
        """Return the rows of now; later ones do not show in it."""
        return View(
            self._times.filled(),
            self._reach.filled(),
            self._positions.filled(),
            tuple((terms.filled(), rows.filled()) for terms, rows in self._columns),
            self._oldest_s,
            self._newest_s,
        )


_Number = TypeVar("_Number", np.int64, np.uint64, np.uint32)


class _Growing(Generic[_Number]):
    """An array that only grows: what was filled once never changes, so readers need no lock."""

    __slots__ = ("_room", "size")

    def __init__(self, kind: type[_Number]) -> None:
        self._room: NDArray[_Number] = np.empty(_CAPACITY, kind)
        self.size = 0

    def extend(self, more: NDArray[_Number]) -> None:
        """Append ``more``."""
        end = self.size + len(more)
        if end > len(self._room):
            larger = np.empty(max(end, 2 * len(self._room)), self._room.dtype)
            larger[: self.size] = self.filled()
            self._room = larger
        self._room[self.size : end] = more
        self.size = end

    def filled(self) -> NDArray[_Number]:
        """Return what was appended so far."""
        return self._room[: self.size]
