# SPDX-License-Identifier: Apache-2.0
"""Amazon SageMaker and its runtimes: what their models do not say about their records.

Source: SageMaker Developer Guide, "Log Amazon SageMaker API Calls with AWS CloudTrail" and
"Logging Feature Store operations"; CloudTrail User Guide, "Logging data events". All of them
sign as "sagemaker"; only the metrics service records under a name of its own.
"""

from types import MappingProxyType

from opentrail.capture.rules import Named, OperationRules, ServiceRules, Times

_VERSION = "1.11"
"""What delivered sagemaker.amazonaws.com records carry; the Feature Store sample page, older,
shows 1.08."""
_ARN = "arn:{partition}:sagemaker:{region}:{account}:"
_NOTHING: frozenset[str] = frozenset()

# The control plane: every operation is a management event. Presigned URLs and session tokens let
# whoever reads them in: hidden, whatever AWS does.
CONTROL = ServiceRules(
    event_version=_VERSION,
    times=Times.JAVA,  # none seen in delivered records; its generation of services writes these
    hide=frozenset({"CallbackToken"}),
    operations=MappingProxyType(
        {
            "CreateHubContentPresignedUrls": OperationRules(
                hide=frozenset({"Url"}), read_only=False
            ),
            "CreatePartnerAppPresignedUrl": OperationRules(hide=frozenset({"Url"})),
        }
    ),
)

# readOnly false as for the documented Sample: an invocation has no read-only verb.
# ARNs of endpoints made before 2024 or so have the name in lower case: selectors compare them so.
_ENDPOINT = Named("AWS::SageMaker::Endpoint", ("EndpointName",), _ARN + "endpoint/{name}")
# What the customer's container answers is in the message of this error.
_MODEL_ERROR = frozenset({"ModelError"})
RUNTIME = ServiceRules(
    event_version=_VERSION,
    operations=MappingProxyType(
        {
            "InvokeEndpoint": OperationRules(
                keep=_NOTHING,
                data=_ENDPOINT,
                response=False,
                read_only=False,
                in_2023=False,
                quoting_errors=_MODEL_ERROR,
            ),
            "InvokeEndpointAsync": OperationRules(
                keep=_NOTHING, data=_ENDPOINT, read_only=False, in_2023=False
            ),
            "InvokeEndpointWithResponseStream": OperationRules(
                keep=_NOTHING,
                data=_ENDPOINT,
                response=False,
                read_only=False,
                quoting_errors=_MODEL_ERROR,
            ),
        }
    ),
)

_GROUP_ARN = _ARN + "feature-group/{name}"
_GROUP = Named("AWS::SageMaker::FeatureGroup", ("FeatureGroupName",), _GROUP_ARN)
_GROUPS_READ = Named(
    "AWS::SageMaker::FeatureGroup", ("Identifiers", "FeatureGroupName"), _GROUP_ARN
)
_GROUPS_WRITTEN = Named("AWS::SageMaker::FeatureGroup", ("Entries", "FeatureGroupName"), _GROUP_ARN)
# Feature values are customer data without a `sensitive` trait: a write keeps only the group's
# name (documented for PutRecord). Reads and deletes keep which record they were about.
_WRITE = OperationRules(keep=frozenset({"FeatureGroupName"}), data=_GROUP, response=False)
FEATURE_STORE = ServiceRules(
    event_version=_VERSION,
    operations=MappingProxyType(
        {
            "BatchGetRecord": OperationRules(data=_GROUPS_READ),
            "BatchWriteRecord": OperationRules(
                keep=frozenset({"Entries"}),
                drop=frozenset({"Record", "TargetStores", "TtlDuration"}),
                data=_GROUPS_WRITTEN,
                response=False,
            ),
            "DeleteRecord": OperationRules(data=_GROUP),
            "GetRecord": OperationRules(data=_GROUP),
            "ListRecords": OperationRules(data=_GROUP),
            "PutRecord": _WRITE,
            "UpdateRecord": _WRITE,
        }
    ),
)

_COMPONENT = "AWS::SageMaker::ExperimentTrialComponent"
_COMPONENT_ARN = _ARN + "experiment-trial-component/{name}"
METRICS = ServiceRules(
    event_version=_VERSION,
    times=Times.EPOCH_MS,
    operations=MappingProxyType(
        {
            "BatchGetMetrics": OperationRules(
                data=Named(_COMPONENT, ("MetricQueries", "ResourceArn"), _COMPONENT_ARN)
            ),
            "BatchPutMetrics": OperationRules(
                data=Named(_COMPONENT, ("TrialComponentName",), _COMPONENT_ARN)
            ),
        }
    ),
)

_JOB = Named("AWS::SageMaker::Job", ("JobArn",))
JOB_RUNTIME = ServiceRules(
    event_version=_VERSION,
    operations=MappingProxyType(
        {
            "CompleteRollout": OperationRules(data=_JOB),
            "Sample": OperationRules(keep=_NOTHING, data=_JOB, response=False),
            "SampleWithResponseStream": OperationRules(keep=_NOTHING, data=_JOB, response=False),
            "UpdateReward": OperationRules(data=_JOB),
        }
    ),
)

# Prompts and training data are in the request, samples in the answer: only the names are kept.
# No ARN is published for a session: the record names none.
_SESSION = OperationRules(
    keep=frozenset({"trainingSessionName", "operationId"}),
    data=Named("AWS::SageMaker::TrainingSession"),
    response=False,
)
TRAINING_SESSION = ServiceRules(
    event_version=_VERSION,
    operations=MappingProxyType(
        dict.fromkeys(
            (
                "ExecuteSamplingOperation",
                "ExecuteTrainingOperation",
                "GetSamplingOperationResult",
                "GetTrainingOperationResult",
                "SampleTrainingSession",
                "SampleTrainingSessionWithResponseStream",
            ),
            _SESSION,
        )
    ),
)

# Nothing is documented for these: management events, as for any service.
GATEWAY_RUNTIME = ServiceRules(event_version=_VERSION)
ROUTER_RUNTIME = ServiceRules(
    event_version=_VERSION,
    operations=MappingProxyType(
        {"InvokeInferenceRouter": OperationRules(quoting_errors=_MODEL_ERROR)}
    ),
)
A2I = ServiceRules(event_version=_VERSION, hide=frozenset({"InputContent"}))
EDGE = ServiceRules(event_version=_VERSION)
