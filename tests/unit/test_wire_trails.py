# SPDX-License-Identifier: Apache-2.0
"""Trail operations as boto3 sees them: what is shown, what is refused, in which order."""

import pytest
from botocore.exceptions import ClientError
from support.aws_clients import client
from support.trail_calls import ARN, create, plain, refused
from support.trail_rooms import BUCKET, SmallBucket, TrailRooms
from support.wire_server import (
    ACCOUNT,
    ADMIN,
    REGION,
    STRANGER,
    SmallHistory,
    serving,
)

from opentrail.trails.names import (
    NAME_CHARS_MAX,
    NAME_CHARS_MIN,
    PREFIX_BYTES_MAX,
    PREFIX_CHARS_MAX,
)

SHADOW_REGION = "eu-west-1"
GROUP = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:audit:*"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/to-logs"


@pytest.fixture
def rooms():
    return TrailRooms()


@pytest.fixture
def endpoint(rooms):
    with serving(SmallHistory(), rooms) as address:
        yield address


@pytest.fixture
def trails(endpoint):
    made = client("cloudtrail", endpoint, ADMIN, validate=False)
    yield made
    made.close()


@pytest.fixture
def elsewhere(endpoint):
    made = client("cloudtrail", endpoint, ADMIN, region=SHADOW_REGION, validate=False)
    yield made
    made.close()


def test_a_new_trail_shows_what_is_set_and_no_more(trails, rooms):
    shown = create(trails)
    assert shown == {
        "Name": "audit",
        "S3BucketName": BUCKET,
        "IncludeGlobalServiceEvents": True,
        "IsMultiRegionTrail": False,
        "TrailARN": ARN + "audit",
        "LogFileValidationEnabled": False,
        "IsOrganizationTrail": False,
        "RecursiveLogging": True,
    }
    described = shown | {
        "HomeRegion": REGION,
        "HasCustomEventSelectors": False,
        "HasInsightSelectors": False,
    }
    assert trails.get_trail(Name="audit")["Trail"] == described
    assert trails.get_trail(Name=ARN + "audit")["Trail"] == described
    assert trails.describe_trails()["trailList"] == [described]
    assert not trails.get_trail_status(Name="audit")["IsLogging"]
    assert list(rooms.buckets[BUCKET].objects) == [f"AWSLogs/{ACCOUNT}/CloudTrail/"]


def test_what_is_given_is_shown(trails, rooms):
    shown = create(
        trails,
        S3KeyPrefix="org/logs",
        IsMultiRegionTrail=True,
        EnableLogFileValidation=True,
        TagsList=[{"Key": "team", "Value": "ml"}],
    )
    assert shown["S3KeyPrefix"] == "org/logs"
    assert shown["IsMultiRegionTrail"]
    assert shown["LogFileValidationEnabled"]
    home = f"org/logs/AWSLogs/{ACCOUNT}"
    objects = rooms.buckets[BUCKET].objects
    assert list(objects) == [f"{home}/CloudTrail/", f"{home}/CloudTrail-Digest/"]
    assert {data for data, _ in objects.values()} == {b""}
    tags = trails.list_tags(ResourceIdList=[ARN + "audit"])["ResourceTagList"]
    assert tags == [{"ResourceId": ARN + "audit", "TagsList": [{"Key": "team", "Value": "ml"}]}]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "ab",
            "Trail name too short. Minimum allowed length: 3 characters. Specified name length: 2 characters.",
        ),
        (
            "",
            "Trail name too short. Minimum allowed length: 3 characters. Specified name length: 0 characters.",
        ),
        (
            "a" * 129,
            "Trail name too long. Maximum allowed length: 128 characters. Specified name length: 129 characters.",
        ),
        (".abc", "Trail name must starts with a letter or number."),
        ("abc-", "Trail name must ends with a letter or number."),
        (
            "a b",
            "Trail name or ARN can only contain uppercase letters, lowercase letters, numbers, periods (.), hyphens (-), and underscores (_).",
        ),
        ("a._b", "Trail name must not have two of . - _ next to each other."),
        ("10.0.0.1", "Trail name must not look like an IP address."),
    ],
)
def test_names_that_a_trail_cannot_have(trails, name, text):
    expected = ("InvalidTrailNameException", text)
    assert refused(trails.create_trail, Name=name, S3BucketName=BUCKET) == expected
    assert refused(trails.get_trail, Name=name) == expected
    assert refused(trails.start_logging, Name=name) == expected


def test_names_that_a_trail_can_have(trails):
    for name in ("a" * NAME_CHARS_MIN, "a" * NAME_CHARS_MAX, "1.b-c_D"):
        assert create(trails, name)["Name"] == name


def test_a_name_is_taken_once_and_a_region_shows_five(trails, elsewhere, rooms):
    create(trails)
    assert refused(create, trails=trails) == (
        "TrailAlreadyExistsException",
        f"Trail audit already exists for customer: {ACCOUNT}",
    )
    create(elsewhere, "shadow", IsMultiRegionTrail=True)
    for number in range(rooms.trails_max - 2):
        create(trails, f"trail-{number}")
    text = f"User: {ACCOUNT} already has 5 trails in {REGION}."
    expected = ("MaximumNumberOfTrailsExceededException", text)
    assert refused(create, trails=trails, name="sixth") == expected
    assert create(elsewhere, "of-its-own")["Name"] == "of-its-own"
    assert refused(create, trails=elsewhere, name="all", IsMultiRegionTrail=True) == expected


def test_a_multi_region_trail_has_global_events(trails):
    text = "Multi-Region trail must include global service events."
    both = {"IsMultiRegionTrail": True, "IncludeGlobalServiceEvents": False}
    expected = ("InvalidParameterCombinationException", text)
    assert refused(create, trails=trails, **both, S3BucketName="absent") == expected
    create(trails, IncludeGlobalServiceEvents=False)
    assert refused(trails.update_trail, Name="audit", **both) == expected
    changed = trails.update_trail(Name="audit", IsMultiRegionTrail=True)
    assert changed["IncludeGlobalServiceEvents"]
    changed = trails.update_trail(Name="audit", IsMultiRegionTrail=False)
    assert changed["IncludeGlobalServiceEvents"]


@pytest.mark.parametrize(
    "members",
    [
        {"SnsTopicName": "topic"},
        {"KmsKeyId": "alias/key"},
        {"CloudWatchLogsLogGroupArn": GROUP, "CloudWatchLogsRoleArn": ROLE},
    ],
)
def test_what_would_not_be_delivered_is_refused(trails, members):
    code = "UnsupportedOperationException"
    if "CloudWatchLogsLogGroupArn" in members:
        code = "CloudWatchLogsDeliveryUnavailableException"
    assert refused(create, trails=trails, **members)[0] == code
    assert trails.describe_trails()["trailList"] == []
    create(trails)
    assert refused(trails.update_trail, Name="audit", **members)[0] == code


def test_recursive_logging_is_kept(trails):
    assert create(trails)["RecursiveLogging"]
    assert not trails.update_trail(Name="audit", RecursiveLogging=False)["RecursiveLogging"]
    assert not trails.update_trail(Name="audit")["RecursiveLogging"]
    assert not trails.get_trail(Name="audit")["Trail"]["RecursiveLogging"]


def test_empty_texts_are_as_good_as_none(trails):
    empty = dict.fromkeys(
        (
            "S3KeyPrefix",
            "SnsTopicName",
            "KmsKeyId",
            "CloudWatchLogsLogGroupArn",
            "CloudWatchLogsRoleArn",
        ),
        "",
    )
    assert "S3KeyPrefix" not in create(trails, **empty, RecursiveLogging=False)


def test_the_bucket_is_tried_first(trails, rooms):
    rooms.buckets["closed"] = SmallBucket("closed", denied={"acl"})
    digests = f"AWSLogs/{ACCOUNT}/CloudTrail-Digest/"
    rooms.buckets["no-digests"] = SmallBucket("no-digests", denied={digests})
    for name in ("closed", "no-digests"):
        members = {"S3BucketName": name, "EnableLogFileValidation": True}
        assert refused(create, trails=trails, **members) == (
            "InsufficientS3BucketPolicyException",
            f"Incorrect S3 bucket policy is detected for bucket: {name}",
        )
    # What the try has left there stays there.
    assert list(rooms.buckets["no-digests"].objects) == [f"AWSLogs/{ACCOUNT}/CloudTrail/"]
    assert refused(create, trails=trails, S3BucketName="absent") == (
        "S3BucketDoesNotExistException",
        "S3 bucket absent does not exist!",
    )
    for bad in ("Bad_Name", "", None, "192.0.2.1"):
        code, _ = refused(create, trails=trails, S3BucketName=bad or "")
        assert code == "InvalidS3BucketNameException"
    assert trails.describe_trails()["trailList"] == []


def test_a_refused_update_leaves_the_trail_as_it_was(trails, rooms):
    create(trails)
    rooms.buckets[BUCKET].denied.add(f"AWSLogs/{ACCOUNT}/CloudTrail-Digest/")
    before = trails.get_trail(Name="audit")["Trail"]
    code, _ = refused(trails.update_trail, Name="audit", EnableLogFileValidation=True)
    assert code == "InsufficientS3BucketPolicyException"
    assert trails.get_trail(Name="audit")["Trail"] == before


def test_a_bucket_that_does_not_answer_leaves_it_open(trails, rooms, caplog):
    rooms.buckets[BUCKET].silent = True
    with pytest.raises(ClientError) as raised:
        create(trails)
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
    assert raised.value.response["Error"]["Code"] == "ServiceUnavailable"
    (told,) = caplog.messages
    assert told.startswith("'CreateTrail' is answered with 503: ")


def test_prefixes(trails):
    longest = "p" * PREFIX_CHARS_MAX
    assert create(trails, S3KeyPrefix=longest)["S3KeyPrefix"] == longest
    for bad in (longest + "p", "a\nb"):
        code, _ = refused(trails.update_trail, Name="audit", S3KeyPrefix=bad)
        assert code == "InvalidS3PrefixException"
    assert "S3KeyPrefix" not in trails.update_trail(Name="audit", S3KeyPrefix="")
    wide = "😀" * (PREFIX_BYTES_MAX // 4)
    assert trails.update_trail(Name="audit", S3KeyPrefix=wide)["S3KeyPrefix"] == wide
    code, _ = refused(trails.update_trail, Name="audit", S3KeyPrefix=wide + "p")
    assert code == "InvalidS3PrefixException"


def test_only_what_is_sent_is_changed(trails, rooms):
    rooms.buckets["other-logs"] = SmallBucket("other-logs")
    created = create(trails, S3KeyPrefix="p", EnableLogFileValidation=True)
    changed = plain(trails.update_trail(Name=ARN + "audit", S3BucketName="other-logs"))
    assert changed == created | {"S3BucketName": "other-logs"}
    assert next(iter(rooms.buckets["other-logs"].objects)).startswith("p/AWSLogs/")


@pytest.mark.parametrize("name", ["ghost", ARN + "ghost"])
def test_unknown_trails(trails, name):
    of_get = f"Unknown trail: ghost for the user: {ACCOUNT}"
    assert refused(trails.get_trail, Name=name) == ("TrailNotFoundException", of_get)
    others = f"Unknown trail: {ARN}ghost for the user: {ACCOUNT}"
    for call in (
        trails.get_trail_status,
        trails.start_logging,
        trails.stop_logging,
        trails.delete_trail,
        trails.update_trail,
    ):
        assert refused(call, Name=name) == ("TrailNotFoundException", others)
    for call in (trails.get_event_selectors, trails.put_event_selectors):
        assert refused(call, TrailName=name) == ("TrailNotFoundException", others)
    assert trails.describe_trails(trailNameList=[name])["trailList"] == []


@pytest.mark.parametrize(
    "arn",
    [
        "arn:aws:cloudtrail:us-east-1:1:trail/audit",
        "arn:aws:s3:::bucket",
        f"arn:aws:cloudtrail:{REGION}:{ACCOUNT}:channel/audit",
        f"arn:aws:cloudtrail:{REGION}:{ACCOUNT}:trail/",
    ],
)
def test_arns_that_are_no_trails(trails, arn):
    for call in (trails.get_trail, trails.delete_trail, trails.get_trail_status):
        assert refused(call, Name=arn)[0] == "CloudTrailARNInvalidException"


def test_another_region_sees_shadows_and_changes_nothing(trails, elsewhere):
    create(trails, "single")
    create(trails, "multi", IsMultiRegionTrail=True)
    multi = ARN + "multi"
    shadow = elsewhere.get_trail(Name=multi)["Trail"]
    assert (shadow["TrailARN"], shadow["HomeRegion"]) == (multi, REGION)
    assert elsewhere.describe_trails()["trailList"] == [shadow]
    assert elsewhere.describe_trails(includeShadowTrails=False)["trailList"] == []
    assert elsewhere.describe_trails(trailNameList=[multi, "multi"])["trailList"] == [shadow]
    assert elsewhere.get_event_selectors(TrailName=multi)["TrailARN"] == multi
    for call in (elsewhere.start_logging, elsewhere.delete_trail, elsewhere.update_trail):
        assert refused(call, Name=multi)[0] == "InvalidHomeRegionException"
        assert refused(call, Name=ARN + "single") == (
            "CloudTrailARNInvalidException",
            f"Region in ARN is wrong, you can only access resources in region {SHADOW_REGION}.",
        )
    assert [t["Name"] for t in elsewhere.list_trails()["Trails"]] == ["multi", "single"]


def test_many_names_are_looked_for_among_the_trails_once(trails, rooms, monkeypatch):
    create(trails)
    visible, asked = rooms.registry.visible, []

    def counted(*scope):
        asked.append(scope)
        return visible(*scope)

    monkeypatch.setattr(rooms.registry, "visible", counted)
    many = [f"absent-{number}" for number in range(1000)]
    (shown,) = trails.describe_trails(trailNameList=[*many, "audit", ARN + "audit"])["trailList"]
    assert shown["Name"] == "audit"
    assert asked == [(ACCOUNT, REGION)]


def test_another_account_sees_nothing(trails, endpoint):
    create(trails, IsMultiRegionTrail=True)
    stranger = client("cloudtrail", endpoint, STRANGER)
    assert stranger.describe_trails()["trailList"] == []
    assert stranger.list_trails()["Trails"] == []
    assert refused(stranger.delete_trail, Name=ARN + "audit")[0] == "TrailNotFoundException"
    assert create(stranger)["Name"] == "audit"
    stranger.close()


@pytest.mark.parametrize(
    ("region", "partition"),
    [("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov"), ("eu-west-1", "aws")],
)
def test_arns_have_the_partition_of_their_region(endpoint, region, partition):
    there = client("cloudtrail", endpoint, ADMIN, region=region, validate=False)
    arn = create(there)["TrailARN"]
    assert arn == f"arn:{partition}:cloudtrail:{region}:{ACCOUNT}:trail/audit"
    assert there.get_trail(Name=arn)["Trail"]["TrailARN"] == arn
    with pytest.raises(ClientError, match=f"arn:{partition}:cloudtrail:{region}:"):
        there.get_trail_status(Name="unknown")
    there.close()
