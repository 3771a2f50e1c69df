# SPDX-License-Identifier: Apache-2.0
"""LookupEvents over real calls: what was called is found, at once, by every attribute."""

import json
import statistics
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from support import upstreams
from support.aws_clients import Key, aws
from support.server import OpenTrail, wait_until
from support.upstreams import Upstream

VISIBLE_S_MAX = 1.0
BUSY_S_MAX = 30.0
"""For one event, on a machine that has other work."""
ALICE = Key("ALICEACCESSKEYID", "secret-of-alice")
BOB = Key("BOBACCESSKEYID00", "secret-of-bob")
OTHER = Key("OTHERACCESSKEYID", "secret-of-the-other-account")
CONFIG = f"""
accounts = ["444455556666"]
[access_keys.{ALICE.access_key_id}]
secret_access_key = "{ALICE.secret_access_key}"
user_name = "alice"
policies = ["CloudTrailReadOnlyAccess"]
[access_keys.{BOB.access_key_id}]
secret_access_key = "{BOB.secret_access_key}"
user_name = "bob"
[access_keys.{OTHER.access_key_id}]
secret_access_key = "{OTHER.secret_access_key}"
user_name = "other"
account = "444455556666"
policies = ["CloudTrailReadOnlyAccess"]
"""
MODEL_ARN = "arn:aws:sagemaker:us-east-1:123456789012:model/a"


@pytest.fixture(scope="module")
def upstream():
    with upstreams.upstream() as found:
        yield found


@pytest.fixture(scope="module")
def server(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory):
    """A server with a few calls of several users, accounts and regions in its log."""
    data = tmp_path_factory.mktemp("lookup") / "data"
    with OpenTrail(data, upstream=upstream.url, config=CONFIG) as found:
        calls(found, upstream)
        yield found


def calls(server: OpenTrail, upstream: Upstream) -> None:
    """Make the calls that the tests look for."""
    answers = upstreams.answer(200, json.dumps({"ModelArn": MODEL_ARN}).encode())
    upstream.script = answers
    sagemaker = server.client("sagemaker", ALICE)
    sagemaker.create_model(ModelName="a")
    upstream.script = upstreams.answer()
    sagemaker.list_models()
    sagemaker.describe_model(ModelName="a")
    server.client("personalize", BOB).list_campaigns()
    server.client("devops-guru", BOB, region="eu-west-1").describe_account_health()
    server.client("sagemaker", OTHER).delete_model(ModelName="of-the-other-account")
    runtime = server.client("sagemaker-featurestore-runtime", ALICE)
    runtime.put_record(
        FeatureGroupName="data-event", Record=[{"FeatureName": "f", "ValueAsString": "v"}]
    )


def names(events: list[dict[str, Any]]) -> list[str]:
    """Return the events' names, without the lookups themselves."""
    return [event["EventName"] for event in events if event["EventName"] != "LookupEvents"]


def by(key: str, value: str) -> dict[str, Any]:
    """Return the arguments of a lookup by one attribute."""
    return {"LookupAttributes": [{"AttributeKey": key, "AttributeValue": value}]}


@pytest.mark.parametrize(
    ("key", "value", "found"),
    [
        ("EventName", "CreateModel", ["CreateModel"]),
        ("EventName", "Nope", []),
        ("ReadOnly", "false", ["CreateModel"]),
        ("ReadOnly", "true", ["ListCampaigns", "DescribeModel", "ListModels"]),
        ("Username", "bob", ["ListCampaigns"]),
        ("ResourceType", "AWS::SageMaker::Model", ["DescribeModel", "CreateModel"]),
        ("ResourceName", "a", ["DescribeModel", "CreateModel"]),
        ("ResourceName", MODEL_ARN, ["CreateModel"]),
        ("EventSource", "personalize.amazonaws.com", ["ListCampaigns"]),
        ("AccessKeyId", ALICE.access_key_id, ["DescribeModel", "ListModels", "CreateModel"]),
    ],
)
def test_by_attribute(server: OpenTrail, key: str, value: str, found: list[str]) -> None:
    assert names(server.lookup(**by(key, value))) == found


def test_by_event_id_and_what_is_shown_of_it(server: OpenTrail) -> None:
    record = server.events()[0]
    (event,) = server.lookup(**by("EventId", record["eventID"]))
    assert json.loads(event.pop("CloudTrailEvent")) == record
    when = event.pop("EventTime")
    assert when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") == record["eventTime"]
    resources = event.pop("Resources")
    assert {"ResourceType": "AWS::SageMaker::Model", "ResourceName": "a"} in resources
    assert event == {
        "EventId": record["eventID"],
        "EventName": "CreateModel",
        "ReadOnly": "false",
        "AccessKeyId": ALICE.access_key_id,
        "EventSource": "sagemaker.amazonaws.com",
        "Username": "alice",
    }


def test_newest_first_and_management_events_only(server: OpenTrail) -> None:
    found = server.lookup()
    order = ["ListCampaigns", "DescribeModel", "ListModels", "CreateModel"]
    assert names(found) == order
    times = [event["EventTime"] for event in found]
    assert times == sorted(times, reverse=True)


def test_each_account_and_region_sees_its_own(server: OpenTrail) -> None:
    assert names(server.lookup(region="eu-west-1")) == ["DescribeAccountHealth"]
    assert names(server.lookup(region="ap-south-1")) == []
    others = server.client("cloudtrail", OTHER).lookup_events()["Events"]
    assert names(others) == ["DeleteModel"]


def test_a_global_services_call_is_where_aws_has_it(server: OpenTrail, upstream: Upstream) -> None:
    upstream.script = upstreams.answer(
        200, b"<ListUsersResponse><ListUsersResult/></ListUsersResponse>"
    )
    try:
        server.client("iam", BOB, region="eu-south-1").list_users()
    finally:
        upstream.script = upstreams.answer()
    wait_until(lambda: "ListUsers" in names(server.lookup()))
    assert "ListUsers" not in names(server.lookup(region="eu-south-1"))


def test_who_may_not_look(server: OpenTrail) -> None:
    assert names(server.client("cloudtrail", ALICE).lookup_events()["Events"])
    with pytest.raises(ClientError) as error:
        server.client("cloudtrail", BOB).lookup_events()
    assert error.value.response["Error"]["Code"] == "AccessDeniedException"


def test_by_time(server: OpenTrail) -> None:
    at = datetime.strptime(server.events()[0]["eventTime"] + "+0000", "%Y-%m-%dT%H:%M:%SZ%z")
    second = timedelta(seconds=1)
    model = by("EventName", "CreateModel")
    assert names(server.lookup(StartTime=at, EndTime=at, **model)) == ["CreateModel"]
    assert names(server.lookup(EndTime=at - second, **model)) == []
    assert names(server.lookup(StartTime=at, **model)) == ["CreateModel"]
    assert server.lookup(StartTime=at - 2 * second, EndTime=at - second) == []


def test_pages_stay_put_while_events_arrive(server: OpenTrail) -> None:
    client, sagemaker = server.client("cloudtrail"), server.client("sagemaker", BOB)
    for number in range(7):
        sagemaker.stop_training_job(TrainingJobName=f"before-{number}")
    server.wait_indexed()
    query = by("EventName", "StopTrainingJob") | {"MaxResults": 3}
    found: list[str] = []
    token: dict[str, str] = {}
    while True:
        page = client.lookup_events(**query, **token)
        found += [
            json.loads(event["CloudTrailEvent"])["requestParameters"]["trainingJobName"]
            for event in page["Events"]
        ]
        if "NextToken" not in page:
            break
        sagemaker.stop_training_job(TrainingJobName=f"meanwhile-{len(found)}")
        server.wait_indexed()
        token = {"NextToken": page["NextToken"]}
    assert found == [f"before-{number}" for number in reversed(range(7))]
    with pytest.raises(ClientError) as error:
        client.lookup_events(**by("EventName", "Other"), MaxResults=3, **token)
    assert error.value.response["Error"]["Code"] == "InvalidNextTokenException"


def test_an_event_is_visible_within_a_second(server: OpenTrail) -> None:
    sagemaker, client = server.client("sagemaker", BOB), server.client("cloudtrail")
    took: list[float] = []

    def visible() -> int:
        return len(client.lookup_events(**by("EventName", "StopTransformJob"))["Events"])

    for number in range(10):
        sagemaker.stop_transform_job(TransformJobName=f"timed-{number}")
        answered = time.monotonic()
        while visible() <= number:
            assert time.monotonic() - answered < BUSY_S_MAX
        took.append(time.monotonic() - answered)
    assert statistics.median(took) < VISIBLE_S_MAX


def test_the_aws_cli(server: OpenTrail, tmp_path: Path) -> None:
    done = aws(
        "cloudtrail",
        "lookup-events",
        "--lookup-attributes",
        "AttributeKey=Username,AttributeValue=alice",
        "--query",
        "Events[].EventName",
        endpoint=server.endpoint,
        key=server.admin,
        home=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    found = [name for name in json.loads(done.stdout) if name != "LookupEvents"]
    assert found == ["DescribeModel", "ListModels", "CreateModel"]


def test_lookups_are_recorded_too(server: OpenTrail) -> None:
    server.client("cloudtrail", ALICE).lookup_events(MaxResults=1)
    event = server.events()[-1]
    assert event["eventSource"] == "cloudtrail.amazonaws.com"
    assert event["requestParameters"] == {"maxResults": 1}
    assert (event["readOnly"], event["responseElements"]) == (True, None)
    assert event["userIdentity"]["userName"] == "alice"


def test_all_is_there_after_the_back_process_died(server: OpenTrail) -> None:
    before = names(server.lookup())
    pid = server.back_pid
    server.kill_back()
    wait_until(lambda: server.back_pid != pid and server.health()["back"]["up"])
    assert names(server.lookup()) == before
    assert server.metrics()["opentrail_back_restarts"] == 1


def test_while_the_back_process_starts_its_api_says_503_and_other_calls_pass(
    server: OpenTrail,
) -> None:
    client, sagemaker = server.client("cloudtrail"), server.client("sagemaker", BOB)
    server.kill_back()
    with pytest.raises(ClientError) as error:
        client.lookup_events()
    sagemaker.list_models()
    assert error.value.response["Error"]["Code"] == "ServiceUnavailable"
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
    wait_until(lambda: server.health()["back"]["up"])
    assert client.lookup_events()["Events"]


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_all_is_there_after_a_restart(server: OpenTrail, how: str) -> None:
    before, log = names(server.lookup()), server.health()["log"]["id"]
    if how == "stop":
        assert server.stop() == 0
    else:
        server.kill()
    server.start()
    assert names(server.lookup()) == before
    assert server.health()["log"]["id"] == log
    # A lookup that a dying back process had been sent may well be of unknown outcome.
    assert not any(
        "outcome" in event.get("additionalEventData", {})
        for event in server.events()
        if event["eventSource"] != "cloudtrail.amazonaws.com"
    )
