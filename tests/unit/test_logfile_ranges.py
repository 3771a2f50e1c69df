# SPDX-License-Identifier: Apache-2.0
"""Delivery: which ranges become which files, when, where; what a refusal does, and to whom."""

import json
from itertools import pairwise

import pytest
from support.delivery_world import ACCOUNTS, BUCKETS, NOW_MS, REGIONS, World, record
from support.hand_threads import HandThreads
from support.log_files import Fault
from support.seeded_ids import SeededIds

from opentrail.errors import Corrupt, Unavailable
from opentrail.eventlog.base import MarkKind, Origin
from opentrail.state.base import Change
from opentrail.trails.deliver import Delivery, Rooms
from opentrail.trails.parts import Limits
from opentrail.trails.retry import RETRY_FIRST_S, RETRY_LONGEST_S
from opentrail.trails.scan import SAVE_INTERVAL_S, SCANNED_KEY
from opentrail.trails.spool import MEMORY_BYTES_MAX
from opentrail.trails.trail import cursor_key


def files(world):
    """Return bucket and eventIDs of each log file, by key."""
    return [
        (bucket, [each[-1] for each in world.events_in(bucket, key)])
        for bucket, key in world.objects("CloudTrail")
    ]


def regions(world):
    return sorted(key.split("/")[3] for _, key in world.objects("CloudTrail"))


@pytest.fixture
def world():
    return World()


@pytest.fixture
def trail(world):
    return world.registry.start(world.create())


def finish(world):
    world.registry.cut()
    world.run()


@pytest.mark.usefixtures("trail")
def test_a_file_ends_at_a_cut_and_not_before(world):
    world.write()
    world.run()
    assert files(world) == []
    world.registry.cut()
    world.write()
    world.run()
    assert files(world) == [(BUCKETS[0], ["1"])]


@pytest.mark.usefixtures("trail")
def test_the_key_tells_account_region_and_the_minute_of_the_cut(world):
    world.write()
    world.clock.ms += 59_999
    finish(world)
    ((_, key),) = world.objects("CloudTrail")
    assert key.startswith(
        f"AWSLogs/{ACCOUNTS[0]}/CloudTrail/us-east-1/2023/11/14/"
        f"{ACCOUNTS[0]}_CloudTrail_us-east-1_20231114T2214Z_"
    )
    head = world.buckets.find(BUCKETS[0]).head(key)
    assert (head.content_type, head.content_encoding) == ("application/json", "gzip")
    assert (head.metadata, head.encryption) == ({}, {"ServerSideEncryption": "AES256"})


@pytest.mark.usefixtures("trail")
def test_the_records_keep_their_bytes(world):
    world.write()
    world.write()
    finish(world)
    ((bucket, key),) = world.objects("CloudTrail")
    own = b",".join(entry.data for entry in world.log.entries(0))
    assert world.buckets.find(bucket).unpacked(key) == b'{"Records":[' + own + b"]}"


def test_nothing_is_delivered_of_the_time_before_start_and_after_stop(world):
    trail = world.create()
    world.write()
    world.registry.start(trail)
    inside = world.write()
    world.registry.stop(trail)
    world.write()
    finish(world)
    world.registry.start(trail)
    again = world.write()
    finish(world)
    assert sorted(files(world)) == [(BUCKETS[0], [inside]), (BUCKETS[0], [again])]


def test_what_was_cut_for_the_old_bucket_goes_there_first(world, trail):
    old = world.write()
    world.buckets.find(BUCKETS[0]).refusal = "AccessDenied"
    world.update(trail, bucket=BUCKETS[1])
    new = world.write()
    finish(world)
    assert files(world) == []
    world.buckets.find(BUCKETS[0]).refusal = ""
    world.run()
    assert files(world) == [(BUCKETS[0], [old]), (BUCKETS[1], [new])]


@pytest.mark.usefixtures("trail")
def test_what_is_not_the_trails_is_not_in_it(world):
    world.write(ACCOUNTS[1])
    world.write(region=REGIONS[1])
    world.write(category="Data")
    world.write(origin=Origin.IMPORT)
    finish(world)
    assert files(world) == []
    assert not list(world.state.scan("delivered/"))


def test_a_region_that_is_no_name_counts_as_the_home(world):
    world.registry.start(world.create(is_multi_region=True))
    for region in ("../../etc", "", "r" * 33, "r" * 32, REGIONS[1]):
        world.write(region=region)
    finish(world)
    assert regions(world) == ["eu-west-1", "r" * 32, "us-east-1"]
    assert sum(len(ids) for _, ids in files(world)) == 5


def test_parts_are_as_large_as_may_be():
    size = len(record(1, ACCOUNTS[0], REGIONS[0]))
    for spare, per_file in ((0, [2, 2, 1]), (-1, [1, 1, 1, 1, 1])):
        world = World(Limits(file_bytes_max=len(b'{"Records":[,]}') + 2 * size + spare))
        world.registry.start(world.create())
        for _ in range(5):
            world.write()
        finish(world)
        assert sorted((len(ids) for _, ids in files(world)), reverse=True) == per_file
        assert all(
            len(world.buckets.find(bucket).unpacked(key)) <= world.limits.file_bytes_max
            for bucket, key in world.objects("CloudTrail")
        )


@pytest.mark.parametrize("places_open_max", [1, 2, 3, 4])
def test_more_places_than_may_be_open_need_more_passes(places_open_max):
    world = World(Limits(places_open_max=places_open_max))
    world.registry.start(world.create(is_multi_region=True))
    for region in REGIONS * 2:
        world.write(region=region)
    finish(world)
    assert regions(world) == sorted(REGIONS)
    assert world.delivered() == world.expected()


def test_trails_take_turns(world, trail):
    other = world.registry.start(world.create("other"))
    world.run()
    for _ in range(3):
        world.write()
        world.registry.cut()
    served = []
    before = cursors(world)
    while world.delivery.step():
        now = cursors(world)
        served += [each for each in now if now[each] != before[each]]
        before = now
    assert len(served) == 6
    assert {*served[:2]} == {*served[2:4]} == {*served[4:]} == {trail.id, other.id}


def cursors(world):
    return {entry.key.split("/")[1]: entry.value for entry in world.state.scan("cursor/")}


def test_a_refusal_is_told_and_holds_up_nobody_else(world, trail):
    world.registry.start(world.create("other", bucket=BUCKETS[1]))
    world.write()
    bucket = world.buckets.find(BUCKETS[0])
    bucket.refusal = "NoSuchBucket"
    finish(world)
    assert files(world) == [(BUCKETS[1], ["1"])]
    status = world.registry.status(trail.id).delivery
    assert (status.error, status.attempted_ms, status.delivered_ms) == ("NoSuchBucket", NOW_MS, 0)
    bucket.refusal = ""
    world.clock.ms += 5000
    world.run()
    status = world.registry.status(trail.id).delivery
    assert (status.error, status.attempted_ms, status.delivered_ms) == (
        "",
        NOW_MS + 5000,
        NOW_MS + 5000,
    )
    assert world.delivered() == world.expected()


@pytest.mark.usefixtures("trail")
def test_waits_grow_to_a_longest(world):
    world.run()
    world.write()
    world.registry.cut()
    bucket = world.buckets.find(BUCKETS[0])
    bucket.refusal = "AccessDenied"
    assert waits(world, 12) == [min(RETRY_FIRST_S * 2**n, RETRY_LONGEST_S) for n in range(12)]
    bucket.refusal = ""
    world.run()
    world.write()
    world.registry.cut()
    bucket.refusal = "AccessDenied"
    assert waits(world, 1) == [RETRY_FIRST_S]


def waits(world, count):
    """Let steps fail; return the seconds between the first tries."""
    (trail,) = world.registry.trails()
    tries: list[float] = []
    while len(tries) <= count:
        before = world.registry.status(trail.id).delivery.attempted_ms
        world.clock.ms += 1
        assert not world.delivery.step()
        if world.registry.status(trail.id).delivery.attempted_ms != before:
            tries.append(world.clock.seconds)
        world.clock.seconds += 1.0
    return [later - earlier for earlier, later in pairwise(tries)]


@pytest.mark.parametrize("fault", [Fault.LOST, Fault.KEPT])
def test_a_put_whose_outcome_is_unknown_is_repeated(world, trail, fault):
    world.write()
    world.registry.cut()
    world.buckets.find(BUCKETS[0]).fault = fault
    world.run()
    assert files(world) == [(BUCKETS[0], ["1"])]
    assert world.registry.status(trail.id).delivery.error == ""


@pytest.mark.usefixtures("trail")
@pytest.mark.parametrize("fault", [Fault.LOST, Fault.KEPT])
def test_a_commit_whose_outcome_is_unknown_is_read_back(world, fault):
    world.run()
    world.write()
    world.registry.cut()
    world.state.fault = fault
    with pytest.raises(Unavailable):
        world.delivery.step()
    world.run()
    assert files(world) == [(BUCKETS[0], ["1"])]


def test_somebody_else_who_moved_the_cursor_is_not_overwritten(world, trail):
    world.run()
    world.write()
    world.registry.cut()
    rooms = Rooms(world.log, Ahead(world.state, trail.id), world.buckets, HandThreads())
    late = Delivery(rooms, world.clock, 60)
    assert late.step()
    assert world.state.get(cursor_key(trail.id)).value == b"1"


class Ahead:
    """A state in which another moves the cursor just before a commit."""

    def __init__(self, state, trail_id):
        self.inner = state
        self.key = cursor_key(trail_id)
        self.get = state.get
        self.scan = state.scan
        self.first = state.first
        self.keys = state.keys

    def commit(self, changes):
        self.inner.commit([Change(self.key, b"1", None)])
        self.inner.commit(changes)


def test_a_kms_trail_names_its_key(world):
    world.registry.start(world.create(kms_key_id="arn:aws:kms:us-east-1:1:key/k"))
    world.write()
    finish(world)
    ((bucket, key),) = world.objects("CloudTrail")
    assert world.buckets.find(bucket).head(key).encryption["SSEKMSKeyId"].endswith("key/k")
    digests = [
        world.buckets.find(bucket).head(key) for bucket, key in world.objects("CloudTrail-Digest")
    ]
    assert {head.encryption["ServerSideEncryption"] for head in digests} == {"aws:kms"}


def test_the_log_is_needed_from_the_last_cursor_on(world, trail):
    world.run()
    first = world.delivery.floor()
    assert first == int(world.state.get(cursor_key(trail.id)).value)
    world.write()
    finish(world)
    assert world.delivery.floor() > first
    world.registry.delete(trail)
    world.run()
    assert world.delivery.floor() == world.log.durable_end()


def test_without_trails_nothing_is_needed_and_little_is_read_again(world):
    world.write()
    assert not world.delivery.step()
    assert world.delivery.floor() == world.log.durable_end()
    assert world.state.get(SCANNED_KEY) is None
    world.write()
    world.clock.seconds += SAVE_INTERVAL_S
    assert not world.delivery.step()
    saved = json.loads(world.state.get(SCANNED_KEY).value)
    assert saved["position"] == world.log.durable_end()


def test_a_stopped_trail_does_not_hold_the_log_back(world, trail):
    world.registry.start(world.create("other"))
    world.registry.stop(trail)
    world.write()
    finish(world)
    cursors = [int(entry.value) for entry in world.state.scan("cursor/")]
    assert len(cursors) == 2
    assert len(set(cursors)) == 1


def test_records_between_a_cut_and_a_change_are_not_lost(world, trail):
    """Not written by this program, yet allowed in a log."""
    world.write()
    trail = world.registry.trails()[0]
    payload = json.dumps(
        {"change": "UpdateTrail", "trail": {**as_dict(trail), "bucket": BUCKETS[1]}}
    )
    world.log.append_marks([(MarkKind.CONTROL, payload.encode())])
    world.write()
    finish(world)
    assert files(world) == [(BUCKETS[0], ["1"]), (BUCKETS[1], ["2"])]


def as_dict(trail):
    return {name: getattr(trail, name) for name in trail.__struct_fields__}


def test_a_mark_that_cannot_be_read_stops_everything(world):
    world.log.append_marks([(MarkKind.CUT, b"{}")])
    with pytest.raises(Corrupt, match="mark cannot be read"):
        world.delivery.step()


def test_a_cursor_that_is_no_start_is_corrupt(world):
    world.state.commit([Change(cursor_key("no-trail"), b"12", None)])
    with pytest.raises(Corrupt, match="no trail begins to log at 12"):
        world.delivery.step()


def test_a_spool_that_cannot_be_written_is_a_failure_like_any_other(tmp_path):
    world = World(Limits(spool_dir=tmp_path / "spool"))
    trail = world.registry.start(world.create())
    ids = SeededIds(7)
    for _ in range(MEMORY_BYTES_MAX // 50_000 + 1):
        world.write(note=ids.random_bytes(60_000).hex())
    finish(world)
    assert world.registry.status(trail.id).delivery.error == "ServiceUnavailable"
    assert files(world) == []
    (tmp_path / "spool").mkdir()
    world.run()
    assert world.registry.status(trail.id).delivery.error == ""
    assert world.delivered() == world.expected()
    assert list((tmp_path / "spool").iterdir()) == []
