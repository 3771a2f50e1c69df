# SPDX-License-Identifier: Apache-2.0
"""Every operation of SageMaker, Feature Store, Personalize and DevOps Guru: source, category, kind."""

import json

import pytest
from support import aws_requests
from support.calls import Made

from opentrail.aws import catalog, tables
from opentrail.capture.build import BuildSettings, Built, Skipped, build
from opentrail.capture.plan import Plan, plan

SAGEMAKER = "sagemaker.amazonaws.com"
FAMILIES = {
    # service: event source, version, data resource type ("" for management events)
    "sagemaker": (SAGEMAKER, "1.11", ""),
    "sagemaker-a2i-runtime": (SAGEMAKER, "1.11", ""),
    "sagemaker-edge": (SAGEMAKER, "1.11", ""),
    "sagemaker-geospatial": ("sagemaker-geospatial.amazonaws.com", "1.08", ""),
    "sagemaker-runtime": (SAGEMAKER, "1.11", "AWS::SageMaker::Endpoint"),
    "sagemaker-featurestore-runtime": (SAGEMAKER, "1.11", "AWS::SageMaker::FeatureGroup"),
    "sagemaker-metrics": (
        "metrics-sagemaker.amazonaws.com",
        "1.11",
        "AWS::SageMaker::ExperimentTrialComponent",
    ),
    "sagemakerjobruntime": (SAGEMAKER, "1.11", "AWS::SageMaker::Job"),
    "sagemakertrainingsessionruntime": (SAGEMAKER, "1.11", "AWS::SageMaker::TrainingSession"),
    "personalize": ("personalize.amazonaws.com", "1.08", ""),
    "devops-guru": ("devops-guru.amazonaws.com", "1.08", ""),
}
NO_PARAMETERS = {
    "InvokeEndpoint",
    "InvokeEndpointAsync",
    "InvokeEndpointWithResponseStream",
    "Sample",
    "SampleWithResponseStream",
}
"""What AWS documents as logged without request parameters."""


def plans(service: str) -> dict[str, Plan]:
    row = tables.services()[service]
    names = tables.table(service).names()
    return {name: plan(catalog.target(row, name, row.protocol)) for name in names}


@pytest.mark.parametrize("service", FAMILIES)
def test_every_operation_has_source_version_and_category(service):
    source, version, data_type = FAMILIES[service]
    found = plans(service)
    assert len(found) == len(aws_requests.service_model(service).operation_names)
    for name, how in found.items():
        assert how.event_source == source, name
        assert how.event_name == name
        assert how.opening.startswith(b'{"eventVersion":"%b"' % version.encode()), name
        assert how.category == ("Data" if data_type else "Management"), name
        assert how.data_type == data_type
        assert data_type or not how.named, name  # no resources on management events


@pytest.mark.parametrize("service", FAMILIES)
def test_reads_have_no_response_and_neither_have_operations_without_output(service):
    for name, how in plans(service).items():
        output = None if how.operation is None else how.operation.output
        has_output = output is not None and bool(output.members)
        if how.reads or not has_output:
            assert how.response is None, name
        if service in {"sagemaker", "personalize", "devops-guru"} and not how.reads and has_output:
            assert how.response is not None, name


def test_what_is_logged_without_parameters_is():
    for service in ("sagemaker-runtime", "sagemakerjobruntime"):
        for name, how in plans(service).items():
            assert (how.request is None) is (name in NO_PARAMETERS), name


@pytest.mark.parametrize("service", ["personalize-events", "personalize-runtime"])
def test_personalize_outside_its_control_plane_is_counted_only(service):
    for name in tables.table(service).names():
        call = Made(service, name).call()
        assert isinstance(build(call, BuildSettings()), Skipped)
        built = build(call, BuildSettings(record_unlogged=True))
        assert isinstance(built, Built)
        assert json.loads(built.data)["eventCategory"] == "Data"


def test_devops_guru_is_never_in_small_letters():
    for name, how in plans("devops-guru").items():
        for element in (how.request, how.response):
            members = element.write.members if element is not None else {}
            for model_name, (spelling, _) in members.items():
                assert spelling == model_name, name
