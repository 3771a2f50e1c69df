# SPDX-License-Identifier: Apache-2.0
"""AWS's SDK for JavaScript and aiobotocore through OpenTrail: answers, and what LookupEvents says."""

import json
import os
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support import client_installs
from support.server import OpenTrail

HERE = Path(__file__).parent
CALLS_S_MAX = 90


@pytest.fixture(scope="module")
def server(moto_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenTrail]:
    data = tmp_path_factory.mktemp("sdks") / "data"
    settings = '[listen]\ndomain = "aws.example.org"\n'
    with OpenTrail(data, upstream=moto_url, config=settings) as found:
        yield found
        seen, accounted = found.accounted()
        assert seen == accounted
        assert found.failures() == ""


def said(command: list[str], where: Path, **variables: str) -> list[dict[str, Any]]:
    """Run a script of calls and return what it says, line by line."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(where), "AWS_EC2_METADATA_DISABLED": "1"}
    done = subprocess.run(
        command,
        cwd=where,
        env=environment | variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=CALLS_S_MAX,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def looked_up(server: OpenTrail, agent: str) -> Counter[str]:
    """Count the names of the events that LookupEvents has of one client."""
    events = [json.loads(event["CloudTrailEvent"]) for event in server.lookup()]
    return Counter(
        e["eventName"] for e in events if e.get("userAgent", "").lstrip("[").startswith(agent)
    )


JS_ANSWERS = {
    "sts": 200,
    "sns": 200,
    "ec2": "InvalidVpcID.NotFound",
    "dynamodb": 200,
    "sagemaker": 200,
    "sqs": 200,
    "sqs error": "QueueDoesNotExist",
    "lambda": "ResourceNotFoundException",
    "cloudwatch": 200,
    "cloudwatch list": 200,
    "s3 bucket": 200,
    "s3 put": 200,
    "s3 hosted put": 200,
    "s3 hosted head": 200,
    "s3 hosted list": 200,
    "s3 hosted tags": 204,
    "s3 hosted error": "NoSuchKey",
    "s3 streamed": 200,
    "s3 parts": 200,
    "s3 presigned": 200,
    "s3control": "NoSuchPublicAccessBlockConfiguration",
    "cloudtrail": 200,
    "cloudtrail error": "InvalidNextTokenException",
    "contradiction": "InvalidRequest",
    "own prefix": 200,
}
"""What each call of calls.mjs gives: the status, or the name of the error that the SDK throws."""
JS_MANAGEMENT = {
    "GetCallerIdentity": 1,
    "CreateTopic": 2,
    "DescribeVpcs": 1,
    "ListTables": 1,
    "CreateModel": 1,
    "CreateQueue": 1,
    "GetQueueUrl": 1,
    "CreateBucket": 1,
    "PutBucketTagging": 1,
    "GetAccountPublicAccessBlock": 1,
    "LookupEvents": 2,
}


def test_the_javascript_sdk(server: OpenTrail, pytestconfig: pytest.Config) -> None:
    where = client_installs.node(HERE / "js", pytestconfig.cache.mkdir("javascript-sdk"))
    before = len(server.events())
    lines = said(
        ["node", "--no-warnings", "calls.mjs"],
        where,
        OPENTRAIL_PORT=server.endpoint.rpartition(":")[2],
        ADMIN_KEY=server.admin.access_key_id,
        ADMIN_SECRET=server.admin.secret_access_key,
    )
    answers = {line["label"]: line.get("error", line["status"]) for line in lines}
    assert answers == JS_ANSWERS
    by_label = {line["label"]: line.get("answer", {}) for line in lines}
    assert by_label["s3 presigned"]["text"] == "body"
    assert {e["EventName"] for e in by_label["cloudtrail"]["Events"]} == {"CreateTopic"}

    events = server.events()[before:]
    objects = [e for e in events if e["eventName"] in ("PutObject", "HeadObject", "GetObject")]
    assert [(e["eventName"], e["requestParameters"]["key"]) for e in objects] == [
        ("PutObject", "path/\u00fc +"),
        ("PutObject", "host/a b"),
        ("HeadObject", "host/a b"),
        ("GetObject", "absent"),
        ("PutObject", "streamed"),
        ("GetObject", "host/a b"),
    ]
    assert Counter(e["eventName"] for e in events)["PutMetricData"] == 1
    refused = [e for e in events if e.get("errorCode") == "InvalidRequest"]
    assert [(e["eventSource"], e["eventName"]) for e in refused] == [
        ("sns.amazonaws.com", "CreateTopic")
    ]
    found = looked_up(server, "aws-sdk-js")
    # Refused calls are events too.
    assert {name: found[name] for name in JS_MANAGEMENT} == JS_MANAGEMENT | {"CreateTopic": 3}


def test_aiobotocore_with_many_calls_at_once(
    server: OpenTrail, pytestconfig: pytest.Config
) -> None:
    aio = HERE / "aio"
    cache = pytestconfig.cache.mkdir("aiobotocore")
    interpreter = client_installs.python(aio / "requirements.txt", cache)
    before = len(server.events())
    lines = said(
        [str(interpreter), str(aio / "calls.py")], cache, OPENTRAIL_ENDPOINT=server.endpoint
    )
    topics = [f"t{n}" for n in range(20)]
    assert [(line["label"], line["answer"]) for line in lines] == [
        ("topics", topics),
        *[("object", True)] * 3,
        ("ec2 error", "InvalidVpcID.NotFound"),
        ("cloudwatch", 200),
        ("lambda", []),
    ]
    events = server.events()[before:]
    made = [e for e in events if e["eventName"] == "CreateTopic"]
    pairs = [(e["requestParameters"]["name"], e["responseElements"]["topicArn"]) for e in made]
    assert sorted(name for name, _ in pairs) == sorted(topics)
    assert all(arn.endswith(f":{name}") for name, arn in pairs)
    found = looked_up(server, "aiobotocore")
    assert (found["CreateTopic"], found["CreateBucket"], found["DescribeVpcs"]) == (20, 1, 1)


def test_the_plugin_records_calls_of_aiobotocore(
    server: OpenTrail, moto_url: str, pytestconfig: pytest.Config
) -> None:
    """They do not pass through OpenTrail: the plugin sends their records to it."""
    aio = HERE / "aio"
    cache = pytestconfig.cache.mkdir("aiobotocore")
    interpreter = client_installs.python(aio / "requirements.txt", cache)
    before = len(server.events())
    said(
        [str(interpreter), str(aio / "plugin.py")],
        cache,
        PYTHONPATH=str(HERE.parents[1] / "src"),
        UPSTREAM=moto_url,
        OPENTRAIL_SDK_ENDPOINT=server.endpoint,
        AWS_ACCESS_KEY_ID=server.admin.access_key_id,
        AWS_SECRET_ACCESS_KEY=server.admin.secret_access_key,
    )
    sent = [e for e in server.events()[before:] if "additionalEventData" in e]
    events = [e for e in sent if e["additionalEventData"].get("recordedBy")]
    made = [event for event in events if event["eventName"] == "CreateTopic"]
    pairs = [(e["requestParameters"]["name"], e["responseElements"]["topicArn"]) for e in made]
    assert sorted(name for name, _ in pairs) == sorted(f"aio{n}" for n in range(20))
    assert all(arn.endswith(f":{name}") for name, arn in pairs)
    assert {e["userIdentity"]["accessKeyId"] for e in made} == {"AKIAQAAAAAAAAAAAAAAA"}
    assert {e["awsRegion"] for e in events} == {"eu-west-1"}
    errors = {e["eventName"]: e["errorCode"] for e in events if "errorCode" in e}
    assert errors == {
        "DescribeVpcs": "InvalidVpcID.NotFound",
        "DeleteModel": "EndpointConnectionError",
    }
    (lost,) = [event for event in events if event["eventName"] == "DeleteModel"]
    assert len(lost["additionalEventData"]["attempts"]) == 2
    assert "made-up" not in json.dumps(events)
