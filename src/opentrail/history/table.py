# SPDX-License-Identifier: Apache-2.0
"""What a lookup searches: tables of rows, each table newest first on demand, merged into one order.

Tables overlap in time when events arrive late, so newest-first is a merge over those that overlap.
"""

import heapq
from bisect import bisect_left
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import attrgetter
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

TIME_MAX_S = 1 << 60
"""Past every eventTime, and within the 64-bit integers of the arrays."""

NO_TIME_S = -TIME_MAX_S
"""In the place of the eventTime of a record that has none: before every other."""


Row = tuple[int, int]
"""eventTime in epoch seconds, and position in the log: descending is newest first."""


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

    def newest_first(self, column: int, term: int, bounds: Bounds) -> Iterator[Sequence[Row]]:
        """Yield the rows under ``term`` within ``bounds``, descending, in pieces."""
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


def newest_first(tables: Sequence[Table], column: int, term: int, bounds: Bounds) -> Iterator[Row]:
    """Yield the rows of all ``tables``, descending.

    A table is not touched before its newest row may be the next.
    """
    return chain.from_iterable(_merged(tables, column, term, bounds))


@dataclass(slots=True, eq=False)
class _Stream:
    """Rows of one table, descending, from the next one on."""

    piece: Sequence[Row]
    pieces: Iterator[Sequence[Row]]
    """Those behind ``piece``."""
    at: int = 0
    """The next row of ``piece``."""

    def take(self, stop: int) -> Sequence[Row]:
        """Take the rows of ``piece`` before ``stop``."""
        taken = self.piece[self.at : stop]
        self.at = stop
        return taken

    def take_newer(self, time_s: int) -> Sequence[Row]:
        """Take those rows of ``piece`` that are newer than ``time_s``."""
        if self.piece[-1][0] > time_s:
            return self.take(len(self.piece))
        return self.take(bisect_left(self.piece, -time_s, self.at, key=_age))


_newest_s = attrgetter("newest_s")


def _age(row: Row) -> int:
    return -row[0]


_Streams = list[tuple[int, int, _Stream]]
"""A heap by the next row of each. Positions differ, so streams never compare."""


def _merged(
    tables: Sequence[Table], column: int, term: int, bounds: Bounds
) -> Iterator[Sequence[Row]]:
    waiting = sorted(tables, key=_newest_s)
    streams: _Streams = []
    while waiting or streams:
        while waiting and (not streams or waiting[-1].newest_s >= -streams[0][0]):
            table = waiting.pop()
            if table.newest_s >= bounds.start_s and table.oldest_s <= bounds.before[0]:
                _open(streams, table.newest_first(column, term, bounds))
        if not streams:
            return
        stream = heapq.heappop(streams)[2]
        if streams:
            yield stream.take(stream.at + 1)
        else:
            # Most events arrive in order, and then one table has all of the next rows.
            yield stream.take_newer(waiting[-1].newest_s if waiting else -TIME_MAX_S)
        if stream.at < len(stream.piece):
            _push(streams, stream)
        else:
            _open(streams, stream.pieces)


def _open(streams: _Streams, pieces: Iterator[Sequence[Row]]) -> None:
    """Put the rows of ``pieces`` on the heap, if there are any."""
    for piece in pieces:
        if piece:
            _push(streams, _Stream(piece, pieces))
            return


def _push(streams: _Streams, stream: _Stream) -> None:
    time_s, position = stream.piece[stream.at]
    heapq.heappush(streams, (-time_s, -position, stream))
