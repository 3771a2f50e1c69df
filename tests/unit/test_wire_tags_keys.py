# SPDX-License-Identifier: Apache-2.0
"""AddTags, RemoveTags, ListTags and ListPublicKeys as boto3 sees them."""

import json

import pytest
from support.aws_clients import client
from support.trail_calls import ARN, create, refused
from support.trail_rooms import NOW_MS, TrailRooms
from support.wire_server import ADMIN, SmallHistory, api, request, serving

from opentrail.trails.keys import PublicKey
from opentrail.wire.op_tags import KEY_CHARS_MAX, RESOURCES_MAX, TAGS_MAX, VALUE_CHARS_MAX

AUDIT = ARN + "audit"


@pytest.fixture
def rooms():
    return TrailRooms()


@pytest.fixture
def trails(rooms):
    with serving(SmallHistory(), rooms) as endpoint:
        made = client("cloudtrail", endpoint, ADMIN, validate=False)
        create(made)
        yield made
        made.close()


def tags(**values):
    return [{"Key": key, "Value": value} for key, value in values.items()]


def add(trails, **values):
    return trails.add_tags(ResourceId=AUDIT, TagsList=tags(**values))


def of_audit(trails):
    (shown,) = trails.list_tags(ResourceIdList=[AUDIT])["ResourceTagList"]
    assert shown["ResourceId"] == AUDIT
    return {tag["Key"]: tag["Value"] for tag in shown["TagsList"]}


def test_tags_are_added_replaced_and_removed_by_key(trails):
    assert of_audit(trails) == {}
    add(trails, team="ml", stage="test")
    add(trails, stage="prod")
    assert of_audit(trails) == {"team": "ml", "stage": "prod"}
    trails.remove_tags(ResourceId=AUDIT, TagsList=tags(stage="whatever", absent=""))
    assert of_audit(trails) == {"team": "ml"}
    trails.add_tags(ResourceId=AUDIT, TagsList=[{"Key": "alone"}])
    assert of_audit(trails) == {"team": "ml", "alone": ""}


def test_tags_of_several_trails_are_listed_in_order(trails):
    create(trails, "second", TagsList=tags(second="yes"))
    arns = [ARN + "second", AUDIT]
    shown = trails.list_tags(ResourceIdList=arns)["ResourceTagList"]
    assert [each["ResourceId"] for each in shown] == arns
    assert len(trails.list_tags(ResourceIdList=[AUDIT] * RESOURCES_MAX)["ResourceTagList"]) == 20
    for bad in ([], [AUDIT] * (RESOURCES_MAX + 1)):
        refused(trails.list_tags, ResourceIdList=bad)


def test_a_trail_has_fifty_tags_at_most(trails):
    add(trails, **{f"key-{number}": "v" for number in range(TAGS_MAX)})
    add(trails, **{"key-0": "another value"})
    assert refused(add, trails=trails, more="v")[0] == "TagsLimitExceededException"
    assert len(of_audit(trails)) == TAGS_MAX
    many = tags(**{f"key-{number}": "v" for number in range(TAGS_MAX + 1)})
    code, _ = refused(create, trails=trails, name="tagged", TagsList=many)
    assert code == "TagsLimitExceededException"


def test_bounds_of_tags(trails):
    add(trails, **{"k" * KEY_CHARS_MAX: "v" * VALUE_CHARS_MAX})
    for bad in (
        {"k" * (KEY_CHARS_MAX + 1): ""},
        {"": ""},
        {"k": "v" * (VALUE_CHARS_MAX + 1)},
        {"aws:mine": "v"},
    ):
        assert refused(add, trails=trails, **bad)[0] == "InvalidTagParameterException"
    twice = tags(a="1") + tags(a="2")
    code, _ = refused(trails.add_tags, ResourceId=AUDIT, TagsList=twice)
    assert code == "InvalidTagParameterException"


@pytest.mark.parametrize(
    ("arn", "code"),
    [
        ("audit", "CloudTrailARNInvalidException"),
        (ARN + "ghost", "ResourceNotFoundException"),
        (AUDIT.replace("trail/", "channel/"), "ResourceTypeNotSupportedException"),
        (AUDIT.replace("us-east-1", "eu-west-1"), "CloudTrailARNInvalidException"),
    ],
)
def test_tags_are_of_trails_by_their_arn(trails, arn, code):
    assert refused(trails.add_tags, ResourceId=arn, TagsList=tags(a="b"))[0] == code
    assert refused(trails.remove_tags, ResourceId=arn, TagsList=tags(a="b"))[0] == code
    assert refused(trails.list_tags, ResourceIdList=[AUDIT, arn])[0] == code


def test_tags_are_changed_in_the_home_region_only(trails):
    """What the API reference says of AddTags, and no code for it: a shadow's tags can be listed."""
    arn = ARN + "everywhere"
    create(trails, "everywhere", IsMultiRegionTrail=True, TagsList=tags(a="b"))
    elsewhere = client("cloudtrail", trails.meta.endpoint_url, ADMIN, region="eu-west-1")
    for change in (elsewhere.add_tags, elsewhere.remove_tags):
        code, text = refused(change, ResourceId=arn, TagsList=tags(a="c"))
        assert code == "CloudTrailARNInvalidException"
        assert text.endswith("you can only access resources in region eu-west-1.")
    (found,) = elsewhere.list_tags(ResourceIdList=[arn], NextToken="junk")["ResourceTagList"]
    assert found["TagsList"] == tags(a="b")
    elsewhere.close()


def test_tags_must_be_given(trails):
    for operation in (trails.add_tags, trails.remove_tags):
        code, text = refused(operation, ResourceId=AUDIT)
        assert (code, text) == ("InvalidTagParameterException", "TagsList is required.")


def test_public_keys_of_a_time_range(trails, rooms):
    assert trails.list_public_keys()["PublicKeyList"] == []
    hour_ms = 3_600_000
    rooms.keys = [PublicKey(b"\x30\x82\xff", NOW_MS - hour_ms, NOW_MS + hour_ms, "0f" * 16)]
    (key,) = trails.list_public_keys()["PublicKeyList"]
    assert (key["Value"], key["Fingerprint"]) == (b"\x30\x82\xff", "0f" * 16)
    assert key["ValidityStartTime"].timestamp() * 1000 == NOW_MS - hour_ms
    assert key["ValidityEndTime"].timestamp() * 1000 == NOW_MS + hour_ms
    assert rooms.asked[-1] == (NOW_MS, NOW_MS)
    now_s = NOW_MS // 1000
    old = trails.list_public_keys(StartTime=1000, EndTime=2000, NextToken="junk")
    assert old["PublicKeyList"] == []
    assert rooms.asked[-1] == (1_000_000, 2_000_000)
    assert trails.list_public_keys(StartTime=now_s, EndTime=now_s)["PublicKeyList"] == [key]
    code, _ = refused(trails.list_public_keys, StartTime=now_s + 1, EndTime=now_s)
    assert code == "InvalidTimeRangeException"


def test_public_keys_of_a_time_range_beyond_all_calendars(rooms):
    def asked(body):
        response = api(SmallHistory(), rooms).handle(request("ListPublicKeys", body))
        return json.loads(response.body)

    rooms.keys = [PublicKey(b"\x30\x82\xff", NOW_MS - 1000, NOW_MS + 1000, "0f" * 16)]
    found = asked(b'{"StartTime": -1e308, "EndTime": 1e308}')
    assert len(found["PublicKeyList"]) == 1
    assert asked(b'{"StartTime": 1e308}')["__type"] == "InvalidTimeRangeException"
    assert asked(b'{"EndTime": -1e308}')["__type"] == "InvalidTimeRangeException"
