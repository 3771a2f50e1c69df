# SPDX-License-Identifier: Apache-2.0
"""LookupEvents as boto3 and the AWS CLI see it."""

import json
from datetime import UTC, datetime

import pytest
from botocore.exceptions import ClientError
from support.aws_clients import aws, client
from support.wire_server import (
    ACCOUNT,
    ADMIN,
    NOBODY,
    NOW_S,
    OTHER_ACCOUNT,
    READER,
    REGION,
    STRANGER,
    IndexedHistory,
    SmallHistory,
    record,
    serving,
)

from opentrail.wire.op_lookup import ATTRIBUTE_VALUE_CHARS_MAX, RESULTS_MAX


@pytest.fixture(params=["small", "indexed"])
def history(request, tmp_path):
    return SmallHistory() if request.param == "small" else IndexedHistory(tmp_path / "history")


@pytest.fixture
def endpoint(history):
    with serving(history) as address:
        yield address


@pytest.fixture
def cloudtrail(endpoint):
    made = client("cloudtrail", endpoint, ADMIN, validate=False)
    yield made
    made.close()


def ids(answer):
    return [event["EventId"] for event in answer["Events"]]


def by(key, value):
    return {"LookupAttributes": [{"AttributeKey": key, "AttributeValue": value}]}


def test_an_event_has_the_fields_of_the_service(cloudtrail, history):
    data = history.add(
        requestParameters={"modelName": "churn"},
        responseElements={"modelArn": f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:model/churn"},
    )
    (event,) = cloudtrail.lookup_events()["Events"]
    resources = event.pop("Resources")
    assert event == {
        "EventId": "00000000-0000-4000-8000-000000000000",
        "EventName": "CreateModel",
        "ReadOnly": "false",
        "AccessKeyId": "AKIATESTALICE",
        "EventTime": datetime.fromtimestamp(NOW_S - 10_000, tz=UTC),
        "EventSource": "sagemaker.amazonaws.com",
        "Username": "alice",
        "CloudTrailEvent": data.decode(),
    }
    assert {"ResourceType": "AWS::SageMaker::Model", "ResourceName": "churn"} in resources


def test_what_a_record_does_not_give_is_left_out(cloudtrail, history):
    history.add(
        userIdentity={"type": "AWSService", "invokedBy": "x.amazonaws.com"}, requestParameters=None
    )
    (event,) = cloudtrail.lookup_events()["Events"]
    assert "Username" not in event
    assert "AccessKeyId" not in event
    assert event["Resources"] == []


def test_bytes_that_are_not_text_do_not_hide_their_page(cloudtrail, history):
    history.put(record(0).replace(b"model-0", b"model-\xff"))
    (event,) = cloudtrail.lookup_events()["Events"]
    assert "model-\ufffd" in event["CloudTrailEvent"]


def test_newest_first_and_fifty_a_page(cloudtrail, history):
    for _ in range(RESULTS_MAX + 1):
        history.add()
    answer = cloudtrail.lookup_events()
    assert ids(answer) == [f"00000000-0000-4000-8000-{n:012d}" for n in range(50, 0, -1)]
    assert "NextToken" in answer
    rest = cloudtrail.lookup_events(NextToken=answer["NextToken"])
    assert ids(rest) == ["00000000-0000-4000-8000-000000000000"]
    assert "NextToken" not in rest


def test_the_paginator_sees_each_event_once_while_new_ones_arrive(cloudtrail, history):
    same_second = {"eventTime": "2023-11-14T19:00:00Z"}
    for _ in range(23):
        history.add(**same_second)
    seen = []
    for page in cloudtrail.get_paginator("lookup_events").paginate(
        PaginationConfig={"PageSize": 5}
    ):
        seen += ids(page)
        history.add(**same_second)
        history.add()
    assert seen == [f"00000000-0000-4000-8000-{n:012d}" for n in range(22, -1, -1)]


@pytest.mark.parametrize(
    ("key", "value", "changes"),
    [
        ("EventId", "e-1", {"eventID": "e-1"}),
        ("EventName", "StopTrainingJob", {"eventName": "StopTrainingJob"}),
        ("ReadOnly", "true", {"readOnly": True}),
        ("Username", "root", {"userIdentity": {"type": "Root", "accountId": ACCOUNT}}),
        ("EventSource", "personalize.amazonaws.com", {"eventSource": "personalize.amazonaws.com"}),
        ("AccessKeyId", "ASIAX", {"userIdentity": {"type": "IAMUser", "accessKeyId": "ASIAX"}}),
        (
            "ResourceName",
            "arn:aws:s3:::bucket",
            {"resources": [{"type": "AWS::S3::Bucket", "ARN": "arn:aws:s3:::bucket"}]},
        ),
        (
            "ResourceType",
            "AWS::S3::Bucket",
            {"resources": [{"type": "AWS::S3::Bucket", "ARN": "arn:aws:s3:::bucket"}]},
        ),
    ],
)
def test_each_attribute_finds_its_event(cloudtrail, history, key, value, changes):
    history.add()
    wanted = history.add(**changes)
    history.add()
    events = cloudtrail.lookup_events(**by(key, value))["Events"]
    assert [event["CloudTrailEvent"].encode() for event in events] == [wanted]


def test_an_unknown_resource_type_finds_nothing(cloudtrail, history):
    history.add()
    assert cloudtrail.lookup_events(**by("ResourceType", "Other"))["Events"] == []


def test_only_the_callers_account_and_region_are_shown(endpoint, history):
    history.add()
    history.add(recipientAccountId=OTHER_ACCOUNT)
    history.add(awsRegion="eu-west-1")
    for key, region, number in (
        (ADMIN, REGION, 0),
        (STRANGER, REGION, 1),
        (ADMIN, "eu-west-1", 2),
        (READER, REGION, 0),
    ):
        seen = client("cloudtrail", endpoint, key, region).lookup_events()
        assert ids(seen) == [f"00000000-0000-4000-8000-{number:012d}"]


def test_a_token_is_worth_nothing_to_another_account_or_region(endpoint, cloudtrail, history):
    history.add()
    history.add()
    token = cloudtrail.lookup_events(MaxResults=1)["NextToken"]
    for key, region in ((STRANGER, REGION), (ADMIN, "eu-west-1")):
        other = client("cloudtrail", endpoint, key, region)
        with pytest.raises(other.exceptions.InvalidNextTokenException):
            other.lookup_events(MaxResults=1, NextToken=token)


def test_data_events_are_not_shown_and_insights_are_apart(cloudtrail, history):
    history.add(eventCategory="Data", managementEvent=False)
    history.add(eventCategory="Insight")
    assert cloudtrail.lookup_events()["Events"] == []
    assert len(cloudtrail.lookup_events(EventCategory="insight")["Events"]) == 1
    for key in ("EventId", "EventName", "EventSource"):
        assert cloudtrail.lookup_events(EventCategory="insight", **by(key, "x"))["Events"] == []


def test_both_bounds_of_the_time_range_are_inclusive(cloudtrail, history):
    for _ in range(5):
        history.add()
    first = NOW_S - 10_000
    for start, end, numbers in (
        (first + 1, first + 3, (3, 2, 1)),
        (first + 0.5, first + 3.5, (3, 2, 1)),
        (first + 2, first + 2, (2,)),
        (None, first, (0,)),
        (first + 4, None, (4,)),
        (first + 4, 1e300, (4,)),
        (-1e300, 4e9, (4, 3, 2, 1, 0)),
        (None, -1e300, ()),
        (NOW_S, None, ()),
    ):
        bounds = {"StartTime": start, "EndTime": end}
        body = {name: value for name, value in bounds.items() if value is not None}
        assert numbers_of(cloudtrail, body) == list(numbers)


def numbers_of(cloudtrail, body):
    """Look up with numbers for times, which boto3 would turn into dates first."""
    cloudtrail.meta.events.register_first(
        "before-call.cloudtrail.LookupEvents",
        lambda params, **_: params.update(body=json.dumps(body).encode()),
        unique_id="numbers",
    )
    found = cloudtrail.lookup_events()
    cloudtrail.meta.events.unregister("before-call.cloudtrail.LookupEvents", unique_id="numbers")
    return [int(event_id[-12:]) for event_id in ids(found)]


@pytest.mark.parametrize(
    ("code", "request_"),
    [
        ("InvalidMaxResultsException", {"MaxResults": 0}),
        ("InvalidMaxResultsException", {"MaxResults": RESULTS_MAX + 1}),
        ("InvalidMaxResultsException", {"MaxResults": -(10**30)}),
        ("InvalidTimeRangeException", {"StartTime": NOW_S - 1, "EndTime": NOW_S - 2}),
        ("InvalidTimeRangeException", {"StartTime": NOW_S + 1}),
        ("InvalidNextTokenException", {"NextToken": "junk"}),
        ("InvalidNextTokenException", {"NextToken": ""}),
        ("InvalidNextTokenException", {"NextToken": "\u00e9" * 64}),
        ("InvalidNextTokenException", {"NextToken": "A" * 64}),
        ("InvalidNextTokenException", {"NextToken": "A" * 100_000}),
        ("InvalidEventCategoryException", {"EventCategory": "management"}),
        ("InvalidEventCategoryException", {"EventCategory": ""}),
        ("InvalidEventCategoryException", {"EventCategory": "data", **by("Username", "alice")}),
        ("InvalidLookupAttributesException", by("ReadOnly", "True")),
        ("InvalidLookupAttributesException", by("ReadOnly", "other")),
        ("InvalidLookupAttributesException", by("Region", REGION)),
        ("InvalidLookupAttributesException", by("EventName", "")),
        ("InvalidLookupAttributesException", by("Username", "x" * (ATTRIBUTE_VALUE_CHARS_MAX + 1))),
        ("InvalidLookupAttributesException", {"LookupAttributes": [{"AttributeKey": "EventId"}]}),
        ("InvalidLookupAttributesException", {"LookupAttributes": [{"AttributeValue": "x"}]}),
        (
            "InvalidLookupAttributesException",
            {"LookupAttributes": by("EventName", "x")["LookupAttributes"] * 2},
        ),
        (
            "InvalidLookupAttributesException",
            {"EventCategory": "insight", **by("Username", "alice")},
        ),
    ],
)
def test_bad_input_gets_the_typed_error(cloudtrail, code, request_):
    with pytest.raises(getattr(cloudtrail.exceptions, code)) as raised:
        cloudtrail.lookup_events(**request_)
    answer = raised.value.response
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert answer["ResponseMetadata"]["RequestId"] == "11111111-2222-4333-8444-555555555555"
    assert answer["Error"]["Message"]


@pytest.mark.parametrize(
    "request_",
    [
        {"MaxResults": 1},
        {"MaxResults": RESULTS_MAX},
        {"StartTime": NOW_S},
        {"LookupAttributes": []},
        by("Username", "_"),
        by("Username", "_" * ATTRIBUTE_VALUE_CHARS_MAX),
    ],
)
def test_the_last_good_input_passes(cloudtrail, request_):
    assert "Events" in cloudtrail.lookup_events(**request_)


@pytest.mark.parametrize(
    "request_",
    [
        {"MaxResults": "5"},
        {"MaxResults": 1.5},
        {"NextToken": 5},
        {"LookupAttributes": {}},
        {"LookupAttributes": ["EventId"]},
        {"EventCategory": ["insight"]},
    ],
)
def test_wrong_types_are_serialization_errors(endpoint, request_):
    cloudtrail = client("cloudtrail", endpoint, ADMIN, validate=False)
    cloudtrail.meta.events.register_first(
        "before-call.cloudtrail.LookupEvents",
        lambda params, **_: params.update(body=json.dumps(request_).encode()),
    )
    with pytest.raises(ClientError) as raised:
        cloudtrail.lookup_events()
    assert raised.value.response["Error"]["Code"] == "SerializationException"


def test_a_damaged_record_is_an_internal_failure(cloudtrail, history):
    history.damaged = True
    with pytest.raises(ClientError) as raised:
        cloudtrail.lookup_events()
    answer = raised.value.response
    assert answer["Error"]["Code"] == "InternalFailure"
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 500
    assert "1.seg" not in answer["Error"]["Message"]


def test_who_may_not_look_up_is_told_so_as_aws_says_it(endpoint):
    with pytest.raises(ClientError) as raised:
        client("cloudtrail", endpoint, NOBODY).lookup_events()
    assert raised.value.response["Error"] == {
        "Code": "AccessDeniedException",
        "Message": f"User: arn:aws:iam::{ACCOUNT}:user/nobody is not authorized to perform: "
        "cloudtrail:LookupEvents because no identity-based policy allows the "
        "cloudtrail:LookupEvents action",
    }


def test_the_aws_cli_pages_through(endpoint, history, tmp_path):
    for _ in range(7):
        history.add()
    arguments = ("cloudtrail", "lookup-events", "--page-size", "3")
    run = aws(*arguments, endpoint=endpoint, key=READER, home=tmp_path)
    assert run.stderr == ""
    assert [int(event_id[-12:]) for event_id in ids(json.loads(run.stdout))] == list(
        range(6, -1, -1)
    )


def test_the_aws_cli_names_the_error(endpoint, tmp_path):
    arguments = ("cloudtrail", "lookup-events", "--start-time", "2100-01-01")
    run = aws(*arguments, endpoint=endpoint, key=READER, home=tmp_path)
    assert run.returncode != 0
    assert "InvalidTimeRangeException" in run.stderr
