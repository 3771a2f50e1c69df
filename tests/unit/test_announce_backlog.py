# SPDX-License-Identifier: Apache-2.0
"""Notices that wait for a topic that was gone: many, and each of many files."""

import msgspec
import pytest
from support.hand_threads import HandThreads
from support.memory_log import MemoryLog
from support.memory_state import MemoryState
from support.open_buckets import SettableClock
from support.target_world import TargetWorld

from opentrail.errors import ClientError
from opentrail.state.base import Change
from opentrail.trails.announce import Announcer
from opentrail.trails.gauges import _waiting
from opentrail.trails.jobs import JOBS_EACH_MAX
from opentrail.trails.notice import NOTICE_PREFIX, notices_of
from opentrail.trails.target import TargetRooms
from opentrail.trails.target_client import Clients, Endpoints
from opentrail.trails.target_setting import TargetSetting
from opentrail.trails.target_sns import MESSAGES_AT_ONCE, SnsTarget
from opentrail.trails.trail import DeliveredFile, Trail

REGION, ACCOUNT = "us-east-1", "123456789012"
OF_A_FILE = {"bucket": "logs", "sha256": "0" * 64, "oldest_ms": 1, "newest_ms": 2, "records": 1}
OF_A_FILE |= {"cut_ms": 3, "account": ACCOUNT, "region": REGION, "folder": "CloudTrail"}


class Unread(MemoryState):
    """A state whose notices are too many to be read at once."""

    def scan(self, prefix):
        assert not NOTICE_PREFIX.startswith(prefix), prefix
        return super().scan(prefix)


class Topic(Clients):
    """Takes messages; refuses those that a test says."""

    def __init__(self):
        super().__init__(TargetSetting(), Endpoints(), SettableClock())
        self.came = []
        self.refused = set()

    def call(self, service, operation, **arguments):
        assert (service.name, operation) == ("sns", "publish")
        (key,) = msgspec.json.decode(arguments["Message"])["s3ObjectKey"]
        if key in self.refused:
            raise ClientError("Throttled", "later")
        self.came.append(key)
        return {}


class Waiting:
    """A state with notices of some trails, and who takes them out of it."""

    def __init__(self, names, notices, files):
        self.state, self.topic, self.clock = Unread(), Topic(), SettableClock()
        self.clock.ms = TargetWorld((), ()).clock.now_ms()
        self.trails = [
            Trail(
                id=name,
                name=name,
                account=ACCOUNT,
                home_region=REGION,
                bucket="logs",
                sns_topic="files",
            )
            for name in names
        ]
        for trail in self.trails:
            for position in range(1, notices + 1):
                self.put(trail, position, files)
        self.state.commits = 0
        self.threads = HandThreads()
        rooms = TargetRooms(MemoryLog(), self.state, self.threads, lambda: self.trails)
        other = SnsTarget(self.topic)
        other.name = "sns-2"
        self.announcer = Announcer([SnsTarget(self.topic), other], rooms, self.clock)

    def put(self, trail, position, files):
        put = [self.file(trail, position, number) for number in range(files)]
        made = notices_of(["sns", "sns-2"], trail, put, (position, self.clock.ms))
        self.state.commit([Change(key, value, None) for key, value in made.items()])

    def file(self, trail, position, number):
        key = f"{trail.name}/{position}/{number:03d}"
        return msgspec.convert({**OF_A_FILE, "key": key}, DeliveredFile)

    def run(self):
        while self.announcer.step():
            pass


def test_each_lane_is_told_in_order_and_what_waits_is_not_read():
    waiting = Waiting(["a", "a-b", "a0"], notices=3, files=2)
    waiting.run()
    for name in ("a", "a-b", "a0"):
        keys = [f"{name}/{position}/{n:03d}" for position in (1, 2, 3) for n in (0, 1)]
        came = [key for key in waiting.topic.came if key.startswith(f"{name}/")]
        assert sorted(came) == sorted(keys * 2)
    assert list(waiting.state.keys(NOTICE_PREFIX)) == []
    assert list(_waiting(waiting.state, {})) == []


def test_a_notice_of_many_files_is_written_once_for_some_of_them():
    """Its files are in one value: writing it once for each would be a square of them."""
    files = 3 * MESSAGES_AT_ONCE + 1
    waiting = Waiting(["org"], notices=1, files=files)
    waiting.run()
    assert len(waiting.topic.came) == 2 * files
    assert waiting.state.commits == 2 * 4


@pytest.mark.parametrize("at", [0, 1, MESSAGES_AT_ONCE])
def test_a_refusal_in_between_tells_nothing_twice(at):
    waiting = Waiting(["org"], notices=1, files=2 * MESSAGES_AT_ONCE)
    refused = f"org/1/{at:03d}"
    waiting.topic.refused.add(refused)
    waiting.run()
    assert waiting.topic.came.count("org/1/000") == (2 if at else 0)
    assert sorted(set(waiting.topic.came)) == [f"org/1/{n:03d}" for n in range(at)]
    waiting.topic.refused.clear()
    waiting.clock.ms += 400_000
    waiting.run()
    assert len(waiting.topic.came) == 2 * 2 * MESSAGES_AT_ONCE
    assert len(set(waiting.topic.came)) == 2 * MESSAGES_AT_ONCE


def test_topics_that_are_silent_keep_no_turn_from_one_that_works():
    """Their tries take long, and are as many at once as there may be."""
    silent = [f"a{number}" for number in range(JOBS_EACH_MAX)]
    waiting = Waiting([*silent, "z"], notices=1, files=1)
    waiting.topic.refused = {f"{name}/1/000" for name in silent}
    waiting.run()
    waiting.put(waiting.trails[-1], 2, files=1)
    waiting.threads.held = True
    waiting.clock.ms += 2_000
    waiting.announcer.step()
    waiting.threads.release()
    assert waiting.topic.came.count("z/2/000") == 2
