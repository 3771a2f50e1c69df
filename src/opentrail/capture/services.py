# SPDX-License-Identifier: Apache-2.0
"""The service table: one row for each captured service that needs more than its model.

Keys are botocore's service directories; a service without a row follows the rules.
"""

import dataclasses
import functools
from collections.abc import Mapping
from types import MappingProxyType

from opentrail.capture import (
    service_compute,
    service_devopsguru,
    service_identity,
    service_messages,
    service_personalize,
    service_sagemaker,
    service_storage,
)
from opentrail.capture.data_events import data_events
from opentrail.capture.rules import (
    Casing,
    Form,
    Named,
    OperationRules,
    Redaction,
    ServiceRules,
    Times,
)

_RAW = ServiceRules(casing=Casing.RAW)
_RAW_STARS = ServiceRules(casing=Casing.RAW, redaction=Redaction.STARS)
_KEY = OperationRules(hide=frozenset({"value"}))
_KEY_ID = OperationRules(hide=frozenset({"id"}))
"""The id of an API key of AppSync is the key."""
_KEY_VALUE_STORE = Named("AWS::CloudFront::KeyValueStore", ("KvsARN",))
"""Its records show what was asked and answered; of values the model says that they are sensitive."""
_REPOSITORY = Named(
    "",
    ("repositoryName",),
    "arn:{partition}:ecr:{region}:{account}:repository/{name}",
    owner="registryId",
)
"""Records of ECR's documentation and delivered ones name it without a type."""
_RDS = ServiceRules(form=Form.UNWRAPPED)
_CAMPAIGN = OperationRules(hide=frozenset({"Description", "MessageConfiguration", "Name"}))
_CLUSTER = OperationRules(
    keep=frozenset(
        {
            "continueAfterTimeout",
            "database",
            "includeResultMetadata",
            "resourceArn",
            "schema",
            "secretArn",
            "sql",
            "transactionId",
        }
    ),
    data=Named("AWS::RDS::DBCluster", ("resourceArn",)),
    response=False,
)


def _statement(sql: str) -> OperationRules:
    cluster = "arn:{partition}:redshift:{region}:{account}:cluster:{name}"
    return OperationRules(
        hide=frozenset({sql}),
        drop=frozenset({"Parameters"}),
        data=Named("AWS::Redshift::Cluster", ("ClusterIdentifier",), cluster),
    )


_TOKEN = ServiceRules(hide=frozenset({"Token"}))
"""Tokens that prove who calls, and licences; elsewhere members so called only count or page."""
_GLUE_PASSWORDS = frozenset(
    {
        "KAFKA_CLIENT_KEYSTORE_PASSWORD",
        "KAFKA_CLIENT_KEY_PASSWORD",
        "KAFKA_SASL_PLAIN_PASSWORD",
        "KAFKA_SASL_SCRAM_PASSWORD",
        "PASSWORD",
    }
)
"""Of the properties of a connection; what is encrypted has other names."""
_TEXT = ServiceRules(hide=frozenset({"Text"}))
"""What texts say is their owners' data; of some operations the model does not say so."""

SERVICES: Mapping[str, ServiceRules] = MappingProxyType(
    {
        "account": ServiceRules(casing=Casing.RAW, hide_messages=True),
        "apigateway": ServiceRules(
            form=Form.API_GATEWAY,
            times=Times.JAVA,
            redaction=Redaction.STARS,
            operations=dict.fromkeys(("CreateApiKey", "CreateUsagePlanKey", "UpdateApiKey"), _KEY),
        ),
        "appmesh": ServiceRules(times=Times.JAVA_COMMA, api_version="2019-01-25"),
        "appsync": ServiceRules(
            redaction=Redaction.STARS,
            operations=dict.fromkeys(("CreateApiKey", "DeleteApiKey", "UpdateApiKey"), _KEY_ID),
        ),
        "athena": ServiceRules(redaction=Redaction.WITHHELD, hide=frozenset({"QueryString"})),
        "bedrock-runtime": service_compute.BEDROCK_RUNTIME,
        "budgets": ServiceRules(casing=Casing.RAW, times=Times.AS_SENT),
        "ce": _RAW,
        "cloudcontrol": ServiceRules(event_version="1.11"),
        "cloudformation": ServiceRules(drop=frozenset({"ParameterValue"})),
        "cloudfront": ServiceRules(
            event_version="1.11",
            api_version="2020_05_31",
            unparsed_errors=frozenset({"AccessDenied"}),
        ),
        "cloudfront-keyvaluestore": ServiceRules(
            event_version="1.09",
            operations=dict.fromkeys(
                (
                    "DeleteKey",
                    "DescribeKeyValueStore",
                    "GetKey",
                    "ListKeys",
                    "PutKey",
                    "UpdateKeys",
                ),
                OperationRules(data=_KEY_VALUE_STORE),
            ),
        ),
        "cloudhsmv2": ServiceRules(times=Times.JAVA_COMMA),
        "cloudtrail": ServiceRules(event_version="1.11", times=Times.JAVA_COMMA),
        "codebuild": ServiceRules(event_version="1.11", hide=frozenset({"secret"})),
        "codepipeline": ServiceRules(secret_keys=frozenset({"OAuthToken"})),
        "cognito-identity": service_identity.COGNITO_IDENTITY,
        "cognito-idp": ServiceRules(
            hide=frozenset({"Code"}), secret_keys=frozenset({"client_secret", "private_key"})
        ),
        "comprehend": _TEXT,
        "comprehendmedical": _TEXT,
        "connect": _RAW_STARS,
        "connectparticipant": ServiceRules(hide=frozenset({"Content"})),
        "databrew": _RAW,
        "dataexchange": _RAW,
        "devops-guru": service_devopsguru.CONTROL,
        "directconnect": ServiceRules(hide=frozenset({"authKey"})),
        "dlm": _RAW,
        "docdb": _RDS,
        "dynamodb": service_storage.DYNAMODB,
        "dynamodbstreams": service_storage.DYNAMODB_STREAMS,
        "ebs": service_compute.EBS,
        "ec2": service_compute.EC2,
        "ecr": ServiceRules(named=(_REPOSITORY,)),
        "ecs": ServiceRules(event_version="1.11"),
        "efs": ServiceRules(api_version="2015-02-01"),
        "eks": ServiceRules(
            event_version="1.09", tls=False, by_path=True, hide=frozenset({"token"})
        ),
        "elasticache": _RDS,
        "elb": ServiceRules(api_version="2012-06-01"),
        "elbv2": ServiceRules(api_version="2015-12-01"),
        "events": service_messages.EVENTS,
        "geo-places": _RAW_STARS,
        "glue": ServiceRules(secret_keys=_GLUE_PASSWORDS),
        "health": ServiceRules(times=Times.JAVA_COMMA),
        "iam": service_identity.IAM,
        "invoicing": ServiceRules(event_version="1.11", casing=Casing.RAW, times=Times.AS_SENT),
        "iot": ServiceRules(hide=frozenset({"token"})),
        "kendra": _TOKEN,
        "kms": service_identity.KMS,
        "lambda": service_compute.LAMBDA,
        "license-manager": _TOKEN,
        "location": _RAW,
        "logs": service_messages.LOGS,
        "mediatailor": _RAW,
        "mq": ServiceRules(redaction=Redaction.STARS),
        "mwaa": _RAW_STARS,
        "neptune": _RDS,
        "oam": _RAW,
        "organizations": service_identity.ORGANIZATIONS,
        "outposts": _RAW_STARS,
        "payment-cryptography": ServiceRules(times=Times.JAVA_COMMA),
        "personalize": service_personalize.CONTROL,
        "personalize-events": service_personalize.EVENTS,
        "personalize-runtime": service_personalize.RUNTIME,
        "pinpoint": ServiceRules(
            casing=Casing.RAW,
            form=Form.UNWRAPPED,
            by_path=True,
            by_query=True,
            redaction=Redaction.STARS,
            operations=dict.fromkeys(("CreateCampaign", "UpdateCampaign"), _CAMPAIGN),
        ),
        "pinpoint-sms-voice": ServiceRules(casing=Casing.RAW),
        "pinpoint-sms-voice-v2": service_messages.SMS_VOICE,
        "polly": ServiceRules(redaction=Redaction.ASTERISKS, hide=frozenset({"Text"})),
        "proton": ServiceRules(hide_messages=True),
        "rds": _RDS,
        "rds-data": ServiceRules(
            event_type="Rds Data Service",
            redaction=Redaction.ASTERISKS,
            hide=frozenset({"database", "schema", "sql"}),
            operations=dict.fromkeys(
                (
                    "BatchExecuteStatement",
                    "BeginTransaction",
                    "CommitTransaction",
                    "ExecuteStatement",
                    "RollbackTransaction",
                ),
                _CLUSTER,
            ),
        ),
        "redshift": _RDS,
        "redshift-data": ServiceRules(
            redaction=Redaction.WITHHELD,
            operations={
                "BatchExecuteStatement": _statement("Sqls"),
                "ExecuteStatement": _statement("Sql"),
            },
        ),
        "resource-explorer-2": _RAW_STARS,
        "resource-groups": _RAW,
        "rolesanywhere": ServiceRules(event_version="1.10"),
        "route53": ServiceRules(event_version="1.10", api_version="2013-04-01"),
        "rum": service_messages.RUM,
        "s3": service_storage.S3,
        "s3control": service_storage.S3_CONTROL,
        "sagemaker": service_sagemaker.CONTROL,
        "sagemaker-a2i-runtime": service_sagemaker.A2I,
        "sagemaker-edge": service_sagemaker.EDGE,
        "sagemaker-featurestore-runtime": service_sagemaker.FEATURE_STORE,
        "sagemaker-gateway-runtime": service_sagemaker.GATEWAY_RUNTIME,
        "sagemaker-inference-router-runtime": service_sagemaker.ROUTER_RUNTIME,
        "sagemaker-metrics": service_sagemaker.METRICS,
        "sagemaker-runtime": service_sagemaker.RUNTIME,
        "sagemakerjobruntime": service_sagemaker.JOB_RUNTIME,
        "sagemakertrainingsessionruntime": service_sagemaker.TRAINING_SESSION,
        "secretsmanager": service_identity.SECRETS_MANAGER,
        "securityhub": _RAW,
        "ses": service_messages.SES,
        "sesv2": service_messages.SES_V2,
        "signin": ServiceRules(hide=frozenset({"code", "codeVerifier"})),
        "sns": service_messages.SNS,
        "sqs": service_messages.SQS,
        "ssm": service_identity.SSM,
        "sso-oidc": ServiceRules(hide=frozenset({"code"})),
        "sts": service_identity.STS,
        "synthetics": ServiceRules(casing=Casing.RAW, by_path=True),
        "taxsettings": ServiceRules(hide_messages=True),
        "translate": ServiceRules(hide=frozenset({"Text", "TranslatedText"})),
        "verifiedpermissions": service_identity.VERIFIED_PERMISSIONS,
        # AWS WAF's is older than that of its model, and in delivered records all the same.
        "waf": ServiceRules(api_version="2015-08-24"),
        "waf-regional": ServiceRules(api_version="2015-08-24"),
        "wafv2": ServiceRules(api_version="2019-04-23"),
        "wellarchitected": _RAW,
        "workmail": _TOKEN,
    }
)

_DEFAULT = ServiceRules()


@functools.cache
def rules_for(service: str) -> ServiceRules:
    """Return the rules of a service (botocore's service directory; "" for an unknown one).

    Its own row comes first, then the table of data events.
    """
    own = SERVICES.get(service, _DEFAULT)
    data = data_events(service)
    if data is None:
        return own
    return dataclasses.replace(
        own, data=data.every, operations={**data.operations, **own.operations}
    )
