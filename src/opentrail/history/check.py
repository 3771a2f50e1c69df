# SPDX-License-Identifier: Apache-2.0
"""The index held against its log, for ``opentrail fsck`` and as an oracle in tests.

It reads beside a running server and changes nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from opentrail.errors import Corrupt
from opentrail.eventlog.base import LogReader
from opentrail.history.manifest import Manifest, RunRef, load
from opentrail.history.memtable import Memtable, View
from opentrail.history.run import REBUILD_HINT, Run
from opentrail.history.runs import unusable
from opentrail.history.terms import COLUMNS, Collector

_BATCH_ENTRIES = 4096
"""Records derived at a time."""

_READ_TRIES = 3
"""A running server may delete runs that it just merged: then the manifest is read again."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it must be."""

    where: str
    """A file of the index."""
    what: str
    hint: str


def check(directory: Path, log: LogReader) -> Iterator[Finding]:
    """Yield what is wrong with the index of ``log`` in ``directory``; nothing when it is sound.

    Every record that a run covers must be found in it under every one of its terms, and nothing
    else may be. What retention deleted from the log is not looked at. An index that is not there,
    or that the next start would build anew, is no finding. Raises: Corrupt: the log does not
    check out.
    """
    manifest, runs = _read(directory, log)
    if manifest is None:
        return
    collector = Collector()
    for ref in manifest.runs:
        run = runs[ref]
        if isinstance(run, Finding):
            yield run
            continue
        where = str(directory / ref.file_name)
        for name in run.damaged():
            yield Finding(where, f"section {name} does not check out", REBUILD_HINT)
        expected = _from_log(collector, log, ref)
        for what in _differences(run, expected, log.first()):
            yield Finding(where, what, REBUILD_HINT)
