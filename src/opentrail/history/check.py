# SPDX-License-Identifier: Apache-2.0
"""The index held against its log, for ``opentrail fsck`` and as an oracle in tests.

It reads beside a running server and changes nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opentrail.errors import Corrupt
from opentrail.eventlog.base import LogReader
from opentrail.eventlog.check import Finding
from opentrail.history.manifest import RunRef, load
from opentrail.history.memtable import Memtable, View
from opentrail.history.run import REBUILD_HINT, Run
from opentrail.history.runs import named_run, unusable
from opentrail.history.table import Tally
from opentrail.history.terms import COLUMNS, Collector

_BATCH_ENTRIES = 4096
"""Records derived at a time."""

_READ_TRIES = 3
"""A running server may replace runs while they are opened: then the manifest is read again."""


def check(directory: Path, log: LogReader) -> Iterator[Finding]:
    """Yield what is wrong with the index of ``log`` in ``directory``; nothing when it is sound.

    Every record that a run covers must be found in it under every one of its terms, and nothing
    else may be. What retention deleted from the log is not looked at. An index that is not there,
    or that the next start would build anew, is no finding. Raises: Corrupt: the log does not
    check out.
    """
    collector = Collector()
    for ref, run in open_runs(directory, log):
        where = str(directory / ref.file_name)
        if isinstance(run, Corrupt):
            yield Finding(where, run.message, run.hint)
            continue
        damaged = run.damaged()
        for name in damaged:
            yield Finding(where, f"section {name} is not what was written", REBUILD_HINT)
        if not damaged:
            expected = _from_log(collector, log, ref)
            for what in _differences(run, expected, log.first()):
                yield Finding(where, what, REBUILD_HINT)


@dataclass(frozen=True, slots=True)
class Indexed:
    """What an index on disk has."""

    first: int
    """Where the log began then."""
    covered: int
    """Position up to which the runs cover the log."""
    tally: Tally
    """Of the rows from ``first`` on."""


def indexed_beside(directory: Path, log: LogReader) -> Indexed:
    """Return what the index of ``log`` in ``directory`` has; runs that cannot be read have nothing.

    A process that only reads may ask.
    """
    first = log.first()
    runs = open_runs(directory, log)
    tallies = [run.tally(first) for _, run in runs if isinstance(run, Run)]
    tally = Tally(sum(each.events for each in tallies), sum(each.others for each in tallies))
    return Indexed(first, runs[-1][0].end if runs else 0, tally)


def open_runs(directory: Path, log: LogReader) -> list[tuple[RunRef, Run | Corrupt]]:
    """Map the runs of now, each or why it cannot be, for a process that only reads.

    None when there is no index, or one that the next start would build anew.
    """
    opened: list[tuple[RunRef, Run | Corrupt]] = []
    for _ in range(_READ_TRIES):
        manifest = load(directory)
        if manifest is None or unusable(manifest, log):
            return []
        opened = [(ref, _run(directory, ref)) for ref in manifest.runs]
        if load(directory) == manifest:
            return opened
    return opened


def _run(directory: Path, ref: RunRef) -> Run | Corrupt:
    try:
        return named_run(directory, ref)
    except Corrupt as error:
        return error
    except FileNotFoundError:
        where = str(directory / ref.file_name)
        return Corrupt("the manifest names it, but it is not there", where, REBUILD_HINT)


def _from_log(collector: Collector, log: LogReader, ref: RunRef) -> View:
    """Return what the run must hold, made again from what the log still keeps of it."""
    memtable = Memtable()
    entries = log.entries(max(ref.start, log.first()), ref.end)
    while batch := list(islice(entries, _BATCH_ENTRIES)):
        memtable.add(collector.collect(batch))
    return memtable.view()


def _differences(run: Run, expected: View, first: int) -> Iterator[str]:
    """Compare what lies at or past the position ``first``."""
    times, positions = run.rows()
    if np.any(np.lexsort((positions, times)) != np.arange(len(times))):
        yield "rows are not ordered by (eventTime, position)"
    for what, wrong in _compared(_pairs(times, positions, first), _pairs(*expected.rows(), first)):
        yield f"{wrong} rows {what}"
    for column, name in enumerate(COLUMNS):
        terms, ranks = run.column(column)
        expected_terms, rows = expected.column(column)
        has = _pairs(terms, positions[ranks], first)
        must = _pairs(expected_terms, expected.positions[rows], first)
        for what, wrong in _compared(has, must):
            yield f"{wrong} entries of {name} {what}"


def _pairs(keys: NDArray[Any], positions: NDArray[np.int64], first: int) -> NDArray[np.void]:
    """Return (key, position) for positions from ``first`` on, in a set's form."""
    kept = positions >= first
    pairs = np.empty(int(kept.sum()), [("key", keys.dtype), ("position", np.int64)])
    pairs["key"], pairs["position"] = keys[kept], positions[kept]
    return pairs


def _compared(has: NDArray[np.void], must: NDArray[np.void]) -> Iterator[tuple[str, int]]:
    if missing := len(np.setdiff1d(must, has)):
        yield "are missing", missing
    if surplus := len(has) - len(must) + missing:
        yield "are not in the log", surplus
