# SPDX-License-Identifier: Apache-2.0
"""Against the log: a data directory as a server leaves it, and what its log gives a trail."""

import gzip
import hashlib
import json
from typing import Any

import pytest
from click.testing import CliRunner
from support.delivery_world import ACCOUNTS, BUCKETS, REGIONS, SELECTORS, World
from support.trail_rooms import newest_cut

from opentrail.cli.main import cli
from opentrail.cli.verify_target import Place, target_of
from opentrail.config import Settings
from opentrail.errors import OpenTrailError, UsageError
from opentrail.event.gap import DELIVERY_GAP_EVENT_NAME, Gap, gap_event
from opentrail.eventlog.base import Draft, Origin
from opentrail.eventlog.segments import Segments
from opentrail.objects.table import BucketTable
from opentrail.state.base import Change
from opentrail.state.sqlite import SqliteState
from opentrail.state.stored import read
from opentrail.trails.deliver import Delivery, Rooms
from opentrail.trails.digest import Digests, SigningRooms
from opentrail.trails.keys import DigestKeys
from opentrail.trails.parts import Limits
from opentrail.trails.progress import delivered_prefix
from opentrail.trails.registry import Registry
from opentrail.trails.trail import DeliveredFile
from opentrail.verification.rederive import Rederivation
from opentrail.verification.survey import Asked


class Directory(World):
    """The world of deliveries, in a real data directory."""

    def __init__(self, data):
        super().__init__(digest_interval_s=60)
        self.data = data
        real: Any = Segments.open(data, self.clock, self.ids)
        state: Any = SqliteState.open(data / "state.db")
        buckets: Any = BucketTable({}, data / "buckets", self.clock, REGIONS[0])
        self.log, self.state, self.buckets = real, state, buckets
        self.close_all = state.close, real.close
        self.registry = Registry.open(self.log, self.state, self.clock, self.ids)
        self.keys = DigestKeys.open(data / "keys", self.state)
        rooms = Rooms(self.log, self.state, self.buckets, self.threads)
        self.delivery = Delivery(rooms, self.clock, 60, Limits())
        signing = SigningRooms(self.state, self.buckets, self.keys, self.threads)
        self.digests = Digests(signing, self.clock)

    def close(self):
        for close in self.close_all:
            close()

    def path(self, key):
        return self.data / "buckets" / BUCKETS[0] / key

    def logs(self):
        folder = self.data / "buckets" / BUCKETS[0]
        return sorted(
            str(path.relative_to(folder)) for path in folder.glob("AWSLogs/*/CloudTrail/**/*.gz")
        )


@pytest.fixture
def world(tmp_path):
    found = Directory(tmp_path / "data")
    trail = found.registry.start(found.create(is_multi_region=True))
    for _ in range(2):
        for region in REGIONS[:2]:
            found.write(region=region)
            found.write(ACCOUNTS[1])
        found.pass_time()
        found.run()
    found.registry.stop(trail)
    found.write()
    found.pass_time()
    found.registry.start(trail)
    found.write(read_only=True)
    found.pass_time()
    found.run()
    yield found
    found.close()


def verify(world, *arguments):
    given = ("verify", "trail", "--data", str(world.data), "--allow-unlisted", "--json")
    done = CliRunner().invoke(cli, [*given, *arguments])
    if isinstance(done.exception, OpenTrailError):
        raise done.exception
    assert isinstance(done.exception, SystemExit | None), done.exception
    assert done.stdout, done.output
    found = json.loads(done.stdout)
    wrong = [
        (each["kind"], each["reason"])
        for each in found["findings"]
        if each["verdict"] not in ("", "valid")
    ]
    return done.exit_code, wrong, found


def test_the_log_gives_what_was_delivered(world):
    code, wrong, found = verify(world, "--against-log")
    assert (code, wrong) == (0, [])
    assert "5/5 logged files valid" in found["summary"]
    (note,) = [each["reason"] for each in found["findings"] if each["reason"].startswith("the log")]
    assert note.startswith("the log gives it 5 records in 5 files, delivered since 2023-11-")


def test_a_file_that_is_gone_or_changed(world):
    first, second, *_ = world.logs()
    world.path(first).unlink()
    world.path(second).write_bytes(gzip.compress(b'{"Records":[]}'))
    code, wrong, _ = verify(world, "--against-log")
    assert code == 1
    assert ("Logged file", "not found") in wrong
    assert ("Logged file", "is not what the log gives") in wrong


def test_a_file_that_was_given_up_is_not_looked_for_if_the_log_itself_says_so(world):
    first, *_ = world.logs()
    world.path(first).unlink()
    (trail,) = world.registry.trails()
    details = {"trailARN": trail.arn, "s3ObjectKeys": [first]}
    gap = Gap("backlog-too-large", 0, 1000, more=details, event_name=DELIVERY_GAP_EVENT_NAME)
    event = gap_event(gap, "e" * 36, trail.account, trail.home_region, 1000)
    world.log.append([Draft(Origin.INTAKE, event)])
    assert ("Logged file", "not found") in verify(world, "--against-log")[1]
    world.log.append([Draft(Origin.INTERNAL, event)])
    _, wrong, found = verify(world, "--against-log")
    assert ("Logged file", "not found") not in wrong
    notes = [each["reason"] for each in found["findings"]]
    assert "files given up, as DeliveryGap events of the log say, and not looked for: 1" in notes


def test_the_same_files_are_derived_as_were_delivered(world):
    (trail,) = world.registry.trails()
    derived = list(Rederivation(world.log, trail, world.log.durable_end()).files())
    assert sorted(each.entry.s3_object for each in derived) == world.logs()
    for each in derived:
        content = gzip.decompress(world.path(each.entry.s3_object).read_bytes())
        assert each.entry.hash_value == hashlib.sha256(content).hexdigest()
        assert each.records == len(json.loads(content)["Records"])


def test_a_digest_that_lists_what_the_log_does_not_give(world):
    """As if the holder of the key had delivered one file more than there was to deliver."""
    (cursor,) = world.state.scan("cursor/")
    world.write()
    world.pass_time()
    world.run()
    assert verify(world, "--against-log")[:2] == (0, [])
    world.state.commit([Change(cursor.key, cursor.value, None)])
    code, wrong, _ = verify(world, "--against-log")
    assert (code, wrong) == (1, [("Log file", "the log gives no such file")])


def test_it_is_for_a_trail_of_the_server_here(world, tmp_path):
    (tmp_path / "copy").mkdir()
    bucket, copy = f"s3://{BUCKETS[0]}", str(tmp_path / "copy")
    for target, data, said in (
        (bucket, world.data, "there is no trail s3"),
        (copy, tmp_path / "none", "is for a trail of a server here"),
    ):
        arguments = ["verify", target, "--data", str(data), "--against-log"]
        done = CliRunner().invoke(cli, arguments)
        assert isinstance(done.exception, UsageError)
        assert said in str(done.exception)


@pytest.mark.parametrize("multi", [True, False])
def test_a_world_with_selectors_and_many_files_is_derived_again(multi):
    world = World(Limits(), digest_interval_s=60)
    more: Any = SELECTORS["writes"]
    trail = world.registry.start(world.create(is_multi_region=multi, **more))
    for number in range(30):
        world.write(region=REGIONS[number % 3], read_only=number % 2 == 0)
        if number % 7 == 0:
            world.pass_time()
            world.run()
    world.pass_time()
    world.run()
    end = world.log.durable_end()
    derived = [each.entry.s3_object for each in Rederivation(world.log, trail, end).files()]
    assert sorted(derived) == sorted(key for _, key in world.objects("CloudTrail"))


def known(world):
    """Return since and until when the state knows what was delivered, and by which trails."""
    settings = Settings(data=str(world.data))
    found = target_of("trail", Asked(), None, Place(settings, world.clock, "", "")).expected.known
    return found.since_s, found.until_s, found.alone, found.trails


def test_since_and_until_when_the_state_knows_what_was_delivered(world):
    (trail,) = world.registry.trails()
    cut_s = newest_cut(world.registry).cut_ms // 1000
    since_s, until_s, alone, trails = known(world)
    assert until_s == cut_s
    assert cut_s - 60 <= since_s <= cut_s
    assert (alone, trails) == (True, {(trail.name, trail.home_region)})
    world.write()
    world.pass_time()
    assert known(world)[1] == cut_s, "what is not delivered yet may be in the bucket already"


def test_a_trail_with_another_prefix_delivers_elsewhere(world):
    other = world.registry.start(world.create("other", prefix="theirs"))
    before = known(world)
    assert before[2]
    world.update(other, prefix="")
    assert not known(world)[2]
    world.run()
    assert not known(world)[2]
    world.update(other, prefix="theirs")
    assert not known(world)[2], "what it delivered here may be in no digest yet"
    world.run()
    assert known(world)[2]


def test_files_of_a_trail_that_moved_away_wait_for_a_digest_too(world):
    other = world.registry.start(world.create("other"))
    world.write()
    world.update(other, bucket=BUCKETS[1])
    world.run()
    (waiting,) = (entry.key for entry in world.state.scan(delivered_prefix(other.id)))
    file = read(world.state.get(waiting), DeliveredFile)
    assert file.bucket == BUCKETS[0]
    settings = Settings(data=str(world.data))
    expected = target_of("trail", Asked(), None, Place(settings, world.clock, "", "")).expected
    assert hash(file.key) in expected.others


def test_nothing_is_known_beside_a_trail_that_has_no_digests(world):
    other = world.registry.start(world.create("other", log_file_validation=False))
    assert known(world)[:2] == (0, 0)
    world.run()
    assert known(world)[:2] == (0, 0)
    world.registry.delete(other)
    world.pass_time()
    world.run()
    assert known(world)[1] == newest_cut(world.registry).cut_ms // 1000
