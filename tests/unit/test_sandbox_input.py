# SPDX-License-Identifier: Apache-2.0
"""The sandbox's bounds, its accounts and regions, and input that is not as it should be."""

import random
from typing import Any

import botocore.session
import msgspec
import pytest
from botocore.model import ListShape, MapShape, Shape, StringShape, StructureShape
from hypothesis import given, settings
from hypothesis import strategies as st
from support.sandbox_calls import KEY_ID, PREFIXES, Bench, Refused, json_head

from opentrail.aws.request import RequestHead
from opentrail.errors import ClientError
from opentrail.sandbox import app, featurestore, state
from opentrail.sandbox.catalog import operations
from opentrail.sandbox.state import FeatureRecord, Scope

JSON_OPERATIONS = [pair for pair in operations() if pair[0] in PREFIXES]
MAKING = [pair for pair in JSON_OPERATIONS if pair[1].startswith("Create")]
MODELS = {service: botocore.session.Session().get_service_model(service) for service in PREFIXES}
TEXTS = ["a", "A", "", "arn:aws:sagemaker:us-west-2:111122223333:model/a", "x" * 70, "\r\n", "1"]
PLAIN: dict[str, list[Any]] = {
    "boolean": [True, False],
    "integer": [0, 1, 2, 10, -5, 10**12],
    "long": [0, 1, 10**12],
    "float": [0.5, "NaN", 1],
    "double": [0.5, "NaN", 1],
    "timestamp": [0, 1.7e9, "2020-01-01"],
    "blob": ["eA=="],
}


def anything(shape: Shape, source: random.Random, texts: list[str], depth: int = 0) -> Any:
    """Return a value that mostly fits ``shape``."""
    if source.random() < 0.02:
        return source.choice([None, 1, "x", [], {}, True, 1.5])
    if isinstance(shape, StructureShape):
        share = 0.5 if depth < 3 else 0.05
        return {
            name: anything(member, source, texts, depth + 1)
            for name, member in shape.members.items()
            if name in shape.required_members or source.random() < share
        }
    if isinstance(shape, ListShape | MapShape):
        inner = shape.member if isinstance(shape, ListShape) else shape.value
        items = [anything(inner, source, texts, depth + 1)] * source.choice([0, 1, 1, 2])
        return items if isinstance(shape, ListShape) else dict(zip(TEXTS, items, strict=False))
    if isinstance(shape, StringShape):
        return source.choice(shape.enum if shape.enum and source.random() < 0.9 else texts)
    return source.choice(PLAIN[shape.type_name])


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32))
def test_no_input_breaks_it(seed: int):
    source = random.Random(seed)
    bench = Bench()
    texts = list(TEXTS)
    for _ in range(60):
        service, operation = source.choice(source.choice([JSON_OPERATIONS, MAKING]))
        shape = MODELS[service].operation_model(operation).input_shape
        assert shape is not None
        members = anything(shape, source, texts)
        bench.clock.ms += source.choice([0, 10, 100, 1_000])
        body = msgspec.json.encode(members)
        answer = bench.sandbox.answer(json_head(KEY_ID, "us-west-2", service, operation), body)
        assert answer.status in (200, 400)
        parsed = msgspec.json.decode(answer.body or b"{}")
        texts += [item for name, item in parsed.items() if name.endswith("Arn")]


@pytest.mark.parametrize(
    ("members", "fault"),
    [
        ({}, "Value null at 'modelName'"),
        ({"ModelName": None}, "Value null at 'modelName'"),
        ({"ModelName": "m", "Tags": [{"Key": "k"}]}, "Value null at 'tags.1.member.value'"),
    ],
)
def test_input_is_checked(members: dict[str, object], fault: str):
    with pytest.raises(Refused, match=fault) as refused:
        Bench().call("sagemaker", "CreateModel", **members)
    assert (refused.value.status, refused.value.code) == (400, "ValidationException")


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff", b"1" * 100])
def test_malformed_bodies(body: bytes):
    head = json_head(KEY_ID, "us-west-2", "sagemaker", "CreateModel")
    answer = Bench().sandbox.answer(head, body)
    assert answer.status == 400
    assert msgspec.json.decode(answer.body)["__type"] == "SerializationException"


@given(st.binary(max_size=200), st.sampled_from(["CreateModel", "ListTags", "Nonsense"]))
def test_no_body_breaks_it(body: bytes, operation: str):
    head = json_head(KEY_ID, "us-west-2", "sagemaker", operation)
    assert Bench().sandbox.answer(head, body).status in (200, 400, 501)


def test_a_body_may_be_as_long_as_the_bound():
    bench = Bench()
    head = json_head(KEY_ID, "us-west-2", "sagemaker", "ListModels")
    body = b"{}".ljust(app.BODY_BYTES_MAX)
    assert bench.sandbox.answer(head, body).status == 200
    assert bench.sandbox.answer(head, body + b" ").status == 413


def test_accounts_and_regions_do_not_see_each_other():
    bench = Bench()
    bench.call("sagemaker", "CreateModel", ModelName="m")
    for key, region in (("444455556666", "us-west-2"), (KEY_ID, "eu-west-1")):
        assert bench.call_as(key, region, "sagemaker", "ListModels")["Models"] == []


@pytest.mark.parametrize(
    ("key", "region", "arn"),
    [
        ("000000000001", "eu-west-1", "arn:aws:sagemaker:eu-west-1:000000000001:model/m"),
        ("AKIAIOSFODNN7EXAMPLE", "eu-west-1", "arn:aws:sagemaker:eu-west-1:123456789012:model/m"),
        ("short", "../x", "arn:aws:sagemaker:us-east-1:123456789012:model/m"),
        ("short", "x" * 33, "arn:aws:sagemaker:us-east-1:123456789012:model/m"),
        ("short", "x" * 32, f"arn:aws:sagemaker:{'x' * 32}:123456789012:model/m"),
    ],
)
def test_account_and_region_of_an_arn(key: str, region: str, arn: str):
    made = Bench().call_as(key, region, "sagemaker", "CreateModel", ModelName="m")
    # A region with a slash breaks the scope: there is no credential then.
    assert made["ModelArn"] == arn


def test_scopes_resources_and_tags_are_bounded():
    everything = state.State()
    for number in range(state.SCOPES_MAX):
        everything.scope(f"{number:012d}", "us-east-1")
    everything.scope("000000000000", "us-east-1")
    with pytest.raises(ClientError, match=str(state.SCOPES_MAX)):
        everything.scope("999999999999", "us-east-1")
    scope = Scope("1", "r")
    scope.room_for(state.RESOURCES_MAX, "Full")
    with pytest.raises(ClientError, match="Full"):
        scope.room_for(state.RESOURCES_MAX + 1, "Full")
    scope.tag("arn", {str(number): "" for number in range(state.TAGS_MAX)}, "Full")
    with pytest.raises(ClientError, match="Full"):
        scope.tag("arn", {"one more": ""}, "Full")


def put_record(bench: Bench, identifier: str) -> int:
    head = json_head(KEY_ID, "us-west-2", "sagemaker", "")
    headers = {"authorization": head.headers["authorization"]}
    record = [
        {"FeatureName": "id", "ValueAsString": identifier},
        {"FeatureName": "at", "ValueAsString": "1"},
    ]
    body = msgspec.json.encode({"Record": record})
    return bench.sandbox.answer(RequestHead("PUT", "/FeatureGroup/g", "", headers), body).status


def test_records_are_bounded():
    bench = Bench()
    defined = [{"FeatureName": name, "FeatureType": "String"} for name in ("id", "at")]
    named = {"RecordIdentifierFeatureName": "id", "EventTimeFeatureName": "at"}
    bench.call(
        "sagemaker", "CreateFeatureGroup", FeatureGroupName="g", FeatureDefinitions=defined, **named
    )
    scope = bench.sandbox.state.scope(KEY_ID, "us-west-2")
    scope.records_count = state.RECORDS_MAX - 1
    assert put_record(bench, "last") == 200
    assert put_record(bench, "one more") == 503
    assert put_record(bench, "last") == 200


def test_records_are_forgotten_with_their_group():
    scope = Scope("1", "r")
    group = scope.add("FeatureGroup", "arn", {}, 0)
    scope.records["arn"] = {str(n): FeatureRecord("1", ()) for n in range(3)}
    scope.records_count = 3
    scope.remove(group.arn)
    assert (scope.records_count, scope.records) == (0, {})


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("1", "2"),
        ("9.5", "10"),
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z"),
    ],
)
def test_event_times_are_ordered(older: str, newer: str):
    assert featurestore._moment(older) < featurestore._moment(newer)


def test_a_line_break_in_a_variants_name_makes_no_header():
    bench = Bench()
    variants = [{"VariantName": "v\r\nx-evil: 1"}]
    config = {"EndpointConfigName": "c", "ProductionVariants": variants}
    bench.call("sagemaker", "CreateEndpointConfig", **config)
    bench.call("sagemaker", "CreateEndpoint", EndpointName="e", EndpointConfigName="c")
    bench.clock.ms += 100
    head = json_head(KEY_ID, "us-west-2", "sagemaker", "")
    headers = {"authorization": head.headers["authorization"]}
    asked = RequestHead("POST", "/endpoints/e/invocations", "", headers)
    answer = bench.sandbox.answer(asked, b"{}")
    assert (answer.status, answer.body) == (200, b"{}")
    assert not any(b"\n" in value for _, value in answer.headers)


def test_get_without_credentials_says_what_it_is():
    answer = Bench().sandbox.answer(RequestHead("GET", "/", "", {}), b"")
    assert (answer.status, answer.body) == (200, app.WHAT_IT_IS)
