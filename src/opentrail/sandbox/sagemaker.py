# SPDX-License-Identifier: Apache-2.0
"""What SageMaker's nouns do besides the common: variants, artifacts, feature definitions, tags."""

from opentrail.sandbox import tuning
from opentrail.sandbox.crud import Kind, Special, find, named, request_tags, running, source_of
from opentrail.sandbox.listing import page
from opentrail.sandbox.nouns import JOB
from opentrail.sandbox.request import Request
from opentrail.sandbox.shapes import Members
from opentrail.sandbox.state import Resource


def _check_endpoint_config(request: Request) -> None:
    for variant in request.structures("ProductionVariants"):
        name = str(variant.get("ModelName", ""))
        if name and named(request, "Model", name) is None:
            raise request.not_found(f'Could not find model "{name}".')


def _endpoint_variants(request: Request, endpoint: Resource) -> Members:
    """Return the variants as the endpoint's configuration has them now."""
    config = named(request, "EndpointConfig", str(endpoint.members["EndpointConfigName"]))
    assert config is not None, "create and update have checked that it exists"
    variants = config.members["ProductionVariants"]
    assert isinstance(variants, list)
    return {
        "ProductionVariants": [
            {
                "VariantName": variant["VariantName"],
                "CurrentWeight": variant.get("InitialVariantWeight", 1.0),
                "DesiredWeight": variant.get("InitialVariantWeight", 1.0),
                "CurrentInstanceCount": variant.get("InitialInstanceCount", 1),
                "DesiredInstanceCount": variant.get("InitialInstanceCount", 1),
            }
            for variant in variants
        ]
    }


def _describe_training_job(request: Request, job: Resource) -> Members:
    status = job.status(request.now_ms)
    name = str(job.members["TrainingJobName"])
    shown: Members = {
        "SecondaryStatus": "Training" if status == JOB.first else status,
        "TrainingStartTime": job.created_ms / 1000,
        "ObjectiveStatus": "Succeeded" if status == JOB.settled else "Pending",
    }
    if not running(JOB, status) and status != JOB.stopping:
        shown["TrainingEndTime"] = job.steps[-1].from_ms / 1000
    if status == JOB.settled:
        path = tuning.structure(job.members, "OutputDataConfig").get("S3OutputPath")
        shown["ModelArtifacts"] = {"S3ModelArtifacts": f"{path}/{name}/output/model.tar.gz"}
    return shown


def _check_feature_group(request: Request) -> None:
    names = {item.get("FeatureName") for item in request.structures("FeatureDefinitions")}
    for member in ("RecordIdentifierFeatureName", "EventTimeFeatureName"):
        if request.text(member) not in names:
            raise request.bad_input(f"{member} must be one of the feature definitions.")


def _describe_feature_group(_request: Request, group: Resource) -> Members:
    if "OfflineStoreConfig" not in group.members:
        return {}
    return {"OfflineStoreStatus": {"Status": "Active"}}


def _add_features(request: Request, group: Resource) -> Members:
    defined = group.members["FeatureDefinitions"]
    assert isinstance(defined, list)
    return {"FeatureDefinitions": defined + request.structures("FeatureAdditions")}


SPECIALS = {
    "Endpoint": Special(created=_endpoint_variants, updated=_endpoint_variants),
    "EndpointConfig": Special(check=_check_endpoint_config),
    "FeatureGroup": Special(
        check=_check_feature_group, described=_describe_feature_group, updated=_add_features
    ),
    "HyperParameterTuningJob": Special(
        check=tuning.check,
        created=tuning.created,
        described=tuning.described,
        stopped=tuning.stopped,
    ),
    "TrainingJob": Special(described=_describe_training_job),
}
"""By noun."""


def list_training_jobs_of(tuning_kind: Kind, job_kind: Kind, request: Request) -> Members:
    """ListTrainingJobsForHyperParameterTuningJob: a page of a tuning job's training jobs."""
    tuning_job = find(tuning_kind, request)
    jobs = tuning.children(request.scope, tuning_job.arn)
    found = [(job, source_of(job_kind, request, job)) for job in jobs]
    shown, token = page(request, job_kind.status_member, found)
    answer: Members = {"TrainingJobSummaries": shown}
    return answer | {"NextToken": token} if token else answer


def _tagged(request: Request) -> str:
    arn = request.text("ResourceArn")
    if arn not in request.scope.resources:
        raise request.not_found(f'Could not find resource "{arn}".')
    return arn


def _tags(request: Request, arn: str) -> Members:
    tags = request.scope.tags.get(arn, {})
    return {"Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}


def add_tags(request: Request) -> Members:
    """AddTags: set tags, and show all that the resource has now."""
    arn = _tagged(request)
    request.scope.tag(arn, request_tags(request.members), request.validation_code)
    return _tags(request, arn)


def list_tags(request: Request) -> Members:
    """ListTags: show all tags of a resource; there are never more than one page holds."""
    return _tags(request, _tagged(request))


def delete_tags(request: Request) -> Members:
    """DeleteTags: forget the named tags; those that are not there are no fault."""
    tags = request.scope.tags.get(_tagged(request), {})
    for key in request.listed("TagKeys"):
        tags.pop(str(key), None)
    return {}
