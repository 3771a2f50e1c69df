# SPDX-License-Identifier: Apache-2.0
"""The alias list of an event: every name and ARN of the resources that it is about. Pure.

LookupEvents' ``Resources`` is an index of aliases, not the record's own ``resources``: a CreateUser
is found by the user's name, ARN and id. Types are those that AWS publishes (CloudTrail's data
resource types, AWS Config, CloudFormation); where it publishes none, the alias has no type.
Source: CloudTrail API Reference, "Resource"; Service Authorization Reference, the resource types
and ARN forms of SageMaker, Personalize and IAM.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import msgspec

from opentrail.event.record import HIDDEN, Record


class Resource(NamedTuple):
    """One alias of one resource."""

    type: str
    """"AWS::SageMaker::Model"; "" where AWS publishes no type."""
    name: str
    """A name, an ARN or an id."""


_NONE: Mapping[str, str] = MappingProxyType({})


class _Service(NamedTuple):
    """How the records of one event source name resources."""

    members: Mapping[str, str]
    """Member of the parameters or the response -> type; ``a.b`` is member b of the object a."""
    arn_service: str = ""
    """Third part of ARNs: any member that holds such an ARN is an alias, whatever its name."""
    arn_types: Mapping[str, str] = _NONE
    """First word of an ARN's resource part -> type."""
    arn_deeper_types: Mapping[str, str] = _NONE
    """The same where more than one identifier follows: it is then something else."""
    named: Mapping[str, str] = _NONE
    """eventName -> type, for operations whose member is just ``name`` or ``Id``."""
    parents: tuple[str, ...] = ()
    """The objects ``a`` of members ``a.b``."""


_SAGEMAKER_NOUNS = {
    "action": "Action",
    "algorithm": "Algorithm",
    "app-image-config": "AppImageConfig",
    "artifact": "Artifact",
    "automl-job": "AutoMLJob",
    "cluster": "Cluster",
    "code-repository": "CodeRepository",
    "context": "Context",
    "device-fleet": "DeviceFleet",
    "domain": "Domain",
    "endpoint": "Endpoint",
    "endpoint-config": "EndpointConfig",
    "experiment": "Experiment",
    "feature-group": "FeatureGroup",
    "hub": "Hub",
    "human-task-ui": "HumanTaskUi",
    "hyper-parameter-tuning-job": "HyperParameterTuningJob",
    "image": "Image",
    "image-version": "ImageVersion",
    "inference-component": "InferenceComponent",
    "inference-experiment": "InferenceExperiment",
    "mlflow-app": "MlflowApp",
    "mlflow-tracking-server": "MlflowTrackingServer",
    "model": "Model",
    "model-card": "ModelCard",
    "model-package": "ModelPackage",
    "model-package-group": "ModelPackageGroup",
    "monitoring-schedule": "MonitoringSchedule",
    "notebook-instance": "NotebookInstance",
    "notebook-instance-lifecycle-config": "NotebookInstanceLifecycleConfig",
    "optimization-job": "OptimizationJob",
    "pipeline": "Pipeline",
    "processing-job": "ProcessingJob",
    "project": "Project",
    "space": "Space",
    "studio-lifecycle-config": "StudioLifecycleConfig",
    "training-job": "TrainingJob",
    "transform-job": "TransformJob",
    "user-profile": "UserProfile",
    "workforce": "Workforce",
    "workteam": "Workteam",
}
"""First word of an ARN's resource part -> X of ``AWS::SageMaker::X``; members are ``xName``."""

_SAGEMAKER_UNTYPED = (
    "compilationJobName",
    "computeQuotaId",
    "clusterSchedulerConfigId",
    "edgeDeploymentPlanName",
    "edgePackagingJobName",
    "flowDefinitionName",
    "hubContentName",
    "jobDefinitionName",
    "jobName",
    "labelingJobName",
    "lineageGroupName",
    "trainingPlanName",
    "trialName",
)
"""Members that name resources of kinds for which no type is published."""

_TRIAL_COMPONENT = "AWS::SageMaker::ExperimentTrialComponent"

_SAGEMAKER = _Service(
    members=dict.fromkeys(_SAGEMAKER_UNTYPED, "")
    | {f"{n[0].lower()}{n[1:]}Name": f"AWS::SageMaker::{n}" for n in _SAGEMAKER_NOUNS.values()}
    | {
        "domainId": "AWS::SageMaker::Domain",
        "trackingServerName": "AWS::SageMaker::MlflowTrackingServer",
        "trialComponentName": _TRIAL_COMPONENT,
    },
    arn_service="sagemaker",
    arn_types={kind: f"AWS::SageMaker::{noun}" for kind, noun in _SAGEMAKER_NOUNS.items()}
    | {"experiment-trial-component": _TRIAL_COMPONENT},
    arn_deeper_types={
        "pipeline": "AWS::SageMaker::PipelineExecution",
        "model-card": "AWS::SageMaker::ModelCardExportJob",
    },
)

_PERSONALIZE_NOUNS = {
    "dataset": "Dataset",
    "dataset-group": "DatasetGroup",
    "schema": "Schema",
    "solution": "Solution",
}

_PERSONALIZE = _Service(
    members={"name": "", "jobName": ""},
    arn_service="personalize",
    arn_types={kind: f"AWS::Personalize::{noun}" for kind, noun in _PERSONALIZE_NOUNS.items()},
    arn_deeper_types={"solution": ""},  # a version of a solution
    named={f"Create{noun}": f"AWS::Personalize::{noun}" for noun in _PERSONALIZE_NOUNS.values()},
)

_CHANNEL = "AWS::DevOpsGuru::NotificationChannel"

_DEVOPS_GURU = _Service(
    members={"Id": "", "InsightId": ""},  # of an insight or an anomaly, but for these:
    named={"AddNotificationChannel": _CHANNEL, "RemoveNotificationChannel": _CHANNEL},
)

_IAM = _Service(
    members={
        "userName": "AWS::IAM::User",
        "user.userName": "AWS::IAM::User",
        "user.arn": "AWS::IAM::User",
        "user.userId": "AWS::IAM::User",
        "roleName": "AWS::IAM::Role",
        "role.roleName": "AWS::IAM::Role",
        "role.arn": "AWS::IAM::Role",
        "role.roleId": "AWS::IAM::Role",
        "accessKeyId": "AWS::IAM::AccessKey",
        "accessKey.accessKeyId": "AWS::IAM::AccessKey",
        "accessKey.userName": "AWS::IAM::User",
    },
    parents=("user", "role", "accessKey"),
)

_SERVICES = {
    "sagemaker.amazonaws.com": _SAGEMAKER,
    "metrics-sagemaker.amazonaws.com": _SAGEMAKER,
    "personalize.amazonaws.com": _PERSONALIZE,
    "devops-guru.amazonaws.com": _DEVOPS_GURU,
    "iam.amazonaws.com": _IAM,
    "s3.amazonaws.com": _Service({"bucketName": "AWS::S3::Bucket"}),
}
"""A service needs a row here only if its records do not carry ``resources`` themselves."""


class _Listed(msgspec.Struct, gc=False):
    """An entry of the record's own ``resources``."""

    type: str = ""
    arn: str = msgspec.field(default="", name="ARN")


_Members = dict[str, msgspec.Raw]
_decode_members = msgspec.json.Decoder(_Members).decode
_decode_listed = msgspec.json.Decoder(list[_Listed]).decode
_decode_text = msgspec.json.Decoder(str).decode
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError)
"""Parameters may be a text, members of any type: what cannot be read names nothing."""
_EMPTY_LENGTH = len(b"null")
"""A JSON value no longer than this holds no name: absent, null, {}, [], 0."""


def resources_of(record: Record) -> tuple[Resource, ...]:
    """Return every alias that ``record`` gives, each once: parameters, response, ``resources``."""
    found: dict[Resource, None] = {}
    service = _SERVICES.get(record.event_source)
    if service is not None:
        for part in (record.request_parameters, record.response_elements):
            if len(part) > _EMPTY_LENGTH:
                _collect(found, service, record.event_name, part)
    if len(record.resources) > _EMPTY_LENGTH:
        _collect_listed(found, record.resources)
    return tuple(found)


def _collect(
    found: dict[Resource, None], service: _Service, event_name: str, part: msgspec.Raw
) -> None:
    try:
        members = _decode_members(part)
    except _UNREADABLE:
        return
    for name, raw in members.items():
        value = bytes(raw)
        if value[:1] == b"{" and name in service.parents:
            for inner, inner_raw in _decode_members(raw).items():
                _add(found, service.members.get(f"{name}.{inner}"), inner_raw)
        elif value[:5] == b'"arn:':
            _add(found, _arn_type(service, value, service.members.get(name)), raw)
        elif name in service.members:
            _add(found, service.named.get(event_name) or service.members[name], raw)


def _arn_type(service: _Service, quoted: bytes, otherwise: str | None) -> str | None:
    """Return the type of ``"arn:partition:service:region:account:kind/id"``, a JSON string.

    ``otherwise`` for another service's; "" for a kind without a published type.
    """
    parts = quoted.decode().strip('"').split(":", 5)
    if parts[2:3] != [service.arn_service]:
        return otherwise
    kind, *identifiers = parts[-1].split("/")
    deeper = service.arn_deeper_types.get(kind) if len(identifiers) > 1 else None
    return service.arn_types.get(kind, "") if deeper is None else deeper


def _add(found: dict[Resource, None], known_type: str | None, raw: msgspec.Raw) -> None:
    if known_type is None:
        return
    try:
        text = _decode_text(raw)
    except _UNREADABLE:
        return
    if text and text != HIDDEN:
        found[Resource(known_type, text)] = None


def _collect_listed(found: dict[Resource, None], part: msgspec.Raw) -> None:
    try:
        listed = _decode_listed(part)
    except _UNREADABLE:
        return
    for each in listed:
        if each.arn:
            found[Resource(each.type, each.arn)] = None
