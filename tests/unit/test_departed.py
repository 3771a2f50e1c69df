# SPDX-License-Identifier: Apache-2.0
"""A deleted trail whose bucket is gone, too: operators see what waits, which no operation shows."""

import pytest
from support.delivery_world import BUCKETS, World

from opentrail.cli import status
from opentrail.cli.trails_here import TrailsHere
from opentrail.trails.departed import departed
from opentrail.trails.gauges import gauges

FAILING = "trail_failing"


@pytest.fixture
def world():
    world = World()
    world.registry.start(world.create("audit"))
    world.run()
    world.buckets.all[BUCKETS[0]].refusal = "NoSuchBucket"
    world.write()
    world.registry.delete(world.registry.trails()[0])
    for _ in range(30):
        world.clock.seconds += 1000
        world.delivery.step()
        world.digests.step()
    return world


def failing(world):
    found = gauges(world.state, world.registry.trails(), world.log.durable_end(), {})
    series = [(each.name, each.target, each.trail) for each in found]
    assert len(set(series)) == len(series)
    return [(each.target, each.trail) for each in found if each.name == FAILING and each.value]


def lines(world):
    here, end = TrailsHere(world.state), world.log.durable_end()
    return [status._trail(here, trail, end, world.clock.now_ms()) for trail in here.departed()]


def test_what_waits_for_a_bucket_of_a_deleted_trail_is_seen(world):
    (trail,) = departed(world.state, world.registry.trails())
    assert (trail.name, trail.deleted, trail.logging) == ("audit", True, False)
    name = f"{trail.arn} ({trail.id}, deleted)"
    assert ("bucket", name) in failing(world)
    (line,) = lines(world)
    assert line.wrong
    assert "audit (us-east-1) deleted, not done" in line.text
    assert "bytes of log behind" in line.text
    assert "NoSuchBucket" in line.text


def test_a_trail_that_is_made_anew_is_another_one(world):
    world.registry.start(world.create("audit", bucket=BUCKETS[1]))
    world.write()
    world.registry.cut()
    world.run()
    assert [key for bucket, key in world.objects("CloudTrail") if bucket == BUCKETS[1]] != []
    assert len(departed(world.state, world.registry.trails())) == 1
    assert len(failing(world)) == 1


def test_a_deleted_trail_that_is_done_is_gone(world):
    world.buckets.all[BUCKETS[0]].refusal = ""
    world.run()
    assert departed(world.state, world.registry.trails()) == []
    assert (failing(world), lines(world)) == ([], [])
