# SPDX-License-Identifier: Apache-2.0
"""Services that need a row and no file: STS, KMS, and the best-known data planes.

Source: CloudTrail User Guide, "Logging data events"; delivered records for the names and the
versions. Payloads of data events carry customer data, so each row names the members to keep.
"""

from collections.abc import Mapping
from types import MappingProxyType

from opentrail.capture.rules import Casing, DataEvent, OperationRules, ServiceRules, Times

_NOTHING: frozenset[str] = frozenset()
RAW = ServiceRules(casing=Casing.RAW)


def _rows(*rows: tuple[str, OperationRules]) -> Mapping[str, OperationRules]:
    """Return the table of ``rows``: operation names with spaces between them, and their rules."""
    return MappingProxyType({name: rules for names, rules in rows for name in names.split()})


# The three AssumeRole operations are recorded as reads, and with their response all the same.
# A session token is a credential: hidden, although AWS shows it.
_ASSUME = OperationRules(read_only=True, response=True)
_SESSION = OperationRules(read_only=False)
STS = ServiceRules(
    times=Times.JAVA_COMMA,
    hide=frozenset({"SessionToken"}),
    operations=_rows(
        ("AssumeRole AssumeRoleWithSAML AssumeRoleWithWebIdentity", _ASSUME),
        ("GetFederationToken GetSessionToken", _SESSION),
    ),
)

_KMS_READS = (
    "Decrypt Encrypt GenerateDataKey GenerateDataKeyPair GenerateDataKeyPairWithoutPlaintext"
    " GenerateDataKeyWithoutPlaintext GenerateMac GenerateRandom ReEncrypt Sign Verify VerifyMac"
)
KMS = ServiceRules(
    tls=False, event_version="1.11", operations=_rows((_KMS_READS, OperationRules(read_only=True)))
)

# Prompts are the customer's data. Recorded as reads: delivered for InvokeModel, taken over for the
# other three.
_PROMPT = OperationRules(keep=frozenset({"modelId"}), read_only=True)
BEDROCK_RUNTIME = ServiceRules(
    operations=_rows(
        ("Converse ConverseStream InvokeModel InvokeModelWithResponseStream", _PROMPT),
    )
)

_FUNCTION = DataEvent(
    "AWS::Lambda::Function",
    ("FunctionName",),
    "arn:{partition}:lambda:{region}:{account}:function:{name}",
)
_INVOKE = OperationRules(
    keep=frozenset({"FunctionName", "InvocationType", "Qualifier"}), data=_FUNCTION, response=False
)
LAMBDA = ServiceRules(
    operations=MappingProxyType(
        {
            **dict.fromkeys(("Invoke", "InvokeAsync", "InvokeWithResponseStream"), _INVOKE),
            # Delivered records name these by the API version they were made in.
            **{
                name: OperationRules(event_name=name + suffix)
                for name, suffix in {
                    "AddPermission": "20150331v2",
                    "CreateFunction": "20150331",
                    "DeleteFunction": "20150331",
                    "GetFunction": "20150331v2",
                    "ListVersionsByFunction": "20150331",
                    "RemovePermission": "20150331v2",
                    "UpdateFunctionCode": "20150331v2",
                    "UpdateFunctionConfiguration": "20150331v2",
                }.items()
            },
        }
    )
)

_OBJECT = DataEvent("AWS::S3::Object")
_OBJECT_OPERATIONS = (
    "AbortMultipartUpload CompleteMultipartUpload CopyObject CreateMultipartUpload DeleteObject"
    " DeleteObjectTagging DeleteObjects GetObject GetObjectAcl GetObjectAttributes"
    " GetObjectLegalHold GetObjectRetention GetObjectTagging GetObjectTorrent HeadBucket HeadObject"
    " ListMultipartUploads ListObjectVersions ListObjects ListParts PutObject PutObjectAcl"
    " PutObjectLegalHold PutObjectRetention PutObjectTagging RestoreObject SelectObjectContent"
    " UploadPart UploadPartCopy"
)
S3 = ServiceRules(
    operations=_rows(
        (_OBJECT_OPERATIONS, OperationRules(data=_OBJECT)),
        ("ListObjectsV2", OperationRules(data=_OBJECT, event_name="ListObjects")),
        (
            "GetBucketAccelerateConfiguration",
            OperationRules(event_name="GetAccelerateConfiguration"),
        ),
        ("GetPublicAccessBlock", OperationRules(event_name="GetBucketPublicAccessBlock")),
    )
)

_TABLE = DataEvent(
    "AWS::DynamoDB::Table",
    ("TableName",),
    "arn:{partition}:dynamodb:{region}:{account}:table/{name}",
)
_TABLE_NAME = OperationRules(keep=frozenset({"TableName"}), data=_TABLE, response=False)
_STATEMENT = OperationRules(keep=_NOTHING, data=DataEvent("AWS::DynamoDB::Table"), response=False)
DYNAMODB = ServiceRules(
    operations=_rows(
        ("DeleteItem GetItem PutItem Query Scan UpdateItem", _TABLE_NAME),
        ("BatchExecuteStatement ExecuteStatement ExecuteTransaction", _STATEMENT),
        ("BatchGetItem BatchWriteItem", _STATEMENT),
        ("TransactGetItems TransactWriteItems", _STATEMENT),
    )
)

_TOPIC = DataEvent("AWS::SNS::Topic", ("TopicArn",))
SNS = ServiceRules(
    operations=_rows(
        (
            "Publish PublishBatch",
            OperationRules(keep=frozenset({"TopicArn"}), data=_TOPIC, response=False),
        )
    )
)

# Letters are hidden, as in delivered records, and so is what is put into a template.
_FILLED_IN = frozenset({"ReplacementTemplateData", "TemplateData"})
SES = ServiceRules(hide=_FILLED_IN | {"DefaultTemplateData", "Message"})
SES_V2 = ServiceRules(hide=_FILLED_IN | {"Content", "DefaultContent"})

_QUEUE = DataEvent(
    "AWS::SQS::Queue", ("QueueUrl",), "arn:{partition}:sqs:{region}:{account}:{name}"
)
_MESSAGE_OPERATIONS = (
    "ChangeMessageVisibility ChangeMessageVisibilityBatch DeleteMessage DeleteMessageBatch"
    " ReceiveMessage SendMessage SendMessageBatch"
)
SQS = ServiceRules(
    operations=_rows(
        (
            _MESSAGE_OPERATIONS,
            OperationRules(keep=frozenset({"QueueUrl"}), data=_QUEUE, response=False),
        )
    )
)

LOGS = ServiceRules(
    operations=_rows(
        (
            "PutLogEvents",
            OperationRules(keep=frozenset({"logGroupName", "logStreamName"}), response=False),
        )
    )
)
EVENTS = ServiceRules(
    operations=_rows(
        (
            "PutEvents",
            OperationRules(keep=_NOTHING, data=DataEvent("AWS::Events::EventBus"), response=False),
        )
    )
)
