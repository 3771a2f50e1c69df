# SPDX-License-Identifier: Apache-2.0
"""Selectors select what the slow obvious evaluator says, and what the documentation promises."""

import gzip
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import selector_oracle as oracle

from opentrail.event.codec import decode
from opentrail.event.selectors import (
    AdvancedSelector,
    DataResource,
    EventSelector,
    FieldSelector,
    compile_selectors,
    whole_categories,
)

BESIDE = Path(__file__).parents[3] / "shared"
SHARED = Path(os.environ.get("OPENTRAIL_SHARED", str(BESIDE)))
FILES = sorted((SHARED / "data").glob("events_*.jsonl.gz"))

GROUP = "arn:aws:sagemaker:us-east-1:111122223333:feature-group/clicks"
TABLE = "arn:aws:dynamodb:us-east-1:111122223333:table/clicks"
FUNCTION = "arn:aws:lambda:us-east-1:111122223333:function:score"
OBJECT = "arn:aws:s3:::data/in/1.csv"
ARNS = (GROUP, TABLE, f"{TABLE}/stream/2026", FUNCTION, OBJECT, "arn:aws:s3:::data/", "")
TYPES = (
    "AWS::S3::Object",
    "AWS::S3::Bucket",
    "AWS::Lambda::Function",
    "AWS::DynamoDB::Table",
    "AWS::SageMaker::FeatureGroup",
)
SOURCES = ("kms.amazonaws.com", "rdsdata.amazonaws.com", "sagemaker.amazonaws.com")
VALUES = {
    "eventName": ("PutRecord", "PutRecords", "Decrypt", "GetObject"),
    "eventSource": SOURCES,
    "eventType": ("AwsApiCall", "AwsServiceEvent"),
    "errorCode": ("VpceAccessDenied", "AccessDenied"),
    "userIdentity.arn": ("arn:aws:iam::111122223333:user/ann", "arn:aws:iam::1:role/r"),
    "vpcEndpointId": ("vpce-1", "vpce-2"),
    "sessionCredentialFromConsole": ("true",),
    "readOnly": ("true", "false"),
    "resources.type": TYPES,
    "resources.ARN": tuple(filter(None, ARNS)),
}


@st.composite
def records(draw):
    """A record, with or without each of the fields that selectors ask for."""
    maybe = {
        "eventName": st.sampled_from(VALUES["eventName"]),
        "eventSource": st.sampled_from(SOURCES),
        "eventType": st.sampled_from(VALUES["eventType"]),
        "errorCode": st.sampled_from(VALUES["errorCode"]),
        "readOnly": st.booleans(),
        "managementEvent": st.booleans(),
        "eventCategory": st.sampled_from(["Management", "Data", "NetworkActivity", "Insight"]),
        "vpcEndpointId": st.sampled_from(VALUES["vpcEndpointId"]),
        "sessionCredentialFromConsole": st.just("true"),
        "userIdentity": st.fixed_dictionaries({"arn": st.sampled_from(VALUES["userIdentity.arn"])}),
        "resources": st.none() | st.lists(resources(), max_size=3),
    }
    return draw(st.fixed_dictionaries({}, optional=maybe))


def resources():
    return st.fixed_dictionaries(
        {},
        optional={
            "accountId": st.just("111122223333"),
            "type": st.sampled_from(TYPES),
            "ARN": st.sampled_from(ARNS),
            "ARNPrefix": st.sampled_from(ARNS),
        },
    )


def basics():
    values = st.sampled_from([*filter(None, ARNS), "arn:aws:s3", "arn:aws:lambda"])
    types = st.sampled_from(["AWS::S3::Object", "AWS::Lambda::Function", "AWS::DynamoDB::Table"])
    resource = st.builds(DataResource, types, st.lists(values, max_size=3).map(tuple))
    selector = st.builds(
        EventSelector,
        st.sampled_from(["All", "ReadOnly", "WriteOnly"]),
        st.booleans(),
        st.lists(resource, max_size=3).map(tuple),
        st.lists(st.sampled_from(SOURCES), max_size=2).map(tuple),
    )
    return st.lists(selector, min_size=1, max_size=3).map(tuple)


def several(values):
    return st.none() | st.lists(values, min_size=1, max_size=2).map(tuple)


@st.composite
def field_selectors(draw, name):
    whole = st.sampled_from(VALUES[name])
    begin = whole.map(lambda text: text[: max(1, len(text) // 2)])
    end = whole.map(lambda text: text[len(text) // 2 :])
    return FieldSelector(
        name,
        draw(several(whole)),
        draw(several(begin)),
        draw(several(end)),
        draw(several(whole)),
        draw(several(begin)),
        draw(several(end)),
    )


@st.composite
def advanced(draw):
    def one():
        category = draw(st.sampled_from(["Management", "Data", "NetworkActivity"]))
        names = draw(st.lists(st.sampled_from(sorted(VALUES)), unique=True, max_size=3))
        fields = [draw(field_selectors(name)) for name in names]
        return AdvancedSelector((FieldSelector("eventCategory", (category,)), *fields))

    return tuple(one() for _ in range(draw(st.integers(1, 3))))


def agree(record, basic, many):
    data = json.dumps(record).encode()
    taken = oracle.selects(record, basic, many)
    assert compile_selectors(basic, many)(decode(data)) is taken
    assert taken or oracle.category(record) not in whole_categories(basic, many)


@given(records(), basics())
def test_basic_selectors_select_what_the_oracle_says(record, basic):
    agree(record, basic, None)


@given(records(), advanced())
def test_advanced_selectors_select_what_the_oracle_says(record, many):
    agree(record, None, many)


def with_field(name, value):
    """Return a record in which one field of those that selectors ask for is ``value``."""
    resource = name.partition(".")[2]
    field = {
        "readOnly": {"readOnly": value == "true"},
        "userIdentity.arn": {"userIdentity": {"arn": value}},
        "resources.type": {"resources": [{resource: value}]},
        "resources.ARN": {"resources": [{"type": TYPES[0], resource: value}]},
    }
    return {"eventCategory": "Data", **field.get(name, {name: value})}


@pytest.mark.parametrize("name", sorted(VALUES))
@pytest.mark.parametrize("begins", ["", "not_"])
def test_every_field_by_every_operator(name, begins):
    """Each alone: what chance puts together rarely depends on one of them."""
    there = [with_field(name, value) for value in VALUES[name]]
    for value in VALUES[name]:
        for operator, asked in (
            ("equals", value),
            ("starts_with", value[: len(value) // 2]),
            ("ends_with", value[len(value) // 2 :]),
        ):
            field = FieldSelector(name, **{begins + operator: (asked,)})
            many = (AdvancedSelector((FieldSelector("eventCategory", ("Data",)), field)),)
            for record in (*there, {"eventCategory": "Data"}):
                agree(record, None, many)
            matches = selected(None, many, **with_field(name, value))
            assert matches is not bool(begins)


@pytest.mark.skipif(
    not FILES, reason="no shared records: set OPENTRAIL_SHARED to the folder that has data/"
)
def test_real_records_are_selected_as_the_oracle_says():
    s3 = (DataResource("AWS::S3::Object", ("arn:aws:s3",)),)
    kms = FieldSelector("eventSource", not_equals=("kms.amazonaws.com",))
    selectors = [
        (None, None),
        ((EventSelector("ReadOnly", data_resources=s3),), None),
        ((EventSelector("WriteOnly", exclude_management_event_sources=SOURCES[:1]),), None),
        (None, (AdvancedSelector((category("Management"), kms)),)),
        (None, (AdvancedSelector((category("Data"), of_type("AWS::S3::Object"))),)),
    ]
    fast = [compile_selectors(*each) for each in selectors]
    seen: set[tuple[bool, ...]] = set()
    for file in FILES:
        with gzip.open(file) as stream:
            for line in stream:
                raw, record = json.loads(line), decode(line)
                verdicts = tuple(selects(record) for selects in fast)
                assert verdicts == tuple(oracle.selects(raw, *each) for each in selectors)
                seen.add(verdicts)
    assert len(seen) >= len(selectors)


def category(name):
    return FieldSelector("eventCategory", (name,))


def of_type(name):
    return FieldSelector("resources.type", (name,))


def selected(basic=None, many=None, **record):
    return compile_selectors(basic, many)(decode(json.dumps(record).encode()))


def data_event(kind, arn, **more):
    resource = {"accountId": "111122223333", "type": kind, "ARN": arn}
    return {"eventCategory": "Data", "resources": [resource], **more}


def basic_on(kind, *values, **more):
    return (EventSelector(data_resources=(DataResource(kind, values),), **more),)


@pytest.mark.parametrize(
    ("basic", "many", "whole"),
    [
        (None, None, {"Management"}),
        ((EventSelector("ReadOnly"),), None, set()),
        ((EventSelector(exclude_management_event_sources=SOURCES[:1]),), None, set()),
        (basic_on("AWS::S3::Object", "arn:aws:s3"), None, {"Management"}),
        (None, (AdvancedSelector((category("Data"),)),), {"Data"}),
        (None, (AdvancedSelector((category("Data"), of_type(TYPES[0]))),), set()),
    ],
)
def test_categories_that_are_taken_whole(basic, many, whole):
    assert whole_categories(basic, many) == whole


def test_by_default_management_events_only():
    assert selected(eventCategory="Management", readOnly=True)
    assert selected(eventCategory="Management", eventType="AwsServiceEvent")
    assert selected(eventType="AwsConsoleSignIn")
    assert not selected(**data_event("AWS::S3::Object", OBJECT))
    assert not selected(managementEvent=False)
    assert not selected(eventCategory="Insight")
    assert not selected(eventCategory="NetworkActivity")


@pytest.mark.parametrize(
    ("kind", "value", "arn", "taken"),
    [
        ("AWS::S3::Object", "arn:aws:s3:::data/", OBJECT, True),
        ("AWS::S3::Object", "arn:aws:s3:::data/in/", OBJECT, True),
        ("AWS::S3::Object", "arn:aws:s3:::data/out/", OBJECT, False),
        ("AWS::S3::Object", "arn:aws:s3:::dat/", OBJECT, False),
        ("AWS::S3::Object", "arn:aws:s3", OBJECT, True),
        ("AWS::S3::Object", "arn:aws:s3:::", OBJECT, True),
        ("AWS::Lambda::Function", FUNCTION, FUNCTION, True),
        ("AWS::Lambda::Function", FUNCTION, FUNCTION + "-2", False),
        ("AWS::Lambda::Function", "arn:aws:lambda", FUNCTION, True),
        ("AWS::DynamoDB::Table", TABLE, TABLE, True),
        ("AWS::DynamoDB::Table", TABLE, TABLE + "/stream/2026-01-01T00:00:00.000", True),
        ("AWS::DynamoDB::Table", TABLE, TABLE + "2", False),
        ("AWS::DynamoDB::Table", "arn:aws:dynamodb", TABLE, True),
    ],
)
def test_basic_values(kind, value, arn, taken):
    assert selected(basic_on(kind, value), **data_event(kind, arn)) is taken
    assert not selected(basic_on(kind, value), **data_event("AWS::Other::Type", arn))


def test_an_object_event_also_names_its_bucket():
    event = data_event("AWS::S3::Object", OBJECT)
    event["resources"].insert(0, {"type": "AWS::S3::Bucket", "ARN": "arn:aws:s3:::data"})
    assert selected(basic_on("AWS::S3::Object", "arn:aws:s3:::data/"), **event)
    other = FieldSelector("resources.ARN", not_starts_with=("arn:aws:s3:::data/",))
    excluding = (AdvancedSelector((category("Data"), of_type("AWS::S3::Object"), other)),)
    assert not selected(None, excluding, **event)


def test_a_listing_names_a_prefix():
    event = {
        "eventCategory": "Data",
        "resources": [{"type": "AWS::S3::Object", "ARNPrefix": "arn:aws:s3:::data/"}],
    }
    assert selected(basic_on("AWS::S3::Object", "arn:aws:s3:::data/"), **event)
    assert not selected(basic_on("AWS::S3::Object", "arn:aws:s3:::data/in"), **event)


def test_reads_and_writes():
    reads, writes = (EventSelector("ReadOnly"),), (EventSelector("WriteOnly"),)
    assert selected(reads, readOnly=True)
    assert not selected(reads, readOnly=False)
    assert selected(writes, readOnly=False)
    assert not selected(writes, readOnly=True)
    assert selected(writes), "a record that does not say is not missed by a trail of writes"


def test_feature_store_records_by_an_advanced_selector():
    arn = FieldSelector("resources.ARN", (GROUP,))
    many = (AdvancedSelector((category("Data"), of_type("AWS::SageMaker::FeatureGroup"), arn)),)
    event = data_event("AWS::SageMaker::FeatureGroup", GROUP)
    assert selected(None, many, **event)
    event["resources"][0]["ARN"] = GROUP + "2"
    assert not selected(None, many, **event)
    assert not selected(None, many, eventCategory="Management")


def test_resources_of_unexpected_types_read_as_absent():
    everything = basic_on("AWS::S3::Object", "arn:aws:s3")
    odd = [{"type": "AWS::S3::Object", "ARN": None}]
    assert selected(everything, eventCategory="Data", resources=odd)
    for resources_value in ("text", 5, [1], {"type": "AWS::S3::Object"}, [{"type": 1}]):
        assert not selected(everything, eventCategory="Data", resources=resources_value)


ENDPOINT = "arn:aws:sagemaker:us-east-1:111122223333:endpoint/"


@pytest.mark.parametrize(
    ("operator", "value", "selected"),
    [
        ("equals", f"{ENDPOINT}Score", True),
        ("equals", f"{ENDPOINT}score", True),
        ("equals", f"{ENDPOINT}other", False),
        ("starts_with", f"{ENDPOINT}sc", True),
        ("not_equals", f"{ENDPOINT}score", False),
        ("not_ends_with", "other", True),
    ],
)
def test_capitals_do_not_count_in_arns_of_sagemaker(operator, value, selected):
    kind = "AWS::SageMaker::Endpoint"
    fields = (
        FieldSelector("eventCategory", equals=("Data",)),
        FieldSelector("resources.type", equals=(kind,)),
        FieldSelector("resources.ARN", **{operator: (value,)}),
    )
    selects = compile_selectors(None, [AdvancedSelector(fields)])
    resource = {"accountId": "111122223333", "type": kind, "ARN": f"{ENDPOINT}Score"}
    record = {"eventCategory": "Data", "resources": [resource]}
    assert selects(decode(json.dumps(record).encode())) is selected
