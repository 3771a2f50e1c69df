# SPDX-License-Identifier: Apache-2.0
"""When a server makes a dictionary of its log's own records, and when it is rid of one."""

import os

import pytest
from support.data_directories import encoded, record
from support.log_files import HandClock
from support.seeded_ids import SeededIds

from opentrail.eventlog import dictionary, training
from opentrail.eventlog.base import Draft, Origin
from opentrail.eventlog.options import LogOptions
from opentrail.eventlog.reader import SegmentReader
from opentrail.eventlog.segments import Segments
from opentrail.eventlog.training import CHECK_S, RENEWED_S, SAMPLES_MIN, Trainer

DAY_MS = RENEWED_S * 1000


class Server:
    """A log, and who trains on it."""

    def __init__(self, data):
        self.data = data
        self.clock = HandClock()
        self.clock.step_s = 0.0
        options = LogOptions(disk_reserve_bytes=0, segment_bytes_max=1_000_000)
        self.log = Segments.open(data, self.clock, SeededIds(1), options)
        self.trainer = Trainer(data, self.clock)
        self.written = 0

    def write(self, count):
        for first in range(self.written, self.written + count, 100):
            self.log.append(
                [Draft(Origin.CAPTURE, encoded(self.record(n))) for n in range(first, first + 100)]
            )
        self.written += count

    def record(self, number):
        return record(number % 3000, userAgent=f"our-own-tool/{number}", eventID=f"{number:036}")

    def later(self, seconds):
        """Let time pass, and look."""
        self.clock.ms += int(seconds * 1000)
        self.clock.seconds += seconds
        assert self.trainer.step() is False
        return self.trained()

    def trained(self):
        return dictionary.load(self.data / "log")

    def made(self):
        """Have the file be as old as this server's clock says."""
        now_s = self.clock.ms / 1000
        os.utime(self.data / "log" / "dictionary", (now_s, now_s))


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "UNATTENDED_BYTES_MIN", 100_000)
    made = Server(tmp_path)
    yield made
    made.log.close()


def test_the_first_one_is_made_when_there_is_enough(server):
    assert server.later(0) is None, "an empty log"
    server.write(200)
    assert server.later(CHECK_S) is None, "a small one"
    server.write(SAMPLES_MIN)
    assert server.later(CHECK_S - 1) is None, "it looks once a minute"
    assert server.later(1) is not None
    assert server.log.renew()


def test_it_is_made_anew_every_day_of_that_days_records(server):
    server.write(SAMPLES_MIN + 400)
    first = server.later(CHECK_S)
    assert first is not None
    server.made()
    server.write(SAMPLES_MIN + 400)
    assert server.later(RENEWED_S - 1) == first
    again = server.later(1)
    assert again not in (None, first)
    server.made()
    another = Trainer(server.data, server.clock)
    another.step()
    assert server.trained() == again, "the next process goes by the file's age"


def test_an_old_one_goes_though_there_is_nothing_to_make_another_of(server):
    server.write(SAMPLES_MIN + 400)
    assert server.later(CHECK_S) is not None
    server.made()
    server.log.renew()
    server.write(100)  # in a segment of its own
    assert server.later(RENEWED_S) is None
    assert server.log.renew(), "the server goes back to OpenTrail's own"
    server.write(SAMPLES_MIN + 400)
    assert server.later(RENEWED_S) is not None


@pytest.mark.parametrize("days", [-3, 3])
def test_a_file_of_another_time_is_made_anew(server, days):
    server.write(SAMPLES_MIN + 400)
    dictionary.store(server.data / "log", b"of another time" * 100)
    server.clock.ms += days * DAY_MS
    server.made()
    server.clock.ms -= days * DAY_MS
    assert server.later(CHECK_S) not in (None, b"of another time" * 100)


@pytest.mark.parametrize("step", [1, 2, 7, 150, 10_000])
def test_every_so_manieth_record_is_a_sample(server, step):
    for size in (1, 2, 3, 50, 1, 300, 7, 100):
        server.log.append(
            [Draft(Origin.CAPTURE, b"%d" % (server.written + n)) for n in range(size)]
        )
        server.written += size
    reader = SegmentReader(server.data / "log")
    assert list(reader.sampled(0, step)) == [b"%d" % n for n in range(0, server.written, step)]
