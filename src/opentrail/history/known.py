# SPDX-License-Identifier: Apache-2.0
"""Which records the log already has, byte for byte: for whoever may send the same ones again."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from opentrail.eventlog.base import LogReader
from opentrail.history.derive import Derived, derive
from opentrail.history.table import Bounds, Table, newest_first
from opentrail.history.terms import COLUMNS, Batch, Terms, term

_EVENT_ID = COLUMNS.index("EventId")
MARKS_MIN, MARKS_MAX = 1 << 22, 1 << 27
"""Bytes, one of which is set for each eventID that is indexed. Nearly all records are new, and that is
seen by one look then, not by one in each table."""
_GROWTH = 8
"""There are as many marks for each event at least, up to MARKS_MAX: of 16 million events, one new one
in nine is looked for in vain, of 100 million every other."""


class Marks:
    """Which eventIDs may be in the index: what is not marked is not there. One thread."""

    def __init__(self, tables: Sequence[Table]) -> None:
        self._renew(tables)

    def _renew(self, tables: Sequence[Table]) -> None:
        columns = [table.column(_EVENT_ID)[0] for table in tables]
        self._count = sum(map(len, columns))
        size = MARKS_MIN
        while size < MARKS_MAX and size < self._count * _GROWTH:
            size *= _GROWTH
        self._set: NDArray[np.bool_] = np.zeros(min(size, MARKS_MAX), np.bool_)
        self._bits = np.uint64(len(self._set) - 1)
        for terms in columns:
            self._set[terms & self._bits] = True

    def add(self, batch: Batch, tables: Sequence[Table]) -> None:
        """Mark what is indexed from now on; ``tables`` have it, too."""
        terms = batch.column("EventId")[0]
        self._count += len(terms)
        if self._count * _GROWTH > len(self._set) < MARKS_MAX:
            self._renew(tables)
        else:
            self._set[terms & self._bits] = True

    def may_have(self, terms: Terms) -> NDArray[np.bool_]:
        """Return for each of ``terms`` whether it is marked."""
        return np.asarray(self._set[terms & self._bits])


def known(
    tables: Sequence[Table],
    marks: Marks | None,
    log: LogReader,
    batch: Batch,
    records: Sequence[bytes],
) -> set[int]:
    """Return the numbers of ``records`` that ``tables`` lead to in ``log``, or that come twice.

    ``batch`` has their rows, with their numbers in the place of positions; ``marks`` are those of
    ``tables``; None: every table is looked into. An equal eventID alone proves nothing: only equal bytes count. Raises: Corrupt.
    """
    found: set[int] = set()
    for numbers in _alike(tables, marks, batch):
        new: set[bytes] = set()
        for number in numbers:
            data = records[number]
            if data in new or data in _in_log(tables, log, data):
                found.add(number)
            else:
                new.add(data)
    return found


def _alike(tables: Sequence[Table], marks: Marks | None, batch: Batch) -> Iterator[Iterable[int]]:
    """Yield groups of record numbers that may be equal to each other or to some in the log."""
    terms, rows = batch.column("EventId")
    numbers = np.frombuffer(batch.positions, np.int64) if batch.positions else np.empty(0, np.int64)
    order = np.argsort(terms, kind="stable")
    terms, rows = terms[order], rows[order]
    there = np.ones(len(terms), np.bool_) if marks is None else marks.may_have(terms)
    marked = terms[there]
    if len(marked):
        found = np.zeros(len(marked), np.bool_)
        for table in tables:
            found |= table.has(_EVENT_ID, marked)
        there[there] = found
    there[1:] |= terms[1:] == terms[:-1]
    there[:-1] |= terms[1:] == terms[:-1]
    terms, rows = terms[there], rows[there]
    borders = np.flatnonzero(terms[1:] != terms[:-1]) + 1
    for group in np.split(rows, borders) if len(rows) else ():
        yield numbers[group].tolist()
    # Records of eventVersion 1.0 have no eventID: each may be equal to any.
    without = np.ones(len(numbers), np.bool_)
    without[batch.column("EventId")[1]] = False
    if without.any():
        yield numbers[without].tolist()


def _in_log(tables: Sequence[Table], log: LogReader, data: bytes) -> Iterator[bytes]:
    """Yield the records of the log that have the eventID of ``data``, or its name and second."""
    derived = derive(data)
    if derived is None:
        return
    for position in _candidates(tables, log, derived):
        try:
            yield log.read(position).data
        except KeyError:
            continue  # retention took it meanwhile


def _candidates(tables: Sequence[Table], log: LogReader, derived: Derived) -> Iterator[int]:
    scope = (derived.account, derived.region, derived.category)
    name = "EventId" if derived.event_id else "EventName"
    value = derived.event_id or derived.event_name
    if not value:
        name = COLUMNS[0]
    time_s = derived.event_time_s
    bounds = Bounds(time_s, (time_s + 1, 0), log.first())
    rows = newest_first(tables, COLUMNS.index(name), term(scope, name, value), bounds)
    return (position for _, position in rows)
