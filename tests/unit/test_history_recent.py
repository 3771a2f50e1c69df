# SPDX-License-Identifier: Apache-2.0
"""What is remembered of records that were asked for lately."""

from pathlib import Path

import msgspec
from support.history_oracle import NOW_S, FixedClock, record
from support.memory_log import MemoryLog

from opentrail.history.index import History
from opentrail.history.lookup import Lookup
from opentrail.history.recent import BYTES_MAX, Recent

ALL = Lookup("111122223333", "us-east-1", "Management")


def test_the_last_ones_are_remembered_and_no_more_than_two_generations():
    recent: Recent[str] = Recent(10)
    for position in range(1000):
        recent.put(position, str(position))
        assert recent.get(0) == "0"  # used all the time
    kept = [position for position in range(1, 1000) if recent.get(position) is not None]
    assert set(range(991, 1000)) <= set(kept)
    assert len(kept) <= 20


def test_an_event_is_read_once_for_many_pages(tmp_path: Path):
    log = MemoryLog()
    log.append([record(number, NOW_S - number) for number in range(30)])
    history = History.open(tmp_path, log, FixedClock())
    while history.step():
        pass
    first = history.lookup(ALL)
    reads = log.reads
    assert reads >= 30
    assert history.lookup(ALL) == first
    assert log.reads == reads


def test_long_records_are_read_each_time(tmp_path: Path):
    log = MemoryLog()
    fields = msgspec.json.decode(record(1, NOW_S))
    log.append([msgspec.json.encode({**fields, "errorMessage": "x" * BYTES_MAX})])
    history = History.open(tmp_path, log, FixedClock())
    while history.step():
        pass
    reads = log.reads
    for _ in range(3):
        (found,) = history.lookup(ALL).events
        assert found.derived.event_id == fields["eventID"]
    assert log.reads == reads + 3


def test_what_retention_took_is_not_shown_any_more(tmp_path: Path):
    log = MemoryLog()
    positions = log.append([record(number, NOW_S - number) for number in range(10)])
    history = History.open(tmp_path, log, FixedClock())
    while history.step():
        pass
    assert len(history.lookup(ALL).events) == 10
    log.expire(positions[4])
    assert [found.position for found in history.lookup(ALL).events] == positions[4:]
