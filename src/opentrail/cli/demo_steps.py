# SPDX-License-Identifier: Apache-2.0
"""The calls that the demo makes, as a list to be read from top to bottom."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from opentrail.cli.demo_world import ACCOUNT, REGION, ROLE_ARN, SESSION

Actor = Literal["user", "role", "root"]


@dataclass(frozen=True, slots=True)
class Step:
    """One call, and what its record must say."""

    actor: Actor
    service: str
    """boto3's name of the client."""
    operation: str
    """As the API calls it; the record's eventName is the same."""
    members: Mapping[str, object]
    error: str = ""
    """The code that it must fail with; empty: it must succeed."""
    read_only: bool = False
    data: bool = False
    """Whether it is a data event: in the log, and never in LookupEvents."""
    until: tuple[str, str] | None = None
    """A member of the answer, and the value for which the call is made again and again."""


_IMAGE = {"Image": f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/churn:1"}
_VARIANT = {"VariantName": "main", "ModelName": "churn", "InitialInstanceCount": 1}
_PERSONALIZE = f"arn:aws:personalize:{REGION}:{ACCOUNT}"
_RESOURCES = {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1}
_TRAINING: dict[str, object] = {
    "AlgorithmSpecification": {"TrainingImage": _IMAGE["Image"], "TrainingInputMode": "File"},
    "RoleArn": ROLE_ARN,
    "OutputDataConfig": {"S3OutputPath": "s3://demo/models"},
    "ResourceConfig": _RESOURCES,
    "StoppingCondition": {"MaxRuntimeInSeconds": 600},
}
_TUNING = {
    "Strategy": "Random",
    "ResourceLimits": {"MaxNumberOfTrainingJobs": 2, "MaxParallelTrainingJobs": 1},
    "ParameterRanges": {
        "ContinuousParameterRanges": [{"Name": "eta", "MinValue": "0.1", "MaxValue": "0.5"}]
    },
}
_CUSTOMERS: dict[str, object] = {
    "FeatureGroupName": "customers",
    "RecordIdentifierFeatureName": "id",
    "EventTimeFeatureName": "at",
    "FeatureDefinitions": [
        {"FeatureName": "id", "FeatureType": "String"},
        {"FeatureName": "at", "FeatureType": "String"},
    ],
    "OnlineStoreConfig": {"EnableOnlineStore": True},
}
_RECORD = [
    {"FeatureName": "id", "ValueAsString": "c-1"},
    {"FeatureName": "at", "ValueAsString": "2026-01-01T00:00:00Z"},
]
_ONE_CUSTOMER: dict[str, object] = {
    "FeatureGroupName": "customers",
    "RecordIdentifierValueAsString": "c-1",
}
_BATCH = {
    "Identifiers": [{"FeatureGroupName": "customers", "RecordIdentifiersValueAsString": ["c-1"]}]
}
_DELETE = _ONE_CUSTOMER | {"EventTime": "2026-01-02T00:00:00Z"}
_SCHEMA = '{"type":"record","name":"Interactions","fields":[],"version":"1.0"}'
_DATASET = {
    "name": "clicks",
    "schemaArn": f"{_PERSONALIZE}:schema/clicks",
    "datasetGroupArn": f"{_PERSONALIZE}:dataset-group/shop",
    "datasetType": "Interactions",
}
_STACKS = {
    "Action": "ADD",
    "ResourceCollection": {"CloudFormation": {"StackNames": ["shop"]}},
}
_TOPIC = {"Config": {"Sns": {"TopicArn": f"arn:aws:sns:{REGION}:{ACCOUNT}:alarms"}}}
FEATURE_STORE = "sagemaker-featurestore-runtime"
"""boto3's name of the service whose data events the demo's trail selects."""

STEPS: tuple[Step, ...] = (
    # Whoever holds the role's session from here on was given it through OpenTrail.
    # AWS counts AssumeRole as read-only.
    Step(
        "user",
        "sts",
        "AssumeRole",
        {"RoleArn": ROLE_ARN, "RoleSessionName": SESSION},
        read_only=True,
    ),
    Step("role", "sts", "GetCallerIdentity", {}, read_only=True),
    # SageMaker: a model becomes an endpoint.
    Step("role", "sagemaker", "CreateTrainingJob", {"TrainingJobName": "churn"} | _TRAINING),
    Step(
        "user",
        "sagemaker",
        "CreateModel",
        {"ModelName": "churn", "PrimaryContainer": _IMAGE, "ExecutionRoleArn": ROLE_ARN},
    ),
    Step(
        "user",
        "sagemaker",
        "CreateModel",
        {"ModelName": "churn", "PrimaryContainer": _IMAGE, "ExecutionRoleArn": ROLE_ARN},
        error="ValidationException",
    ),
    Step(
        "user",
        "sagemaker",
        "CreateEndpointConfig",
        {"EndpointConfigName": "churn", "ProductionVariants": [_VARIANT]},
    ),
    Step(
        "user",
        "sagemaker",
        "CreateEndpoint",
        {"EndpointName": "churn", "EndpointConfigName": "churn"},
    ),
    Step(
        "root",
        "sagemaker",
        "CreateHyperParameterTuningJob",
        {
            "HyperParameterTuningJobName": "churn",
            "HyperParameterTuningJobConfig": _TUNING,
            "TrainingJobDefinition": _TRAINING,
        },
    ),
    Step("root", "sagemaker", "ListModels", {}, read_only=True),
    Step(
        "role",
        "sagemaker",
        "DescribeEndpoint",
        {"EndpointName": "nowhere"},
        error="ValidationException",
        read_only=True,
    ),
    Step(
        "user",
        "sagemaker",
        "DescribeEndpoint",
        {"EndpointName": "churn"},
        read_only=True,
        until=("EndpointStatus", "InService"),
    ),
    Step(
        "role",
        "sagemaker-runtime",
        "InvokeEndpoint",
        {"EndpointName": "churn", "ContentType": "application/json", "Body": b'{"id":"c-1"}'},
        data=True,
    ),
    Step(
        "role",
        "sagemaker-runtime",
        "InvokeEndpoint",
        {"EndpointName": "nowhere", "Body": b"{}"},
        error="ValidationError",
        data=True,
    ),
    Step(
        "root",
        "sagemaker",
        "StopHyperParameterTuningJob",
        {"HyperParameterTuningJobName": "churn"},
    ),
    # Feature Store: records of a feature group are data.
    Step("role", "sagemaker", "CreateFeatureGroup", _CUSTOMERS | {"RoleArn": ROLE_ARN}),
    Step(
        "role",
        "sagemaker",
        "DescribeFeatureGroup",
        {"FeatureGroupName": "customers"},
        read_only=True,
        until=("FeatureGroupStatus", "Created"),
    ),
    Step(
        "role",
        FEATURE_STORE,
        "PutRecord",
        {"FeatureGroupName": "customers", "Record": _RECORD},
        data=True,
    ),
    Step("user", FEATURE_STORE, "GetRecord", _ONE_CUSTOMER, read_only=True, data=True),
    Step("root", FEATURE_STORE, "BatchGetRecord", _BATCH, read_only=True, data=True),
    Step("role", FEATURE_STORE, "DeleteRecord", _DELETE, data=True),
    Step(
        "user",
        FEATURE_STORE,
        "PutRecord",
        {"FeatureGroupName": "nowhere", "Record": _RECORD},
        error="ValidationError",
        data=True,
    ),
    Step(
        "root",
        FEATURE_STORE,
        "GetRecord",
        {"FeatureGroupName": "nowhere", "RecordIdentifierValueAsString": "c-1"},
        error="ResourceNotFound",
        read_only=True,
        data=True,
    ),
    # Personalize.
    Step("user", "personalize", "CreateSchema", {"name": "clicks", "schema": _SCHEMA}),
    Step("user", "personalize", "CreateDatasetGroup", {"name": "shop"}),
    Step("user", "personalize", "CreateDataset", _DATASET),
    Step("role", "personalize", "ListDatasetGroups", {}, read_only=True),
    Step(
        "root",
        "personalize",
        "DescribeDatasetGroup",
        {"datasetGroupArn": f"{_PERSONALIZE}:dataset-group/nowhere"},
        error="ResourceNotFoundException",
        read_only=True,
    ),
    Step("user", "personalize", "CreateSchema", {"name": "empty"}, error="InvalidInputException"),
    # DevOps Guru.
    Step("role", "devops-guru", "UpdateResourceCollection", _STACKS),
    Step("root", "devops-guru", "AddNotificationChannel", _TOPIC),
    Step("root", "devops-guru", "AddNotificationChannel", _TOPIC, error="ConflictException"),
    Step("user", "devops-guru", "DescribeAccountHealth", {}, read_only=True),
    Step(
        "role",
        "devops-guru",
        "DescribeInsight",
        {"Id": "nowhere"},
        error="ResourceNotFoundException",
        read_only=True,
    ),
)
"""In the order in which they are made."""
