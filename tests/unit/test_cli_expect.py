# SPDX-License-Identifier: Apache-2.0
"""Waiting for an event ends in time, whatever else comes meanwhile."""

import json
from pathlib import Path

import pytest
from support.data_directories import data_directory, encoded, record
from support.log_files import HandClock
from support.seeded_ids import SeededIds

from opentrail.cli.expect import expect
from opentrail.errors import Corrupt
from opentrail.eventlog.base import Draft, Origin
from opentrail.eventlog.options import LogOptions
from opentrail.eventlog.segments import Segments
from opentrail.history.query import parse
from opentrail.history.search import Question


class BusyLog:
    """A clock by whose every look a tenth of a second has passed, and an event has come."""

    def __init__(self, data: Path) -> None:
        self.log = Segments.open(data, HandClock(), SeededIds(1), LogOptions(disk_reserve_bytes=0))
        self.looks = 0

    def now_ms(self) -> int:
        return 0

    def monotonic(self) -> float:
        self.log.append([Draft(Origin.CAPTURE, encoded(record(self.looks)))])
        self.looks += 1
        return self.looks / 10


def test_others_that_come_for_ever_are_not_waited_for(tmp_path):
    clock = BusyLog(tmp_path)
    assert expect(tmp_path, Question(parse("EventName=Nope")), 1, 2.0, clock) == []
    assert 20 <= clock.looks < 30


def test_what_may_lie_behind_damage_is_not_said_to_be_missing(tmp_path):
    data = data_directory(tmp_path / "d", [record(number) for number in range(30)])
    (segment,) = (data / "log").glob("*.seg")
    content = bytearray(segment.read_bytes())
    content[-10] ^= 0xFF
    segment.write_bytes(content)
    with pytest.raises(Corrupt):
        expect(data, Question(parse("EventName=Nope")), 1, 0.0, HandClock())
    assert expect(data, Question(), 1, 0.0, HandClock())


def test_what_came_in_time_counts(tmp_path):
    clock = BusyLog(tmp_path)
    asked = Question(parse("requestParameters.modelName=model-15"))
    (hit,) = expect(tmp_path, asked, 1, 2.0, clock)
    assert json.loads(hit.event.data)["requestParameters"] == {"modelName": "model-15"}
    assert expect(tmp_path, Question(), 3, 0.0, clock)
