# SPDX-License-Identifier: Apache-2.0
"""What a lookup searches: tables of rows, each table newest first on demand, merged into one order.

Tables overlap in time when events arrive late, so newest-first is a merge over those that overlap.
"""

import heapq
from collections.abc import Container, Generator, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

TIME_MAX_S = 1 << 60
"""Past every eventTime, and within the 64-bit integers of the arrays."""

NO_TIME_S = -TIME_MAX_S
"""In the place of the eventTime of a record that has none: before every other."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Which rows are wanted."""

    start_s: int
    """Oldest eventTime, inclusive, epoch seconds."""
    before: tuple[int, int]
    """(eventTime, position) that every row must lie under."""
    floor: int
    """Oldest position that the log still keeps."""


class Tally(NamedTuple):
    """How many records some rows are of."""

    events: int
    others: int
    """Not JSON objects, or without a readable eventTime: they are found by nothing."""


class Table(Protocol):
    """Rows of the index that do not change any more. Safe from any thread."""

    @property
    def newest_s(self) -> int:
        """Newest eventTime of its rows; NO_TIME_S when none has one."""
        ...

    @property
    def oldest_s(self) -> int:
        """Oldest eventTime of its rows; TIME_MAX_S when none has one."""
        ...

    @property
    def newest_position(self) -> int:
        """Where in the log the last of its records is."""
        ...

    def newest_first(self, column: int, term: int, bounds: Bounds) -> Iterator[tuple[int, int]]:
        """Yield (eventTime, position) of the rows under ``term`` within ``bounds``, descending."""
        ...

    def count(self, column: int, term: int) -> int:
        """Return how many rows are under ``term``, whatever their time."""
        ...

    def scopes(self, floor: int, known: Container[int]) -> Iterator[tuple[int, int]]:
        """Yield each term of the scope column that is not ``known``, and a row's position.

        The position is at or past ``floor``; a scope without such a row is left out.
        """
        ...

    def tally(self, floor: int) -> Tally:
        """Return what its rows at or past ``floor`` are."""
        ...

    def rows(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the eventTimes and the positions of its rows, of which there are some."""
        ...

    def has(self, column: int, terms: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Return for each of ``terms``, which ascend, whether any row is under it."""
        ...

    def column(self, column: int) -> tuple[NDArray[np.uint64], NDArray[np.uint32]]:
        """Return the column's terms, and for each the row that has it."""
        ...


def newest_first(
    tables: Sequence[Table], column: int, term: int, bounds: Bounds
) -> Iterator[tuple[int, int]]:
    """Yield (eventTime, position) of the rows of all ``tables``, descending.

    A table is not touched before its newest row may be the next.
    """
    waiting = sorted(
        (t for t in tables if t.newest_s >= bounds.start_s and t.oldest_s <= bounds.before[0]),
        key=lambda table: table.newest_s,
    )
    open_rows: list[tuple[int, int, Iterator[tuple[int, int]]]] = []
    while waiting or open_rows:
        while waiting and (not open_rows or waiting[-1].newest_s >= -open_rows[0][0]):
            _push(open_rows, waiting.pop().newest_first(column, term, bounds))
        if open_rows:
            time_s, position, rows = heapq.heappop(open_rows)
            yield -time_s, -position
            if not open_rows:
                # Most events arrive in order, and then one table has all of the next rows.
                waiting_s = waiting[-1].newest_s if waiting else -TIME_MAX_S
                rows = yield from _above(rows, waiting_s)
            _push(open_rows, rows)


def _above(
    rows: Iterator[tuple[int, int]], time_s: int
) -> Generator[tuple[int, int], None, Iterator[tuple[int, int]]]:
    """Yield the ``rows`` that are newer than ``time_s``; return the others."""
    for row in rows:
        if row[0] <= time_s:
            return chain((row,), rows)
        yield row
    return rows


def _push(
    open_rows: list[tuple[int, int, Iterator[tuple[int, int]]]], rows: Iterator[tuple[int, int]]
) -> None:
    """Put ``rows`` on the heap by its next row. Positions differ, so iterators never compare."""
    first = next(rows, None)
    if first is not None:
        heapq.heappush(open_rows, (-first[0], -first[1], rows))
