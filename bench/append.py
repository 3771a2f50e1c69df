# SPDX-License-Identifier: Apache-2.0
"""What an append costs, beside SQLite and beside a bare write and fdatasync.

Everything here is durable when it is counted. Rounds alternate between all of them.
"""

import asyncio
import os
import sqlite3
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import count, cycle
from pathlib import Path

import uvloop

from bench.machine import spread_percent
from bench.sample import BATCH, drafts, open_log
from opentrail.eventlog.base import Draft
from opentrail.front.commit import GroupCommit

RECORDS = 4 * BATCH
"""Different records, appended again and again."""


@dataclass(frozen=True)
class Figures:
    """One measurement."""

    events_s: float
    p50_ms: float
    """Of one append: of one record, or of a batch."""


Work = Callable[[Path, Sequence[Draft], float], Figures]
"""Append to something new in a directory for so many seconds."""


@dataclass(frozen=True)
class Subject:
    """Something that is measured, and what it is held against."""

    name: str
    work: Work
    against: str


def _timed(append: Callable[[int], object], size: int, seconds: float) -> Figures:
    """Call ``append`` with 0, 1, 2, … until the time is over; each appends ``size`` records."""
    took: list[float] = []
    until = time.perf_counter() + seconds
    for number in count():
        begin = time.perf_counter()
        if begin >= until:
            break
        append(number)
        took.append(time.perf_counter() - begin)
    return Figures(len(took) * size / sum(took), statistics.median(took) * 1000)


def _batches(records: Sequence[Draft], size: int) -> list[Sequence[Draft]]:
    return [records[first : first + size] for first in range(0, len(records), size)]


def bare(size: int) -> Work:
    """Return: write ``size`` records, as they are, and fdatasync."""

    def work(directory: Path, records: Sequence[Draft], seconds: float) -> Figures:
        blobs = [b"\n".join(draft.data for draft in batch) for batch in _batches(records, size)]
        with (directory / "bare").open("wb", buffering=0) as file:

            def append(number: int) -> None:
                file.write(blobs[number % len(blobs)])
                os.fdatasync(file.fileno())

            return _timed(append, size, seconds)

    return work


def sqlite(size: int) -> Work:
    """Return: INSERT ``size`` records in one transaction (WAL, synchronous=FULL)."""

    def work(directory: Path, records: Sequence[Draft], seconds: float) -> Figures:
        rows = [[(draft.data,) for draft in batch] for batch in _batches(records, size)]
        with closing(sqlite3.connect(directory / "events.db", isolation_level=None)) as database:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = FULL")
            database.execute("CREATE TABLE event (position INTEGER PRIMARY KEY, data BLOB)")

            def append(number: int) -> None:
                database.execute("BEGIN")
                database.executemany(
                    "INSERT INTO event (data) VALUES (?)", rows[number % len(rows)]
                )
                database.execute("COMMIT")

            return _timed(append, size, seconds)

    return work


def event_log(size: int) -> Work:
    """Return: one thread appends ``size`` records at a time."""

    def work(directory: Path, records: Sequence[Draft], seconds: float) -> Figures:
        batches = _batches(records, size)
        with closing(open_log(directory)) as log:
            return _timed(lambda number: log.append(batches[number % len(batches)]), size, seconds)

    return work


def group_commit(writers: int) -> Work:
    """Return: ``writers`` tasks of one event loop, each of which waits for each of its records."""

    async def appended(directory: Path, records: Sequence[Draft], seconds: float) -> Figures:
        with closing(open_log(directory)) as log, closing(GroupCommit(log)) as commit:
            took: list[float] = []
            source = cycle(records)
            begin = time.perf_counter()

            async def write() -> None:
                while (at := time.perf_counter()) - begin < seconds:
                    await commit.append_one(next(source))
                    took.append(time.perf_counter() - at)

            await asyncio.gather(*(write() for _ in range(writers)))
            passed = time.perf_counter() - begin
        return Figures(len(took) / passed, statistics.median(took) * 1000)

    def work(directory: Path, records: Sequence[Draft], seconds: float) -> Figures:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(appended(directory, records, seconds))

    return work


_BARE_ONE = "bare write + fdatasync"
_BARE_MANY = f"bare, {BATCH} at once"
_SQLITE_ONE = "SQLite, one a transaction"
_SQLITE_MANY = f"SQLite, {BATCH} a transaction"
SUBJECTS = (
    Subject(_BARE_ONE, bare(1), _SQLITE_ONE),
    Subject(_SQLITE_ONE, sqlite(1), _SQLITE_ONE),
    Subject("log, 1 thread", event_log(1), _SQLITE_ONE),
    Subject("log, 1 writer", group_commit(1), _SQLITE_ONE),
    Subject("log, 16 writers", group_commit(16), _SQLITE_ONE),
    Subject("log, 256 writers", group_commit(256), _SQLITE_ONE),
    Subject(_BARE_MANY, bare(BATCH), _SQLITE_MANY),
    Subject(_SQLITE_MANY, sqlite(BATCH), _SQLITE_MANY),
    Subject(f"log, {BATCH} an append", event_log(BATCH), _SQLITE_MANY),
)


def run(directory: Path, rounds: int, seconds: float) -> None:
    """Measure and print."""
    records = drafts(RECORDS)
    figures: dict[str, list[Figures]] = {subject.name: [] for subject in SUBJECTS}
    for number in range(rounds):
        for at, subject in enumerate(SUBJECTS):
            place = directory / f"append-{number}-{at}"
            place.mkdir()
            figures[subject.name].append(subject.work(place, records, seconds))
    _report(figures)


def _report(figures: dict[str, list[Figures]]) -> None:
    rates = {
        name: statistics.median(e.events_s for e in rounds) for name, rounds in figures.items()
    }
    print("\nappend: durable events a second")
    print(f"  {'':30}{'events/s':>10}{'spread':>8}{'p50 ms':>9}{'ratio':>9}  to")
    for subject in SUBJECTS:
        rounds = figures[subject.name]
        print(
            f"  {subject.name:30}{rates[subject.name]:10,.0f}"
            f"{spread_percent([each.events_s for each in rounds]):7.0f}%"
            f"{statistics.median(each.p50_ms for each in rounds):9.3f}"
            f"{rates[subject.name] / rates[subject.against]:8.2f}x  {subject.against}"
        )
