# SPDX-License-Identifier: Apache-2.0
"""When files are given up, at each bound; what is told then."""

import json

import msgspec
import pytest
from support.delivery_world import BUCKETS, World

from opentrail.eventlog.base import Entry
from opentrail.state.base import Change
from opentrail.trails.backlog import (
    DAY_MS,
    GIVE_UP_AFTER_MS_MIN,
    GIVEN_UP_PREFIX,
    TOO_LARGE,
    TOO_OLD,
    GivenUp,
    Patience,
    Surrender,
    after_failure,
    after_success,
    surrender,
)
from opentrail.trails.confess import KEYS_BYTES_MAX, Confessor
from opentrail.trails.retry import BETWEEN_MS_MAX
from opentrail.trails.status import DeliveryStatus, delivery_status_key
from opentrail.trails.timeline import Milestone

NOW_MS = 100 * DAY_MS
MONTH_MS = 30 * DAY_MS
CUTS = [Milestone(10, NOW_MS - MONTH_MS, None), Milestone(20, NOW_MS - MONTH_MS + 1, None)]


def failing(for_ms):
    return DeliveryStatus(attempted_ms=NOW_MS, error="NoSuchBucket", failing_ms=for_ms)


@pytest.mark.parametrize(
    ("bytes_max", "failing_ms", "found"),
    [
        (1000, MONTH_MS, Surrender(10, TOO_OLD)),
        (1000, MONTH_MS - 1, None),
        (100, GIVE_UP_AFTER_MS_MIN, None),
        (99, GIVE_UP_AFTER_MS_MIN, Surrender(1, TOO_LARGE)),
        (99, GIVE_UP_AFTER_MS_MIN - 1, None),
        (99, MONTH_MS, Surrender(10, TOO_OLD)),
        (80, MONTH_MS, Surrender(20, TOO_LARGE)),
    ],
)
def test_what_is_given_up(bytes_max, failing_ms, found):
    patience = Patience(bytes_max=bytes_max)
    assert surrender(patience, failing(failing_ms), 100, CUTS) == found


def test_only_time_that_was_spent_trying_counts():
    first = after_failure(DeliveryStatus(attempted_ms=5), NOW_MS, "NoSuchBucket")
    assert (first.failing_ms, first.attempted_ms, first.error) == (0, NOW_MS, "NoSuchBucket")
    second = after_failure(first, NOW_MS + 1000, "AccessDenied")
    assert (second.failing_ms, second.error) == (1000, "AccessDenied")
    off = after_failure(second, NOW_MS + MONTH_MS, "AccessDenied")
    assert off.failing_ms == 1000 + BETWEEN_MS_MAX
    back = after_failure(off, NOW_MS, "AccessDenied")
    assert back.failing_ms == off.failing_ms
    own = after_failure(second, NOW_MS + 2000, "ServiceUnavailable", tried=False)
    assert own.failing_ms == 1000
    done = after_success(msgspec.structs.replace(off, given_up=3), NOW_MS)
    assert done == DeliveryStatus(delivered_ms=NOW_MS, attempted_ms=NOW_MS, given_up=3)


def test_which_trails_give_up():
    trail = World().create("audit")
    assert not Patience().gives_up(trail)
    assert not Patience(give_up=("audit-2", "aud")).gives_up(trail)
    for name in ("audit", trail.arn, "*"):
        assert Patience(give_up=("other", name)).gives_up(trail)


def test_a_gap_event_names_as_many_keys_as_it_may_and_counts_all():
    world = World()
    keys = tuple(f"{'é' * 150}/AWSLogs/{number:06d}.json.gz" for number in range(1000))
    given_up = GivenUp(
        trail_arn="arn:aws:cloudtrail:us-east-1:111111111111:trail/t",
        account="111111111111",
        region="us-east-1",
        bucket="b",
        why=TOO_OLD,
        error="NoSuchBucket",
        keys=keys,
        records=5000,
        oldest_ms=0,
        newest_ms=1000,
        log_end=world.log.durable_end(),
    )
    world.state.commit([Change(f"{GIVEN_UP_PREFIX}id/1", msgspec.json.encode(given_up), None)])
    confessor = Confessor(world.log, world.state, world.clock)
    assert [confessor.step(), confessor.step()] == [True, False]
    (event,) = [json.loads(each.data) for each in world.log.items(0) if isinstance(each, Entry)]
    details = event["serviceEventDetails"]
    assert (details["files"], details["records"]) == (1000, 5000)
    told = details["s3ObjectKeys"]
    assert told == list(keys[: len(told)])
    size = len(msgspec.json.encode(told))
    assert KEYS_BYTES_MAX - 400 < size <= KEYS_BYTES_MAX + 2


def test_hours_of_refusal_give_up_the_oldest_and_the_rest_arrives():
    patience = Patience(bytes_max=5_000, give_up=("audit",))
    world = World(digest_interval_s=86_400, patience=patience)
    trail = world.registry.start(world.create("audit"))
    world.run()
    world.buckets.find(BUCKETS[0]).refusal = "SlowDown"
    for _ in range(24):
        world.write(note="x" * 200)
        world.clock.ms += 300_000
        world.clock.seconds += 301
        world.registry.cut()
        for _ in range(4):
            world.delivery.step()
    entry = world.state.get(delivery_status_key(trail.id))
    assert entry is not None
    status = msgspec.json.decode(entry.value, type=DeliveryStatus)
    assert status.error == "SlowDown"
    assert 0 < status.given_up_files < 24
    world.buckets.find(BUCKETS[0]).refusal = ""
    world.pass_time()
    world.run()
    missing = [each[-1] for each in world.expected() - world.delivered()]
    assert len(missing) == status.given_up
    oldest = sorted(int(each) for each in missing if each.isdigit())
    assert oldest == list(range(1, status.given_up_files + 1))


@pytest.mark.parametrize(
    ("changes", "used"),
    [
        ({"kms_key_id": "new"}, "new"),
        ({"kms_key_id": ""}, None),
        ({"kms_key_id": "new", "bucket": BUCKETS[1]}, "old"),
    ],
)
def test_what_waits_is_encrypted_with_the_key_in_force_when_it_is_put(changes, used):
    """As with CloudTrail: else a key that is gone for good would hold up its files for ever."""
    world = World()
    trail = world.registry.start(world.create("audit", kms_key_id="old"))
    world.write()
    world.registry.cut()
    bucket = world.buckets.find(BUCKETS[0])
    bucket.refusal = "KMS.DisabledException"
    for _ in range(5):
        world.delivery.step()
    world.update(trail, **changes)
    bucket.refusal = ""
    world.restart()
    world.run()
    ((_, key),) = world.objects("CloudTrail")
    digests = [key for name, key in world.objects("CloudTrail-Digest") if name == BUCKETS[0]]
    assert digests
    for each in (key, *digests):
        assert bucket.head(each).encryption.get("SSEKMSKeyId") == used
