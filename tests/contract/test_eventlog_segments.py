# SPDX-License-Identifier: Apache-2.0
"""The embedded log beyond the contract: bounds, rolling, retention, refusals, one writer."""

import errno
import os

import pytest
from support.log_files import Fault, FaultFiles, HandClock
from support.seeded_ids import SeededIds

from opentrail.errors import Unavailable, UsageError
from opentrail.eventlog.base import RECORD_BYTES_MAX, Draft, MarkKind, Origin
from opentrail.eventlog.check import LogCheck
from opentrail.eventlog.frame import FRAMES_BYTES_MAX, MARKS_BYTES_MAX, MARKS_MAX, RECORDS_MAX
from opentrail.eventlog.options import DISK_CHECK_INTERVAL_S, SEGMENT_AGE_MS_MAX, LogOptions
from opentrail.eventlog.reader import SegmentReader
from opentrail.eventlog.segment import list_firsts
from opentrail.eventlog.segments import Segments

DAY_MS = 24 * 3600 * 1000
SMALL = LogOptions(segment_bytes_max=1_000, dictionary=b"")


class Opened:
    """A log with its clock and its files."""

    def __init__(self, data, options=SMALL, files=None):
        self.data = data
        self.clock = HandClock()
        self.files = files or FaultFiles()
        self.options = options
        self.log = Segments.open(data, self.clock, SeededIds(), options, self.files)

    def put(self, *texts: bytes) -> list[int]:
        return self.log.append([Draft(Origin.CAPTURE, text) for text in texts])

    def mark(self, *payloads: bytes) -> list[int]:
        return self.log.append_marks([(MarkKind.CUT, payload) for payload in payloads])

    def texts(self) -> list[bytes]:
        return [entry.data for entry in self.log.entries(0)]

    def again(self) -> "Opened":
        self.log.close()
        return Opened(self.data, self.options)


@pytest.fixture
def opened(tmp_path):
    return Opened(tmp_path)


def segments_of(opened) -> list[int]:
    return list_firsts(opened.data / "log")


def incompressible(size: int) -> bytes:
    return SeededIds(7).random_bytes(size).replace(b"\n", b" ")


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
    assert len(segments_of(opened)) == 1
    opened.clock.ms += 1
    opened.put(b"c")
    assert len(segments_of(opened)) == 2
    assert opened.texts() == [b"a", b"b", b"c"]


def test_another_dictionary_begins_another_segment(tmp_path):
    opened = Opened(tmp_path, LogOptions(dictionary=b""))
    opened.put(b"a")
    opened.log.close()
    opened = Opened(tmp_path, LogOptions())
    opened.put(b"b")
    opened.put(b"c")
    assert len(segments_of(opened)) == 2
    assert opened.texts() == [b"a", b"b", b"c"]
    opened.log.close()
    empty = tmp_path / "empty"
    Opened(empty, LogOptions(dictionary=b"")).log.close()
    opened = Opened(empty, LogOptions())
    opened.put(b"a")
    assert segments_of(opened) == [0]
    assert opened.again().texts() == [b"a"]


def test_retention_deletes_what_is_old_and_read(opened):
    for day in range(6):
        opened.put(incompressible(600), b"%d" % day)
        opened.clock.ms += DAY_MS
    ends = segments_of(opened)
    assert len(ends) == 6
    now = opened.clock.ms
    reader = SegmentReader(opened.data / "log")
    assert reader.first() == opened.log.first()
    # Day 0 was appended 6 days ago, day 1 five.
    assert opened.log.expire(now - 6 * DAY_MS, opened.log.durable_end()) == 0
    assert opened.log.expire(now - 5 * DAY_MS, ends[1] - 1) == 0
    assert opened.log.expire(now - 5 * DAY_MS, opened.log.durable_end()) == 1
    assert opened.log.expire(now, ends[3]) == 2
    kept = [entry.data for entry in reader.entries(0)]
    assert kept[1::2] == [b"3", b"4", b"5"]
    assert reader.first() == next(reader.entries(0)).position
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


def test_below_the_disk_reserve_it_refuses_and_recovers(opened):
    reserve = SMALL.disk_reserve_bytes
    opened.files.free = reserve
    opened.put(b"a")
    opened.files.free = reserve - 1
    assert "fewer than the reserve" in opened.log.writable()
    with pytest.raises(Unavailable, match="reserve"):
        opened.put(b"b")
    opened.files.free = reserve
    opened.put(b"c")
    assert opened.texts() == [b"a", b"c"]


def test_free_space_is_not_asked_for_at_each_append(opened):
    opened.put(b"a")
    opened.files.free = 0
    opened.clock.step_s = DISK_CHECK_INTERVAL_S * 0.49
    opened.put(b"b")
    opened.put(b"c")
    assert opened.log.writable() != ""


@pytest.mark.parametrize("fault", [Fault.LOST, Fault.KEPT])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_refuses_one_append_only(opened, fault, code):
    opened.put(b"a")
    opened.files.fail("write", fault, code)
    with pytest.raises(Unavailable, match="make room"):
        opened.put(b"b", b"b")
    assert opened.texts() == [b"a"]
    assert opened.log.writable() == ""
    opened.put(b"c")
    assert opened.texts() == [b"a", b"c"]
    assert opened.again().texts() == [b"a", b"c"]


@pytest.mark.parametrize("fault", [Fault.LOST, Fault.KEPT])
@pytest.mark.parametrize("operation", ["write", "sync"])
def test_a_failed_write_or_sync_is_not_tried_again(opened, operation, fault):
    opened.put(b"a")
    opened.files.fail(operation, fault, errno.EIO if operation == "write" else errno.ENOSPC)
    with pytest.raises(Unavailable, match="restart"):
        opened.put(b"b")
    calls = len(opened.files.calls)
    assert "restart" in opened.log.writable()
    with pytest.raises(Unavailable, match="restart"):
        opened.put(b"c")
    assert len(opened.files.calls) == calls
    assert opened.texts() == [b"a"]
    again = opened.again()
    again.put(b"d")
    assert again.texts() == [b"a", b"d"]


@pytest.mark.parametrize("fault", [Fault.LOST, Fault.KEPT])
@pytest.mark.parametrize("operation", ["create", "write", "sync", "rename", "sync_dir"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_a_segment_that_could_not_be_made(opened, operation, fault, code):
    opened.put(incompressible(800))
    opened.files.fail(operation, fault, code)
    with pytest.raises(Unavailable):
        opened.put(incompressible(200))
    assert (opened.log.writable() == "") == (code == errno.ENOSPC)
    if code == errno.ENOSPC:
        # A short record would fit into the old segment, but the new one may be there.
        opened.put(b"b")
        assert opened.texts()[1:] == [b"b"]
    before = opened.texts()
    again = opened.again()
    assert again.log.damage is None
    assert again.texts() == before


@pytest.mark.parametrize("fault", [Fault.LOST, Fault.KEPT])
@pytest.mark.parametrize("operation", ["sync", "unlink", "sync_dir"])
def test_retention_that_fails_half_way(opened, operation, fault):
    for _ in range(4):
        opened.put(incompressible(600))
    opened.clock.ms += DAY_MS
    opened.put(b"new")
    opened.files.fail(operation, fault)
    with pytest.raises(Unavailable, match="retention"):
        opened.log.expire(opened.clock.ms, opened.log.durable_end())
    texts = opened.texts()
    assert texts[-1] == b"new"
    again = opened.again()
    assert again.log.damage is None
    assert again.texts() == texts


def test_a_file_that_cannot_be_cut_back_stops_the_log(opened):
    opened.put(b"a")
    opened.files.fail("write", Fault.KEPT, errno.ENOSPC)
    opened.files.fail("truncate", Fault.LOST)
    with pytest.raises(Unavailable, match="restart"):
        opened.put(b"b")
    assert "restart" in opened.log.writable()


def test_a_directory_that_cannot_be_written_is_the_operators_mistake(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UsageError, match="--data"):
        Opened(tmp_path / "file")
    files = FaultFiles()
    files.fail("create", Fault.LOST, errno.EROFS)
    with pytest.raises(UsageError, match="--data"):
        Opened(tmp_path / "full", files=files)
    Opened(tmp_path / "full").log.close()


def test_durable_means_that_the_sync_came_before_the_end(opened):
    """The order of system calls: write, sync, and only then is the end published."""
    seen: list[tuple[str, int]] = []
    opened.files.watch = lambda operation: seen.append((operation, opened.log.durable_end()))
    before = opened.log.durable_end()
    opened.put(b"a")
    assert seen == [("write", before), ("sync", before)]
    assert opened.log.durable_end() > before


def test_each_mark_is_durable_before_the_next_is_written(opened):
    seen: list[tuple[str, int]] = []
    opened.files.watch = lambda operation: seen.append((operation, opened.log.durable_end()))
    before = opened.log.durable_end()
    opened.mark(b"a", b"b")
    assert seen == [("write", before), ("sync", before)] * 2
    assert len(list(opened.log.marks(0))) == 2


@pytest.mark.parametrize("fault", [Fault.LOST, Fault.KEPT])
@pytest.mark.parametrize("call", range(4))
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_marks_that_fail_half_way_are_not_shown(opened, call, fault, code):
    opened.put(b"a")
    calls = 0

    def watch(operation: str) -> None:
        nonlocal calls
        if calls == call:
            opened.files.fail(operation, fault, code)
        calls += operation != "truncate"

    opened.files.watch = watch
    with pytest.raises(Unavailable):
        opened.mark(b"b", b"c")
    opened.files.watch = lambda _: None
    # The first write to a full disk did no harm; past that nothing may be tried again.
    assert (opened.log.writable() == "") == (call == 0 and code == errno.ENOSPC)
    assert list(opened.log.marks(0)) == []
    again = opened.again()
    assert again.log.damage is None
    assert list(again.log.marks(0)) == []
    again.mark(b"d", b"e")
    assert [mark.payload for mark in again.log.marks(0)] == [b"d", b"e"]
    assert again.texts() == [b"a"]


def test_marks_of_one_append_share_a_segment(opened):
    opened.put(incompressible(600))
    opened.mark(incompressible(100), incompressible(200))
    (first, second) = [mark.position for mark in opened.log.marks(0)]
    assert segments_of(opened) == [0, first]
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


def test_below_the_disk_reserve_marks_are_refused_too(opened):
    opened.files.free = SMALL.disk_reserve_bytes - 1
    with pytest.raises(Unavailable, match="reserve"):
        opened.mark(b"a")
    opened.files.free = SMALL.disk_reserve_bytes
    opened.mark(b"a")


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


class FullFiles(FaultFiles):
    """A disk whose free bytes say nothing: a quota stops every write."""

    full = False

    def write(self, fd: int, data: bytes, offset: int) -> None:
        if self.full:
            raise OSError(errno.EDQUOT, "Disk quota exceeded")
        super().write(fd, data, offset)


def test_a_full_disk_is_refused_until_it_takes_bytes_again(tmp_path):
    files = FullFiles()
    opened = Opened(tmp_path, files=files)
    opened.put(b"a")
    files.full = True
    with pytest.raises(Unavailable, match="quota"):
        opened.put(b"b")
    opened.clock.step_s = DISK_CHECK_INTERVAL_S
    for _ in range(3):
        assert "quota" in opened.log.writable()
    files.full = False
    assert opened.log.writable() == ""
    opened.put(b"c")
    assert opened.texts() == [b"a", b"c"]
    assert [path.name for path in (tmp_path / "log").glob("*.tmp")] == []


def test_a_segment_that_is_removed_beneath_us_takes_nothing(opened):
    opened.put(b"a")
    path = next((opened.data / "log").glob("*.seg"))
    aside = path.with_name("aside")
    path.rename(aside)
    assert "was removed" in opened.log.writable()
    with pytest.raises(Unavailable, match="was removed"):
        opened.put(b"b")
    aside.rename(path)
    opened.put(b"c")
    assert opened.again().texts() == [b"a", b"c"]
