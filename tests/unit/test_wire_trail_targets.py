# SPDX-License-Identifier: Apache-2.0
"""Topic, log group and key of a trail: what they may be called, what is tried when, what is shown."""

import pytest
from support.aws_clients import client
from support.trail_calls import create, refused
from support.trail_rooms import BUCKET, SmallBucket, SmallTargets, TrailRooms
from support.wire_server import ACCOUNT, ADMIN, REGION, SmallHistory, serving

GROUP = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:audit:*"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/service/logs"
PAIR = "You must specify a log group and a role ARN."
GROUP_ERROR = "InvalidCloudWatchLogsLogGroupArnException"
ROLE_ERROR = "InvalidCloudWatchLogsRoleArnException"
ALL = {
    "SnsTopicName": "audit",
    "KmsKeyId": "alias/audit",
    "CloudWatchLogsLogGroupArn": GROUP,
    "CloudWatchLogsRoleArn": ROLE,
}


@pytest.fixture
def targets():
    return SmallTargets()


@pytest.fixture
def rooms(targets):
    rooms = TrailRooms()
    rooms.targets = targets
    return rooms


@pytest.fixture
def trails(rooms):
    with serving(SmallHistory(), rooms) as address:
        made = client("cloudtrail", address, ADMIN, validate=False)
        yield made
        made.close()


def shown_targets(answer):
    wanted = ("Sns", "Kms", "CloudWatch")
    return {name: value for name, value in answer.items() if name.startswith(wanted)}


def test_all_are_tried_in_order_and_shown_everywhere(trails, targets):
    shown = shown_targets(create(trails, **ALL))
    assert shown == {
        "SnsTopicName": "audit",
        "SnsTopicARN": f"arn:aws:sns:{REGION}:{ACCOUNT}:audit",
        "KmsKeyId": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/alias/audit",
        "CloudWatchLogsLogGroupArn": GROUP,
        "CloudWatchLogsRoleArn": ROLE,
    }
    assert targets.tried == ["key", "topic", "logs"]
    assert shown_targets(trails.get_trail(Name="audit")["Trail"]) == shown
    assert shown_targets(trails.describe_trails()["trailList"][0]) == shown


def test_a_topic_by_its_arn_is_shown_as_given(trails):
    arn = "arn:aws:sns:eu-west-1:444455556666:theirs"
    shown = shown_targets(create(trails, SnsTopicName=arn))
    assert shown == {"SnsTopicName": arn, "SnsTopicARN": arn}


def test_what_is_left_out_stays_and_what_is_empty_goes(trails):
    shown = shown_targets(create(trails, **ALL))
    assert shown_targets(trails.update_trail(Name="audit", S3KeyPrefix="p")) == shown
    changed = trails.update_trail(Name="audit", SnsTopicName="", KmsKeyId="")
    assert set(shown_targets(changed)) == {"CloudWatchLogsLogGroupArn", "CloudWatchLogsRoleArn"}
    for members in (
        {"CloudWatchLogsLogGroupArn": "", "CloudWatchLogsRoleArn": ""},
        {"CloudWatchLogsLogGroupArn": ""},
        {"CloudWatchLogsRoleArn": ""},
    ):
        again = {name: ALL[name] for name in ("CloudWatchLogsLogGroupArn", "CloudWatchLogsRoleArn")}
        trails.update_trail(Name="audit", **again)
        assert shown_targets(trails.update_trail(Name="audit", **members)) == {}


def test_one_empty_and_one_given_is_refused(trails):
    create(trails, **ALL)
    given = {"CloudWatchLogsLogGroupArn": "", "CloudWatchLogsRoleArn": ROLE}
    assert refused(trails.update_trail, Name="audit", **given) == (GROUP_ERROR, PAIR)
    given = {"CloudWatchLogsLogGroupArn": GROUP, "CloudWatchLogsRoleArn": ""}
    assert refused(trails.update_trail, Name="audit", **given) == (ROLE_ERROR, PAIR)


@pytest.mark.parametrize(
    ("group", "role", "code", "said"),
    [
        (GROUP, None, ROLE_ERROR, PAIR),
        (None, ROLE, GROUP_ERROR, PAIR),
        (GROUP[:-2], ROLE, GROUP_ERROR, "CloudTrail cannot validate the specified log group ARN."),
        ("audit", ROLE, GROUP_ERROR, "CloudTrail cannot validate the specified log group ARN."),
        (GROUP, "logs", ROLE_ERROR, "CloudTrail cannot validate the specified role ARN."),
        (
            GROUP.replace(REGION, "eu-west-1"),
            ROLE,
            GROUP_ERROR,
            "You must specify a log group that is in the current region.",
        ),
    ],
)
def test_log_groups_and_roles_that_are_none(trails, group, role, code, said):
    members = {"CloudWatchLogsLogGroupArn": group, "CloudWatchLogsRoleArn": role}
    given = {name: value for name, value in members.items() if value is not None}
    assert refused(create, trails=trails, **given) == (code, said)


@pytest.mark.parametrize(
    "topic",
    ["a.fifo", "a b", "a" * 257, "arn:aws:sns:us-east-1:1:a", f"arn:aws:sqs:{REGION}:{ACCOUNT}:a"],
)
def test_topics_that_are_none(trails, rooms, topic):
    assert refused(create, trails=trails, SnsTopicName=topic)[0] == "InvalidSnsTopicNameException"
    assert rooms.buckets[BUCKET].objects == {}
    create(trails, SnsTopicName="a" * 200)


@pytest.mark.parametrize("what", ["key", "topic", "logs"])
def test_a_target_that_refuses_leaves_no_trail_and_no_change(trails, targets, what):
    targets.refused = what
    code = refused(create, trails=trails, **ALL)[0]
    assert code.startswith(("Kms", "InsufficientSns", "InvalidCloudWatch"))
    assert trails.describe_trails()["trailList"] == []
    targets.refused = ""
    before = create(trails, **ALL)
    targets.refused = what
    assert refused(trails.update_trail, Name="audit", SnsTopicName="other")[0] == code
    assert shown_targets(trails.get_trail(Name="audit")["Trail"]) == shown_targets(before)


def test_the_bucket_is_tried_after_the_key_and_before_the_rest(trails, targets, rooms):
    rooms.buckets[BUCKET] = SmallBucket(BUCKET, denied={"acl"})
    assert refused(create, trails=trails, **ALL)[0] == "InsufficientS3BucketPolicyException"
    assert targets.tried == ["key"]
