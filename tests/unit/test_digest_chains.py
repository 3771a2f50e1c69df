# SPDX-License-Identifier: Apache-2.0
"""Digests: which windows, what they say, where they are; and the AWS CLI's code finds them valid."""

import gzip
import json
from itertools import pairwise

import pytest
from support.delivery_world import ACCOUNTS, BUCKETS, NOW_MS, REGIONS, World
from support.digest_checks import all_digests, check_all, validate
from support.log_files import Fault

from opentrail.clock import iso_seconds
from opentrail.errors import Unavailable
from opentrail.trails.progress import WINDOWS_AT_ONCE_MAX, head_prefix
from opentrail.trails.retry import RETRY_FIRST_S
from opentrail.verification.receipt import heads_of

HOUR_MS = 3_600_000
FIELDS = [
    "awsAccountId",
    "digestStartTime",
    "digestEndTime",
    "digestS3Bucket",
    "digestS3Object",
    "digestPublicKeyFingerprint",
    "digestSignatureAlgorithm",
    "newestEventTime",
    "oldestEventTime",
    "previousDigestS3Bucket",
    "previousDigestS3Object",
    "previousDigestHashValue",
    "previousDigestHashAlgorithm",
    "previousDigestSignature",
    "logFiles",
]


def hourly():
    return World(digest_interval_s=3600)


def windows(world, region=REGIONS[0]):
    """Return start, end and number of files of a region's digests, oldest first."""
    found = [
        (digest["digestStartTime"], digest["digestEndTime"], len(digest["logFiles"]))
        for _, key, digest in all_digests(world)
        if f"/{region}/" in key
    ]
    return sorted(found, key=lambda each: each[1])


def at(hours):
    return iso_seconds(NOW_MS + int(hours * HOUR_MS))


def cut(world, hours):
    """Let a file end at that many hours after the beginning, and deliver."""
    world.clock.ms = NOW_MS + int(hours * HOUR_MS)
    world.registry.cut()
    world.run()


@pytest.fixture
def world():
    return hourly()


@pytest.fixture(name="trail")
def started(world):
    trail = world.registry.start(world.create())
    world.run()
    return trail


@pytest.mark.usefixtures("trail")
def test_the_first_digest_ends_when_logging_began(world):
    assert windows(world) == [(at(-1), at(0), 0)]
    ((_, _, digest),) = all_digests(world)
    empty = [name for name, value in digest.items() if value is None]
    assert [name for name in empty if name.startswith("previous")] == FIELDS[9:14]
    assert set(empty) == {*FIELDS[7:14]}
    assert digest["logFiles"] == []


@pytest.mark.usefixtures("trail")
def test_windows_are_hours_from_there_and_hold_what_was_cut_in_them(world):
    for hours in (0.2, 0.9, 1.0, 1.1):
        world.write()
        cut(world, hours)
    cut(world, 3.5)
    assert windows(world) == [
        (at(-1), at(0), 0),
        (at(0), at(1), 3),
        (at(1), at(2), 1),
        (at(2), at(3), 0),
    ]
    check_all(world)


def test_a_receipt_counts_what_the_digests_of_a_chain_list(world, trail):
    for number, hours in enumerate((0.2, 0.9, 1.1, 2.5), 1):
        for _ in range(number):
            world.write()
        cut(world, hours)
    prefix = head_prefix(trail.account, trail.home_region, trail.name)
    (head,) = heads_of(prefix, world.state.scan(prefix))
    assert (head.digests, head.digest_end_time) == (3, at(2))
    assert (head.log_files, head.records) == (3, 1 + 2 + 3)  # the fourth is in no digest yet


@pytest.mark.usefixtures("trail")
def test_a_window_waits_for_the_cut_that_closes_it(world):
    cut(world, 0.99)
    assert len(windows(world)) == 1
    cut(world, 1.0)
    assert len(windows(world)) == 2


@pytest.mark.usefixtures("trail")
def test_fields_key_and_object_are_as_the_service_writes_them(world):
    world.write()
    cut(world, 1.0)
    bucket, key, digest = max(all_digests(world))
    assert list(digest) == FIELDS
    end = "20231114T231320Z"
    assert key == (
        f"AWSLogs/{ACCOUNTS[0]}/CloudTrail-Digest/us-east-1/2023/11/14/"
        f"{ACCOUNTS[0]}_CloudTrail-Digest_us-east-1_trail_us-east-1_{end}.json.gz"
    )
    head, data = world.buckets.find(bucket).get(key)
    assert (head.content_type, head.content_encoding) == ("application/json", "gzip")
    assert head.encryption == {"ServerSideEncryption": "AES256"}
    assert head.metadata["signature-algorithm"] == "SHA256withRSA"
    assert len(bytes.fromhex(head.metadata["signature"])) == 256
    assert head.metadata["signature"].islower()
    text = gzip.decompress(data).decode()
    assert text == json.dumps(digest, separators=(",", ":"))
    (file,) = digest["logFiles"]
    assert list(file) == [
        "s3Bucket",
        "s3Object",
        "hashValue",
        "hashAlgorithm",
        "newestEventTime",
        "oldestEventTime",
    ]
    assert file["newestEventTime"] == digest["newestEventTime"] == digest["oldestEventTime"]
    assert file["hashAlgorithm"] == "SHA-256"


@pytest.mark.parametrize("how", ["stop", "delete", "no validation"])
def test_the_last_digest_ends_with_the_chain(world, trail, how):
    world.write()
    world.clock.ms += 600_000
    end(world, trail, how)
    world.run()
    assert windows(world) == [
        (at(-1), at(0), 0),
        (at(0), iso_seconds(NOW_MS + 601_000), 1),
    ]
    world.write()
    cut(world, 5.0)
    assert len(windows(world)) == 2
    check_all(world)


def end(world, trail, how):
    if how == "stop":
        world.registry.stop(trail)
    elif how == "delete":
        world.registry.delete(trail)
    else:
        world.update(trail, log_file_validation=False)


def test_a_restart_begins_a_new_chain(world, trail):
    world.registry.stop(trail)
    world.clock.ms += HOUR_MS // 2
    world.registry.start(trail)
    world.write()
    cut(world, 2.0)
    found = [digest["previousDigestS3Object"] for _, _, digest in sorted(all_digests(world))]
    assert [each is None for each in found] == [True, False, True, False]
    verdict = validate(world, trail.arn, REGIONS[0], BUCKETS[0])
    assert (len(verdict.valid), len(verdict.gaps), verdict.wrong) == (4, 1, [])


def test_nothing_is_overwritten_when_all_happens_in_one_second(world, trail):
    for _ in range(3):
        world.write()
        world.registry.delete(trail)
        trail = world.registry.start(world.create())
    world.write()
    cut(world, 0.5)
    cut(world, 2.0)
    assert len(list(all_digests(world))) == 4 * 2
    check_all(world)


def test_the_order_of_the_log_names_them_even_if_buckets_answer_late(world, trail):
    world.write()
    world.buckets.find(BUCKETS[0]).refusal = "AccessDenied"
    world.registry.delete(trail)
    world.registry.start(world.create(bucket=BUCKETS[1]))
    world.write()
    cut(world, 0.5)
    cut(world, 2.0)
    world.buckets.find(BUCKETS[0]).refusal = ""
    world.run()
    names = [key for _, key, _ in all_digests(world)]
    assert len(names) == len(set(names)) == 4
    check_all(world)


def test_a_chain_lists_its_own_files_even_if_it_begins_in_the_second_of_another(world, trail):
    world.registry.stop(trail)
    world.registry.start(trail)
    world.write()
    world.registry.cut()
    cut(world, 2.0)
    assert [files for _, _, files in windows(world)] == [0, 0, 0, 1]
    check_all(world)


def test_a_start_whose_commit_is_of_unknown_outcome_keeps_its_second(world):
    world.registry.start(world.create())
    world.state.fault = Fault.KEPT
    with pytest.raises(Unavailable):
        world.delivery.step()
    world.run()
    assert windows(world) == [(at(-1), at(0), 0)]


def test_validation_that_begins_later_begins_a_chain_then(world):
    trail = world.registry.start(world.create(log_file_validation=False))
    world.write()
    cut(world, 1.0)
    world.write()
    world.update(trail, log_file_validation=True)
    cut(world, 2.5)
    assert windows(world) == [(at(0), at(1), 0), (at(1), at(2), 0)]
    check_all(world)


def test_another_region_has_a_chain_from_its_first_file_on(world):
    trail = world.registry.start(world.create(is_multi_region=True))
    cut(world, 1.0)
    world.write(region=REGIONS[1])
    cut(world, 2.0)
    cut(world, 3.0)
    assert windows(world, REGIONS[1]) == [(at(1), at(2), 1), (at(2), at(3), 0)]
    assert len(windows(world, REGIONS[0])) == 4
    for region, count in ((REGIONS[0], 4), (REGIONS[1], 2), (REGIONS[2], 0)):
        verdict = validate(world, trail.arn, region, BUCKETS[0])
        assert (len(verdict.valid), verdict.gaps, verdict.wrong) == (count, [], [])
    check_all(world)


@pytest.mark.usefixtures("trail")
@pytest.mark.parametrize(
    ("hours", "count"), [(WINDOWS_AT_ONCE_MAX, WINDOWS_AT_ONCE_MAX), (WINDOWS_AT_ONCE_MAX + 1, 1)]
)
def test_a_long_silence_is_one_window(world, hours, count):
    world.write()
    cut(world, 0.5)
    cut(world, hours + 0.5)
    assert len(windows(world)) == 1 + count
    assert windows(world)[-1][1] == at(hours)
    check_all(world)


def test_keys_change_over_months_and_the_cli_finds_all_valid():
    world = World(digest_interval_s=24 * 3600)
    trail = world.registry.start(world.create())
    for day in range(1, 100):
        if day in (40, 41):
            (world.registry.stop if day == 40 else world.registry.start)(trail)
        world.write()
        cut(world, 24 * day)
    signers = [digest["digestPublicKeyFingerprint"] for _, _, digest in sorted(all_digests(world))]
    assert len(set(signers)) >= 4
    assert [new for old, new in pairwise(signers) if old != new] == list(dict.fromkeys(signers))[1:]
    verdict = validate(world, trail.arn, REGIONS[0], BUCKETS[0])
    assert (len(verdict.valid), len(verdict.gaps), verdict.wrong) == (len(signers), 1, [])
    check_all(world)


@pytest.mark.usefixtures("trail")
def test_a_clock_that_goes_back_repeats_no_window(world):
    cut(world, 2.2)
    cut(world, -5.0)
    cut(world, 1.5)
    assert len(windows(world)) == 3
    cut(world, 3.1)
    assert len(windows(world)) == 4
    check_all(world)


def test_a_chain_goes_on_in_another_bucket(world, trail):
    world.write()
    cut(world, 0.5)
    world.update(trail, bucket=BUCKETS[1], prefix="moved")
    world.write()
    cut(world, 1.5)
    cut(world, 2.5)
    first, second = windows(world)[1:]
    assert (first[2], second[2]) == (1, 1)
    verdict = validate(world, trail.arn, REGIONS[0], BUCKETS[1], "moved")
    assert (len(verdict.valid), verdict.gaps, verdict.wrong) == (3, [], [])
    check_all(world)


def test_two_trails_and_two_accounts_share_a_bucket(world):
    trails = [
        world.registry.start(world.create(name, account))
        for account in ACCOUNTS
        for name in ("one", "one_two")
    ]
    for account in ACCOUNTS:
        world.write(account)
    cut(world, 2.0)
    for trail in trails:
        verdict = validate(world, trail.arn, REGIONS[0], BUCKETS[0])
        assert (len(verdict.valid), verdict.gaps, verdict.wrong) == (3, [], [])
    check_all(world)


def test_what_was_changed_shows(world, trail):
    world.write()
    cut(world, 1.0)
    cut(world, 2.0)
    bucket = world.buckets.find(BUCKETS[0])
    (log,) = (key for _, key in world.objects("CloudTrail"))
    bucket.objects[log].data = gzip.compress(b'{"Records":[]}')
    digests = [key for _, key in world.objects("CloudTrail-Digest")]
    text = gzip.decompress(bucket.objects[digests[-1]].data)
    bucket.objects[digests[-1]].data = gzip.compress(text.replace(b'"SHA-256"', b'"SHA-255"'))
    verdict = validate(world, trail.arn, REGIONS[0], BUCKETS[0])
    assert len(verdict.valid) == 2
    assert len(verdict.wrong) == 2
    assert "signature verification failed" in verdict.wrong[0]
    assert verdict.wrong[1] == log


def test_a_refusal_is_told_and_waited_for(world, trail):
    world.write()
    cut(world, 0.5)
    bucket = world.buckets.find(BUCKETS[0])
    world.clock.ms = NOW_MS + HOUR_MS
    world.registry.cut()
    while world.delivery.step():
        pass
    bucket.refusal = "AccessDenied"
    assert not world.digests.step()
    status = world.registry.status(trail.id).digest
    assert (status.error, status.delivered_ms) == ("AccessDenied", NOW_MS)
    bucket.refusal = ""
    assert not world.digests.step()
    world.clock.seconds += RETRY_FIRST_S
    assert world.digests.step()
    status = world.registry.status(trail.id).digest
    assert (status.error, status.delivered_ms) == ("", NOW_MS + HOUR_MS)


@pytest.mark.parametrize("fault", [Fault.LOST, Fault.KEPT])
def test_a_put_whose_outcome_is_unknown_is_repeated(world, trail, fault):
    world.buckets.find(BUCKETS[0]).fault = fault
    cut(world, 1.0)
    assert len(windows(world)) == 2
    assert world.registry.status(trail.id).digest.error == ""


def test_a_deleted_trail_leaves_nothing_but_its_name_in_state(world, trail):
    world.write()
    cut(world, 0.5)
    world.registry.delete(trail)
    world.run()
    left = [entry.key for entry in world.state.scan("")]
    assert [key for key in left if trail.id in key] == []
    assert f"digest/last/{ACCOUNTS[0]}/us-east-1/trail" in left
