# SPDX-License-Identifier: Apache-2.0
"""A bucket that is gone, and its trail gets another one: that one takes over what waits."""

import msgspec
import pytest
from support.aws_clients import client
from support.delivery_world import ACCOUNTS, BUCKETS, REGIONS, World
from support.digest_checks import validate
from support.trail_calls import create
from support.trail_rooms import BUCKET, SmallBucket, TrailRooms
from support.wire_server import ADMIN, SmallHistory, serving

from opentrail.state.base import Change
from opentrail.trails.status import DeliveryStatus, delivery_status_key
from opentrail.trails.trail import cursor_key
from opentrail.verification.rederive import Rederivation

OLD, NEW = BUCKETS[0], BUCKETS[1]
FILES = 3


@pytest.fixture
def world():
    world = World()
    world.registry.start(world.create("audit", is_multi_region=True))
    write(world)
    world.pass_time()
    world.run()
    return world


def write(world):
    """Append records of two regions, and end files, some times."""
    for _ in range(FILES):
        for region in REGIONS[:2]:
            world.write(ACCOUNTS[0], region)
        world.registry.cut()


def lose(world, name):
    world.buckets.find(name).objects.clear()
    world.buckets.find(name).refusal = "NoSuchBucket"


def fail(world):
    """Let delivery and digests try in vain."""
    for _ in range(20):
        world.clock.seconds += 1000
        world.delivery.step()
        world.digests.step()


def give(world, *, gone=True, **changes):
    (before,) = world.registry.trails()
    after = msgspec.structs.replace(before, **changes)
    after = world.registry.taking_over(before, after, from_gone=gone)
    world.registry.change(after, "UpdateTrail")


def keys(world, folder="CloudTrail"):
    return [(bucket, key) for bucket, key in world.objects(folder)]


def derived(world):
    (trail,) = world.registry.trails()
    found = Rederivation(world.log, trail, world.log.durable_end()).files()
    return [(each.entry.s3_bucket, each.entry.s3_object) for each in found]


def events(world):
    return sorted(event for *_, event in world.delivered().elements())


def settle(world):
    world.pass_time()
    world.run()


def test_another_bucket_takes_over_what_waits_files_and_digests(world):
    lost = keys(world)
    lose(world, OLD)
    write(world)
    world.pass_time()
    fail(world)
    (trail,) = world.registry.trails()
    status = world.registry.status(trail.id)
    assert status.delivery.error == "NoSuchBucket"
    assert keys(world) == []
    give(world, bucket=NEW, prefix="moved")
    write(world)
    settle(world)
    assert len(events(world)) == len(set(events(world))) == 2 * 2 * FILES
    assert {bucket for bucket, _ in keys(world)} == {NEW}
    assert sorted(derived(world)) == sorted([*lost, *keys(world)])
    status = world.registry.status(trail.id)
    assert (status.delivery.error, status.digest.error) == ("", "")
    assert not list(world.state.scan("digest/due/"))
    assert not list(world.state.scan("delivered/"))
    wrong = validate(world, trail.arn, REGIONS[0], NEW, "moved").wrong
    assert [each for each in wrong if "moved/" in each] == []


def test_what_had_been_put_of_a_range_is_put_anew(world):
    lost = keys(world)
    world.threads.held = True
    write(world)
    for _ in range(20):
        world.delivery.step()
    world.threads.finish(0)  # the file of one region, not that of the other
    world.delivery.step()
    assert len(keys(world)) == len(lost) + 1
    lose(world, OLD)
    world.threads.held = False
    while world.threads.waiting:
        world.threads.finish(0)
    fail(world)
    give(world, bucket=NEW)
    settle(world)
    assert len(events(world)) == len(set(events(world))) == 2 * FILES
    assert sorted(derived(world)) == sorted([*lost, *keys(world)])


def test_a_second_bucket_that_is_lost_and_a_third(world):
    lost = keys(world)
    lose(world, OLD)
    write(world)
    fail(world)
    give(world, bucket=NEW)
    settle(world)
    lost += keys(world)
    lose(world, NEW)
    write(world)
    fail(world)
    world.registry.stop(world.registry.trails()[0])
    give(world, bucket=OLD, prefix="again")
    world.buckets.find(OLD).refusal = ""
    settle(world)
    assert {bucket for bucket, _ in keys(world)} == {OLD}
    assert len(events(world)) == 2 * FILES
    assert sorted(derived(world)) == sorted([*lost, *keys(world)])


def test_a_bucket_that_is_there_is_waited_for(world):
    world.buckets.find(OLD).refusal = "AccessDenied"
    write(world)
    fail(world)
    give(world, gone=False, bucket=NEW)
    write(world)
    fail(world)
    assert {bucket for bucket, _ in keys(world)} == {OLD}
    give(world, gone=False, sns_topic="t")
    assert world.registry.trails()[0].takes_over == 0
    world.buckets.find(OLD).refusal = ""
    settle(world)
    assert world.delivered() == world.expected()


def test_after_a_restart_it_goes_on_where_it_was(world):
    lose(world, OLD)
    write(world)
    fail(world)
    give(world, bucket=NEW)
    world.restart()
    give(world, gone=False, sns_topic="t")
    assert world.registry.trails()[0].takes_over > 0
    settle(world)
    assert len(events(world)) == len(set(events(world))) == 2 * FILES


def test_what_took_over_keeps_it_when_the_trail_moves_on(world):
    lost = keys(world)
    lose(world, OLD)
    write(world)
    fail(world)
    give(world, bucket=NEW)
    settle(world)
    world.buckets.find(OLD).refusal = ""
    give(world, gone=False, bucket=OLD, prefix="again")
    write(world)
    settle(world)
    assert {bucket for bucket, _ in keys(world)} == {OLD, NEW}
    assert sorted(derived(world)) == sorted([*lost, *keys(world)])


@pytest.mark.parametrize(
    ("old", "error", "bucket", "taken"),
    [
        ({}, "", "other-logs", 0),
        ({"exists": False}, "", "other-logs", 7),
        ({"denied": {"acl"}}, "", "other-logs", 0),
        ({"silent": True}, "", "other-logs", 0),
        ({"exists": False}, "NoSuchBucket", "other-logs", 7),
        ({}, "NoSuchBucket", BUCKET, 0),  # made again: it may have some of what waits by now
        ({}, "NoSuchBucket", "other-logs", 0),
        ({"exists": False}, "AccessDenied", "other-logs", 0),
    ],
)
def test_update_trail_takes_over_from_buckets_that_are_gone_only(old, error, bucket, taken):
    rooms = TrailRooms()
    rooms.buckets["other-logs"] = SmallBucket("other-logs")
    with serving(SmallHistory(), rooms) as address:
        trails = client("cloudtrail", address, ADMIN)
        create(trails)
        (trail,) = rooms.registry.trails()
        status = msgspec.json.encode(DeliveryStatus(error=error))
        rooms.state.commit(
            [
                Change(cursor_key(trail.id), b"7", None),
                Change(delivery_status_key(trail.id), status, None),
            ]
        )
        rooms.buckets[BUCKET] = SmallBucket(BUCKET, **old)
        trails.update_trail(Name="audit", S3BucketName=bucket)
        trails.close()
    (trail,) = rooms.registry.trails()
    assert (trail.bucket, trail.takes_over) == (bucket, taken)
