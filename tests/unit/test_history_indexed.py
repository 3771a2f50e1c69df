# SPDX-License-Identifier: Apache-2.0
"""What the index reads fast is what the whole record says, remembered or not."""

import msgspec
import pytest
from hypothesis import given, settings
from support.history_oracle import record
from support.odd_records import NAMED, records
from xxhash import xxh3_64_intdigest

from opentrail.event.codec import decode
from opentrail.event.place import account_of, category_of
from opentrail.history import indexed, resources
from opentrail.history.derive import derive
from opentrail.history.indexed import Caller, username_of
from opentrail.history.namings import NAMINGS
from opentrail.history.resources import Resource

DEEP = b"[" * 100_000 + b"]" * 100_000


@settings(max_examples=400, deadline=None)
@given(data=records)
def test_all_that_is_derived_is_what_the_record_says(data: bytes):
    whole = decode(data)
    found = derive(data)
    assert found is not None
    assert found == derive(data), "the second time it is remembered"
    assert found.account == account_of(whole)
    assert found.category == category_of(whole)
    assert found.username == username_of(whole.user_identity)
    assert found.access_key_id == whole.user_identity.access_key_id
    assert (found.region, found.event_name) == (whole.aws_region, whole.event_name)
    assert (found.event_source, found.event_id) == (whole.event_source, whole.event_id)
    if whole.read_only is not None:
        assert found.read_only == str(whole.read_only).lower()
    parts = whole.request_parameters, whole.response_elements, whole.resources
    assert found.resources == resources.read(whole.event_source, whole.event_name, parts)


def test_the_shortest_parameters_that_name_something():
    name, source = next(iter(NAMED.items()))
    member = next(each for each in ("name", "Id", "id") if each in NAMINGS[source].members)
    named = {member: "a"}
    found = derive(
        record(eventSource=source, eventName=name, requestParameters=named, responseElements=...)
    )
    assert found is not None
    assert [each.name for each in found.resources] == ["a"]


def test_an_equal_hash_alone_is_not_believed():
    data = record(1)
    whole = decode(data)
    identity = msgspec.json.decode(data, type=dict[str, msgspec.Raw])["userIdentity"]
    other = (msgspec.Raw(b'{"userName":"mallory"}'), Caller("9", "mallory", "AKIAMALLORY"))
    indexed.remembered[xxh3_64_intdigest(identity)] = other
    named = b"\0".join((whole.request_parameters, whole.response_elements, whole.resources))
    wrong = (Resource("AWS::S3::Bucket", "mallory"),)
    for remembered in (
        (named[:-1] + b" ", whole.event_source, whole.event_name, wrong),
        (named, "iam.amazonaws.com", whole.event_name, wrong),
        (named, whole.event_source, "DeleteModel", wrong),
    ):
        resources.remembered[xxh3_64_intdigest(named)] = remembered
        found = derive(data)
        assert found is not None
        assert found.username == "alice"
        assert found.resources == (Resource("AWS::SageMaker::Model", "model-1"),)


def test_no_more_is_remembered_than_is_bounded():
    for number in range(indexed.REMEMBERED + 2):
        derive(record(number, userIdentity={"type": "IAMUser", "userName": f"user-{number}"}))
    assert 0 < len(indexed.remembered) <= indexed.REMEMBERED
    assert 0 < len(resources.remembered) <= resources.REMEMBERED
    many, long = len(indexed.remembered), "x" * 2048
    derive(record(1, userIdentity={"userName": long}, requestParameters={"modelName": long}))
    assert len(indexed.remembered) == many
    assert all(len(each[0]) <= resources.REMEMBERED_BYTES for each in resources.remembered.values())


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("userIdentity", DEEP),
        ("requestParameters", b'{"modelName":' + DEEP + b"}"),
        ("resources", DEEP),
        ("other", DEEP),
    ],
)
def test_a_record_that_is_too_deep_is_no_event(member: str, value: bytes):
    assert (
        derive(b'{"eventTime":"2025-01-01T00:00:00Z","%s":%s}' % (member.encode(), value)) is None
    )


@pytest.mark.parametrize(
    "value",
    [
        b'{"endpointArn":"arn:aws:sagemaker:us-east-1:1:endpoint/\xff"}',
        b'{"\xff":"arn:aws:sagemaker"}',
        b'{"endpointName":"\xff"}',
        b'{"endpointName":["\xff"]}',
    ],
)
def test_bytes_that_are_not_utf_8_name_nothing(value: bytes):
    found = derive(
        b'{"eventTime":"2025-01-01T00:00:00Z","eventSource":"sagemaker.amazonaws.com",'
        b'"eventID":"a","requestParameters":%s}' % value
    )
    assert found is not None
    assert (found.event_id, found.resources) == ("a", ())
