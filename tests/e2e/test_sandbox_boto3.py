# SPDX-License-Identifier: Apache-2.0
"""boto3 against the sandbox in its own process: SageMaker, Feature Store, what is not offered, start and stop."""

import signal
import time
import urllib.request
import zlib
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from support.aws_clients import Key, client
from support.sandbox_calls import code_of, tuning_job

from opentrail.sandbox.moto import start_moto
from opentrail.sandbox.process import start_sandbox

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


def wait_for_endpoint(made: Any, name: str) -> None:
    deadline = time.monotonic() + WAIT_S_MAX
    while made.describe_endpoint(EndpointName=name)["EndpointStatus"] != "InService":
        assert time.monotonic() < deadline
        time.sleep(0.05)


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
    wait_for_endpoint(made, "stream")
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
    stopped = children_of(made, "tune")
    assert {child["TrainingJobStatus"] for child in stopped} == {"Completed", "Stopping"}
    while any(c["TrainingJobStatus"] == "Stopping" for c in children_of(made, "tune")):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    last = children_of(made, "tune")
    assert len(last) == len(stopped)
    assert last[0]["TrainingJobStatus"] == "Stopped"
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
