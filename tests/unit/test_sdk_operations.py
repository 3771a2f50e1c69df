# SPDX-License-Identifier: Apache-2.0
"""The botocore plugin records calls by the gateway's rules, without the gateway."""

import importlib.util
from pathlib import Path

import pytest

from opentrail.sdk.operations import TABLE, by_model, known

ROOT = Path(__file__).parents[2]


def test_the_table_is_what_the_rules_say():
    script = ROOT / "scripts" / "generate_sdk_operations.py"
    spec = importlib.util.spec_from_file_location("generate_sdk_operations", script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert TABLE.read_bytes() == module.table(), "run scripts/generate_sdk_operations.py"


@pytest.mark.parametrize(
    ("service", "operation", "name", "data_type", "reads"),
    [
        ("sagemaker-featurestore-runtime", "PutRecord", "PutRecord", "SageMaker::FeatureGroup", 0),
        ("sagemaker-featurestore-runtime", "GetRecord", "GetRecord", "SageMaker::FeatureGroup", 1),
        ("sagemaker-runtime", "InvokeEndpoint", "InvokeEndpoint", "SageMaker::Endpoint", 0),
        ("s3", "ListObjectsV2", "ListObjects", "S3::Object", 1),
        ("lambda", "Invoke", "Invoke", "Lambda::Function", 0),
        ("dynamodb", "PutItem", "PutItem", "DynamoDB::Table", 0),
    ],
)
def test_data_events(service, operation, name, data_type, reads):
    how = known(service, service, operation)
    assert (how.event_name, how.category) == (name, "Data")
    assert (how.data_type, how.reads) == (f"AWS::{data_type}", bool(reads))


def test_management_events_that_their_names_belie():
    assert known("lambda", "lambda", "CreateFunction").event_name == "CreateFunction20150331"
    assert known("kms", "kms", "Decrypt").reads
    how = known("sts", "sts", "AssumeRole")
    assert (how.category, how.reads, how.answers) == ("Management", True, True)


def test_what_nobody_knows_goes_by_its_name():
    assert known("new", "new", "ListThings") == by_model("new", "ListThings")
    assert by_model("new", "ListThings").reads
    assert not by_model("new", "Listen").reads
