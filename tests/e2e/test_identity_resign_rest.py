# SPDX-License-Identifier: Apache-2.0
"""REST-JSON calls that are signed anew reach an upstream under another host that checks each one."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError
from support.aws_clients import Key
from support.checking_upstream import checking_upstream
from support.server import OpenTrail

ADA = Key("AKIAQAAAAAAAAAAAAAAA", "not-a-real-secret/used-only-by-tests+0000")
EVE = Key("AKIAQAAAAAAAAAAAAAAC", "not-a-real-secret/used-only-by-tests+0002")
THERE = Key("AKIATHERETHERETHERE1", "not-a-real-secret/used-only-by-tests+0003")
ARN = "arn:aws:lambda:us-east-1:123456789012:function:a-b"
METRIC = {
    "MetricName": "m",
    "ResourceArn": "arn:a",
    "MetricStat": "Min",
    "Period": "OneMinute",
    "XAxisType": "Timestamp",
}
CALLS: list[tuple[str, str, dict[str, Any]]] = [
    ("lambda", "get_function", {"FunctionName": ARN}),
    ("lambda", "list_tags", {"Resource": ARN}),
    ("lambda", "invoke", {"FunctionName": "f", "Payload": b'{"a": "\xc3\xa9"}'}),
    ("lambda", "untag_resource", {"Resource": ARN, "TagKeys": ["a b", "c&d=e", "é+~*"]}),
    ("iot", "describe_thing", {"thingName": "a:b_c-1"}),
    ("apigateway", "get_resource", {"restApiId": "a b", "resourceId": "é/~+", "embed": ["m"]}),
    ("apigateway", "tag_resource", {"resourceArn": "arn:aws:x", "tags": {"a": "b c"}}),
    ("devops-guru", "search_insights", {"StartTimeRange": {}, "Type": "REACTIVE"}),
    ("devops-guru", "describe_insight", {"Id": "id-1", "AccountId": "123456789012"}),
    ("personalize-runtime", "get_recommendations", {"campaignArn": "arn:aws:x", "userId": "é"}),
    (
        "sagemaker-featurestore-runtime",
        "put_record",
        {"FeatureGroupName": "g", "Record": [{"FeatureName": "a", "ValueAsString": "1"}]},
    ),
    (
        "sagemaker-featurestore-runtime",
        "get_record",
        {
            "FeatureGroupName": "g",
            "RecordIdentifierValueAsString": "a b/é+%",
            "FeatureNames": ["x y", "z"],
        },
    ),
    ("sagemaker-runtime", "invoke_endpoint", {"EndpointName": "e", "Body": b"\x00\xff" * 1000}),
    ("sagemaker-metrics", "batch_get_metrics", {"MetricQueries": [METRIC]}),
    ("bedrock-runtime", "invoke_model", {"modelId": "a.model-v2:1", "body": b"{}"}),
]


@pytest.fixture(scope="module")
def upstream():
    with checking_upstream({THERE.access_key_id: THERE.secret_access_key}) as running:
        yield running


@pytest.fixture(scope="module")
def server(tmp_path_factory, upstream):
    folder = tmp_path_factory.mktemp("resign-rest")
    (folder / ".aws").mkdir()
    text = ""
    for name, secret in (("there", THERE.secret_access_key), ("wrong", "wrong")):
        text += f"[{name}]\naws_access_key_id={THERE.access_key_id}\n"
        text += f"aws_secret_access_key={secret}\n"
    (folder / ".aws" / "credentials").write_text(text)
    config = f"""
[forward]
mode = "resign"
[upstream.default]
url = "{upstream.url}"
credentials_profile = "there"
[upstream.default.principals]
"arn:aws:iam::123456789012:user/eve" = "wrong"
"""
    for name, key in (("ada", ADA), ("eve", EVE)):
        config += f'[access_keys.{key.access_key_id}]\nuser_name = "{name}"\n'
        config += f'secret_access_key = "{key.secret_access_key}"\n'
    with OpenTrail(folder / "data", config=config) as running:
        yield running


def test_every_call_holds_there_and_is_recorded_as_its_callers(server, upstream):
    clients = {service: server.client(service, ADA) for service, _, _ in CALLS}
    for service, operation, arguments in CALLS:
        getattr(clients[service], operation)(**arguments)
    assert len(upstream.answered) == len(CALLS)
    events = server.events()
    assert not [event for event in events if "errorCode" in event]
    assert {event["userIdentity"]["userName"] for event in events} == {"ada"}
    text = json.dumps(events) + server.errors()
    assert THERE.access_key_id not in text
    assert THERE.secret_access_key not in text


def test_the_upstream_does_check(server, upstream):
    before = len(upstream.answered)
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        server.client("lambda", EVE).get_function(FunctionName=ARN)
    assert len(upstream.answered) == before
    assert server.events()[-1]["errorCode"] == "SignatureDoesNotMatch"
