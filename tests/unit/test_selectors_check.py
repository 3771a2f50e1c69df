# SPDX-License-Identifier: Apache-2.0
"""Which selectors a trail may have: CloudTrail's limits on both sides, and its texts."""

import re
from pathlib import Path

import pytest

import opentrail
from opentrail.errors import ClientError
from opentrail.event.resource_types import KNOWN, is_mistyped, is_near
from opentrail.event.selectors import (
    AdvancedSelector,
    DataResource,
    EventSelector,
    FieldSelector,
)
from opentrail.event.selectors_check import (
    ADVANCED_VALUES_MAX,
    DATA_VALUES_MAX,
    SELECTOR_NAME_CHARS_MAX,
    SELECTORS_MAX,
    VALUE_CHARS_MAX,
    check_advanced,
    check_basic,
)

S3, LAMBDA, DYNAMO = "AWS::S3::Object", "AWS::Lambda::Function", "AWS::DynamoDB::Table"
MANAGEMENT = FieldSelector("eventCategory", ("Management",))
DATA = FieldSelector("eventCategory", ("Data",))
NETWORK = FieldSelector("eventCategory", ("NetworkActivity",))
GROUPS = FieldSelector("resources.type", ("AWS::SageMaker::FeatureGroup",))
OBJECTS = FieldSelector("resources.type", (S3,))
FUNCTIONS = FieldSelector("resources.type", (LAMBDA,))
FUNCTION = "arn:aws:lambda:us-east-1:111122223333:function:score"
IMPROPER = "is not valid. Verify that the ARN is properly formatted."
TABLE = "arn:aws:dynamodb:us-east-1:111122223333:table/clicks"


def refusal(check, selectors):
    """Return the text of the refusal; "" when there is none."""
    try:
        check(selectors)
    except ClientError as error:
        return error.message if error.code == "InvalidEventSelectorsException" else error.code
    return ""


def basic(kind, *values):
    return refusal(check_basic, [EventSelector(data_resources=(DataResource(kind, values),))])


def advanced(*fields, name=None):
    return refusal(check_advanced, [AdvancedSelector(fields, name)])


def test_one_to_five_basic_selectors():
    text = "Specify a valid number of selectors (1 to 5) for your trail"
    assert refusal(check_basic, []) == text
    assert refusal(check_basic, [EventSelector()]) == ""
    assert refusal(check_basic, [EventSelector()] * SELECTORS_MAX) == ""
    assert refusal(check_basic, [EventSelector()] * (SELECTORS_MAX + 1)) == text


def test_read_write_types():
    for good in ("All", "ReadOnly", "WriteOnly"):
        assert refusal(check_basic, [EventSelector(good)]) == ""
    expected = "Value read-only for ReadWriteType is invalid."
    assert refusal(check_basic, [EventSelector("read-only")]) == expected


def test_sources_that_can_be_left_out():
    both = ("kms.amazonaws.com", "rdsdata.amazonaws.com")
    assert refusal(check_basic, [EventSelector(exclude_management_event_sources=both)]) == ""
    without = EventSelector(include_management_events=False, exclude_management_event_sources=both)
    assert "needs IncludeManagementEvents" in refusal(check_basic, [without])
    other = EventSelector(exclude_management_event_sources=("s3.amazonaws.com",))
    assert "Value s3.amazonaws.com for Exclude" in refusal(check_basic, [other])


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (S3, "arn:aws:s3"),
        (S3, "arn:aws:s3:::"),
        (S3, "arn:aws:s3:::data/"),
        (S3, "arn:aws:s3:::data/a b/prefix"),
        (LAMBDA, "arn:aws:lambda"),
        (LAMBDA, FUNCTION),
        (DYNAMO, "arn:aws:dynamodb"),
        (DYNAMO, TABLE),
    ],
)
def test_good_values_of_data_resources(kind, value):
    assert basic(kind, value) == ""


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (S3, "arn:aws:s3:::*"),
        (S3, "arn:aws:s3:::data"),
        (S3, "arn:aws:s3:::data/*"),
        (S3, "arn:aws:lambda"),
        (S3, ""),
        (LAMBDA, "arn:aws:lambda:*"),
        (LAMBDA, FUNCTION + ":live"),
        (LAMBDA, "arn:aws:s3"),
        (DYNAMO, TABLE + "/index/by-day"),
        (DYNAMO, "clicks"),
    ],
)
def test_bad_values_of_data_resources(kind, value):
    assert basic(kind, value) == f"Value {value} for DataResources.Values is invalid."


def test_only_three_types_have_basic_selectors():
    assert "DataResources.Type" in basic("AWS::SageMaker::FeatureGroup", "arn:aws:s3")
    assert "DataResources.Type" in basic(None)


def test_values_of_all_basic_selectors_are_counted_together():
    values = tuple(f"arn:aws:s3:::data/{number}/" for number in range(DATA_VALUES_MAX))
    full = EventSelector(data_resources=(DataResource(S3, values),))
    all_of_type = EventSelector(data_resources=(DataResource(S3, ("arn:aws:s3",)),))
    one_more = EventSelector(data_resources=(DataResource(LAMBDA, (FUNCTION,)),))
    assert refusal(check_basic, [full, all_of_type]) == ""
    assert refusal(check_basic, [full, one_more]) == (
        "Specify a valid number of DataResources.Values (0 to 250) for all your selectors"
    )


@pytest.mark.parametrize(
    "fields",
    [
        (MANAGEMENT,),
        (MANAGEMENT, FieldSelector("readOnly", ("true",))),
        (MANAGEMENT, FieldSelector("eventSource", not_equals=("kms.amazonaws.com",))),
        (DATA, GROUPS),
        (DATA, GROUPS, FieldSelector("eventName", ("PutRecord",), ends_with=("Record",))),
        (DATA, OBJECTS, FieldSelector("resources.ARN", not_starts_with=("arn:aws:s3:::b/",))),
        (DATA, OBJECTS, FieldSelector("resources.ARN", ("arn:aws:s3:::data/k y.csv",))),
        (DATA, FUNCTIONS, FieldSelector("resources.ARN", (FUNCTION,))),
        (DATA, GROUPS, FieldSelector("sessionCredentialFromConsole", not_equals=("true",))),
        (NETWORK, FieldSelector("eventSource", ("kms.amazonaws.com",))),
        (
            NETWORK,
            FieldSelector("eventSource", ("kms.amazonaws.com",)),
            FieldSelector("errorCode", ("VpceAccessDenied",)),
        ),
    ],
)
def test_good_advanced_selectors(fields):
    assert advanced(*fields) == ""


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ((), "The following fields are required: [eventCategory]."),
        ((GROUPS,), "The following fields are required: [eventCategory]."),
        ((DATA,), "The following fields are required: [resources.type]."),
        ((NETWORK,), "The following fields are required: [eventSource]."),
        (
            (DATA, FieldSelector("resources.type", ("made-up",))),
            "The resources.type field value is not valid.",
        ),
        (
            (DATA, FieldSelector("resources.type", (S3, LAMBDA))),
            "The resources.type field value is not valid.",
        ),
        (
            (DATA, OBJECTS, FieldSelector("resources.ARN", ("arn:aws:s3:::b",))),
            f"The specified ARN arn:aws:s3:::b {IMPROPER}",
        ),
        (
            (DATA, FUNCTIONS, FieldSelector("resources.ARN", not_equals=(FUNCTION + ":1",))),
            f"The specified ARN {FUNCTION}:1 {IMPROPER}",
        ),
        (
            (FieldSelector("eventCategory", ("Insight",)),),
            "The eventCategory field value is not valid.",
        ),
        (
            (MANAGEMENT, FieldSelector("readOnly", ("yes",))),
            "The readOnly field value is not valid.",
        ),
        (
            (MANAGEMENT, FieldSelector("eventSource", not_equals=("s3.amazonaws.com",))),
            "The eventSource field value is not valid.",
        ),
        (
            (MANAGEMENT, FieldSelector("eventSource", ("kms.amazonaws.com",))),
            "The field eventSource takes these operators only: NotEquals.",
        ),
        (
            (MANAGEMENT, FieldSelector("eventName", ("CreateModel",))),
            "The field eventName is not valid for eventCategory Management.",
        ),
        ((DATA, GROUPS, GROUPS), "A selector may name each field once only."),
        (
            (DATA, GROUPS, FieldSelector("eventName")),
            "The field eventName needs at least one operator with a value.",
        ),
    ],
)
def test_bad_advanced_selectors(fields, text):
    assert advanced(*fields) == text


@pytest.mark.parametrize(
    "kind",
    [
        "AWS::S3::object",
        "AWS::S3::Objects",
        "AWS::S3::Objct",
        "AWS::s3::Object",
        "AWS::Lambda::Funktion",
        "AWS::SageMaker::Endpoints",
        "AWS::Sagemaker::FeatureGroup",
    ],
)
def test_a_type_that_is_almost_one_of_cloudtrails_is_mistyped(kind):
    text = "The resources.type field value is not valid."
    assert advanced(DATA, FieldSelector("resources.type", (kind,))) == text


@pytest.mark.parametrize("kind", ["AWS::S3::Bucket", "AWS::SageMaker::Rocket", "AWS::New::Thing"])
def test_types_of_which_nothing_is_known_yet_are_taken(kind):
    assert advanced(DATA, FieldSelector("resources.type", (kind,))) == ""


def test_no_type_that_records_have_is_taken_for_a_mistyped_one():
    written = {
        found
        for path in Path(opentrail.__file__).parent.rglob("*.py")
        for found in re.findall(r"AWS::\w+::\w+", path.read_text(encoding="utf-8"))
    }
    assert {S3, LAMBDA, DYNAMO} < written
    assert not [each for each in sorted(written | KNOWN) if is_mistyped(each)]
    # Each is far from all others, so that leaving one out would not refuse it.
    lower = {each.lower(): each for each in KNOWN}
    assert len(lower) == len(KNOWN)
    for each in KNOWN:
        assert not [other for other in KNOWN - {each} if is_near(each, other)], each


def test_at_least_one_advanced_selector():
    text = "Specify between 1 and 500 selectors for your trail."
    assert refusal(check_advanced, []) == text
    assert refusal(check_advanced, [AdvancedSelector((MANAGEMENT,))] * ADVANCED_VALUES_MAX) == ""
    assert refusal(check_advanced, [AdvancedSelector((MANAGEMENT,))] * 501) == text


def test_values_of_all_advanced_selectors_are_counted_together():
    def names(count):
        return FieldSelector("eventName", tuple(f"Operation{number}" for number in range(count)))

    assert advanced(DATA, GROUPS, names(ADVANCED_VALUES_MAX - 2)) == ""
    assert "at most 500 values" in advanced(DATA, GROUPS, names(ADVANCED_VALUES_MAX - 1))


def test_lengths_of_names_and_values():
    assert advanced(MANAGEMENT, name="n" * SELECTOR_NAME_CHARS_MAX) == ""
    assert "1000 characters" in advanced(MANAGEMENT, name="n" * (SELECTOR_NAME_CHARS_MAX + 1))
    assert advanced(DATA, GROUPS, FieldSelector("eventName", ("v" * VALUE_CHARS_MAX,))) == ""
    for bad in ("v" * (VALUE_CHARS_MAX + 1), ""):
        assert "1 to 2048" in advanced(DATA, GROUPS, FieldSelector("eventName", (bad,)))
