# SPDX-License-Identifier: Apache-2.0
"""Searching a data directory from another process, beside a running server or without one."""

from pathlib import Path

from opentrail.eventlog.base import LogReader
from opentrail.history.check import open_runs
from opentrail.history.conditions import Condition, fields_of
from opentrail.history.run import Run
from opentrail.history.search import Searcher
from opentrail.history.terms import COLUMNS


def searcher_beside(directory: Path, log: LogReader, condition: Condition) -> Searcher:
    """Return a searcher over the index of ``log`` in ``directory``, as far as it can be used.

    The log is read from the first run on that cannot be, so a damaged index makes a search slow,
    never wrong: what a question like ``condition`` looks at there is checked, some 24 bytes an event.
    """
    parts = frozenset(("times", "positions", COLUMNS[0], *fields_of(condition)))
    tables: list[Run] = []
    covered = 0
    for ref, run in open_runs(directory, log):
        if not isinstance(run, Run) or run.damaged(parts):
            break
        tables.append(run)
        covered = ref.end
    return Searcher(log, tables, covered)
