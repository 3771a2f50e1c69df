# SPDX-License-Identifier: Apache-2.0
"""boto3 against the sandbox in its own process: Personalize and DevOps Guru."""

import json
import zlib
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from support.aws_clients import Key, client
from support.sandbox_calls import code_of, inputs, invoke

from opentrail.sandbox.process import start_sandbox
from opentrail.sandbox.shapes import operation_names


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with start_sandbox() as running:
        yield running.url


@pytest.fixture
def key(request: pytest.FixtureRequest) -> Key:
    """An account of its own for each test: nothing that another made is there."""
    return Key(f"{zlib.crc32(request.node.nodeid.encode()):012d}", "secret-of-no-value")


def make_campaign(made: Any) -> dict[str, str]:
    group = made.create_dataset_group(name="group")["datasetGroupArn"]
    schema = made.create_schema(name="schema", schema=json.dumps({"type": "record"}))["schemaArn"]
    dataset = made.create_dataset(
        name="data", schemaArn=schema, datasetGroupArn=group, datasetType="Items"
    )["datasetArn"]
    solution = made.create_solution(name="solution", datasetGroupArn=group)["solutionArn"]
    version = made.create_solution_version(solutionArn=solution)["solutionVersionArn"]
    campaign = made.create_campaign(name="campaign", solutionVersionArn=version)["campaignArn"]
    tracker = made.create_event_tracker(name="tracker", datasetGroupArn=group)
    return {
        "dataset": dataset,
        "solution": solution,
        "version": version,
        "campaign": campaign,
        "trackingId": tracker["trackingId"],
    }


def test_personalize(url: str, key: Key):
    made = client("personalize", url, key)
    arns = make_campaign(made)
    assert arns["dataset"].endswith(":dataset/group/ITEMS")
    assert arns["version"].startswith(arns["solution"] + "/")
    assert len(made.list_campaigns(solutionArn=arns["solution"])["campaigns"]) == 1
    assert made.list_campaigns(solutionArn=arns["solution"] + "x")["campaigns"] == []
    shown = made.describe_solution_version(solutionVersionArn=arns["version"])["solutionVersion"]
    assert shown["status"] == "CREATE PENDING"
    assert shown["datasetGroupArn"].endswith(":dataset-group/group")
    made.stop_solution_version_creation(solutionVersionArn=arns["version"])
    assert code_of(made.stop_solution_version_creation, solutionVersionArn=arns["version"]) == (
        "ResourceInUseException"
    )
    assert made.get_solution_metrics(solutionVersionArn=arns["version"])["metrics"]
    recipe = made.list_recipes()["recipes"][0]["recipeArn"]
    assert made.describe_recipe(recipeArn=recipe)["recipe"]["status"] == "ACTIVE"

    made.tag_resource(resourceArn=arns["campaign"], tags=[{"tagKey": "k", "tagValue": "v"}])
    listed = made.list_tags_for_resource(resourceArn=arns["campaign"])["tags"]
    assert listed == [{"tagKey": "k", "tagValue": "v"}]
    made.untag_resource(resourceArn=arns["campaign"], tagKeys=["k"])
    assert made.list_tags_for_resource(resourceArn=arns["campaign"])["tags"] == []


def test_personalize_errors(url: str, key: Key):
    made = client("personalize", url, key)
    loose = client("personalize", url, key, validate=False)
    group = made.create_dataset_group(name="group")["datasetGroupArn"]
    taken = "ResourceAlreadyExistsException"
    assert code_of(made.create_dataset_group, name="group") == taken
    missing = "ResourceNotFoundException"
    assert code_of(made.describe_dataset_group, datasetGroupArn=group + "x") == missing
    assert code_of(made.create_solution, name="s", datasetGroupArn=group + "x") == missing
    assert code_of(made.describe_campaign, campaignArn=group) == missing
    assert code_of(made.describe_recipe, recipeArn="arn:aws:personalize:::recipe/none") == missing
    assert code_of(loose.create_dataset_group) == "InvalidInputException"
    schema = made.create_schema(name="schema", schema="{}")["schemaArn"]
    odd = {"schemaArn": schema, "datasetGroupArn": group, "datasetType": "Odd"}
    assert code_of(made.create_dataset, name="d", **odd) == "InvalidInputException"


def test_personalize_events_and_recommendations(url: str, key: Key):
    made = client("personalize", url, key)
    arns = make_campaign(made)
    events = client("personalize-events", url, key)
    seen = [{"eventType": "click", "itemId": "item-1", "sentAt": 1_700_000_000}]
    tracking_id = arns["trackingId"]
    events.put_events(trackingId=tracking_id, userId="u", sessionId="s", eventList=seen)
    unknown = {"trackingId": "none", "sessionId": "s", "eventList": seen}
    assert code_of(events.put_events, **unknown) == "InvalidInputException"
    events.put_items(datasetArn=arns["dataset"], items=[{"itemId": "item-1"}])
    odd = {"datasetArn": arns["campaign"], "users": [{"userId": "u"}]}
    assert code_of(events.put_users, **odd) == "ResourceNotFoundException"

    runtime = client("personalize-runtime", url, key)
    asked = {"campaignArn": arns["campaign"], "userId": "u"}
    answer = runtime.get_recommendations(**asked, numResults=3)
    scores = [item["score"] for item in answer["itemList"]]
    assert len(scores) == 3
    assert scores == sorted(scores, reverse=True)
    assert len(runtime.get_recommendations(**asked)["itemList"]) == 25
    assert len(runtime.get_action_recommendations(**asked, numResults=500)["actionList"]) == 500
    too_many = asked | {"numResults": 501}
    assert code_of(runtime.get_recommendations, **too_many) == "InvalidInputException"
    ranked = runtime.get_personalized_ranking(**asked, inputList=["a", "b", "c"])
    assert {item["itemId"] for item in ranked["personalizedRanking"]} == {"a", "b", "c"}
    none = asked | {"campaignArn": arns["campaign"] + "x"}
    assert code_of(runtime.get_recommendations, **none) == "ResourceNotFoundException"
    assert code_of(runtime.get_recommendations, userId="u") == "InvalidInputException"


def test_devops_guru_keeps_settings(url: str, key: Key):
    made = client("devops-guru", url, key)
    config = {"Sns": {"TopicArn": "arn:aws:sns:us-east-1:222233334444:topic"}}
    identifier = made.add_notification_channel(Config=config)["Id"]
    assert code_of(made.add_notification_channel, Config=config) == "ConflictException"
    assert made.list_notification_channels()["Channels"] == [{"Id": identifier, "Config": config}]
    made.remove_notification_channel(Id=identifier)
    gone = "ResourceNotFoundException"
    assert code_of(made.remove_notification_channel, Id=identifier) == gone

    def change(action: str, *names: str) -> None:
        stacks = {"CloudFormation": {"StackNames": list(names)}}
        made.update_resource_collection(Action=action, ResourceCollection=stacks)

    change("ADD", "one", "two")
    change("ADD", "two", "three")
    change("REMOVE", "one")
    shown = made.get_resource_collection(ResourceCollectionType="AWS_CLOUD_FORMATION")
    assert shown["ResourceCollection"]["CloudFormation"]["StackNames"] == ["two", "three"]
    integration = {"OpsCenter": {"OptInStatus": "ENABLED"}}
    made.update_service_integration(ServiceIntegration=integration)
    assert made.describe_service_integration()["ServiceIntegration"] == integration
    sources = {"AmazonCodeGuruProfiler": {"Status": "ENABLED"}}
    made.update_event_sources_config(EventSources=sources)
    assert made.describe_event_sources_config()["EventSources"] == sources
    assert code_of(made.get_cost_estimation) == gone
    made.start_cost_estimation(ResourceCollection={"CloudFormation": {"StackNames": ["one"]}})
    assert made.get_cost_estimation()["Status"] == "COMPLETED"


ABOUT_AN_INSIGHT = {
    "DeleteInsight",
    "DescribeAnomaly",
    "DescribeFeedback",
    "DescribeInsight",
    "GetCostEstimation",
    "ListAnomaliesForInsight",
    "ListAnomalousLogGroups",
    "ListRecommendations",
    "RemoveNotificationChannel",
}
"""Operations of DevOps Guru that ask for something, or for an estimation, that is not there."""


@pytest.mark.parametrize("operation", operation_names("devops-guru"))
def test_devops_guru_answers_every_operation(url: str, key: Key, operation: str):
    made = client("devops-guru", url, key)
    given = {"StatusFilter": {"Ongoing": {"Type": "REACTIVE"}}}
    members = inputs(made, operation, **given)
    if operation in ABOUT_AN_INSIGHT:
        with pytest.raises(ClientError, match="ResourceNotFoundException"):
            invoke(made, operation, members)
        return
    shape = made.meta.service_model.operation_model(operation).output_shape
    assert set(shape.required_members) <= set(invoke(made, operation, members))


def test_feedback_on_no_insight(url: str, key: Key):
    made = client("devops-guru", url, key)
    feedback = {"Id": "insight", "Feedback": "VALID_COLLECTION"}
    assert code_of(made.put_feedback, InsightFeedback=feedback) == "ResourceNotFoundException"
