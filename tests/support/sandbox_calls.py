# SPDX-License-Identifier: Apache-2.0
"""Calls to the sandbox without a network, a clock that a test moves, and input made from models."""

from typing import Any

import msgspec
import pytest
from botocore.exceptions import ClientError
from botocore.model import ListShape, MapShape, Shape, StringShape, StructureShape
from support.moved_clock import MovedClock
from support.seeded_ids import SeededIds

from opentrail.aws.request import RequestHead
from opentrail.sandbox.app import Sandbox
from opentrail.sandbox.request import Pace

PREFIXES = {"sagemaker": "SageMaker", "personalize": "AmazonPersonalize"}
KEY_ID = "111122223333"
DEFINITION = {
    "StaticHyperParameters": {"epochs": "3"},
    "AlgorithmSpecification": {"TrainingImage": "image", "TrainingInputMode": "File"},
    "RoleArn": "arn:aws:iam::111122223333:role/training",
    "OutputDataConfig": {"S3OutputPath": "s3://bucket/out"},
    "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
    "StoppingCondition": {"MaxRuntimeInSeconds": 60},
}
RANGES = {
    "IntegerParameterRanges": [{"Name": "depth", "MinValue": "2", "MaxValue": "10"}],
    "ContinuousParameterRanges": [{"Name": "eta", "MinValue": "0.0", "MaxValue": "1.0"}],
    "CategoricalParameterRanges": [{"Name": "kind", "Values": ["a", "b"]}],
}


class Refused(Exception):
    """An error answer: its status, code and message."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code


class Bench:
    """A sandbox, its clock, and calls of its JSON services."""

    def __init__(self) -> None:
        self.clock = MovedClock()
        self.pace = Pace(settle_ms=100, job_ms=1_000)
        self.sandbox = Sandbox(self.clock, SeededIds(), self.pace)

    def call(self, service: str, operation: str, **members: Any) -> dict[str, Any]:
        return self.call_as(KEY_ID, "us-west-2", service, operation, **members)

    def call_as(
        self, key_id: str, region: str, service: str, operation: str, **members: Any
    ) -> dict[str, Any]:
        head = json_head(key_id, region, service, operation)
        answer = self.sandbox.answer(head, msgspec.json.encode(members))
        parsed = msgspec.json.decode(answer.body) if answer.body else {}
        if answer.status != 200:
            raise Refused(answer.status, parsed["__type"], parsed["message"])
        assert isinstance(parsed, dict)
        return parsed

    def tune(self, name: str, jobs: int, parallel: int) -> None:
        self.call("sagemaker", "CreateHyperParameterTuningJob", **tuning_job(name, jobs, parallel))


def tuning_job(name: str, jobs: int, parallel: int) -> dict[str, Any]:
    """Return the input of a CreateHyperParameterTuningJob."""
    limits = {"MaxNumberOfTrainingJobs": jobs, "MaxParallelTrainingJobs": parallel}
    return {
        "HyperParameterTuningJobName": name,
        "HyperParameterTuningJobConfig": {
            "Strategy": "Bayesian",
            "ResourceLimits": limits,
            "ParameterRanges": RANGES,
        },
        "TrainingJobDefinition": DEFINITION,
    }


def code_of(call: Any, **members: Any) -> str:
    """Return the error code that a boto3 method is refused with."""
    with pytest.raises(ClientError) as refused:
        call(**members)
    assert refused.value.response["ResponseMetadata"]["RequestId"]
    return str(refused.value.response["Error"]["Code"])


def invoke(made: Any, operation: str, members: dict[str, Any]) -> dict[str, Any]:
    """Call an operation of a boto3 client by its model's name."""
    methods = {name: method for method, name in made.meta.method_to_api_mapping.items()}
    answer = getattr(made, methods[operation])(**members)
    headers = answer.pop("ResponseMetadata")["HTTPHeaders"]
    assert headers["x-opentrail-sandbox"] == "stand-in"
    assert headers["x-amzn-requestid"]
    assert isinstance(answer, dict)
    return answer


def inputs(made: Any, operation: str, **given: Any) -> dict[str, Any]:
    """Return the required members of an operation, and ARNs: of ``given`` where it has them."""
    shape = made.meta.service_model.operation_model(operation).input_shape
    assert isinstance(shape, StructureShape)
    wanted = {name: sample(shape.members[name], name) for name in shape.required_members}
    wanted |= {name: given[name] for name in wanted if name in given}
    if operation.startswith("Update"):
        wanted |= {name: given[name] for name in shape.members if name in given and "Arn" in name}
    return wanted


def json_head(key_id: str, region: str, service: str, operation: str) -> RequestHead:
    """Return the head of a call of one of the JSON services; its signature is nonsense."""
    scope = f"{key_id}/20260102/{region}/{service}/aws4_request"
    credential = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"
    headers = {
        "authorization": credential,
        "content-type": "application/x-amz-json-1.1",
        "x-amz-target": f"{PREFIXES[service]}.{operation}",
    }
    return RequestHead("POST", "/", "", headers)


def sample(shape: Shape, name: str = "") -> Any:
    """Return a value that ``shape`` accepts, with required members only."""
    if isinstance(shape, StructureShape):
        wanted = shape.required_members
        if shape.metadata.get("union"):
            wanted = list(shape.members)[:1]
        return {member: sample(shape.members[member], member) for member in wanted}
    if isinstance(shape, ListShape):
        return [sample(shape.member)] * max(1, shape.metadata.get("min", 1))
    if isinstance(shape, MapShape):
        return {"key": sample(shape.value)}
    if isinstance(shape, StringShape):
        return shape.enum[0] if shape.enum else _text(shape, name)
    plain: dict[str, Any] = {"boolean": True, "blob": b"x", "timestamp": 1_700_000_000}
    return plain.get(shape.type_name, max(1, shape.metadata.get("min", 1)))


def _text(shape: Shape, name: str) -> str:
    least = shape.metadata.get("min", 1)
    return f"sample-{name or shape.name}"[:40].ljust(least, "x")
