# SPDX-License-Identifier: Apache-2.0
"""The sandbox without a network: statuses by the clock, tuning jobs, pages, filters, names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.sandbox_calls import KEY_ID, Bench, Refused, tuning_job

from opentrail.sandbox import tuning
from opentrail.sandbox.state import Resource, Step

NOTEBOOK = {"InstanceType": "ml.t3.medium", "RoleArn": "arn:aws:iam::111122223333:role/notebook"}


def make_models(bench: Bench, *names: str) -> None:
    for name in names:
        bench.call("sagemaker", "CreateModel", ModelName=name)


def refusal(bench: Bench, service: str, operation: str, **members: object) -> str:
    with pytest.raises(Refused) as refused:
        bench.call(service, operation, **members)
    return refused.value.code


def status_of(bench: Bench, name: str) -> str:
    shown = bench.call("sagemaker", "DescribeNotebookInstance", NotebookInstanceName=name)
    return str(shown["NotebookInstanceStatus"])


def test_a_status_is_a_function_of_the_time():
    resource = Resource("Noun", "arn", 1, {}, 0, 0, (Step(10, "Creating"), Step(20, "InService")))
    assert [resource.status(ms) for ms in (0, 10, 19, 20, 99)] == [
        "Creating",
        "Creating",
        "Creating",
        "InService",
        "InService",
    ]
    assert Resource("Noun", "arn", 1, {}, 0, 0).status(5) == ""


def test_what_serves_is_made_updated_stopped_and_started():
    bench = Bench()
    named = {"NotebookInstanceName": "n"}
    bench.call("sagemaker", "CreateNotebookInstance", **named, **NOTEBOOK)
    assert status_of(bench, "n") == "Pending"
    bench.clock.ms += 100
    assert status_of(bench, "n") == "InService"
    bench.call("sagemaker", "UpdateNotebookInstance", **named, RoleArn=NOTEBOOK["RoleArn"] + "2")
    assert status_of(bench, "n") == "Updating"
    bench.clock.ms += 100
    bench.call("sagemaker", "StopNotebookInstance", **named)
    assert status_of(bench, "n") == "Stopping"
    assert refusal(bench, "sagemaker", "StartNotebookInstance", **named) == "ValidationException"
    bench.clock.ms += 100
    assert status_of(bench, "n") == "Stopped"
    assert refusal(bench, "sagemaker", "StopNotebookInstance", **named) == "ValidationException"
    bench.call("sagemaker", "StartNotebookInstance", **named)
    bench.clock.ms += 100
    assert status_of(bench, "n") == "InService"


def test_a_running_job_is_not_deleted_and_an_ended_one_is_not_stopped():
    bench = Bench()
    output = {"S3OutputPath": "s3://bucket/out"}
    bench.call(
        "sagemaker", "CreateTrainingJob", TrainingJobName="t", RoleArn="r", OutputDataConfig=output
    )
    assert refusal(bench, "sagemaker", "DeleteTrainingJob", TrainingJobName="t") == "ResourceInUse"
    bench.clock.ms += 1_000
    shown = bench.call("sagemaker", "DescribeTrainingJob", TrainingJobName="t")
    assert shown["TrainingJobStatus"] == shown["SecondaryStatus"] == "Completed"
    assert shown["ModelArtifacts"]["S3ModelArtifacts"] == "s3://bucket/out/t/output/model.tar.gz"
    assert shown["TrainingEndTime"] == bench.clock.ms / 1000
    assert refusal(bench, "sagemaker", "StopTrainingJob", TrainingJobName="t") == (
        "ValidationException"
    )
    bench.call("sagemaker", "DeleteTrainingJob", TrainingJobName="t")
    assert refusal(bench, "sagemaker", "DescribeTrainingJob", TrainingJobName="t") == (
        "ResourceNotFound"
    )


def children(bench: Bench, **members: object) -> list[dict[str, str]]:
    operation = "ListTrainingJobsForHyperParameterTuningJob"
    asked = {"HyperParameterTuningJobName": "tune", "MaxResults": 100} | members
    listed = bench.call("sagemaker", operation, **asked)["TrainingJobSummaries"]
    assert isinstance(listed, list)
    return listed


def test_children_of_a_tuning_job_appear_in_turn_and_end():
    bench = Bench()
    bench.tune("tune", 5, 2)
    assert len(children(bench)) == 2
    bench.clock.ms += 999
    assert [item["TrainingJobStatus"] for item in children(bench)] == ["InProgress"] * 2
    bench.clock.ms += 1
    statuses = [item["TrainingJobStatus"] for item in children(bench, SortOrder="Ascending")]
    assert statuses == ["Completed", "Completed", "InProgress", "InProgress"]
    bench.clock.ms += 2_000
    assert len(children(bench, StatusEquals="Completed")) == 5
    shown = bench.call(
        "sagemaker", "DescribeHyperParameterTuningJob", HyperParameterTuningJobName="tune"
    )
    assert shown["HyperParameterTuningJobStatus"] == "Completed"
    assert shown["TrainingJobStatusCounters"]["Completed"] == 5
    assert shown["BestTrainingJob"]["TunedHyperParameters"]["depth"] == "2"
    scope = bench.sandbox.state.scope(KEY_ID, "us-west-2")
    assert not scope.tuning
    assert {item.members["TuningJobArn"] for item in scope.of("TrainingJob")} == {
        shown["HyperParameterTuningJobArn"]
    }


def test_one_late_look_finds_the_same_children_as_many():
    watched, left = Bench(), Bench()
    for bench in (watched, left):
        bench.tune("tune", 7, 3)
    for _ in range(40):
        watched.clock.ms += 100
        children(watched)
    left.clock.ms += 4_000
    random = {"TrainingJobName", "TrainingJobArn"}
    seen = [
        [{key: item[key] for key in item if key not in random} for item in children(bench)]
        for bench in (watched, left)
    ]
    assert seen[0] == seen[1]


def test_stopping_a_tuning_job_stops_its_children_and_starts_no_more():
    bench = Bench()
    bench.tune("tune", 6, 2)
    bench.clock.ms += 1_500
    bench.call("sagemaker", "StopHyperParameterTuningJob", HyperParameterTuningJobName="tune")
    statuses = [item["TrainingJobStatus"] for item in children(bench, SortOrder="Ascending")]
    assert statuses == ["Completed", "Completed", "Stopping", "Stopping"]
    bench.clock.ms += 100
    statuses = [item["TrainingJobStatus"] for item in children(bench, SortOrder="Ascending")]
    assert statuses == ["Completed", "Completed", "Stopped", "Stopped"]
    bench.clock.ms += 60_000
    assert len(children(bench)) == 4
    named = {"HyperParameterTuningJobName": "tune"}
    shown = bench.call("sagemaker", "DescribeHyperParameterTuningJob", **named)
    assert shown["HyperParameterTuningJobStatus"] == "Stopped"
    bench.call("sagemaker", "DeleteHyperParameterTuningJob", **named)
    assert len(bench.call("sagemaker", "ListTrainingJobs")["TrainingJobSummaries"]) == 4


@pytest.mark.parametrize(
    ("jobs", "parallel", "taken"),
    [
        (tuning.CHILDREN_MAX, 1, True),
        (tuning.CHILDREN_MAX + 1, 1, False),
        (1, 1, True),
        (0, 1, False),
        (2, 2, True),
        (2, 3, False),
    ],
)
def test_bounds_of_a_tuning_job(jobs: int, parallel: int, *, taken: bool):
    bench = Bench()
    if taken:
        bench.tune("tune", jobs, parallel)
        return
    with pytest.raises(Refused, match="ValidationException"):
        bench.tune("tune", jobs, parallel)


@pytest.mark.parametrize("bound", ["one", "inf", "nan"])
def test_ranges_of_a_tuning_job_are_numbers(bound: str):
    ranges = {"IntegerParameterRanges": [{"Name": "x", "MinValue": bound, "MaxValue": "9"}]}
    members = tuning_job("tune", 1, 1)
    members["HyperParameterTuningJobConfig"]["ParameterRanges"] = ranges
    code = refusal(Bench(), "sagemaker", "CreateHyperParameterTuningJob", **members)
    assert code == "ValidationException"


@given(
    st.lists(st.sampled_from("abcdefghij"), max_size=10, unique=True),
    st.integers(1, 4),
    st.sampled_from(["Name", "CreationTime"]),
    st.sampled_from(["Ascending", "Descending"]),
)
def test_pages_show_everything_once_in_order(
    names: list[str], size: int, sort_by: str, sort_order: str
):
    bench = Bench()
    make_models(bench, *names)
    seen: list[str] = []
    token: dict[str, str] = {}
    while True:
        shown = bench.call(
            "sagemaker",
            "ListModels",
            MaxResults=size,
            SortBy=sort_by,
            SortOrder=sort_order,
            **token,
        )
        assert len(shown["Models"]) <= size
        seen += [model["ModelName"] for model in shown["Models"]]
        if "NextToken" not in shown:
            break
        token = {"NextToken": shown["NextToken"]}
    expected = sorted(names) if sort_by == "Name" else names
    assert seen == (expected if sort_order == "Ascending" else expected[::-1])


def test_pages_stay_right_while_others_come_and_go():
    bench = Bench()
    make_models(bench, "a", "b", "c", "d")
    first = bench.call("sagemaker", "ListModels", MaxResults=2)
    make_models(bench, "e")
    bench.call("sagemaker", "DeleteModel", ModelName="c")
    rest = bench.call("sagemaker", "ListModels", MaxResults=2, NextToken=first["NextToken"])
    names = [model["ModelName"] for model in first["Models"] + rest["Models"]]
    assert names == ["d", "c", "b", "a"]
    assert "NextToken" not in rest


@pytest.mark.parametrize(("size", "taken"), [(1, True), (100, True), (0, False), (101, False)])
def test_bounds_of_a_page(size: int, *, taken: bool):
    bench = Bench()
    if taken:
        bench.call("sagemaker", "ListModels", MaxResults=size)
    else:
        assert refusal(bench, "sagemaker", "ListModels", MaxResults=size) == "ValidationException"


@pytest.mark.parametrize("token", ["junk", "e30=", "W10=", "////", "é"])
def test_junk_tokens_are_the_services_error(token: str):
    bench = Bench()
    assert refusal(bench, "sagemaker", "ListModels", NextToken=token) == "ValidationException"
    code = refusal(bench, "personalize", "ListSchemas", nextToken=token)
    assert code == "InvalidNextTokenException"


def test_filters():
    bench = Bench()
    make_models(bench, "red-one")
    bench.clock.ms += 10_000
    make_models(bench, "red-two", "blue")

    def names(**filters: object) -> list[str]:
        listed = bench.call("sagemaker", "ListModels", SortBy="Name", **filters)["Models"]
        return [model["ModelName"] for model in listed]

    middle = bench.clock.ms / 1000 - 5
    assert names(NameContains="RED") == ["red-two", "red-one"]
    assert names(CreationTimeAfter=middle) == ["red-two", "blue"]
    assert names(CreationTimeBefore=middle) == ["red-one"]
    bench.call("sagemaker", "CreateNotebookInstance", NotebookInstanceName="n", **NOTEBOOK)
    for status, count in (("Pending", 1), ("InService", 0)):
        shown = bench.call("sagemaker", "ListNotebookInstances", StatusEquals=status)
        assert len(shown["NotebookInstances"]) == count


def test_names_are_lower_case_in_older_arns_and_are_found_in_any_case():
    bench = Bench()
    made = bench.call("sagemaker", "CreateModel", ModelName="MyModel")
    assert made["ModelArn"] == "arn:aws:sagemaker:us-west-2:111122223333:model/mymodel"
    assert bench.call("sagemaker", "DescribeModel", ModelName="MyModel")["ModelName"] == "MyModel"
    config = [{"VariantName": "v", "ModelName": "MyModel"}]
    bench.call(
        "sagemaker", "CreateEndpointConfig", EndpointConfigName="Conf", ProductionVariants=config
    )
    bench.call("sagemaker", "CreateEndpoint", EndpointName="E", EndpointConfigName="conf")
    shown = bench.call("sagemaker", "DescribeEndpoint", EndpointName="E")
    assert shown["ProductionVariants"][0]["VariantName"] == "v"


def test_an_update_by_arn_keeps_the_name():
    bench = Bench()
    arn = bench.call("sagemaker", "CreateHub", HubName="Hub", HubDescription="one")["HubArn"]
    bench.call("sagemaker", "UpdateHub", HubName=arn, HubDescription="two")
    shown = bench.call("sagemaker", "DescribeHub", HubName=arn)
    assert (shown["HubName"], shown["HubDescription"]) == ("Hub", "two")


def test_a_name_that_looks_like_an_arn_makes_no_foreign_arn():
    made = Bench().call("sagemaker", "CreateHub", HubName="arn:aws:other", HubDescription="one")
    assert made["HubArn"].startswith("arn:aws:sagemaker:us-west-2:111122223333:hub/")
