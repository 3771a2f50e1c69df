# SPDX-License-Identifier: Apache-2.0
"""Operations on trails at the same time, by real threads: one after the other, never a mix."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.aws_clients import client
from support.trail_calls import ARN, create, refused
from support.trail_rooms import BUCKET, SilentBucket, SmallBucket, TrailRooms
from support.wire_server import ADMIN, SmallHistory, serving

THREADS = 4
ROUNDS = 4


@pytest.fixture
def rooms():
    return TrailRooms()


@pytest.fixture
def trails(rooms):
    with serving(SmallHistory(), rooms) as address:
        made = client("cloudtrail", address, ADMIN, validate=False)
        yield made
        made.close()


def settings(number):
    """Everything that update number ``number`` changes: a mix of two would show."""
    return {
        "S3BucketName": f"logs-{number}",
        "S3KeyPrefix": f"prefix-{number}",
        "EnableLogFileValidation": number % 2 == 0,
    }


def at_once(trails, calls):
    """Make all ``calls`` at the same moment; return their answers."""
    gate = threading.Barrier(len(calls))

    def one(call):
        gate.wait()
        return call(trails)

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(one, calls))


def test_two_updates_at_once_are_one_after_the_other(trails, rooms):
    create(trails)
    for number in range(THREADS):
        rooms.buckets[f"logs-{number}"] = SmallBucket(f"logs-{number}")
    wholes = [settings(number) for number in range(THREADS)]
    for _ in range(ROUNDS):
        answers = at_once(
            trails,
            [lambda made, s=whole: made.update_trail(Name="audit", **s) for whole in wholes],
        )
        shown = [as_settings(answer) for answer in answers]
        assert shown == wholes, "each caller is told what it asked for"
        assert as_settings(trails.get_trail(Name="audit")["Trail"]) in wholes


def as_settings(trail):
    return {
        "S3BucketName": trail["S3BucketName"],
        "S3KeyPrefix": trail["S3KeyPrefix"],
        "EnableLogFileValidation": trail["LogFileValidationEnabled"],
    }


def test_updates_of_different_fields_are_all_applied(trails):
    create(trails)
    at_once(
        trails,
        [
            lambda made: made.update_trail(Name="audit", S3KeyPrefix="p"),
            lambda made: made.update_trail(Name="audit", EnableLogFileValidation=True),
            lambda made: made.start_logging(Name="audit"),
            lambda made: made.put_event_selectors(
                TrailName="audit", EventSelectors=[{"ReadWriteType": "ReadOnly"}]
            ),
        ],
    )
    trail = trails.get_trail(Name="audit")["Trail"]
    assert trail["S3KeyPrefix"] == "p"
    assert trail["LogFileValidationEnabled"]
    assert trail["HasCustomEventSelectors"]
    assert trails.get_trail_status(Name="audit")["IsLogging"]


def test_one_of_many_creations_wins(trails):
    def attempt(made):
        try:
            return made.create_trail(Name="audit", S3BucketName=BUCKET)["Name"]
        except made.exceptions.TrailAlreadyExistsException:
            return "taken"

    answers = at_once(trails, [attempt] * THREADS)
    assert sorted(answers) == ["audit", *["taken"] * (THREADS - 1)]
    assert len(trails.describe_trails()["trailList"]) == 1


def test_the_last_places_of_a_region_are_not_given_twice(trails, rooms):
    def attempt(number):
        def call(made):
            try:
                return made.create_trail(Name=f"trail-{number}", S3BucketName=BUCKET)["Name"]
            except made.exceptions.MaximumNumberOfTrailsExceededException:
                return ""

        return call

    count = rooms.trails_max + 2
    answers = at_once(trails, [attempt(number) for number in range(count)])
    assert answers.count("") == 2
    assert len(trails.describe_trails()["trailList"]) == rooms.trails_max


def test_who_would_wait_too_long_is_told_of_the_conflict(trails, rooms, monkeypatch):
    create(trails)
    changing = rooms.registry.changing
    monkeypatch.setattr(rooms.registry, "changing", lambda: changing(wait_s=0.01))
    with changing():
        for call in (trails.update_trail, trails.start_logging, trails.delete_trail):
            assert refused(call, Name="audit")[0] == "ConflictException"
    assert trails.update_trail(Name="audit", S3KeyPrefix="p")["S3KeyPrefix"] == "p"


@pytest.fixture
def silent(rooms):
    """Return a bucket that does not answer yet."""
    bucket = rooms.buckets["silent-logs"] = SilentBucket("silent-logs")
    yield bucket
    bucket.answers.set()


def waiting(call, bucket, **members):
    """Make ``call`` in a thread; return its future once it waits for the bucket.

    botocore makes the classes of errors when they are first asked for: each of two threads would make its own.
    """
    assert call.__self__.exceptions.TrailNotFoundException
    pool = ThreadPoolExecutor(1)
    future = pool.submit(call, **members)
    pool.shutdown(wait=False)
    assert bucket.asked.wait(timeout=30)
    return future


def test_a_silent_bucket_holds_up_its_own_trail_only(trails, silent):
    create(trails)
    made = waiting(trails.create_trail, silent, Name="waits", S3BucketName="silent-logs")
    trails.start_logging(Name="audit")
    trails.add_tags(ResourceId=f"{ARN}audit", TagsList=[{"Key": "k"}])
    trails.update_trail(Name="audit", S3KeyPrefix="p")
    create(trails, "other")
    trails.delete_trail(Name="other")
    assert not made.done()
    assert [each["Name"] for each in trails.list_trails()["Trails"]] == ["audit"]
    silent.answers.set()
    assert made.result(timeout=30)["Name"] == "waits"


def test_what_changes_a_trail_while_its_bucket_is_tried_is_kept(trails, silent):
    create(trails)
    moved = waiting(trails.update_trail, silent, Name="audit", S3BucketName="silent-logs")
    trails.put_event_selectors(TrailName="audit", EventSelectors=[{"ReadWriteType": "ReadOnly"}])
    trails.update_trail(Name="audit", S3KeyPrefix="p")
    silent.answers.set()
    assert moved.result(timeout=30)["S3KeyPrefix"] == "p"
    trail = trails.get_trail(Name="audit")["Trail"]
    assert trail["S3BucketName"] == "silent-logs"
    assert trail["HasCustomEventSelectors"]


def test_a_trail_that_goes_while_its_bucket_is_tried_stays_gone(trails, silent):
    create(trails)
    moved = waiting(trails.update_trail, silent, Name="audit", S3BucketName="silent-logs")
    trails.delete_trail(Name="audit")
    silent.answers.set()
    with pytest.raises(trails.exceptions.TrailNotFoundException):
        moved.result(timeout=30)
    assert trails.list_trails()["Trails"] == []


def test_a_name_that_is_taken_while_a_bucket_is_tried_is_taken(trails, rooms, silent):
    rooms.trails_max = 1
    made = waiting(trails.create_trail, silent, Name="audit", S3BucketName="silent-logs")
    create(trails)
    silent.answers.set()
    with pytest.raises(trails.exceptions.TrailAlreadyExistsException):
        made.result(timeout=30)
    assert trails.get_trail(Name="audit")["Trail"]["S3BucketName"] == BUCKET
