# SPDX-License-Identifier: Apache-2.0
"""boto3 against the sandbox in its own process: the four services and their errors."""

import json
import signal
import time
import urllib.request
import zlib
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from support.aws_clients import Key, client
from support.sandbox_calls import code_of, inputs, invoke, tuning_job

from opentrail.sandbox.moto import start_moto
from opentrail.sandbox.process import start_sandbox
from opentrail.sandbox.shapes import operation_names

KEY = Key("222233334444", "secret-of-no-value")
ROLE = "arn:aws:iam::222233334444:role/work"
WAIT_S_MAX = 20.0


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with start_sandbox() as running:
        yield running.url


@pytest.fixture
def key(request: pytest.FixtureRequest) -> Key:
    """An account of its own for each test: nothing that another made is there."""
    return Key(f"{zlib.crc32(request.node.nodeid.encode()):012d}", "secret-of-no-value")


def make_endpoint(made: Any, name: str) -> str:
    made.create_model(ModelName=name, PrimaryContainer={"Image": "image"}, ExecutionRoleArn=ROLE)
    variants = [{"VariantName": "main", "ModelName": name, "InitialInstanceCount": 2}]
    made.create_endpoint_config(EndpointConfigName=name, ProductionVariants=variants)
    answer = made.create_endpoint(EndpointName=name, EndpointConfigName=name)
    return str(answer["EndpointArn"])


def test_endpoint_and_inference(url: str, key: Key):
    made = client("sagemaker", url, key)
    runtime = client("sagemaker-runtime", url, key)
    assert make_endpoint(made, "Echo").endswith(f":{key.access_key_id}:endpoint/echo")
    asked = {"EndpointName": "Echo", "Body": b'{"x": [1, 2.0]}', "ContentType": "application/json"}
    assert code_of(runtime.invoke_endpoint, **asked) == "ValidationError"
    made.get_waiter("endpoint_in_service").wait(
        EndpointName="Echo", WaiterConfig={"Delay": 1, "MaxAttempts": 20}
    )
    answer = runtime.invoke_endpoint(**asked, CustomAttributes="trace=1")
    assert answer["Body"].read() == asked["Body"]
    assert answer["ContentType"] == "application/json"
    assert answer["InvokedProductionVariant"] == "main"
    assert answer["CustomAttributes"] == "trace=1"
    assert code_of(runtime.invoke_endpoint, **asked | {"Body": b"{"}) == "ModelError"
    assert code_of(runtime.invoke_endpoint, EndpointName="none", Body=b"") == "ValidationError"
    described = made.describe_endpoint(EndpointName="Echo")["ProductionVariants"]
    assert described[0]["CurrentInstanceCount"] == 2


@pytest.mark.parametrize("size", [0, 1, 1024, 1025, 10_000])
def test_streamed_inference(url: str, key: Key, size: int):
    made = client("sagemaker", url, key)
    make_endpoint(made, "stream")
    made.get_waiter("endpoint_in_service").wait(
        EndpointName="stream", WaiterConfig={"Delay": 1, "MaxAttempts": 20}
    )
    runtime = client("sagemaker-runtime", url, key)
    answer = runtime.invoke_endpoint_with_response_stream(
        EndpointName="stream", Body=b"\xff" * size, ContentType="application/octet-stream"
    )
    parts = [event["PayloadPart"]["Bytes"] for event in answer["Body"]]
    assert b"".join(parts) == b"\xff" * size
    assert len(parts) == -(-size // 1024)
    assert answer["ContentType"] == "application/octet-stream"


def test_sagemaker_errors(url: str, key: Key):
    made = client("sagemaker", url, key)
    loose = client("sagemaker", url, key, validate=False)
    make_endpoint(made, "one")
    assert code_of(made.create_model, ModelName="One") == "ValidationException"
    assert code_of(loose.create_model) == "ValidationException"
    assert code_of(loose.create_model, ModelName=7) == "ValidationException"
    assert code_of(made.delete_model, ModelName="none") == "ValidationException"
    missing = {"EndpointName": "two", "EndpointConfigName": "none"}
    assert code_of(made.create_endpoint, **missing) == "ValidationException"
    variants = [{"VariantName": "main", "ModelName": "none"}]
    config = {"EndpointConfigName": "two", "ProductionVariants": variants}
    assert code_of(made.create_endpoint_config, **config) == "ValidationException"
    job = {
        "TrainingJobName": "job",
        "RoleArn": ROLE,
        "OutputDataConfig": {"S3OutputPath": "s3://b"},
    }
    made.create_training_job(**job)
    assert code_of(made.create_training_job, **job) == "ResourceInUse"
    assert code_of(made.stop_training_job, TrainingJobName="none") == "ResourceNotFound"


def test_sagemaker_tags(url: str, key: Key):
    made = client("sagemaker", url, key)
    tags = [{"Key": "team", "Value": "red"}]
    arn = made.create_experiment(ExperimentName="e", Tags=tags)["ExperimentArn"]
    made.add_tags(ResourceArn=arn, Tags=[{"Key": "cost", "Value": "1"}])
    made.delete_tags(ResourceArn=arn, TagKeys=["team", "none"])
    assert made.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "cost", "Value": "1"}]
    assert code_of(made.list_tags, ResourceArn=arn + "x") == "ValidationException"


def test_lists_are_paged_for_paginators(url: str, key: Key):
    made = client("sagemaker", url, key)
    names = [f"model-{number:02d}" for number in range(25)]
    for name in names:
        made.create_model(ModelName=name)
    pages = list(made.get_paginator("list_models").paginate(SortBy="Name", SortOrder="Ascending"))
    assert [len(page["Models"]) for page in pages] == [10, 10, 5]
    assert [model["ModelName"] for page in pages for model in page["Models"]] == names


def children_of(made: Any, name: str) -> list[dict[str, Any]]:
    pages = made.get_paginator("list_training_jobs_for_hyper_parameter_tuning_job")
    found = pages.paginate(HyperParameterTuningJobName=name)
    return [item for page in found for item in page["TrainingJobSummaries"]]


def test_tuning_job_starts_children_and_stops_them(url: str, key: Key):
    made = client("sagemaker", url, key)
    made.create_hyper_parameter_tuning_job(**tuning_job("tune", 6, 2))
    first = children_of(made, "tune")
    assert [child["TrainingJobStatus"] for child in first] == ["InProgress"] * 2
    deadline = time.monotonic() + WAIT_S_MAX
    while len(children_of(made, "tune")) < 4:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    made.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName="tune")
    while {child["TrainingJobStatus"] for child in children_of(made, "tune")} != {
        "Completed",
        "Stopped",
    }:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    last = children_of(made, "tune")
    assert len(last) == 4
    shown = made.describe_training_job(TrainingJobName=last[0]["TrainingJobName"])
    assert shown["TuningJobArn"].endswith(":hyper-parameter-tuning-job/tune")
    assert shown["HyperParameters"]["epochs"] == "3"
    missing = {"HyperParameterTuningJobName": "none"}
    call = made.list_training_jobs_for_hyper_parameter_tuning_job
    assert code_of(call, **missing) == "ResourceNotFound"
    assert code_of(made.stop_hyper_parameter_tuning_job, **missing) == "ResourceNotFound"


def record(identifier: str, event_time: str, value: str) -> list[dict[str, str]]:
    named = {"id": identifier, "at": event_time, "value": value}
    return [{"FeatureName": name, "ValueAsString": text} for name, text in named.items()]


def make_group(made: Any) -> str:
    defined = [{"FeatureName": name, "FeatureType": "String"} for name in ("id", "at", "value")]
    return str(
        made.create_feature_group(
            FeatureGroupName="Group",
            RecordIdentifierFeatureName="id",
            EventTimeFeatureName="at",
            FeatureDefinitions=defined,
            OnlineStoreConfig={"EnableOnlineStore": True},
            RoleArn=ROLE,
        )["FeatureGroupArn"]
    )


GROUP = {"FeatureGroupName": "Group"}
ONE = GROUP | {"RecordIdentifierValueAsString": "1"}


def test_feature_store_keeps_the_newest_record(url: str, key: Key):
    arn = make_group(client("sagemaker", url, key))
    store = client("sagemaker-featurestore-runtime", url, key)
    assert arn.endswith(":feature-group/Group")
    assert "Record" not in store.get_record(**ONE)
    store.put_record(**GROUP, Record=record("1", "20.0", "new"))
    store.put_record(FeatureGroupName=arn, Record=record("1", "3.0", "late"))
    assert store.get_record(**ONE)["Record"] == record("1", "20.0", "new")
    assert store.get_record(**ONE, FeatureNames=["value"])["Record"] == [
        {"FeatureName": "value", "ValueAsString": "new"}
    ]
    store.delete_record(**ONE, EventTime="10.0")
    assert "Record" in store.get_record(**ONE)
    store.delete_record(**ONE, EventTime="30.0")
    assert "Record" not in store.get_record(**ONE)


@pytest.mark.parametrize(("identifiers", "taken"), [(1, True), (100, True), (101, False)])
def test_feature_store_batches(url: str, key: Key, identifiers: int, *, taken: bool):
    make_group(client("sagemaker", url, key))
    store = client("sagemaker-featurestore-runtime", url, key, validate=False)
    store.put_record(**GROUP, Record=record("0", "20.0", "zero"))
    values = [str(number) for number in range(identifiers)]
    asked = [GROUP | {"RecordIdentifiersValueAsString": values}]
    if not taken:
        assert code_of(store.batch_get_record, Identifiers=asked) == "ValidationError"
        return
    answer = store.batch_get_record(Identifiers=asked)
    assert [item["Record"] for item in answer["Records"]] == [record("0", "20.0", "zero")]
    asked = [{"FeatureGroupName": "none", "RecordIdentifiersValueAsString": ["1"]}]
    errors = store.batch_get_record(Identifiers=asked)["Errors"]
    assert [item["ErrorCode"] for item in errors] == ["ResourceNotFound"]


def test_feature_store_errors(url: str, key: Key):
    make_group(client("sagemaker", url, key))
    store = client("sagemaker-featurestore-runtime", url, key)
    missing = {"FeatureGroupName": "none"}
    assert code_of(store.get_record, **ONE | missing) == "ResourceNotFound"
    assert code_of(store.put_record, **missing, Record=record("1", "1", "")) == "ValidationError"
    assert code_of(store.put_record, **GROUP, Record=record("1", "1", "")[:1]) == "ValidationError"
    odd = [{"FeatureName": "odd", "ValueAsString": "1"}]
    assert code_of(store.put_record, **GROUP, Record=odd) == "ValidationError"


def test_feature_groups_grow_and_go(url: str, key: Key):
    made = client("sagemaker", url, key)
    make_group(made)
    added = [{"FeatureName": "more", "FeatureType": "Integral"}]
    made.update_feature_group(**GROUP, FeatureAdditions=added)
    shown = made.describe_feature_group(**GROUP)
    assert [item["FeatureName"] for item in shown["FeatureDefinitions"]][-1] == "more"
    made.delete_feature_group(**GROUP)
    assert code_of(made.describe_feature_group, **GROUP) == "ResourceNotFound"


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


@pytest.mark.parametrize(
    ("service", "method", "members"),
    [
        ("sagemaker", "list_clusters", {}),
        ("personalize", "describe_algorithm", {"algorithmArn": "arn:aws:personalize:::a/b"}),
        ("sagemaker-metrics", "batch_put_metrics", {"TrialComponentName": "t", "MetricData": []}),
        ("sts", "get_caller_identity", {}),
        ("s3", "list_buckets", {}),
        ("ec2", "describe_regions", {}),
        ("lambda", "list_functions", {}),
        ("dynamodb", "list_tables", {}),
    ],
)
def test_all_else_is_a_501(url: str, service: str, method: str, members: dict[str, Any]):
    made = client(service, url, KEY, validate=False)
    with pytest.raises(ClientError, match="stand-in") as refused:
        getattr(made, method)(**members)
    assert refused.value.response["Error"]["Code"] == "NotImplemented"
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501


def test_it_says_what_it_is(url: str):
    with urllib.request.urlopen(url) as answer:
        assert answer.headers["x-opentrail-sandbox"] == "stand-in"
        assert b"stand-in" in answer.read()


def test_stopping_ends_the_process_and_frees_the_port():
    running = start_sandbox()
    running.stop()
    running.stop()
    assert running.process.returncode == -signal.SIGTERM
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(running.url)


def test_moto_is_started_and_stopped():
    with start_moto() as running:
        made = client("sts", running.url, KEY)
        assert made.get_caller_identity()["Account"]
    assert running.process.returncode is not None
