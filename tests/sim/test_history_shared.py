# SPDX-License-Identifier: Apache-2.0
"""All real records, every attribute and value, and ranges: LookupEvents and search equal a plain scan.

While records come in, runs are written and merged, the index is opened anew, and its process is
killed at any change that it makes.
"""

import gzip
import json
import os
import random
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.brittle_files import BrittleFiles, Fault, Killed
from support.history_oracle import FixedClock
from support.memory_log import MemoryLog

from opentrail.errors import Unavailable
from opentrail.event.record import HIDDEN
from opentrail.history.check import check
from opentrail.history.derive import ATTRIBUTES, derive
from opentrail.history.index import History, Sizes
from opentrail.history.lookup import Lookup
from opentrail.history.query import parse
from opentrail.history.search import Question

SHARED = Path(os.environ.get("OPENTRAIL_SHARED", Path(__file__).parents[3] / "shared"))
FILES = sorted((SHARED / "data").glob("events_*.jsonl.gz"))
EVER_S = 100 * 366 * 86400
SIZES = Sizes(batch_entries=64, flush_rows=200, merge_runs=4, merge_urgent_runs=6)
LATE_SHARE = 0.05
"""Of the records, those that come long after the ones around them."""

Key = tuple[str, str, str, str, str]
"""Account, region, category, attribute, value; the last two "" for all of a scope."""
Rows = dict[Key, list[tuple[int, int]]]
"""eventTime and position, newest first."""


def real_records() -> list[bytes]:
    if not FILES:
        pytest.skip("no shared records: set OPENTRAIL_SHARED to their folder")
    early: list[bytes] = []
    late: list[bytes] = []
    source = random.Random(5)
    for path in FILES:
        for line in gzip.decompress(path.read_bytes()).splitlines():
            (late if source.random() < LATE_SHARE else early).append(line)
    return early + late


def scanned(log: MemoryLog, end: int) -> Rows:
    """Read the log below ``end``, all of it, and sort."""
    rows: Rows = defaultdict(list)
    for entry in log.entries(log.first(), end):
        derived = derive(entry.data)
        if derived is None:
            continue
        scope = (derived.account, derived.region, derived.category)
        row = (derived.event_time_s, entry.position)
        rows[*scope, "", ""].append(row)
        for attribute in ATTRIBUTES:
            for value in set(derived.values(attribute)):
                rows[*scope, attribute, value].append(row)
    return {key: sorted(found, reverse=True) for key, found in rows.items()}


def compare(history: History, rows: Rows, keys: list[Key], source: random.Random) -> None:
    """Ask for each of ``keys``: the first page, and one between two times of it."""
    for key in keys:
        found = rows[key]
        attribute = key[3:] if key[3] else None
        page = history.lookup(Lookup(*key[:3], attribute, limit=50))
        assert [(each.time_s, each.position) for each in page.events] == found[:50], key
        assert page.more == (len(found) > 50), key
        first, last = sorted(source.choices(found, k=2))
        start_s, end_s = first[0] + source.choice((0, 0, 1)), last[0] - source.choice((0, 0, 1))
        page = history.lookup(Lookup(*key[:3], attribute, start_s, end_s))
        wanted = [row for row in found if start_s <= row[0] <= end_s]
        assert [(each.time_s, each.position) for each in page.events] == wanted[:50], key
        assert page.more == (len(wanted) > 50), key


def search(history: History, rows: Rows, keys: list[Key]) -> None:
    """Search for values in all accounts and regions at once."""
    for _, _, _, attribute, value in keys:
        wanted = sorted(
            {row for key, found in rows.items() if key[3:] == (attribute, value) for row in found},
            reverse=True,
        )
        question = Question(parse(f"{attribute}={json.dumps(value)}"))
        hits = history.searcher().newest(question, 100_000)
        assert [hit.key() for hit in hits] == wanted, (attribute, value)


def stepped(history: History, files: BrittleFiles, source: random.Random) -> bool:
    """Let the index work, and its disk refuse or its process die at some change; True: it died."""
    files.break_at(source.randrange(0, 150), source.choice(list(Fault)))
    try:
        for _ in range(source.randrange(1, 12)):
            history.step()
    except Killed:
        return True
    except Unavailable:
        pass
    finally:
        files.break_at(0, Fault.REFUSED_LOST)
    return False


def chunks(records: list[bytes], source: random.Random) -> Iterator[list[bytes]]:
    at = 0
    while at < len(records):
        size = source.randrange(50, 400)
        yield records[at : at + size]
        at += size


def test_every_attribute_and_ranges_over_all_real_records(tmp_path: Path):
    source, log, files = random.Random(11), MemoryLog(), BrittleFiles()
    deaths = merged = 0

    def opened() -> History:
        return History.open(tmp_path, log, FixedClock(), EVER_S, sizes=SIZES, files=files)

    history = opened()
    for number, some in enumerate(chunks(real_records(), source)):
        log.append(some)
        if stepped(history, files, source) or number % 5 == 4:
            deaths += 1
            history = opened()
        rows = scanned(log, history.indexed_to())
        compare(history, rows, source.sample(sorted(rows), min(60, len(rows))), source)
        merged += len(list(tmp_path.glob("*.run"))) < number
    while history.step():
        pass
    rows = scanned(log, log.durable_end())
    assert deaths > 2 < merged
    assert len(rows) > 5_000
    compare(history, rows, sorted(rows), source)
    plain = [key for key in sorted(rows) if key[3] and key[4] != HIDDEN]
    search(history, rows, source.sample(plain, 60))
    assert list(check(tmp_path, log)) == []
    first, tally = history.tally()
    assert first == log.first()
    assert sum(tally) == len(list(log.entries(0)))
    assert history.rebuilt_because in ("", "there is no index")
