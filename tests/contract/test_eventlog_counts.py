# SPDX-License-Identifier: Apache-2.0
"""How many records were ever appended stays known: over rolls, retention, kills and lost files."""

import pytest
from support.brittle_files import BrittleFiles, Fault, Killed
from support.log_files import HandClock
from support.opened_log import incompressible
from support.seeded_ids import SeededIds

from opentrail.errors import Unavailable
from opentrail.eventlog.base import Draft, MarkKind, Origin
from opentrail.eventlog.counts import NAME, expired_records
from opentrail.eventlog.options import LogOptions
from opentrail.eventlog.published import Published
from opentrail.eventlog.reader import SegmentReader
from opentrail.eventlog.retention import Limits, Sealed, expired
from opentrail.eventlog.segments import Segments

SMALL = LogOptions(disk_reserve_bytes=0, segment_bytes_max=1_500, dictionary=b"")
DAY_MS = 86_400_000


class Log:
    """A log of segments with a record or two each, and how many records it was given."""

    def __init__(self, data):
        self.data = data
        self.clock = HandClock()
        self.files = BrittleFiles()
        self.appended = 0
        self.open()

    def open(self):
        self.files.break_at(0, Fault.REFUSED_LOST)
        self.log = Segments.open(self.data, self.clock, SeededIds(), SMALL, self.files)

    def put(self, groups: int) -> None:
        for group in range(groups):
            texts = [incompressible(300) for _ in range(1 + group % 2)]
            self.log.append([Draft(Origin.CAPTURE, text) for text in texts])
            self.appended += len(texts)
            self.log.append_marks([(MarkKind.CUT, b"{}")])
            self.clock.ms += DAY_MS

    def kill(self) -> None:
        """Leave everything as it is and open anew; of a closed log only the lock is let go."""
        self.log._lock.release()
        self.open()

    def check(self) -> None:
        """What is known must be what is there and what is not."""
        kept = len(list(self.log.entries(0)))
        first = self.log.first()
        assert self.log.counts(first) == (self.appended, self.appended - kept)
        begins = Published(self.data / "log").first()
        told = expired_records(self.data / "log", self.log.log_id, begins)
        assert told == self.appended - kept


@pytest.fixture
def opened(tmp_path):
    return Log(tmp_path)


def test_an_empty_log(opened):
    opened.check()
    opened.kill()
    opened.check()


def test_over_rolls_retention_and_kills(opened):
    for _ in range(3):
        opened.put(8)
        opened.check()
        opened.kill()
        opened.check()
        end = opened.log.durable_end()
        assert opened.log.expire(opened.clock.ms - 3 * DAY_MS, end) > 0
        opened.check()
    assert opened.log.expire(opened.clock.ms, opened.log.durable_end()) > 0
    opened.check()
    opened.kill()
    opened.check()
    assert opened.log.counts(opened.log.first()) == (opened.appended, opened.appended)


@pytest.mark.parametrize("fault", Fault)
def test_a_crash_at_every_change_of_retention(tmp_path, fault):
    for change in range(1, 11):
        opened = Log(tmp_path / f"{change}")
        opened.put(4)
        opened.files.break_at(change, fault)
        try:
            opened.log.expire(opened.clock.ms - 2 * DAY_MS, opened.log.durable_end())
        except (Killed, Unavailable):
            pass
        opened.kill()
        opened.check()
        opened.put(1)
        opened.log.expire(opened.clock.ms - DAY_MS, opened.log.durable_end())
        opened.check()


@pytest.mark.parametrize("content", [None, b"", b"{", b"{}", b'{"version":2}', b"\xff"])
def test_a_lost_file_loses_only_what_was_deleted(opened, content):
    opened.put(6)
    path = opened.data / "log" / NAME
    assert path.exists()
    path.unlink() if content is None else path.write_bytes(content)
    opened.kill()
    opened.check()
    opened.log.expire(opened.clock.ms - 3 * DAY_MS, opened.log.durable_end())
    path.unlink() if content is None else path.write_bytes(content)
    begins = Published(opened.data / "log").first()
    assert expired_records(opened.data / "log", opened.log.log_id, begins) is None
    opened.appended = len(list(opened.log.entries(0)))
    opened.kill()
    opened.check()


def test_another_logs_counts_are_not_believed(opened, tmp_path):
    opened.put(6)
    other = Log(tmp_path / "other")
    (opened.data / "log" / NAME).rename(other.data / "log" / NAME)
    other.put(1)
    other.kill()
    other.check()


def test_a_position_inside_the_log_counts_what_is_in_the_segments_before(opened):
    opened.put(8)
    reader = SegmentReader(opened.data / "log")
    seen = 0
    for header in sorted(path.stem for path in (opened.data / "log").glob("*.seg")):
        below = sum(entry.position < int(header) for entry in reader.entries(0))
        assert opened.log.counts(int(header))[1] == below
        seen += 1
    assert seen > 4


def sealed(*sizes: int) -> list[Sealed]:
    return [Sealed(n * 10, n * 10 + 10, n * 1000 + 999, size) for n, size in enumerate(sizes)]


@pytest.mark.parametrize(
    ("limits", "gone"),
    [
        (Limits(0, 1000), 0),
        (Limits(0, 1000, 400), 0),
        (Limits(0, 1000, 399), 1),
        (Limits(0, 1000, 300), 1),
        (Limits(0, 1000, 299), 2),
        (Limits(0, 1000, 1), 3),
        (Limits(0, 20, 1), 2),
        (Limits(0, 19, 1), 1),
        (Limits(0, 9, 1), 0),
        (Limits(999, 1000), 0),
        (Limits(1000, 1000), 1),
        (Limits(1000, 1000, 250), 2),
        (Limits(10_000, 1000, 10_000), 3),
    ],
)
def test_which_segments_go(limits, gone):
    assert expired(sealed(100, 100, 100), 100, limits) == gone


def test_retention_by_size_keeps_the_newest_and_what_is_needed(opened):
    opened.put(10)
    log_dir = opened.data / "log"

    def size() -> int:
        return sum(path.stat().st_size for path in log_dir.glob("*.seg"))

    whole = size()
    assert opened.log.expire(0, opened.log.durable_end(), whole) == 0
    kept = [entry.data for entry in opened.log.entries(0)]
    assert opened.log.expire(0, opened.log.durable_end(), whole // 2) > 0
    assert whole // 2 - SMALL.segment_bytes_max < size() <= whole // 2
    left = [entry.data for entry in opened.log.entries(0)]
    assert left == kept[-len(left) :]
    assert opened.log.expire(0, opened.log.first(), 1) == 0, "a trail still needs all of it"
    opened.log.expire(0, opened.log.durable_end(), 1)
    assert len(list(log_dir.glob("*.seg"))) == 1, "the last one stays"
    opened.check()
