# SPDX-License-Identifier: Apache-2.0
"""Trails as other software expects them: moto's answers side by side, the AWS CLI's subscriptions.

moto is what many test suites take for CloudTrail: who changes to OpenTrail should not be surprised.
"""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError
from support.aws_clients import Key, aws, client
from support.server import OpenTrail

BUCKET = "parity-logs"
ACCOUNT = "123456789012"
ARN = f"arn:aws:cloudtrail:us-east-1:{ACCOUNT}:trail/"
TRAIL = {"Name": "parity", "S3BucketName": BUCKET}
BASIC = [{"ReadWriteType": "All", "IncludeManagementEvents": True, "DataResources": []}]
OBJECTS = {"Type": "AWS::S3::Object", "Values": ["arn:aws:s3:::data/"]}
ADVANCED = [{"Name": "n", "FieldSelectors": [{"Field": "eventCategory", "Equals": ["Management"]}]}]
TAGS = [{"Key": "k1", "Value": "v1"}, {"Key": "k2", "Value": "v2"}]
DATA = [BASIC[0] | {"DataResources": [OBJECTS]}]

RECURSIVE = "RecursiveLogging: CloudTrail has it since 2026, moto not yet"
AT_ONCE = "moto claims a delivery the moment a trail logs; OpenTrail says what it delivered"
UNKNOWN_ARN = "CloudTrail names the ARN of an unknown trail in all operations but GetTrail"
UNKNOWN_NAME = "CloudTrail skips unknown names; moto ignores trailNameList of one"
DEFAULTS = "CloudTrail fills in defaults and shows the active family of selectors only"
CUSTOM = "the selectors that were put are custom ones; moto's flag stays false"
NO_INSIGHTS = "InsightNotEnabledException is CloudTrail's answer where there are none"
TWICE = "CloudTrail knows no trail that is deleted; moto deletes it again"

Call = tuple[str, dict[str, Any]]


def named(operation: str, name: str = "parity", **members: Any) -> Call:
    return operation, {"Name": name, **members}


def of(operation: str, name: str = "parity", **members: Any) -> Call:
    return operation, {"TrailName": name, **members}


def made(**members: Any) -> Call:
    return "create_trail", TRAIL | members


def tags(operation: str, key: str) -> Call:
    pair = {"Key": key, "Value": f"v{key[1:]}"}
    return operation, {"ResourceId": ARN + "parity", "TagsList": [pair]}


ALL: Call = ("describe_trails", {})
LIST: Call = ("list_trails", {})
LIST_TAGS: Call = ("list_tags", {"ResourceIdList": [ARN + "parity"]})

CALLS: list[tuple[Call, str]] = [
    (LIST, ""),
    (made(S3BucketName="absent-logs"), ""),
    (made(Name="a"), ""),
    (made(Name="a" * 129), ""),
    (made(Name=".abc"), ""),
    (made(Name="abc."), ""),
    (made(Name="a b c"), ""),
    (made(IsMultiRegionTrail=True, IncludeGlobalServiceEvents=False), ""),
    (made(TagsList=TAGS), RECURSIVE),
    (named("get_trail"), RECURSIVE),
    (named("get_trail", "ghost"), ""),
    (named("get_trail", "a"), ""),
    (ALL, RECURSIVE),
    (("describe_trails", {"trailNameList": [ARN + "parity"]}), RECURSIVE),
    (("describe_trails", {"trailNameList": ["ghost"]}), UNKNOWN_NAME),
    (LIST, ""),
    (named("get_trail_status"), ""),
    (named("get_trail_status", "ghost"), ""),
    (named("start_logging"), ""),
    (named("start_logging", ARN + "parity"), ""),
    (named("get_trail_status"), AT_ONCE),
    (named("stop_logging"), ""),
    (named("get_trail_status", ARN + "parity"), AT_ONCE),
    (named("start_logging", "ghost"), UNKNOWN_ARN),
    (named("stop_logging", "ghost"), UNKNOWN_ARN),
    (named("update_trail", S3KeyPrefix="p", IsMultiRegionTrail=True), RECURSIVE),
    (named("update_trail", ARN + "parity", IsMultiRegionTrail=False), RECURSIVE),
    (named("update_trail", "ghost"), UNKNOWN_ARN),
    (of("get_event_selectors"), DEFAULTS),
    (of("put_event_selectors", EventSelectors=BASIC), DEFAULTS),
    (of("put_event_selectors", EventSelectors=DATA), DEFAULTS),
    (of("get_event_selectors"), DEFAULTS),
    (of("put_event_selectors", AdvancedEventSelectors=ADVANCED), ""),
    (of("get_event_selectors", ARN + "parity"), DEFAULTS),
    (named("get_trail"), CUSTOM),
    (of("get_insight_selectors"), NO_INSIGHTS),
    (of("put_insight_selectors", InsightSelectors=[]), ""),
    (LIST_TAGS, ""),
    (tags("add_tags", "k3"), ""),
    (tags("remove_tags", "k1"), ""),
    (LIST_TAGS, ""),
    (named("delete_trail"), ""),
    (named("delete_trail"), TWICE),
    (ALL, ""),
]
"""Calls in their order, and why the answers differ; "": they do not."""


def answer(client_of: Any, call: Call) -> dict[str, Any]:
    name, members = call
    try:
        found: dict[str, Any] = getattr(client_of, name)(**members)
    except ClientError as error:
        return {key: error.response["Error"][key] for key in ("Code", "Message")}
    del found["ResponseMetadata"]
    return found


@pytest.fixture(scope="module")
def server(tmp_path_factory, moto_url):
    data = tmp_path_factory.mktemp("clients") / "data"
    with OpenTrail(data, upstream=moto_url) as running:
        yield running


def test_the_same_calls_get_the_same_answers_but_where_it_is_said(server, moto_url):
    key = Key("AKIATEST", "secret-of-the-test")
    client("s3", moto_url, key).create_bucket(Bucket=BUCKET)
    differ: list[str] = []
    ours, motos = server.client("cloudtrail"), client("cloudtrail", moto_url, key)
    for call, why in CALLS:
        both = answer(ours, call), answer(motos, call)
        if (both[0] != both[1]) is not bool(why):
            differ.append(f"{call}: {why or 'no reason'}: {both}")
    assert differ == []


def test_subscriptions_of_the_aws_cli(server, tmp_path, moto_url):
    policy = json.dumps({"Version": "2012-10-17", "Statement": []})

    def cli(*arguments: str) -> str:
        command = ("cloudtrail", *arguments, "--name", "subscribed")
        done = aws(*command, endpoint=server.endpoint, key=server.admin, home=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    new = ("--s3-new-bucket", "subscribed-logs", "--s3-custom-policy", policy)
    said = cli("create-subscription", *new, "--s3-prefix", "first")
    assert "Logs will be delivered to subscribed-logs:first" in said
    trails = server.client("cloudtrail")
    assert trails.get_trail_status(Name="subscribed")["IsLogging"]
    keys = client("s3", moto_url, Key("AKIATEST", "x")).list_objects_v2(Bucket="subscribed-logs")
    assert [each["Key"] for each in keys["Contents"]] == [f"first/AWSLogs/{ACCOUNT}/CloudTrail/"]

    new = ("--s3-new-bucket", "resubscribed-logs", "--s3-custom-policy", policy)
    said = cli("update-subscription", *new, "--include-global-service-events", "false")
    assert '"S3BucketName": "resubscribed-logs"' in said
    trail = trails.get_trail(Name="subscribed")["Trail"]
    assert (trail["S3BucketName"], trail["S3KeyPrefix"]) == ("resubscribed-logs", "first")
    assert not trail["IncludeGlobalServiceEvents"]
    trails.delete_trail(Name="subscribed")
