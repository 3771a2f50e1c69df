# SPDX-License-Identifier: Apache-2.0
"""What botocore serialises comes back as members; what botocore parses, we parse alike."""

import json
import random
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from botocore.awsrequest import HeadersDict
from botocore.model import OperationModel, StructureShape
from botocore.parsers import create_parser
from hypothesis import given, settings
from hypothesis import strategies as st
from support.aws_answers import answer
from support.aws_members import differences, implied, unsaid
from support.aws_requests import load_model, operations, request, sample, scope, service_names

from opentrail.aws.jsonbody import DEPTH_MAX
from opentrail.aws.model import operation as model_of
from opentrail.aws.protocol import parse_identity, request_members, response_members
from opentrail.aws.request import RequestHead, Target

FAMILIES = tuple(
    name for name in service_names() if name.startswith(("sagemaker", "personalize", "devops-guru"))
)
OTHERS = (
    ("cloudfront", "rest-xml"),
    ("cloudwatch", "json"),
    ("cloudwatch", "query"),
    ("cloudwatch", "smithy-rpc-v2-cbor"),
    ("ec2", "ec2"),
    ("iam", "query"),
    ("kms", "json"),
    ("lambda", "rest-json"),
    ("rds", "query"),
    ("route53", "rest-xml"),
    ("s3", "rest-xml"),
    ("s3control", "rest-xml"),
    ("sqs", "json"),
    ("sts", "query"),
)
"""Services of every protocol, beside the families: those with the oddest models."""


AMBIGUOUS = {"GetBucketNotification", "PutBucketNotification"}
"""Deprecated: two members of one structure have the same name on the wire."""
SILENT = {"query", "ec2", "rest-xml"}
"""Protocols that have no way to say an empty list."""


def family_operations() -> Iterator[tuple[str, OperationModel]]:
    for service in FAMILIES:
        for operation in operations(load_model(service)):
            yield service, operation


OPERATIONS = list(family_operations())


def modelled(service: str, name: str, protocol: str):
    found = model_of(Target(service, "", name, protocol))
    assert found is not None
    return found


def lost(
    service: str,
    operation: OperationModel,
    rng: random.Random,
    *,
    full: bool = True,
    protocol: str = "",
) -> list[str]:
    """Serialise a sample call with botocore and list what does not come back."""
    protocol = protocol or operation.service_model.resolved_protocol
    sent = sample(operation.input_shape, rng, full=full)
    head, body = request(operation, sent, protocol, authorization=scope("any"))
    got: Any = request_members(modelled(service, operation.name, protocol), head, body)
    if protocol in SILENT:
        sent, got = unsaid(sent), unsaid(got)
    return differences(operation.input_shape, sent, implied(operation.input_shape, sent, got))


@pytest.mark.parametrize("full", [False, True])
def test_every_operation_of_the_families(full):
    for service, operation in OPERATIONS:
        assert not lost(service, operation, random.Random(7), full=full), operation.name


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(OPERATIONS), st.integers(0, 2**32))
def test_random_calls_of_the_families(picked, seed):
    service, operation = picked
    assert not lost(service, operation, random.Random(seed), full=True)


@pytest.mark.parametrize(("service", "protocol"), OTHERS)
def test_every_operation_of_services_of_every_protocol(service, protocol):
    for operation in operations(load_model(service)):
        if operation.name not in AMBIGUOUS:
            found = lost(service, operation, random.Random(7), protocol=protocol)
            assert not found, operation.name


def test_every_answer_of_the_families_as_botocore_parses_it():
    for service, operation in OPERATIONS:
        read_alike(service, operation, operation.service_model.resolved_protocol)


@pytest.mark.parametrize(("service", "protocol"), OTHERS)
def test_every_answer_of_services_of_every_protocol(service, protocol):
    for operation in operations(load_model(service)):
        if operation.name not in AMBIGUOUS:
            read_alike(service, operation, protocol)


def is_blob(shape: StructureShape, name: str) -> bool:
    return bool(shape.members[name].type_name == "blob")


def read_alike(service: str, operation: OperationModel, protocol: str) -> None:
    """Check that we read from an answer what was put into it, and botocore the same members."""
    shape = operation.output_shape
    if not isinstance(shape, StructureShape) or operation.has_event_stream_output:
        return
    sent: Any = sample(shape, random.Random(3), full=True)
    status, headers, body = answer(operation, sent, protocol)
    got: Any = response_members(modelled(service, operation.name, protocol), status, headers, body)
    parsed = create_parser(protocol).parse(
        {"status_code": status, "headers": HeadersDict(headers), "body": body}, shape
    )
    blobs = [n for n in parsed if shape.serialization.get("payload") == n and is_blob(shape, n)]
    if protocol in SILENT:
        sent, got, parsed = unsaid(sent), unsaid(got), unsaid(parsed)
    assert not differences(shape, sent, got), operation.name
    assert list(got or {}) == [n for n in shape.members if n in parsed and n not in blobs], (
        operation.name
    )


HEAD = RequestHead("POST", "/", "", {"content-type": "application/x-amz-json-1.1"})
CREATE_MODEL = modelled("sagemaker", "CreateModel", "json")
PUT_METRICS = modelled("sagemaker-metrics", "BatchPutMetrics", "rest-json")
SEARCH = modelled("devops-guru", "SearchInsights", "rest-json")


def test_json_values_keep_their_text():
    text = b'{"TrialComponentName":"t","MetricData":[{"MetricName":"m","Value":%s,"Timestamp":%s}]}'
    for value, when in (
        (b"70.0", b"1688560107.857"),
        (b"1.10", b"1.6885601E9"),
        (b"-0.0", b"123456789012345678901234567890"),
    ):
        body = text % (value, when)
        head = RequestHead("PUT", "/BatchPutMetrics", "", {})
        found = request_members(PUT_METRICS, head, body)
        assert found is not None
        metric = found["MetricData"]
        assert b'"Value":' + value in msgspec.json.encode(metric)
        assert b'"Timestamp":' + when in msgspec.json.encode(metric)


def test_a_number_past_all_doubles_is_unset():
    body = b'{"TrialComponentName":"t","MetricData":[{"MetricName":"m","Value":1e999}]}'
    found = request_members(PUT_METRICS, RequestHead("PUT", "/BatchPutMetrics", "", {}), body)
    assert found == {"TrialComponentName": "t", "MetricData": [{"MetricName": "m"}]}


def test_unknown_members_and_nulls_are_dropped_and_order_is_the_models():
    body = b"""{"Tags":[],"Invented":1,"ModelName":"m","ExecutionRoleArn":null,
                "PrimaryContainer":{"Mode":"SingleModel","Also":{},"Image":"",
                                    "Environment":{"b":"1","a":"2"}}}"""
    found = request_members(CREATE_MODEL, HEAD, body)
    assert json.dumps(found) == json.dumps(
        {
            "ModelName": "m",
            "PrimaryContainer": {
                "Image": "",
                "Mode": "SingleModel",
                "Environment": {"b": "1", "a": "2"},
            },
            "Tags": [],
        }
    )


def test_containers_of_the_wrong_kind_are_dropped_and_scalars_kept():
    body = b'{"ModelName":{"a":1},"PrimaryContainer":"secret","Containers":{},"Tags":"x",'
    assert request_members(CREATE_MODEL, HEAD, body + b'"ExecutionRoleArn":5}') == {
        "ExecutionRoleArn": 5
    }


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b'{"ModelName":"m"',
        b"[]",
        b'"text"',
        b"null",
        b"{'a':1}",
        b"[" * 100_000,
        b'{"a":' * 5_000,
    ],
)
def test_what_is_no_json_object_has_no_members(body):
    assert request_members(CREATE_MODEL, HEAD, body) is None
    search = RequestHead("POST", "/insights/search", "", {})
    assert request_members(SEARCH, search, body) is None


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (b'{"ModelName":"m","zz":NaN}', "m"),
        (b'{"ModelName":"m","zz":-Infinity}', "m"),
        (b'{"ModelName":"a\\ud800b"}', "a\ufffdb"),
        (b'{"ModelName":"\\ud83d\\ude00","zz":"\\ud800"}', "\U0001f600"),
        (b'{"ModelName":"a\xffb"}', "a\ufffdb"),
        (b'{"ModelName":"a\nb"}', "a\nb"),
        (b'\xef\xbb\xbf{"ModelName":"m"}', "m"),
        ('{"ModelName":"ü"}'.encode("utf-16"), "ü"),
        ('{"ModelName":"ü"}'.encode("utf-32-le"), "ü"),
        (b'{"ModelName":"m"} {"ModelName":"other"}', "m"),
        (b'{"ModelName":"m","zz":' + b"9" * 5_000 + b"}", "m"),
    ],
)
def test_nobody_hides_members_behind_what_json_forbids_and_parsers_take(body, name):
    assert request_members(CREATE_MODEL, HEAD, body) == {"ModelName": name}


def test_an_empty_body_is_an_empty_object():
    assert request_members(CREATE_MODEL, HEAD, b"") == {}


def test_documents_are_kept_up_to_a_depth():
    create = modelled("bedrock-runtime", "Converse", "rest-json")
    head = RequestHead("POST", "/model/m/converse", "", {})

    def fields(depth):
        nested = "[" * depth + "]" * depth
        body = f'{{"additionalModelRequestFields":{nested}}}'.encode()
        return request_members(create, head, body)

    kept = fields(DEPTH_MAX)
    assert kept is not None
    assert "additionalModelRequestFields" in kept
    assert fields(DEPTH_MAX + 1) == {"modelId": "m"}


def test_labels_are_percent_decoded_and_greedy_ones_keep_slashes():
    get = modelled("s3", "GetObject", "rest-xml")
    head = RequestHead("GET", "/bu%63ket/a%2Fb/c+d/%E2%82%AC", "versionId=1%2B1", {})
    found = request_members(get, head, b"")
    assert found == {"Bucket": "bucket", "Key": "a/b/c+d/€", "VersionId": "1+1"}


def test_a_map_of_query_parameters_has_nothing_of_a_presigned_query():
    get = modelled("apigateway", "GetSdk", "rest-json")
    query = "a=b&X-Amz-Security-Token=t&X-Amz-Signature=s&x-amz-credential=c"
    head = RequestHead("GET", "/restapis/x/stages/y/sdks/java", query, {})
    assert request_members(get, head, b"") == {
        "restApiId": "x",
        "stageName": "y",
        "sdkType": "java",
        "parameters": {"a": "b"},
    }


def test_text_on_the_wire_becomes_json_types():
    found = request_members(
        modelled("sagemaker-featurestore-runtime", "DeleteRecord", "rest-json"),
        RequestHead(
            "DELETE",
            "/FeatureGroup/g",
            "RecordIdentifierValueAsString=7&TargetStores=OnlineStore&TargetStores=OfflineStore",
            {},
        ),
        b"",
    )
    assert found == {
        "FeatureGroupName": "g",
        "RecordIdentifierValueAsString": "7",
        "TargetStores": ["OnlineStore", "OfflineStore"],
    }
    listed = modelled("lambda", "ListFunctions", "rest-json")
    for sent, value in (("5", 5), ("05", "05"), ("five", "five"), ("9" * 19, int("9" * 19))):
        head = RequestHead("GET", "/2015-03-31/functions/", f"MaxItems={sent}", {})
        assert request_members(listed, head, b"") == {"MaxItems": value}


def test_headers_are_utf8_or_latin1():
    sent = {
        "x-amz-copy-source": "/b/ä".encode().decode("latin-1"),
        "x-amz-expected-bucket-owner": "\xff",
    }
    call = modelled("s3", "CopyObject", "rest-xml")
    found = request_members(call, RequestHead("PUT", "/b/k", "", sent), b"")
    assert found is not None
    assert (found["CopySource"], found["ExpectedBucketOwner"]) == ("/b/ä", "ÿ")


def test_bodies_that_are_one_blob_are_left_out():
    invoke = modelled("sagemaker-runtime", "InvokeEndpoint", "rest-json")
    head = RequestHead("POST", "/endpoints/e/invocations", "", {"content-type": "text/csv"})
    assert request_members(invoke, head, b"1,2,3") == {
        "EndpointName": "e",
        "ContentType": "text/csv",
    }


def test_a_form_with_absurd_names():
    call = modelled("sts", "AssumeRole", "query")
    head = RequestHead("POST", "/", "", {"content-type": "application/x-www-form-urlencoded"})
    body = b"Tags.member.1.Key=k&RoleArn=r&" + b"A." * 50_000 + b"B=1&Tags=x&Tags.member.x.Key=y"
    body += b"&Tags.member.%b2.Key=z" % (b"0" * 20)
    found = request_members(call, head, body)
    assert found == {"RoleArn": "r", "Tags": [{"Key": "k"}, {"Key": "z"}]}


def test_error_answers_have_no_members():
    assert response_members(CREATE_MODEL, 299, {}, b'{"ModelArn":"a"}') == {"ModelArn": "a"}
    assert response_members(CREATE_MODEL, 300, {}, b'{"ModelArn":"a"}') is None


ASSUMED = b"""<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <AssumeRoleResult>
    <AssumedRoleUser>
      <AssumedRoleId>AROAEXAMPLEROLE:alice</AssumedRoleId>
      <Arn>arn:aws:sts::123456789012:assumed-role/Analyst/alice</Arn>
    </AssumedRoleUser>
    <Credentials>
      <AccessKeyId>ASIAEXAMPLEKEY</AccessKeyId>
      <SecretAccessKey>made-up</SecretAccessKey>
      <SessionToken>made-up-too</SessionToken>
      <Expiration>2023-07-10T13:27:45Z</Expiration>
    </Credentials>
    <PackedPolicySize>6</PackedPolicySize>
  </AssumeRoleResult>
</AssumeRoleResponse>"""
ASSUME = modelled("sts", "AssumeRole", "query")


def test_sts_answers():
    found = parse_identity(ASSUME, ASSUMED)
    assert found == {
        "Credentials": {
            "AccessKeyId": "ASIAEXAMPLEKEY",
            "SecretAccessKey": "made-up",
            "SessionToken": "made-up-too",
            "Expiration": "2023-07-10T13:27:45Z",
        },
        "AssumedRoleUser": {
            "AssumedRoleId": "AROAEXAMPLEROLE:alice",
            "Arn": "arn:aws:sts::123456789012:assumed-role/Analyst/alice",
        },
        "PackedPolicySize": 6,
    }
    assert response_members(ASSUME, 200, {}, ASSUMED) == found


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<",
        b"<AssumeRoleResponse/>",
        b"<GetCallerIdentityResponse><GetCallerIdentityResult/></GetCallerIdentityResponse>",
        b"<!DOCTYPE a [<!ENTITY b 'c'>]>" + ASSUMED,
        b'<!DOCTYPE a SYSTEM "file:///etc/passwd">' + ASSUMED,
        ASSUMED.replace(b"AROAEXAMPLEROLE", b"&b;"),
        b"<a>" * 100 + b"</a>" * 100,
        ASSUMED + b" " * 256 * 1024,
        b'{"Credentials":{}}',
    ],
)
def test_no_sts_answer(body):
    assert parse_identity(ASSUME, body) is None


def test_only_sts_answers_are_learned_from():
    assert parse_identity(modelled("iam", "CreateAccessKey", "query"), ASSUMED) is None
