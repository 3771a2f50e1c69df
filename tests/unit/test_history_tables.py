# SPDX-License-Identifier: Apache-2.0
"""Tables of the index answer newest first whatever the order in which events came."""

import random
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path

import numpy as np
import pytest

from opentrail.history.memtable import Times, View
from opentrail.history.run import Run, write_run
from opentrail.history.table import TIME_MAX_S, Bounds, Table, newest_first
from opentrail.history.terms import COLUMNS, Rows, Terms

ROWS = 3_000
"""Some pieces of a memtable's scan."""
TERMS = (1, 2, 3)
Row = tuple[int, int, int]
"""eventTime, position, term."""
Order = Callable[[random.Random, int], int]


def in_order(_source: random.Random, number: int) -> int:
    return number // 3


def some_late(source: random.Random, number: int) -> int:
    return number if source.random() > 0.01 else source.randrange(number + 1)


def backwards(_source: random.Random, number: int) -> int:
    return -number


def at_random(source: random.Random, _number: int) -> int:
    return source.randrange(50)


ORDERS: Sequence[Order] = (in_order, some_late, backwards, at_random)


def rows_of(order: Order, seed: int, first: int = 0, count: int = ROWS) -> list[Row]:
    source = random.Random(seed)
    shares = (0.6, 0.01, 0)
    return [
        (order(source, number), 5 * number, source.choices((*TERMS, 9), (*shares, 0.39))[0])
        for number in range(first, first + count)
    ]


def view_of(rows: Sequence[Row]) -> View:
    times, positions, terms = (np.array(each) for each in zip(*rows, strict=True))
    column = (terms.astype(np.uint64), np.arange(len(rows), dtype=np.uint32))
    return view_with(times, positions, column)


def view_with(times: Times, positions: Times, column: tuple[Terms, Rows]) -> View:
    reach = np.maximum.accumulate(times)
    oldest_s, newest_s = int(times.min()), int(times.max())
    return View(times, reach, positions, (column,) * len(COLUMNS), oldest_s, newest_s)


def run_of(path: Path, rows: Sequence[Row]) -> Run:
    for _ in write_run(path, view_of(rows)):
        pass
    return Run(path)


def obvious(rows: Sequence[Row], term: int, bounds: Bounds) -> list[tuple[int, int]]:
    found = [
        (time_s, position)
        for time_s, position, its in rows
        if its == term
        and time_s >= bounds.start_s
        and (time_s, position) < bounds.before
        and position >= bounds.floor
    ]
    return sorted(found, reverse=True)


def bounds_of(seed: int) -> Iterator[Bounds]:
    source = random.Random(seed)
    yield Bounds(-TIME_MAX_S, (TIME_MAX_S, 0), 0)
    yield Bounds(-TIME_MAX_S, (TIME_MAX_S, 0), source.randrange(5 * ROWS))
    for _ in range(8):
        times = sorted(source.randrange(-ROWS, ROWS) for _ in range(2))
        before = (times[1], source.randrange(5 * ROWS))
        yield Bounds(times[0], before, source.choice((0, 0, source.randrange(5 * ROWS))))


@pytest.mark.parametrize("order", ORDERS)
def test_a_memtable_gives_what_a_sort_gives(order: Order) -> None:
    for seed in range(5):
        rows = rows_of(order, seed)
        view = view_of(rows)
        for term in TERMS:
            for bounds in bounds_of(seed):
                assert list(chain.from_iterable(view.newest_first(1, term, bounds))) == obvious(
                    rows, term, bounds
                )


@pytest.mark.parametrize("seed", range(20))
def test_rows_with_many_terms_lie_in_several_pieces_of_a_scan(seed: int) -> None:
    source = random.Random(seed)
    all_terms = list(range(source.randrange(100, 2000)))
    rows = [(source.randrange(50), 5 * number, 1) for number in range(4)]
    mixed = [each for _ in rows for each in source.sample(all_terms, len(all_terms))]
    numbers = np.arange(len(rows), dtype=np.uint32)
    times = np.array([time_s for time_s, _, _ in rows])
    column = (np.array(mixed, np.uint64), numbers.repeat(len(all_terms)))
    view = view_with(times, 5 * numbers.astype(np.int64), column)
    bounds = Bounds(-TIME_MAX_S, (TIME_MAX_S, 0), 0)
    for term in all_terms[::50]:
        found = chain.from_iterable(view.newest_first(1, term, bounds))
        assert list(found) == obvious(rows, 1, bounds)


@pytest.mark.parametrize("order", ORDERS)
def test_tables_that_overlap_are_merged_into_one_order(tmp_path: Path, order: Order) -> None:
    rows = rows_of(order, 1)
    pieces = [rows[:1000], rows[1000:1001], rows[1001:2500], rows[2500:]]
    tables: list[Table] = [run_of(tmp_path / f"{at}.run", each) for at, each in enumerate(pieces)]
    tables[-1] = view_of(pieces[-1])
    for term in TERMS:
        for bounds in bounds_of(2):
            found = list(newest_first(tables, 1, term, bounds))
            assert found == obvious(rows, term, bounds)
