# SPDX-License-Identifier: Apache-2.0
"""An error message that quotes a secret of its request does not bring it into the record."""

import gzip
import json
from typing import Any
from urllib.parse import quote, quote_plus, unquote, urlsplit

import pytest
from botocore.config import Config
from botocore.session import Session
from support import aws_requests
from support.calls import Made, body, called

from opentrail.aws.fault import MESSAGE_CHARS_MAX
from opentrail.aws.request import RequestHead
from opentrail.capture.echoed import SECRET_CHARS_MIN, SECRETS_MAX
from opentrail.event.record import HIDDEN

SECRET = "hunter2-and-more"
CASES: list[tuple[str, str, dict[str, Any]]] = [
    ("rds", "CreateDBInstance", {"DBInstanceIdentifier": "d", "MasterUserPassword": SECRET}),
    ("docdb", "CreateDBCluster", {"DBClusterIdentifier": "d", "MasterUserPassword": SECRET}),
    ("ssm", "PutParameter", {"Name": "n", "Value": SECRET}),
    ("secretsmanager", "CreateSecret", {"Name": "n", "SecretString": SECRET}),
    ("iam", "CreateLoginProfile", {"UserName": "u", "Password": SECRET}),
    (
        "lambda",
        "UpdateFunctionConfiguration",
        {"FunctionName": "f", "Environment": {"Variables": {"KEY": SECRET}}},
    ),
    ("s3", "GetObject", {"Bucket": "b", "Key": "k", "SSECustomerKey": SECRET}),
    ("ec2", "RunInstances", {"MinCount": 1, "MaxCount": 1, "UserData": SECRET}),
    (
        "personalize",
        "CreateFilter",
        {"name": "n", "datasetGroupArn": "arn:a", "filterExpression": SECRET},
    ),
    (
        "sagemaker-featurestore-runtime",
        "PutRecord",
        {"FeatureGroupName": "g", "Record": [{"FeatureName": "f", "ValueAsString": SECRET}]},
    ),
]


def failed(message: str) -> dict[str, Any]:
    said = json.dumps({"message": message}).encode()
    headers = {"x-amzn-errortype": "ValidationException"}
    return {"status": 400, "response": body(said), "response_headers": headers}


@pytest.mark.parametrize(("service", "operation", "params"), CASES)
def test_what_a_message_quotes_is_hidden(service, operation, params):
    record = called(service, operation, params, **failed(f"Value '{SECRET}' is not valid"))
    assert record["errorCode"] == "ValidationException" or service == "ec2"
    assert record["errorMessage"] == f"Value '{HIDDEN}' is not valid"
    assert SECRET not in json.dumps(record)


ODD = "pa\"ss\\w0rd'&\u00e9 +"
"""A secret that is spelt otherwise in JSON, in Python and in a form."""


@pytest.mark.parametrize(
    "spell",
    [json.dumps, lambda text: json.dumps(text, ensure_ascii=False), repr, quote, quote_plus],
)
def test_a_secret_is_hidden_however_the_message_spells_it(spell):
    record = called("secretsmanager", "CreateSecret", {"SecretString": ODD}, **failed(spell(ODD)))
    assert record["errorMessage"].strip("\"'") == HIDDEN


WORDS = b" ".join(b"word-%d" % number for number in range(2 * SECRETS_MAX))


@pytest.mark.parametrize(
    "sent",
    [b'{"Name": "n", "SecretString": "%b",', b"%b" + b" " * 300_000, WORDS + b" %b"],
    ids=["cut", "long", "behind many words"],
)
def test_of_a_body_that_cannot_be_read_nothing_is_quoted(sent):
    made = Made("secretsmanager", "CreateSecret", sent % SECRET.encode(), protocol="json")
    made.more = failed(f"Unrecognized token '{SECRET}': expected a value")
    assert made.record()["errorMessage"] == f"Unrecognized token '{HIDDEN}': expected a value"


@pytest.mark.parametrize(
    ("protocol", "service", "operation", "params"),
    [
        ("query", *CASES[0]),
        ("json", *CASES[2]),
        ("rest-xml", *CASES[6]),
        (
            "smithy-rpc-v2-cbor",
            "ds",
            "CreateDirectory",
            {"Name": "n", "Password": SECRET, "Size": "Small"},
        ),
    ],
)
def test_in_every_protocol_and_in_gzip(protocol, service, operation, params):
    of = aws_requests.service_model(service).operation_model(operation)
    head, data = aws_requests.request(of, params, protocol)
    zipped = RequestHead(
        head.method, head.path, head.query, {**head.headers, "content-encoding": "gzip"}
    )
    more = failed(f"not {SECRET}") | {"head": zipped, "request": body(gzip.compress(data))}
    made = Made(service, operation, protocol=protocol, more=more)
    assert made.record()["errorMessage"] == f"not {HIDDEN}"


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ({"x-amz-security-token": SECRET}, ""),
        (
            {
                "authorization": f"AWS4-HMAC-SHA256 Credential=A/B/C/D/aws4_request, Signature={SECRET}"
            },
            "",
        ),
        ({"authorization": f"Bearer {SECRET}"}, ""),
        ({"authorization": f"AWS AKIA:{SECRET}"}, ""),
        ({}, f"X-Amz-Credential=a&X-Amz-Signature={SECRET}"),
        ({}, f"X-Amz-Security-Token={SECRET}"),
        ({}, f"X-Amz-Security-Token={SECRET.replace('-', '%2D')}"),
        ({}, f"AWSAccessKeyId=AKIA&Signature={SECRET}&Expires=1"),
    ],
)
def test_what_proves_who_calls_is_hidden(headers, query):
    made = Made("s3", "ListBuckets", method="GET", query=query, headers=headers)
    made.more = failed(f"no such page: /?{query or SECRET} ({SECRET})")
    text = json.dumps(made.record())
    assert SECRET not in text
    assert SECRET.replace("-", "%2D") not in text


def test_a_secret_that_a_long_message_cuts_off_is_hidden():
    for kept in (SECRET_CHARS_MIN, 10, len(SECRET)):
        start = "x" * (MESSAGE_CHARS_MAX - kept)
        record = called(*CASES[0], **failed(start + SECRET + "and so on"))
        assert record["errorMessage"].startswith(start[:1000])
        assert SECRET[:SECRET_CHARS_MIN] not in record["errorMessage"]


def test_what_is_no_secret_stays():
    params = {"DBInstanceIdentifier": "the-name", "MasterUserPassword": "xyz"}
    message = "the-name: MasterUserPassword is too short (xyz)"
    record = called("rds", "CreateDBInstance", params, **failed(message))
    assert record["errorMessage"] == message
    record = called(
        "sagemaker-runtime", "InvokeEndpoint", {"EndpointName": "e-name"}, **failed("no e-name")
    )
    assert record["errorMessage"] == "no e-name"


def presigned(version: str = "s3v4") -> str:
    session = Session()
    session.set_credentials("AKIAQAAAAAAAAAAAAAAA", "not-a-secret", "the+session/token==")
    config = Config(signature_version=version)
    s3: Any = session.create_client("s3", region_name="eu-west-1", config=config)
    url: str = s3.generate_presigned_url("get_object", {"Bucket": "b", "Key": "template.json"})
    return url


def proofs(url: str) -> list[str]:
    """Return what in a presigned URL lets in whoever has it, in every form that it may take."""
    fields = dict(pair.split("=", 1) for pair in urlsplit(url).query.split("&"))
    names = ("X-Amz-Signature", "X-Amz-Security-Token", "Signature", "x-amz-security-token")
    found = [fields[name] for name in names if name in fields]
    assert len(found) == 2
    return [form for text in found for form in (text, unquote(text), quote(text, safe=""))]


@pytest.mark.parametrize("version", ["s3v4", "s3"])
@pytest.mark.parametrize(
    "wrap", ["{}", "https://x.example/?u={}&next=1", "see {} and \\ {}", "<{}>"]
)
def test_a_presigned_url_in_any_member_lets_nobody_in(version, wrap):
    url = presigned(version)
    inner = quote(url, safe="") if "?u=" in wrap else url
    text = wrap.format(inner, inner)
    params = {"StackName": "s", "TemplateURL": text, "Tags": [{"Key": text, "Value": text}]}
    record = called("cloudformation", "CreateStack", params, user_agent=text)
    data = json.dumps(record, ensure_ascii=False)
    assert [proof for proof in proofs(url) if proof in data] == []
    assert "template.json" in record["requestParameters"]["templateURL"]
    assert HIDDEN in record["requestParameters"]["tags"][0]["value"]
    assert ("next=1" in data) is ("next=1" in text)


def test_what_only_looks_like_a_signature_stays():
    params = {"StackName": "s", "TemplateURL": "https://x.example/?signature=1&token=2"}
    record = called("cloudformation", "CreateStack", params)
    assert record["requestParameters"]["templateURL"] == params["TemplateURL"]
