# SPDX-License-Identifier: Apache-2.0
"""The embedded log beyond the contract: bounds, rolling, retention, one writer."""

import os
from contextlib import closing, suppress
from pathlib import Path

import pytest
from support.opened_log import SMALL, Opened, incompressible

from opentrail.errors import Unavailable, UsageError
from opentrail.event.caps import RECORD_BYTES_MAX
from opentrail.eventlog.base import Draft, Origin
from opentrail.eventlog.check import LogCheck
from opentrail.eventlog.frame import FRAMES_BYTES_MAX, MARKS_BYTES_MAX, MARKS_MAX, RECORDS_MAX
from opentrail.eventlog.options import SEGMENT_AGE_MS_MAX, LogOptions
from opentrail.eventlog.reader import SegmentReader

DAY_MS = 24 * 3600 * 1000


@pytest.fixture
def opened(tmp_path):
    return Opened(tmp_path)


def test_records_out_of_bounds_are_the_callers_mistake(opened):
    with pytest.raises(ValueError, match="262144 at most"):
        opened.put(b"x" * (RECORD_BYTES_MAX + 1))
    with pytest.raises(ValueError, match="newline"):
        opened.put(b"{}", b"{\n}")
    assert opened.texts() == []
    assert opened.log.writable() == ""


def test_an_append_has_room_for_so_many_bytes(opened):
    most = FRAMES_BYTES_MAX // RECORD_BYTES_MAX
    record = incompressible(RECORD_BYTES_MAX)
    opened.put(*[record] * most)
    assert opened.texts() == [record] * most
    with pytest.raises(ValueError, match="too many"):
        opened.put(*[record] * most, b"x")


def test_an_append_has_room_for_so_many_records(opened):
    with pytest.raises(ValueError, match="too many"):
        opened.put(*[b"x"] * (RECORDS_MAX + 1))
    assert len(opened.put(*[b"x"] * RECORDS_MAX)) == RECORDS_MAX


def test_segments_stay_below_their_bound(opened):
    record = incompressible(100)
    for _ in range(40):
        opened.put(record)
    sizes = [path.stat().st_size for path in (opened.data / "log").glob("*.seg")]
    assert len(sizes) > 5
    assert all(size <= SMALL.segment_bytes_max for size in sizes)
    assert all(size + len(record) + 90 > SMALL.segment_bytes_max for size in sizes[:-1])
    assert opened.texts() == [record] * 40


def test_a_segment_older_than_a_day_is_followed(tmp_path):
    opened = Opened(tmp_path, LogOptions())
    opened.put(b"a")
    opened.clock.ms += SEGMENT_AGE_MS_MAX - 1
    opened.put(b"b")
    assert len(opened.segments()) == 1
    opened.clock.ms += 1
    opened.put(b"c")
    assert len(opened.segments()) == 2
    assert opened.texts() == [b"a", b"b", b"c"]


def test_another_dictionary_begins_another_segment(tmp_path):
    opened = Opened(tmp_path, LogOptions(dictionary=b""))
    opened.put(b"a")
    opened.log.close()
    opened = Opened(tmp_path, LogOptions())
    opened.put(b"b")
    opened.put(b"c")
    assert len(opened.segments()) == 2
    assert opened.texts() == [b"a", b"b", b"c"]
    opened.log.close()
    empty = tmp_path / "empty"
    Opened(empty, LogOptions(dictionary=b"")).log.close()
    opened = Opened(empty, LogOptions())
    opened.put(b"a")
    assert opened.segments() == [0]
    assert opened.again().texts() == [b"a"]


def test_retention_deletes_what_is_old_and_read(opened):
    for day in range(6):
        opened.put(incompressible(600), b"%d" % day)
        opened.clock.ms += DAY_MS
    ends = opened.segments()
    assert len(ends) == 6
    now = opened.clock.ms
    reader = SegmentReader(opened.data / "log")
    assert reader.first() == opened.log.first()
    positions = [entry.position for entry in reader.entries(0)]
    # Day 0 was appended 6 days ago, day 1 five.
    assert opened.log.expire(now - 6 * DAY_MS, opened.log.durable_end()) == 0
    assert opened.log.expire(now - 5 * DAY_MS, ends[1] - 1) == 0
    assert opened.log.expire(now - 5 * DAY_MS, opened.log.durable_end()) == 1
    assert opened.log.expire(now, ends[3]) == 2
    kept = [entry.data for entry in reader.entries(0)]
    assert kept[1::2] == [b"3", b"4", b"5"]
    assert reader.first() == next(reader.entries(0)).position
    assert reader.data_at(positions) == [None] * 6 + kept
    with pytest.raises(KeyError):
        reader.read(ends[2] + 40)
    again = opened.again()
    assert again.texts() == kept
    assert list(LogCheck(again.data / "log").findings()) == []


def test_retention_reaches_the_last_segment_once_all_of_it_is_old(opened):
    opened.put(b"a")
    opened.clock.ms += DAY_MS
    assert opened.log.expire(opened.clock.ms - DAY_MS, opened.log.durable_end()) == 0
    assert opened.log.expire(opened.clock.ms, opened.log.durable_end() - 1) == 0
    assert opened.log.expire(opened.clock.ms, opened.log.durable_end()) == 1
    assert opened.texts() == []
    assert opened.log.first() == opened.log.durable_end()
    opened.put(b"b")
    assert opened.again().texts() == [b"b"]


def test_an_iteration_goes_on_while_retention_deletes(opened):
    for _ in range(6):
        opened.put(incompressible(600))
        opened.clock.ms += DAY_MS
    running = SegmentReader(opened.data / "log").entries(0)
    first = next(running)
    opened.log.expire(opened.clock.ms - DAY_MS, opened.log.durable_end())
    rest = list(running)
    assert [entry.position for entry in rest][-1] == next(opened.log.entries(0)).position
    assert first.position < rest[0].position


def test_a_second_server_is_told_who_has_the_directory(tmp_path):
    opened = Opened(tmp_path, LogOptions(address="127.0.0.1:4540"))
    with pytest.raises(UsageError, match=rf"process {os.getpid()} at 127\.0\.0\.1:4540"):
        Opened(tmp_path)
    opened.log.close()
    Opened(tmp_path).log.close()


def test_marks_of_one_append_share_a_segment(opened):
    opened.put(incompressible(600))
    opened.mark(incompressible(100), incompressible(200))
    (first, second) = [mark.position for mark in opened.log.marks(0)]
    assert opened.segments() == [0, first]
    assert second > first


def test_an_append_has_room_for_so_many_marks(opened):
    with pytest.raises(ValueError, match="too many"):
        opened.mark(*[b"x"] * (MARKS_MAX + 1))
    with pytest.raises(ValueError, match="too many"):
        opened.mark(b"x" * MARKS_BYTES_MAX, b"x")
    assert list(opened.log.marks(0)) == []
    assert len(opened.mark(*[b"x"] * MARKS_MAX)) == MARKS_MAX
    opened.mark(b"x" * MARKS_BYTES_MAX)
    assert [len(mark.payload) for mark in opened.log.marks(0)] == [1] * MARKS_MAX + [
        MARKS_BYTES_MAX
    ]
    assert list(LogCheck(opened.data / "log").findings()) == []


def test_retention_goes_by_marks_too(opened):
    opened.mark(incompressible(600))
    opened.clock.ms += DAY_MS
    opened.mark(incompressible(600))
    opened.put(b"a")
    second = list(opened.log.marks(0))[1].position
    # The newest frame of the first segment is a mark of a day ago; a reader at it protects it.
    assert opened.log.expire(opened.clock.ms - DAY_MS, opened.log.durable_end()) == 0
    assert opened.log.expire(opened.clock.ms, second - 1) == 0
    assert opened.log.expire(opened.clock.ms, second) == 1
    assert [mark.position for mark in opened.log.marks(0)] == [second]
    assert opened.again().texts() == [b"a"]


def test_a_closed_log_refuses(opened):
    opened.log.close()
    opened.log.close()
    with pytest.raises(Unavailable, match="closed"):
        opened.put(b"a")
    with pytest.raises(Unavailable, match="closed"):
        opened.mark(b"a")


def test_a_reader_without_a_log_says_so(tmp_path):
    with pytest.raises(Unavailable, match="no log"):
        SegmentReader(tmp_path)


def test_the_records_of_one_way_in_can_be_read_alone(opened):
    """Frame by frame, so that whoever reads a long log can rest between two of them."""
    mixed = [Draft(origin, b'{"%d":%d}' % (origin, n)) for n in range(3) for origin in Origin]
    opened.log.append(mixed)
    opened.log.append([Draft(Origin.CAPTURE, b"{}")])
    opened.log.append([Draft(Origin.INTAKE, b"[]"), Draft(Origin.CAPTURE, b"{}")])
    with closing(SegmentReader(opened.data / "log")) as reader:
        end = reader.durable_end()
        frames = list(reader.of_origin(Origin.INTAKE, 0, end))
        sent = [entry for entry in reader.entries(0) if entry.origin is Origin.INTAKE]
        assert [len(found) for _, found in frames] == [3, 0, 1]
        assert [entry for _, found in frames for entry in found] == sent
        assert frames[-1][0] == end
        (last,) = reader.of_origin(Origin.INTAKE, sent[2].position, frames[0][0])
        assert last[1] == [sent[2]]


def test_a_reader_begins_with_the_segment_that_has_the_first_record_since_a_time(opened):
    at_ms = []
    for hour in range(5):
        opened.clock.ms += 3_600_000
        at_ms.append(opened.clock.ms)
        opened.put(incompressible(600), b"%d" % hour)
    segments = opened.segments()
    assert len(segments) == 5
    reader = SegmentReader(opened.data / "log")
    for hour, since_ms in enumerate(at_ms):
        start = reader.since(since_ms, 5)
        assert start == segments[hour]
        assert reader.since(since_ms + 1, 5) == segments[min(hour + 1, 4)]
        found = [entry.data for entry in reader.entries(start) if entry.append_ms >= since_ms]
        assert found[1::2] == [b"%d" % each for each in range(hour, 5)]
    assert reader.since(at_ms[0] - 1, 5) == segments[0]
    assert reader.since(at_ms[0], 3) == segments[2]  # of the last three
    assert opened.log.expire(at_ms[1] + 1, segments[2]) == 2
    assert reader.since(at_ms[0], 5) == segments[2]
    reader.close()


def test_readers_let_go_of_segments_that_retention_deleted(opened):
    """An open file keeps its disk space."""
    for _ in range(5):
        opened.put(incompressible(600))
        opened.clock.ms += DAY_MS
    log_dir = opened.data / "log"
    inodes = {path.stat().st_ino for path in log_dir.glob("*.seg")}

    def still_open():
        found = set()
        for path in Path("/dev/fd").iterdir():
            with suppress(OSError):  # that of the listing itself is closed by now
                found.add(os.fstat(int(path.name)).st_ino)
        return found & inodes

    reader = SegmentReader(log_dir)
    assert len(list(reader.entries(0))) == len(still_open()) == 5
    assert opened.log.expire(opened.clock.ms, opened.segments()[3]) == 3
    assert len(list(reader.entries(reader.first()))) == 2
    assert opened.log.expire(opened.clock.ms, reader.first()) == 0  # the writer's own reader
    assert still_open() == {path.stat().st_ino for path in log_dir.glob("*.seg")}
    reader.close()
