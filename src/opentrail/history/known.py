# SPDX-License-Identifier: Apache-2.0
"""Which records the log already has, byte for byte: for whoever may send the same ones again."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from opentrail.eventlog.base import LogReader
from opentrail.history.derive import Derived, derive
from opentrail.history.table import Bounds, Table, newest_first
from opentrail.history.terms import COLUMNS, Batch, term

_EVENT_ID = COLUMNS.index("EventId")


def known(
    tables: Sequence[Table], log: LogReader, batch: Batch, records: Sequence[bytes]
) -> set[int]:
    """Return the numbers of ``records`` that ``tables`` lead to in ``log``, or that come twice.

    ``batch`` has their rows, with their numbers in the place of positions. An equal eventID alone
    proves nothing: only equal bytes count. Raises: Corrupt.
    """
    found: set[int] = set()
    for numbers in _alike(tables, batch):
        new: set[bytes] = set()
        for number in numbers:
            data = records[number]
            if data in new or data in _in_log(tables, log, data):
                found.add(number)
            else:
                new.add(data)
    return found


def _alike(tables: Sequence[Table], batch: Batch) -> Iterator[Iterable[int]]:
    """Yield groups of record numbers that may be equal to each other or to some in the log."""
    terms, rows = batch.column("EventId")
    numbers = np.frombuffer(batch.positions, np.int64) if batch.positions else np.empty(0, np.int64)
    order = np.argsort(terms, kind="stable")
    terms, rows = terms[order], rows[order]
    there = np.zeros(len(terms), np.bool_)
    for table in tables:
        there |= table.has(_EVENT_ID, terms)
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
