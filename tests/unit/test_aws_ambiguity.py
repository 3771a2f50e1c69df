# SPDX-License-Identifier: Apache-2.0
"""What servers read differently is refused, and nothing that a client sends is."""

import random

import pytest
from support.aws_requests import load_model, operations, request, sample, scope, service_names

from opentrail.aws.ambiguity import ambiguous
from opentrail.aws.model import operation as model_of
from opentrail.aws.protocol import request_members
from opentrail.aws.request import RequestHead, Target
from opentrail.aws.rest import QUERY_FIELDS_MAX
from opentrail.aws.route import identify, parse_credential

FORM = {"content-type": "application/x-www-form-urlencoded"}


def target_of(head: RequestHead, body: bytes = b"") -> Target:
    return identify(head, parse_credential(head), body)


def members_of(service: str, name: str, head: RequestHead, body: bytes) -> dict[str, object] | None:
    model = model_of(Target(service, "", name, ""))
    assert model is not None
    return request_members(model, head, body)


@pytest.mark.parametrize(
    ("query", "body"),
    [
        ("", b"%41ction=DeleteUser&Action=ListUsers&Version=2010-05-08"),
        ("", b"Action=ListUsers&Version=2010-05-08&Action=DeleteUser"),
        ("", b"Action=ListUsers&Version=2010-05-08&Act%69%6Fn"),
        ("Action=DeleteUser", b"Action=ListUsers&Version=2010-05-08"),
    ],
)
def test_a_form_that_names_two_actions_is_ambiguous(query, body):
    head = RequestHead("POST", "/", query, FORM | {"authorization": scope("iam")})
    target = identify(head, parse_credential(head), body)
    error = ambiguous(head, target, body)
    assert error is not None
    assert error.code == "MalformedQueryString"


@pytest.mark.parametrize(
    ("query", "body"),
    [
        ("", b"Action=ListUsers&Version=2010-05-08"),
        ("Action=ListUsers&Version=2010-05-08", b""),
        ("", b"Action=X&Rule.1.Action=allow&a=Action%3D&b=Action=&Actions=1"),
    ],
)
def test_a_form_that_names_one_is_not(query, body):
    head = RequestHead("POST", "/", query, FORM | {"authorization": scope("iam")})
    target = identify(head, parse_credential(head), body)
    assert target.protocol == "query"
    assert ambiguous(head, target, body) is None


@pytest.mark.parametrize(
    ("signed", "method", "path", "query"),
    [
        ("s3", "PUT", "/b", "acl&policy"),
        ("s3", "PUT", "/b", "%70olicy&acl"),
        ("s3", "PUT", "/b/k", "tagging&uploadId=u&partNumber=1"),
        ("s3", "DELETE", "/b/k", "tagging&uploadId=u"),
        ("s3", "GET", "/b", "list-type=2&versions"),
        ("s3", "GET", "/b", "list-type=1&list-type=2"),
        ("cloudfront", "POST", "/2020-05-31/tagging", "Operation=Tag&Operation=Untag&Resource=a"),
        ("s3", "PUT", "/b", "&" * QUERY_FIELDS_MAX + "policy"),
        ("sagemaker", "DELETE", "/FeatureGroup/g", "a&" * QUERY_FIELDS_MAX + "EventTime=t"),
    ],
)
def test_a_query_string_that_names_two_operations_or_hides_one_is_ambiguous(
    signed, method, path, query
):
    head = RequestHead(method, path, query, {"authorization": scope(signed)})
    error = ambiguous(head, target_of(head), b"")
    assert error is not None
    assert error.code == "InvalidRequest"


LIST = {"x-amz-target": "SageMaker.ListModels", "content-type": "application/x-amz-json-1.1"}
DELETE = {"x-amz-target": "SageMaker.DeleteModel"}


@pytest.mark.parametrize(
    ("signed", "path", "query", "headers", "body"),
    [
        ("sagemaker", "/", "Action=DeleteModel", LIST, b"{}"),
        ("sagemaker", "/", "%41ction=DeleteModel", LIST, b"{}"),
        ("sagemaker", "/", "", LIST | FORM, b"Action=DeleteModel"),
        ("sagemaker", "/endpoints/e/invocations", "", DELETE, b""),
        ("sagemaker", "/endpoints/e/invocations", "a&Action=DeleteModel", {}, b""),
        ("devops-guru", "/insights", "", FORM, b"Action=DeleteInsight"),
        ("cloudtrail-data", "/", "", {"x-amz-target": "CloudTrail_20131101.ListTrails"}, b"{}"),
    ],
)
def test_a_call_that_names_an_operation_in_two_places_is_ambiguous(
    signed, path, query, headers, body
):
    head = RequestHead("POST", path, query, {**headers, "authorization": scope(signed)})
    target = target_of(head, body)
    error = ambiguous(head, target, body)
    assert error is not None
    assert error.code == "InvalidRequest"
    named = target.operation or "what its path says"
    assert error.message == f"Besides {named} the call names another operation."


def test_texts_and_links_to_objects_may_have_any_words():
    head = RequestHead("POST", "/", "", LIST | {"authorization": scope("sagemaker")})
    body = b'{"NameContains":"&Action=DeleteModel&"}'
    assert ambiguous(head, target_of(head, body), body) is None
    head = RequestHead("GET", "/b/k", "Action=get&a", {"authorization": scope("s3")})
    assert ambiguous(head, target_of(head), b"") is None


@pytest.mark.parametrize(
    ("method", "path", "query"),
    [
        ("PUT", "/b", "acl"),
        ("PUT", "/b", "&" * (QUERY_FIELDS_MAX - 1) + "policy"),
        ("GET", "/b", "list-type=2&prefix=acl&prefix=policy"),
        ("GET", "/b", "analytics&id=1&x-id=GetBucketAnalyticsConfiguration"),
        ("GET", "/b/k", "acl&versionId=v&uploadid=u"),
        ("PUT", "/b/k", "uploadId=u&partNumber=1"),
    ],
)
def test_a_query_string_that_names_one_is_not(method, path, query):
    head = RequestHead(method, path, query, {"authorization": scope("s3")})
    assert ambiguous(head, target_of(head), b"") is None


def test_no_call_that_a_client_sends_is_ambiguous():
    rng = random.Random(3)
    names = [name for name in service_names() if name == "s3" or rng.random() < 0.1]
    for name in names:
        model = load_model(name)
        for operation in operations(model):
            params = sample(operation.input_shape, rng, full=True)
            protocol = str(model.resolved_protocol)
            signed = scope(model.signing_name)
            head, body = request(operation, params, protocol, authorization=signed)
            assert ambiguous(head, target_of(head, body), body) is None, operation.name


def test_a_parameter_that_stands_twice_hides_neither_value():
    query = (
        "RecordIdentifierValueAsString=a&EventTime=t&RecordIdentifierValueAsString=b&EventTime=t"
    )
    head = RequestHead("DELETE", "/FeatureGroup/g", query, {})
    found = members_of("sagemaker-featurestore-runtime", "DeleteRecord", head, b"")
    assert found == {
        "FeatureGroupName": "g",
        "RecordIdentifierValueAsString": "a,b",
        "EventTime": "t",
    }


@pytest.mark.parametrize(
    ("query", "kind", "body", "members"),
    [
        ("RoleArn=r", "application/x-www-form-urlencoded", b"ExternalId=e", {"RoleArn": "r"}),
        (
            "RoleArn=r&ExternalId=q",
            "application/X-WWW-form-urlencoded",
            b"RoleArn=b",
            {"RoleArn": "b"},
        ),
        ("RoleArn=r&ExternalId=q", "text/plain", b"RoleArn=b&ExternalId=e", {"RoleArn": "r"}),
        ("RoleArn=r&ExternalId=q", "text/plain", b"\xff\x00", {"RoleArn": "r"}),
    ],
)
def test_parameters_hide_neither_in_body_nor_in_query(query, kind, body, members):
    head = RequestHead("POST", "/", query, {"content-type": kind})
    found = members_of("sts", "AssumeRole", head, body)
    external = "q" if "ExternalId" in query else "e"
    assert found == members | {"ExternalId": external}


@pytest.mark.parametrize("prefix", ["x.", "sagemaker.", "DynamoDB_20120810."])
def test_a_prefix_that_some_servers_do_not_look_at_hides_nothing(prefix):
    def named(signed: str, operation: str, path: str = "/", **headers: str) -> Target:
        sent = {"authorization": scope(signed), "x-amz-target": prefix + operation, **headers}
        return target_of(RequestHead("POST", path, "", sent))

    found = named("sagemaker", "CreateModel")
    assert (found.service, found.operation, found.known) == ("sagemaker", "CreateModel", True)
    rpc = {"smithy-protocol": "rpc-v2-cbor"}
    found = named("monitoring", "", "/service/Other/operation/PutMetricData", **rpc)
    assert (found.service, found.operation, found.known) == ("cloudwatch", "PutMetricData", True)
    assert named("aws-marketplace", "No").event_source == "aws-marketplace.amazonaws.com"
    # REST services have no such header: nothing is read as one of theirs.
    assert not named("sagemaker", "InvokeEndpoint").known
