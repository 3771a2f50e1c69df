# SPDX-License-Identifier: Apache-2.0
"""The service table: one row for each captured service that needs more than its model.

Keys are botocore's service directories; a service without a row follows the rules.
"""

from collections.abc import Mapping
from types import MappingProxyType

from opentrail.capture import (
    service_devopsguru,
    service_others,
    service_personalize,
    service_sagemaker,
)
from opentrail.capture.rules import ServiceRules, Times

SERVICES: Mapping[str, ServiceRules] = MappingProxyType(
    {
        "account": service_others.RAW,
        "bedrock-runtime": service_others.BEDROCK_RUNTIME,
        "ce": service_others.RAW,
        "cloudtrail": ServiceRules(event_version="1.11", times=Times.JAVA_COMMA),
        "devops-guru": service_devopsguru.CONTROL,
        "dynamodb": service_others.DYNAMODB,
        "ec2": ServiceRules(event_version="1.10"),
        "ecs": ServiceRules(event_version="1.11"),
        "eks": ServiceRules(event_version="1.09"),
        "events": service_others.EVENTS,
        "kms": service_others.KMS,
        "lambda": service_others.LAMBDA,
        "logs": service_others.LOGS,
        "personalize": service_personalize.CONTROL,
        "personalize-events": service_personalize.EVENTS,
        "personalize-runtime": service_personalize.RUNTIME,
        "resource-explorer-2": service_others.RAW,
        "s3": service_others.S3,
        "sagemaker": service_sagemaker.CONTROL,
        "sagemaker-a2i-runtime": service_sagemaker.A2I,
        "sagemaker-edge": service_sagemaker.EDGE,
        "sagemaker-featurestore-runtime": service_sagemaker.FEATURE_STORE,
        "sagemaker-metrics": service_sagemaker.METRICS,
        "sagemaker-runtime": service_sagemaker.RUNTIME,
        "sagemakerjobruntime": service_sagemaker.JOB_RUNTIME,
        "sagemakertrainingsessionruntime": service_sagemaker.TRAINING_SESSION,
        "securityhub": service_others.RAW,
        "ses": service_others.SES,
        "sesv2": service_others.SES_V2,
        "sns": service_others.SNS,
        "sqs": service_others.SQS,
        "sts": service_others.STS,
    }
)

_DEFAULT = ServiceRules()


def rules_for(service: str) -> ServiceRules:
    """Return the rules of a service (botocore's service directory; "" for an unknown one)."""
    return SERVICES.get(service, _DEFAULT)
