# SPDX-License-Identifier: Apache-2.0
"""What a delivered event costs: from the log to gzip files of one trail or five, on one core.

Beside zlib-ng alone, which is what compression takes, and beside what a script does with Python's
json and gzip. Rounds alternate between all of them. ``python -m bench.delivery MEGABYTES`` says
what a backlog of that size in one range takes, in a process of its own.
"""

import gzip
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import msgspec
from zlib_ng import zlib_ng

from bench.load import resident_mb
from bench.machine import spread_percent
from bench.sample import BATCH, drafts, open_log
from opentrail.clock import SystemClock
from opentrail.errors import ClientError, Unavailable
from opentrail.event.selectors import AdvancedSelector, EventSelector, FieldSelector
from opentrail.eventlog.base import Draft, MarkKind
from opentrail.eventlog.reader import SegmentReader
from opentrail.objects.base import Head, Listed, Put
from opentrail.state.sqlite import SqliteState
from opentrail.trails.deliver import Delivery, Rooms
from opentrail.trails.jobs import JOBS_MAX
from opentrail.trails.trail import Control, Cut, Trail

SAMPLE = 20 * BATCH
"""Different records: 20 MB, far more than gzip's window of 32 KB sees at once."""
EVENTS = 100 * BATCH
"""Delivered in one measurement."""
GZIP_LEVEL = 6
NOW_MS = 1_700_000_000_000


def _advanced(*fields: FieldSelector) -> tuple[AdvancedSelector, ...]:
    return (AdvancedSelector((FieldSelector("eventCategory", equals=("Management",)), *fields)),)


def _trail(number: int, name: str, **more: object) -> Trail:
    words = {
        "id": f"7d3c1a52-0000-4000-8000-{number:012}",
        "name": name,
        "account": "123456789012",
        "home_region": "us-east-1",
        "bucket": f"nowhere-{number}",
        "logging": True,
        "started_ms": NOW_MS,
        **more,
    }
    return msgspec.convert(words, Trail)


TRAILS = (
    _trail(1, "all", is_multi_region=True),
    _trail(2, "writes", event_selectors=(EventSelector(read_write_type="WriteOnly"),)),
    _trail(3, "reads", event_selectors=(EventSelector(read_write_type="ReadOnly"),)),
    _trail(
        4,
        "deletes",
        advanced_selectors=_advanced(
            FieldSelector("readOnly", equals=("false",)),
            FieldSelector("eventName", equals=("DeleteModel",)),
        ),
    ),
    _trail(
        5,
        "one-user",
        advanced_selectors=_advanced(
            FieldSelector("userIdentity.arn", ends_with=("/user-7", "/user-8"))
        ),
    ),
)
"""Five trails of different selectors: the first takes everything, the others a half and less."""


class Nowhere:
    """A bucket that keeps nothing, so that no disk is measured."""

    name = "nowhere"

    def find(self, _name: str) -> "Nowhere":
        """See ``Buckets``."""
        return self

    def put(self, _key: str, _data: bytes, _how: Put) -> None:
        """See ``Bucket``."""

    def get(self, key: str) -> tuple[Head, bytes]:
        """See ``Bucket``."""
        return self.head(key), b""

    def head(self, key: str) -> Head:
        """See ``Bucket``."""
        raise ClientError("NoSuchKey", key, 404)

    def list(self, _prefix: str, _after: str = "", _limit: int = 0) -> Iterator[Listed]:
        """See ``Bucket``."""
        return iter(())

    def acl_readable(self) -> None:
        """See ``Bucket``."""


@dataclass(frozen=True)
class Subject:
    """Something that is measured."""

    name: str
    work: Callable[[], float]
    """Returns the seconds of processor time that ``events`` took."""
    events: int


def fill(data: Path, records: Sequence[Draft], count: int, trails: Sequence[Trail]) -> int:
    """Write the starts of ``trails``, ``count`` records and a cut; return the records' bytes."""
    log = open_log(data)
    encode = msgspec.json.encode
    controls = [(MarkKind.CONTROL, encode(Control("StartLogging", trail))) for trail in trails]
    log.append_marks([(MarkKind.CUT, encode(Cut(NOW_MS))), *controls])
    total = 0
    for number in range(0, count, BATCH):
        first = number % len(records)
        batch = records[first : first + BATCH]
        log.append(batch)
        total += sum(len(draft.data) for draft in batch)
    log.append_marks([(MarkKind.CUT, encode(Cut(NOW_MS + 300_000)))])
    log.close()
    return total


class Unwritten(SegmentReader):
    """A log that is only read: nothing is given up here."""

    def append(self, _drafts: Sequence[Draft]) -> list[int]:
        """Raise Unavailable."""
        raise Unavailable(self.writable())

    def append_marks(self, _marks: Sequence[tuple[MarkKind, bytes]]) -> list[int]:
        """Raise Unavailable."""
        raise Unavailable(self.writable())

    def writable(self) -> str:
        """Return why not."""
        return "the log is only read"


def deliver(data: Path) -> float:
    """Deliver the whole log to all its trails, with a new state; return the seconds of processor time."""
    with tempfile.TemporaryDirectory() as folder:
        log = Unwritten(data / "log")
        state = SqliteState.open(Path(folder) / "state.db")
        threads, moved = ThreadPoolExecutor(JOBS_MAX), threading.Event()
        *_, last = (mark.position for mark in log.marks(0))
        delivery = Delivery(Rooms(log, state, Nowhere(), threads, moved.set), SystemClock(), 3600)
        began = time.process_time()
        while delivery.floor() < last:
            if not delivery.step():
                moved.wait(1.0)
                moved.clear()
        seconds = time.process_time() - began
        threads.shutdown()
        log.close()
        state.close()
        return seconds


def zlib_ng_alone(data: bytes) -> float:
    """Compress the records' bytes in one go; return the seconds of processor time."""
    began = time.process_time()
    zlib_ng.compress(data, GZIP_LEVEL)
    return time.process_time() - began


def python_gzip(records: Sequence[Draft]) -> float:
    """Read each record and write the file as scripts do; return the seconds of processor time."""
    began = time.process_time()
    body = json.dumps({"Records": [json.loads(draft.data) for draft in records]})
    gzip.compress(body.encode(), GZIP_LEVEL)
    return time.process_time() - began


def run(directory: Path, rounds: int, seconds: float) -> None:
    """Measure and print. A measurement is of so many events, not of so many ``seconds``."""
    del seconds
    records = drafts(SAMPLE)
    whole = b",".join(draft.data for draft in records)
    with tempfile.TemporaryDirectory(dir=directory) as name:
        one, five = Path(name, "one"), Path(name, "five")
        fill(one, records, EVENTS, TRAILS[:1])
        fill(five, records, EVENTS, TRAILS)
        subjects = [
            Subject("zlib-ng 6 alone", lambda: zlib_ng_alone(whole), SAMPLE),
            Subject("json and gzip 6 of Python", lambda: python_gzip(records[:BATCH]), BATCH),
            Subject("delivery of one trail", lambda: deliver(one), EVENTS),
            Subject("delivery of five trails", lambda: deliver(five), EVENTS),
        ]
        rates: dict[str, list[float]] = {subject.name: [] for subject in subjects}
        for _ in range(rounds):
            for subject in subjects:
                rates[subject.name].append(subject.events / subject.work())
    print(f"\ndelivery: records of {len(whole) // SAMPLE:,} bytes, one core")
    print(f"  {'':26}{'events/s':>12}{'spread':>8}{'ratio':>8}")
    alone = statistics.median(rates[subjects[0].name])
    for name, found in rates.items():
        middle = statistics.median(found)
        spread = f"{spread_percent(found):.0f} %"
        print(f"  {name:26}{middle:12,.0f}{spread:>8}{middle / alone:8.2f}")


def backlog(megabytes: int) -> None:
    """Let a process of its own deliver one range of so many megabytes."""
    records = drafts(SAMPLE)
    count = megabytes * 1_000_000 // len(records[0].data)
    with tempfile.TemporaryDirectory() as folder:
        size = fill(Path(folder), records, count, TRAILS)
        print(f"a backlog of {size / 1e6:,.0f} MB in one range, five trails: ", end="", flush=True)
        program = [sys.executable, "-m", "bench.delivery", "--deliver", folder]
        subprocess.run(program, check=True)


def main(arguments: Sequence[str]) -> None:
    """Measure a backlog, or be the process that delivers it."""
    if arguments[0] != "--deliver":
        backlog(int(arguments[0]))
        return
    seconds = deliver(Path(arguments[1]))
    # Not ru_maxrss, which has what the process that started this one had.
    peak_mb = resident_mb(os.getpid(), "VmHWM")
    print(f"{seconds:.1f} s of processor time, {peak_mb:,.0f} MB at most")


if __name__ == "__main__":
    main(sys.argv[1:])
