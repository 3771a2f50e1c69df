# SPDX-License-Identifier: Apache-2.0
"""Searching a data directory from another process, beside a running server or without one."""

from pathlib import Path

from opentrail.eventlog.base import LogReader
from opentrail.history.check import open_runs
from opentrail.history.run import Run
from opentrail.history.search import Searcher


def searcher_beside(directory: Path, log: LogReader) -> Searcher:
    """Return a searcher over the index of ``log`` in ``directory``, as far as it can be used.

    The log is read from the first run on that cannot be, so a damaged index makes a search slow,
    never wrong.
    """
    tables: list[Run] = []
    covered = 0
    for ref, run in open_runs(directory, log):
        if not isinstance(run, Run):
            break
        tables.append(run)
        covered = ref.end
    return Searcher(log, tables, covered)
