# SPDX-License-Identifier: Apache-2.0
"""Deliveries beside each other: a silent bucket, one that is behind, bounds of what waits."""

from concurrent.futures import Future

import pytest
from support.delivery_world import ACCOUNTS, BUCKETS, REGIONS, World, record
from support.hand_threads import HandThreads

from opentrail.errors import ClientError, Unavailable
from opentrail.trails.jobs import BYTES_MAX, JOBS_EACH_MAX, JOBS_MAX, Jobs, failure
from opentrail.trails.parts import Limits

SIZE = len(record(1, ACCOUNTS[0], REGIONS[0]))
SMALL = Limits(file_bytes_max=3 * SIZE, waiting_bytes_max=1, slice_records=2)


def deliver(world, steps=200):
    """Let delivery take steps, without time that passes."""
    for _ in range(steps):
        world.delivery.step()


def write(world, count, **more):
    for _ in range(count):
        world.write(**more)
    world.registry.cut()


def ids(world, bucket):
    keys = [each for each in world.objects("CloudTrail") if each[0] == bucket]
    return sorted((each[-1] for where in keys for each in world.events_in(*where)), key=int)


def test_a_silent_bucket_holds_up_its_own_trail_only():
    world = World(SMALL)
    world.registry.start(world.create("silent"))
    world.registry.start(world.create("well", bucket=BUCKETS[1]))
    world.run()
    world.threads.held = True
    write(world, 3)
    deliver(world, 10)
    assert len(world.threads.waiting) == 4
    puts = [bucket.puts for bucket in world.buckets.all.values()]
    for _ in range(2):
        world.threads.finish(0)
    if world.buckets.find(BUCKETS[0]).puts > puts[0]:
        silent_name, well_name = BUCKETS[1], BUCKETS[0]
    else:
        silent_name, well_name = BUCKETS
    silent = world.threads.waiting[:]
    world.threads.waiting.clear()
    world.threads.held = False
    deliver(world)
    assert (ids(world, silent_name), ids(world, well_name)) == ([], ["1", "2", "3"])
    for number in range(4, 8):
        write(world, 1)
        deliver(world)
        assert ids(world, well_name)[-1] == str(number)
    for put in silent:
        put()
    deliver(world)
    assert ids(world, silent_name) == ids(world, well_name)
    assert world.delivered() == world.expected()


def test_what_waits_for_a_bucket_is_bounded():
    world = World(SMALL)
    trail = world.registry.start(world.create(is_multi_region=True))
    world.run()
    world.threads.held = True
    for number in range(60):
        world.write(region=REGIONS[number % 3])
    world.registry.cut()
    deliver(world)
    assert len(world.threads.waiting) == 1
    packing = world.delivery._flights[trail.id].packing
    assert len(packing.waiting) == 1
    world.threads.release()
    deliver(world)
    assert world.delivered() == world.expected()
    assert world.delivered().total() == 60


@pytest.mark.parametrize("refusal", ["AccessDenied", "SlowDown"])
def test_what_was_put_before_a_refusal_is_not_put_again(refusal):
    world = World(SMALL)
    world.registry.start(world.create())
    world.run()
    write(world, 9)
    bucket = world.buckets.find(BUCKETS[0])
    for _ in range(100):
        world.delivery.step()
        bucket.refusal = refusal if bucket.puts == 2 else ""
    assert 0 < len(ids(world, BUCKETS[0])) < 9
    bucket.refusal = ""
    puts = bucket.puts
    world.run()
    assert world.delivered() == world.expected()
    files = list(world.objects("CloudTrail"))
    assert len(files) == 5
    assert bucket.puts - puts >= len(files) - 2
    assert bucket.puts == len(files) + len(list(world.objects("CloudTrail-Digest")))


@pytest.mark.parametrize("error", [Unavailable("the disk does not answer"), OSError("EIO")])
def test_a_reading_that_breaks_off_is_begun_anew(error):
    def broken(items):
        yield next(items)
        raise error

    world = World(SMALL)
    world.registry.start(world.create(is_multi_region=True))
    world.run()
    for number in range(20):
        world.write(region=REGIONS[number % 3])
    world.registry.cut()
    world.delivery.step()
    for _ in range(3):
        (reading,) = world.delivery._readings
        reading._items = broken(reading._items)
        with pytest.raises(type(error)):
            world.delivery.step()
        deliver(world, 3)
    world.run()
    assert world.delivered() == world.expected()


def test_files_of_one_range_are_put_at_once_and_one_that_fails_alone_again():
    world = World(Limits(file_bytes_max=SIZE))
    trail = world.registry.start(world.create())
    world.run()
    bucket = world.buckets.find(BUCKETS[0])
    world.threads.held = True
    write(world, JOBS_EACH_MAX + 3)
    deliver(world)
    assert len(world.threads.waiting) == JOBS_EACH_MAX
    world.threads.finish(1)
    bucket.refusal = "SlowDown"
    world.threads.finish(0)
    deliver(world)
    # Nothing is said of it while others are under way, and no other begins.
    assert len(world.threads.waiting) == JOBS_EACH_MAX - 2
    assert not world.delivery._status(trail.id).error
    for _ in range(JOBS_EACH_MAX - 2):
        world.threads.finish(0)
    deliver(world)
    assert world.delivery._status(trail.id).error == "SlowDown"
    bucket.refusal = ""
    world.clock.seconds += 1000  # past every wait
    deliver(world)
    assert len(world.threads.waiting) == 1
    world.threads.release()
    world.run()
    assert world.delivered() == world.expected()
    # The second one, there behind the first, was not put again.
    there = [*world.objects("CloudTrail"), *world.objects("CloudTrail-Digest")]
    assert bucket.puts == len(there) > JOBS_EACH_MAX + 3


def test_a_trail_with_many_files_holds_up_no_other_of_its_bucket():
    world = World(Limits(file_bytes_max=SIZE))
    many, few = (world.registry.start(world.create(name)) for name in ("many", "few"))
    world.run()
    world.threads.held = True
    write(world, 20)
    deliver(world)
    flights = world.delivery._flights
    for _ in range(6):
        world.threads.finish(0)
        deliver(world, 5)
    counts = {trail.name: flights[trail.id].under_way for trail in (many, few)}
    assert sum(counts.values()) == JOBS_EACH_MAX
    assert min(counts.values()) >= JOBS_EACH_MAX // 2 - 1
    world.threads.release()
    world.run()
    assert world.delivered() == world.expected()


def test_digests_of_other_trails_do_not_wait_for_a_silent_bucket():
    world = World()
    world.registry.start(world.create("silent"))
    world.registry.start(world.create("well", bucket=BUCKETS[1]))
    deliver(world)
    world.threads.held = True
    world.digests.step()
    assert len(world.threads.waiting) == 2
    world.threads.finish(1)
    world.digests.step()
    assert len(list(world.objects("CloudTrail-Digest"))) == 1
    assert len(list(world.state.scan("digest/due/"))) == 1
    world.threads.release()
    world.digests.step()
    assert not list(world.state.scan("digest/due/"))


def begun(jobs, lanes, size=1):
    return [lane for lane in lanes if jobs.start(lane, size, lambda: None) is not None]


def test_jobs_are_bounded_in_all_and_in_each_lane():
    threads = HandThreads()
    threads.held = True
    jobs = Jobs(threads, lambda: None)
    assert begun(jobs, ["a"] * (JOBS_EACH_MAX + 1)) == ["a"] * JOBS_EACH_MAX
    others = [f"lane-{number}" for number in range(JOBS_MAX)]
    assert begun(jobs, others) == others[: JOBS_MAX - JOBS_EACH_MAX]
    threads.finish(0)
    assert begun(jobs, ["a", "a"]) == ["a"]


def test_jobs_hold_so_much_memory_or_are_alone():
    threads = HandThreads()
    threads.held = True
    jobs = Jobs(threads, lambda: None)
    assert begun(jobs, ["large"], BYTES_MAX + 1) == ["large"]
    assert begun(jobs, ["small"]) == []
    threads.release()
    threads.held = True
    assert begun(jobs, ["half", "other half"], BYTES_MAX // 2) == ["half", "other half"]
    assert begun(jobs, ["small"]) == []


@pytest.mark.parametrize("error", [ClientError("AccessDenied", "no"), Unavailable("silence")])
def test_a_failure_is_told(error):
    future: Future[None] = Future()
    future.set_exception(error)
    assert failure(future) is error


def test_what_nobody_expected_is_raised():
    future: Future[None] = Future()
    future.set_exception(KeyError("what"))
    with pytest.raises(KeyError):
        failure(future)
