# SPDX-License-Identifier: Apache-2.0
"""How many events a second one core indexes: from the log's files to runs on disk, merges and all.

Beside it what nobody can leave out: reading and decompressing, one pass over the JSON, and the floor: what any
index of these fields takes in Python.
"""

import gc
import shutil
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import numpy as np
from xxhash import xxh3_64_intdigest

from bench.events import Span, events
from bench.machine import spread_percent
from bench.sample import write_trained
from opentrail.clock import SystemClock
from opentrail.eventlog.base import Draft, Origin
from opentrail.eventlog.reader import SegmentReader
from opentrail.history.index import History
from opentrail.history.indexed import Indexed

EVENTS_A_SECOND = 50_000
"""Events of the log for each second of ``--seconds``; enough for runs and, with 20 s, a merge."""
EVENTS_MIN = 20_000
START_MS = 1_790_000_000_000

Work = Callable[[Path], None]


class _Nothing(msgspec.Struct):
    """No field is wanted: what is left is finding where they end."""


def write_log(data: Path, count: int) -> None:
    """Write ``count`` synthetic events, 1,000 an append."""
    write_trained(data, (Draft(Origin.INTAKE, each) for each in events(count, Span(START_MS))))


def _read(data: Path) -> Iterator[bytes]:
    log = SegmentReader(data / "log")
    return (entry.data for entry in log.entries(log.first()))


def read(data: Path) -> None:
    """Read all records out of the log."""
    for _ in _read(data):
        pass


def read_and_scan(data: Path) -> None:
    """Read them, and look at each byte as JSON."""
    scan = msgspec.json.Decoder(_Nothing).decode
    for record in _read(data):
        scan(record)


def floor(data: Path) -> None:
    """Read them, take the indexed fields as they are, and sort one hash for each record."""
    take = msgspec.json.Decoder(Indexed).decode
    hashes = [xxh3_64_intdigest(take(record).event_id.encode()) for record in _read(data)]
    np.argsort(np.array(hashes, np.uint64))


def index(data: Path) -> None:
    """Index all of the log."""
    log = SegmentReader(data / "log")
    history = History.open(data / "history", log, SystemClock())
    while history.step():
        pass
    if history.indexed_to() != log.durable_end():
        raise RuntimeError("not all is indexed")


SUBJECTS: dict[str, Work] = {
    "read the log": read,
    "and scan the JSON": read_and_scan,
    "the floor": floor,
    "index": index,
}


def run(directory: Path, rounds: int, seconds: float) -> None:
    """Measure and print."""
    data = directory / "index"
    data.mkdir()
    count = max(EVENTS_MIN, int(seconds * EVENTS_A_SECOND))
    write_log(data, count)
    took: dict[str, list[float]] = {name: [] for name in SUBJECTS}
    for _ in range(rounds):
        for name, work in SUBJECTS.items():
            shutil.rmtree(data / "history", ignore_errors=True)
            gc.collect()
            begin = time.process_time()
            work(data)
            took[name].append(time.process_time() - begin)
    sizes = {part: _size(data / part) for part in ("log", "history")}
    _report(took, count, sizes)


def _size(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.iterdir())


def _report(took: dict[str, list[float]], count: int, sizes: dict[str, int]) -> None:
    print(f"\nindex: {count:,} events, processor time")
    print(f"  {'':22}{'us an event':>12}{'best':>8}{'a core':>10}{'spread':>8}{'ratio':>8}")
    last = statistics.median(took["index"])
    for name, values in took.items():
        middle = statistics.median(values)
        print(
            f"  {name:22}{middle / count * 1e6:12.2f}{min(values) / count * 1e6:8.2f}"
            f"{count / middle:10,.0f}{spread_percent(values):7.0f}%{middle / last:7.2f}x"
        )
    shown = ", ".join(f"{name} {size / count:.0f}" for name, size in sizes.items())
    print(f"  bytes an event on disk: {shown}, together {sum(sizes.values()) / count:.0f}")
