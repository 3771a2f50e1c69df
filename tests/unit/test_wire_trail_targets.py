# SPDX-License-Identifier: Apache-2.0
"""A trail's topic, log group and key: how they may be given, in which order they are tried."""

import pytest
from support.aws_clients import client
from support.trail_calls import create, plain, refused
from support.trail_rooms import BUCKET, KEY_ID, SmallTargets, TrailRooms
from support.wire_server import ACCOUNT, ADMIN, REGION, SmallHistory, serving

from opentrail.errors import ClientError
from opentrail.trails.target_names import TOPIC_CHARS_MAX

TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:audit"
GROUP = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:audit:*"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/to-logs"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{KEY_ID}"
LOGS = {"CloudWatchLogsLogGroupArn": GROUP, "CloudWatchLogsRoleArn": ROLE}
ALL = {"SnsTopicName": "audit", "KmsKeyId": "alias/audit", **LOGS}
SHOWN = {**ALL, "KmsKeyId": KEY, "SnsTopicARN": TOPIC}
GROUP_CODE = "InvalidCloudWatchLogsLogGroupArnException"
ROLE_CODE = "InvalidCloudWatchLogsRoleArnException"
PAIR = "You must specify a log group and a role ARN."


@pytest.fixture
def rooms():
    made = TrailRooms()
    made.targets = SmallTargets()
    return made


@pytest.fixture
def trails(rooms):
    with serving(SmallHistory(), rooms) as address:
        made = client("cloudtrail", address, ADMIN, validate=False)
        yield made
        made.close()


def test_targets_are_shown_as_they_were_given_the_key_as_its_arn(trails, rooms):
    assert {
        name: create_value for name, create_value in create(trails, **ALL).items() if name in SHOWN
    } == SHOWN
    assert trails.get_trail(Name="audit")["Trail"].items() >= SHOWN.items()
    assert rooms.targets.tried == [("key", "alias/audit"), ("topic", TOPIC), ("logs", GROUP)]


def test_what_is_not_given_again_is_neither_changed_nor_tried(trails, rooms):
    created = create(trails, **ALL)
    rooms.targets.tried.clear()
    assert plain(trails.update_trail(Name="audit")) == created
    assert rooms.targets.tried == []
    trails.update_trail(Name="audit", SnsTopicName=TOPIC)
    assert rooms.targets.tried == [("topic", TOPIC)]


@pytest.mark.parametrize(
    "cleared",
    [("SnsTopicName",), ("KmsKeyId",), tuple(LOGS), tuple(LOGS)[:1], tuple(LOGS)[1:]],
)
def test_an_empty_text_removes_a_target(trails, cleared):
    create(trails, **ALL)
    shown = trails.update_trail(Name="audit", **dict.fromkeys(cleared, ""))
    removed = {*cleared, "SnsTopicARN"} if cleared[0] == "SnsTopicName" else set(cleared)
    if removed & LOGS.keys():
        removed = set(LOGS)
    assert SHOWN.keys() - shown.keys() == removed


def test_what_comes_first_is_refused_first(trails, rooms):
    """Pairing, then syntax, the key, the bucket, the topic, the group."""
    wrong = {"CloudWatchLogsLogGroupArn": GROUP, "SnsTopicName": "a.fifo", "KmsKeyId": "?"}
    bucket = {"S3BucketName": "absent"}
    assert refused(create, trails=trails, **wrong, **bucket) == (ROLE_CODE, PAIR)
    wrong["CloudWatchLogsRoleArn"] = ROLE
    code, _ = refused(create, trails=trails, **wrong, **bucket)
    assert code == "InvalidSnsTopicNameException"
    wrong["SnsTopicName"] = "audit"
    assert refused(create, trails=trails, **wrong, **bucket)[0] == "KmsKeyNotFoundException"
    assert rooms.targets.tried == []
    rooms.targets.refusals = {
        "topic": ClientError("InsufficientSnsTopicPolicyException", "no"),
        "logs": ClientError(GROUP_CODE, "no"),
    }
    assert refused(create, trails=trails, **ALL, **bucket)[0] == "S3BucketDoesNotExistException"
    assert refused(create, trails=trails, **ALL)[0] == "InsufficientSnsTopicPolicyException"
    # What was tried before it has left its traces, as CloudTrail's own has.
    assert list(rooms.buckets[BUCKET].objects) == [f"AWSLogs/{ACCOUNT}/CloudTrail/"]
    del rooms.targets.refusals["topic"]
    assert refused(create, trails=trails, **ALL) == (GROUP_CODE, "no")
    assert trails.describe_trails()["trailList"] == []


@pytest.mark.parametrize(
    ("members", "code", "text"),
    [
        ({"CloudWatchLogsLogGroupArn": GROUP}, ROLE_CODE, PAIR),
        ({"CloudWatchLogsRoleArn": ROLE}, GROUP_CODE, PAIR),
        (
            LOGS | {"CloudWatchLogsLogGroupArn": GROUP[:-2]},
            GROUP_CODE,
            "CloudTrail cannot validate the specified log group ARN.",
        ),
        (
            LOGS | {"CloudWatchLogsRoleArn": "to-logs"},
            ROLE_CODE,
            "CloudTrail cannot validate the specified role ARN.",
        ),
        (
            LOGS | {"CloudWatchLogsLogGroupArn": GROUP.replace(REGION, "eu-west-1")},
            GROUP_CODE,
            "You must specify a log group that is in the current region.",
        ),
        (
            LOGS | {"CloudWatchLogsLogGroupArn": GROUP.replace(ACCOUNT, "999999999999")},
            GROUP_CODE,
            "The log group and the role must be of the same account.",
        ),
    ],
)
def test_log_groups_that_a_trail_cannot_have(trails, members, code, text):
    assert refused(create, trails=trails, **members) == (code, text)
    create(trails)
    assert refused(trails.update_trail, Name="audit", **members) == (code, text)


def test_an_empty_group_beside_a_role_is_no_pair(trails):
    create(trails, **ALL)
    half = {"CloudWatchLogsLogGroupArn": "", "CloudWatchLogsRoleArn": ROLE}
    assert refused(trails.update_trail, Name="audit", **half) == (GROUP_CODE, PAIR)


def test_topics(trails):
    longest = "t" * TOPIC_CHARS_MAX
    assert create(trails, SnsTopicName=longest)["SnsTopicName"] == longest
    for bad in (longest + "t", "audit.fifo", TOPIC + ".fifo", "a b", "arn:aws:sqs:x:1:a", "ä"):
        code, _ = refused(trails.update_trail, Name="audit", SnsTopicName=bad)
        assert code == "InvalidSnsTopicNameException", bad


@pytest.mark.parametrize(
    "given",
    [
        KEY_ID,
        "alias/a/b",
        KEY,
        KEY.replace(f"key/{KEY_ID}", "alias/a"),
        "mrk-" + "0" * 32,
        f"mrk-{KEY_ID}",
    ],
)
def test_keys(trails, given):
    assert create(trails, KmsKeyId=given)["KmsKeyId"] == KEY


@pytest.mark.parametrize(
    "given", ["key", KEY.replace(REGION, "eu-west-1"), "alias/", "arn:aws:kms"]
)
def test_keys_that_cannot_be(trails, given):
    assert refused(create, trails=trails, KmsKeyId=given)[0] == "KmsKeyNotFoundException"


@pytest.mark.parametrize(
    ("region", "partition"),
    [("eusc-de-east-1", "aws-eusc"), ("us-gov-west-1", "aws-us-gov"), ("plant-7", "aws")],
)
def test_targets_of_any_region_that_there_is(trails, region, partition):
    """Of other partitions than AWS's first, and of a region that is somebody's own."""

    def here(arn):
        return arn.replace(REGION, region).replace("arn:aws:", f"arn:{partition}:")

    there = client("cloudtrail", trails.meta.endpoint_url, ADMIN, region=region)
    given = {"SnsTopicName": TOPIC, "KmsKeyId": KEY, **LOGS}
    shown = create(there, **{name: here(arn) for name, arn in given.items()})
    assert shown["SnsTopicARN"] == here(TOPIC)
    assert shown["CloudWatchLogsLogGroupArn"] == here(GROUP)
    there.close()
