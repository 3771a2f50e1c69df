# SPDX-License-Identifier: Apache-2.0
"""Credentials and targets of single requests: every way to name them, and to get them wrong."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.aws_requests import scope

from opentrail.aws.model import operation as operation_of
from opentrail.aws.protocol import request_members
from opentrail.aws.request import Credential, RequestHead
from opentrail.aws.route import identify, parse_credential

KEY = "AKIAIOSFODNN7EXAMPLE"
FORM = "application/x-www-form-urlencoded; charset=utf-8"


def head(method="POST", path="/", query="", **headers):
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return RequestHead(method, path, query, names)


def signed(name, method="POST", path="/", query="", body=b"", **headers):
    made = head(method, path, query, authorization=scope(name), **headers)
    return identify(made, parse_credential(made), body)


def test_authorization_header():
    found = parse_credential(
        head(authorization=scope("sagemaker"), x_amz_security_token="session-token-of-a-test")
    )
    assert found == Credential(
        access_key_id=KEY,
        date="20260101",
        region="us-east-1",
        signing_name="sagemaker",
        signed_headers=("host", "x-amz-date"),
        signature="00",
        session_token="session-token-of-a-test",
    )


def test_authorization_header_without_blanks():
    found = parse_credential(head(authorization=scope("sts").replace(", ", ",")))
    assert found is not None
    assert (found.signing_name, found.signature) == ("sts", "00")


def test_presigned_query():
    found = parse_credential(
        head(
            "GET",
            query="X-Amz-Algorithm=AWS4-HMAC-SHA256"
            f"&X-Amz-Credential={KEY}%2F20260101%2Feu-west-1%2Fs3%2Faws4_request"
            "&X-Amz-SignedHeaders=host%3Brange&X-Amz-Security-Token=a%2Fb&X-Amz-Signature=ff",
        )
    )
    assert found == Credential(
        KEY, "20260101", "eu-west-1", "s3", ("host", "range"), "ff", "a/b", presigned=True
    )


def test_sigv4a_takes_its_region_from_a_header():
    found = parse_credential(
        head(
            authorization=f"AWS4-ECDSA-P256-SHA256 Credential={KEY}/20260101/s3/aws4_request,"
            " SignedHeaders=host, Signature=00",
            x_amz_region_set="us-west-2,eu-west-1",
        )
    )
    assert found is not None
    assert (found.region, found.signing_name) == ("us-west-2", "s3")


@pytest.mark.parametrize(
    "request_head",
    [
        head(authorization=f"AWS {KEY}:c2lnbmF0dXJl"),
        head(query=f"AWSAccessKeyId={KEY}&Signature=c2lnbmF0dXJl&Expires=1767225600"),
    ],
)
def test_sigv2_is_s3(request_head):
    found = parse_credential(request_head)
    assert found is not None
    assert (found.access_key_id, found.signing_name, found.region) == (KEY, "s3", "")


@pytest.mark.parametrize(
    "authorization",
    [
        "Bearer abc",
        "AWS4-HMAC-SHA256",
        "AWS4-HMAC-SHA256 Credential=, SignedHeaders=host",
        f"AWS4-HMAC-SHA256 Credential={KEY}/20260101/us-east-1/aws4",
        f"AWS4-HMAC-SHA256 Credential={KEY}/a/20260101/us-east-1/sts/aws4_request",
        "AWS ",
    ],
)
def test_no_credential(authorization):
    assert parse_credential(head(authorization=authorization)) is None


def test_a_credential_without_signature_is_partial():
    found = parse_credential(
        head(authorization=f"AWS4-HMAC-SHA256 Credential={KEY}/d/r/sts/aws4_request")
    )
    assert found is not None
    assert (found.signature, found.signed_headers) == ("", ())


@pytest.mark.parametrize(
    ("method", "path", "service", "operation"),
    [
        ("PUT", "/FeatureGroup/orders", "sagemaker-featurestore-runtime", "PutRecord"),
        ("GET", "/FeatureGroup/orders", "sagemaker-featurestore-runtime", "GetRecord"),
        ("POST", "/endpoints/e/invocations", "sagemaker-runtime", "InvokeEndpoint"),
        ("POST", "/endpoints/e/invocations/", "sagemaker-runtime", "InvokeEndpoint"),
        ("PUT", "/BatchPutMetrics", "sagemaker-metrics", "BatchPutMetrics"),
    ],
)
def test_services_that_share_sagemakers_signing_name(method, path, service, operation):
    found = signed("sagemaker", method, path, content_type="application/json")
    assert (found.service, found.operation, found.known) == (service, operation, True)


def test_event_sources():
    assert signed("sagemaker", "PUT", "/BatchPutMetrics").event_source == (
        "metrics-sagemaker.amazonaws.com"
    )
    assert signed("s3express", "GET", "/b/k").event_source == "s3express.amazonaws.com"
    assert signed("s3express", "GET", "/").operation == "ListDirectoryBuckets"
    assert signed("s3", "GET", "/").operation == "ListBuckets"
    assert signed("mq", "GET", "/v1/brokers").event_source == "amazonmq.amazonaws.com"
    assert signed("rds-data", "POST", "/Execute").event_source == "rdsdataapi.amazonaws.com"
    assert signed("devops-guru", "POST", "/insights/search").event_source == (
        "devops-guru.amazonaws.com"
    )


@pytest.mark.parametrize("name", ["execute-api", "aws-marketplace"])
def test_an_unknown_operation_is_no_one_services_of_those_that_share_a_name(name):
    found = signed(name, "GET", "/pets")
    assert (found.event_source, found.known) == (f"{name}.amazonaws.com", False)


@pytest.mark.parametrize(
    "prefix", ["CloudTrail_20131101", "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101"]
)
def test_both_target_forms_of_cloudtrail(prefix):
    found = signed("cloudtrail", x_amz_target=f"{prefix}.LookupEvents")
    assert (found.service, found.operation, found.known) == ("cloudtrail", "LookupEvents", True)


def test_json_version_is_the_clients():
    kind = "application/x-amz-json-1.0"
    found = signed("personalize", x_amz_target="AmazonPersonalize.ListSchemas", content_type=kind)
    assert (found.protocol, found.json_version) == ("json", "1.0")


@pytest.mark.parametrize(
    ("sent", "operation"),
    [
        ("SageMaker.InventFoo", "InventFoo"),
        ("SageMaker.Bad Name", ""),
        ("SageMaker." + "a" * 128, "a" * 128),
        ("SageMaker." + "a" * 129, ""),
        ("SageMaker.", ""),
        ("NoDot", "NoDot"),
        ("AmazonPersonalize.ListSchemas", "ListSchemas"),
    ],
)
def test_unknown_operations_keep_a_plausible_name(sent, operation):
    found = signed("sagemaker", x_amz_target=sent, content_type="application/x-amz-json-1.1")
    assert (found.service, found.event_source) == ("sagemaker", "sagemaker.amazonaws.com")
    assert (found.operation, found.known, found.protocol) == (operation, False, "json")


@pytest.mark.parametrize("name", ["deleteModel", "delete_model", "DELETEMODEL"])
def test_names_that_some_servers_take_all_the_same(name):
    found = signed("sagemaker", x_amz_target=f"SageMaker.{name}")
    assert (found.operation, found.known) == ("DeleteModel", True)
    body = b"Action=delete_user&Version=2010-05-08&UserName=u"
    made = head("POST", content_type="application/x-www-form-urlencoded")
    assert identify(made, None, body).operation == "DeleteUser"


def test_a_header_does_not_rename_a_rest_call():
    path = "/endpoints/e/invocations"
    found = signed("sagemaker", path=path, x_amz_target="SageMaker.ListModels")
    assert (found.service, found.operation) == ("sagemaker-runtime", "InvokeEndpoint")


def test_a_query_hint_does_not_rename_a_rest_call():
    found = signed("s3", "PUT", "/b/k", "x-id=GetObject", x_amz_copy_source="/other/key")
    assert found.operation == "CopyObject"


def test_a_target_at_an_odd_path_still_counts():
    found = signed("sagemaker", path="/proxy/", x_amz_target="SageMaker.ListModels")
    assert (found.operation, found.known) == ("ListModels", True)


@pytest.mark.parametrize("name", ["no-such-service", "a.b-2"])
def test_unknown_signing_name(name):
    found = signed(name, "GET", "/anything")
    assert (found.service, found.event_source) == ("", f"{name}.amazonaws.com")
    assert (found.operation, found.known) == ("", False)


def test_an_unknown_signing_name_with_a_target_that_is_known():
    found = signed("no-such-service", x_amz_target="SageMaker.ListModels")
    assert (found.event_source, found.operation) == ("sagemaker.amazonaws.com", "ListModels")


def test_what_is_signed_is_not_looked_for_among_unsigned_operations():
    assert signed("no-such-service", path="/token").operation == ""


@pytest.mark.parametrize("name", ["", "UPPER", "a b", "..", "-x", "x" * 65, "a\nb", "é"])
def test_a_signing_name_that_is_no_host_label_makes_no_event_source(name):
    assert signed(name, "GET", "/anything").event_source == ""


def test_a_signing_name_of_the_greatest_length():
    assert signed("x" * 64, "GET", "/").event_source == "x" * 64 + ".amazonaws.com"


def test_query_protocol_by_body_and_by_query_string():
    body = b"Action=AssumeRole&Version=2011-06-15&RoleArn=arn"
    found = signed("sts", body=body, content_type=FORM)
    assert (found.service, found.operation, found.protocol) == ("sts", "AssumeRole", "query")
    found = signed("sts", "GET", "/", "Version=2011-06-15&Action=GetCallerIdentity")
    assert (found.operation, found.known) == ("GetCallerIdentity", True)


def test_an_action_hidden_by_percent_encoding():
    found = signed("sts", body=b"Act%69on=Assume%52ole", content_type=FORM)
    assert (found.operation, found.known) == ("AssumeRole", True)


def test_an_action_in_the_query_string_of_a_form():
    found = signed("sts", query="Action=GetCallerIdentity", body=b"A=1", content_type=FORM)
    assert (found.operation, found.known) == ("GetCallerIdentity", True)


@pytest.mark.parametrize("kind", [FORM.title(), FORM.upper(), FORM + "; charset=utf-8"])
def test_a_forms_content_type_in_any_case(kind):
    found = signed("iam", query="Action=ListUsers", body=b"Action=DeleteUser", content_type=kind)
    assert found.operation == "DeleteUser"


def test_an_unknown_action():
    found = signed("iam", body=b"Action=MakeTea&Version=2010-05-08", content_type=FORM)
    assert (found.service, found.operation, found.known) == ("iam", "MakeTea", False)


def test_old_clients_speak_query_to_what_is_json_now():
    found = signed("sqs", body=b"Action=SendMessage&Version=2012-11-05", content_type=FORM)
    assert (found.service, found.operation, found.protocol) == ("sqs", "SendMessage", "query")


def test_a_form_to_s3_is_no_action():
    found = signed("s3", path="/b", body=b"Action=AssumeRole", content_type=FORM)
    assert found.operation != "AssumeRole"


def test_smithy_rpc_path():
    found = signed(
        "monitoring",
        path="/service/GraniteServiceVersion20100801/operation/PutMetricData",
        smithy_protocol="rpc-v2-cbor",
    )
    assert (found.service, found.operation) == ("cloudwatch", "PutMetricData")
    assert found.protocol == "smithy-rpc-v2-cbor"


def test_a_smithy_rpc_path_wins_over_a_target_header_and_only_where_it_is_spoken():
    path = "/service/GraniteServiceVersion20100801/operation/PutMetricData"
    headers = {"smithy_protocol": "rpc-v2-cbor", "x_amz_target": "SageMaker.ListModels"}
    assert signed("monitoring", path=path, **headers).operation == "PutMetricData"
    assert signed("sagemaker", path=path, **headers).operation == "ListModels"


@pytest.mark.parametrize(
    ("made", "body", "service", "operation"),
    [
        (
            head(content_type=FORM),
            b"Action=AssumeRoleWithWebIdentity&Version=2011-06-15",
            "sts",
            "AssumeRoleWithWebIdentity",
        ),
        (
            head(x_amz_target="AWSCognitoIdentityProviderService.InitiateAuth"),
            b"{}",
            "cognito-idp",
            "InitiateAuth",
        ),
        (head(path="/token", content_type="application/json"), b"{}", "sso-oidc", "CreateToken"),
        (head("GET", "/b/k", host="s3.us-east-1.amazonaws.com"), b"", "s3", "GetObject"),
        (head("GET", "/b/k", host="b.s3.us-east-1.amazonaws.com"), b"", "s3", "GetObject"),
    ],
)
def test_unsigned_calls(made, body, service, operation):
    found = identify(made, None, body)
    assert (found.service, found.operation, found.known) == (service, operation, True)


@pytest.mark.parametrize(
    ("method", "path", "query", "headers", "operation"),
    [
        ("GET", "/b/k", "", {"x_amz_checksum_mode": "ENABLED"}, "GetObject"),
        ("PUT", "/b/k", "", {"x_amz_sdk_checksum_algorithm": "CRC32"}, "PutObject"),
        ("PUT", "/b", "policy", {"x_amz_expected_bucket_owner": "1"}, "PutBucketPolicy"),
        ("GET", "/b", "list-type=2&prefix=p", {}, "ListObjectsV2"),
    ],
)
def test_unsigned_calls_of_s3s_clients(method, path, query, headers, operation):
    found = identify(head(method, path, query, host="localhost", **headers), None, b"")
    assert (found.event_source, found.operation) == ("s3.amazonaws.com", operation)


def test_unsigned_and_unknown():
    found = identify(head("GET", "/favicon.ico", host="localhost"), None, b"")
    assert (found.service, found.event_source, found.operation) == ("", "", "")
    assert not found.known


@pytest.mark.parametrize(
    ("method", "path", "query", "headers", "operation"),
    [
        ("GET", "/", "", {}, "ListBuckets"),
        ("PUT", "/b", "", {}, "CreateBucket"),
        ("GET", "/b", "", {}, "ListObjects"),
        ("GET", "/b/", "list-type=2", {}, "ListObjectsV2"),
        ("GET", "/b/folder/", "", {}, "GetObject"),
        ("GET", "/b//double//slash", "", {}, "GetObject"),
        ("GET", "/b/k", "acl", {}, "GetObjectAcl"),
        ("PUT", "/b/k", "", {}, "PutObject"),
        ("PUT", "/b/k", "partNumber=1&uploadId=u", {}, "UploadPart"),
        ("PUT", "/b/k", "partNumber=1&uploadId=u", {"x_amz_copy_source": "/o/k"}, "UploadPartCopy"),
        ("POST", "/b/k", "uploads", {}, "CreateMultipartUpload"),
        ("DELETE", "/b/k", "uploadId=u", {}, "AbortMultipartUpload"),
    ],
)
def test_s3_by_what_the_request_carries(method, path, query, headers, operation):
    assert signed("s3", method, path, query, **headers).operation == operation


def test_a_call_that_lacks_what_it_requires_is_still_named():
    found = signed("sagemaker", "DELETE", "/FeatureGroup/orders")
    assert (found.operation, found.known) == ("DeleteRecord", True)


texts = st.text(st.characters(max_codepoint=255), max_size=60)
pieces = st.sampled_from(
    ["/", "//", "%", "%2F", "?", "&", "=", "Action=", "X-Amz-Credential=", "a", ".", "SageMaker."]
)
odd = st.one_of(texts, st.lists(pieces, max_size=12).map("".join))


@given(
    method=st.sampled_from(["GET", "PUT", "POST", "DELETE", "HEAD", "PATCH", "\x00"]),
    path=odd,
    query=odd,
    headers=st.dictionaries(
        st.sampled_from(
            ["authorization", "host", "x-amz-target", "content-type", "smithy-protocol"]
        ),
        odd | st.sampled_from([scope("s3"), scope("sagemaker"), scope("sts"), FORM, "rpc-v2-cbor"]),
    ),
    body=st.binary(max_size=60),
)
def test_nothing_makes_it_raise(method, path, query, headers, body):
    made = RequestHead(method, path, query, headers)
    found = identify(made, parse_credential(made), body)
    assert found.operation.isalnum() or not found.operation


@pytest.mark.parametrize(
    "path",
    [
        "//endpoints/e/invocations",
        "/x/../endpoints/e/invocations",
        "/x/%2E%2e/endpoints/./e//invocations",
        "/endpoints%2Fe%2finvocations",
    ],
)
def test_a_path_that_servers_read_as_another_names_that_ones_operation(path):
    scope = "Credential=AKIA/20260101/us-east-1/{}/aws4_request, SignedHeaders=host, Signature=0"
    for name, operation in (("sagemaker", "InvokeEndpoint"), ("s3", "PostObject")):
        headers = {"authorization": f"AWS4-HMAC-SHA256 {scope.format(name)}"}
        head = RequestHead("POST", path, "", headers)
        found = identify(head, parse_credential(head), b"")
        assert (found.operation == operation) == (name == "sagemaker")
        model = operation_of(found)
        if name == "sagemaker":
            assert model is not None
            assert request_members(model, head, b"") == {"EndpointName": "e"}
