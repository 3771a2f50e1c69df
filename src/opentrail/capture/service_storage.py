# SPDX-License-Identifier: Apache-2.0
"""S3 and DynamoDB: what their models do not say about their records.

Source: S3 User Guide, "Amazon S3 CloudTrail events"; CloudTrail User Guide, "Logging data events";
delivered records for the names.
"""

from collections.abc import Mapping
from types import MappingProxyType

from opentrail.capture.rules import KEYS, Form, Named, OperationRules, ServiceRules

_OBJECT = Named("AWS::S3::Object")
"""``resources_s3`` says which."""
_OBJECT_OPERATIONS = (
    "AbortMultipartUpload CreateMultipartUpload DeleteObject"
    " DeleteObjectTagging DeleteObjects GetObject GetObjectAcl GetObjectAttributes"
    " GetObjectTagging GetObjectTorrent HeadBucket HeadObject"
    " ListMultipartUploads ListObjectVersions ListObjects ListParts PutObject PutObjectAcl"
    " PutObjectTagging RenameObject RestoreObject"
    " SelectObjectContent UploadPart WriteGetObjectResponse"
)
_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "DeletePublicAccessBlock": "DeleteBucketPublicAccessBlock",
        "GetBucketAccelerateConfiguration": "GetAccelerateConfiguration",
        "GetBucketAnalyticsConfiguration": "GetAnalyticsConfiguration",
        "GetBucketInventoryConfiguration": "GetInventoryConfiguration",
        "GetBucketLifecycleConfiguration": "GetBucketLifecycle",
        "GetBucketMetricsConfiguration": "GetMetricsConfiguration",
        "GetBucketNotificationConfiguration": "GetBucketNotification",
        "GetObjectLockConfiguration": "GetBucketObjectLockConfiguration",
        "GetPublicAccessBlock": "GetBucketPublicAccessBlock",
        "PutBucketAccelerateConfiguration": "PutAccelerateConfiguration",
        "PutBucketAnalyticsConfiguration": "PutAnalyticsConfiguration",
        "PutBucketInventoryConfiguration": "PutInventoryConfiguration",
        "PutBucketLifecycleConfiguration": "PutBucketLifecycle",
        "PutBucketMetricsConfiguration": "PutMetricsConfiguration",
        "PutBucketNotificationConfiguration": "PutBucketNotification",
        "PutObjectLockConfiguration": "PutBucketObjectLockConfiguration",
        "PutPublicAccessBlock": "PutBucketPublicAccessBlock",
    }
)
_ONE_TIME_CODE = frozenset({"MFA"})
"""The device's serial number and the code that it shows."""
S3 = ServiceRules(
    event_version="1.11",
    form=Form.S3,
    hide=_ONE_TIME_CODE,
    operations=MappingProxyType(
        {
            **dict.fromkeys(_OBJECT_OPERATIONS.split(), OperationRules(data=_OBJECT)),
            # Long work: S3 keeps the connection alive meanwhile, and says at its end what came of it.
            **dict.fromkeys(
                ("CompleteMultipartUpload", "CopyObject", "UploadPartCopy"),
                OperationRules(data=_OBJECT, late_errors=True),
            ),
            "PostObject": OperationRules(data=_OBJECT),
            # Of directory buckets alone; S3 User Guide, "CloudTrail log file examples for directory buckets".
            "CreateSession": OperationRules(data=_OBJECT, read_only=True),
            **{
                f"{verb}Object{what}": OperationRules(
                    data=_OBJECT, event_name=f"{verb}ObjectLock{what}"
                )
                for verb in ("Get", "Put")
                for what in ("LegalHold", "Retention")
            },
            "ListObjectsV2": OperationRules(data=_OBJECT, event_name="ListObjects"),
            # A query's text and what it asks for are the customer's data.
            "SelectObjectContent": OperationRules(
                data=_OBJECT, drop=frozenset({"Expression"}), read_only=True
            ),
            **{name: OperationRules(event_name=shown) for name, shown in _NAMES.items()},
        }
    ),
)
S3_CONTROL = ServiceRules(
    event_version="1.11",
    form=Form.S3_CONTROL,
    hide=_ONE_TIME_CODE,
    operations=MappingProxyType(
        {
            f"{verb}PublicAccessBlock": OperationRules(event_name=f"{verb}AccountPublicAccessBlock")
            for verb in ("Delete", "Get", "Put")
        }
    ),
)

_TABLE = Named(
    "AWS::DynamoDB::Table",
    ("TableName",),
    "arn:{partition}:dynamodb:{region}:{account}:table/{name}",
)
_SHOWN = frozenset(
    {
        "ConditionExpression",
        "ExpressionAttributeNames",
        "IndexName",
        "Item",
        "Key",
        "ProjectionExpression",
        "ReturnConsumedCapacity",
        "ReturnItemCollectionMetrics",
        "ReturnValues",
        "Select",
        "TableName",
        "UpdateExpression",
    }
)
"""What delivered records show of an item's operation: its key, and expressions that name attributes
by placeholders; never values."""
_ITEM = OperationRules(keep=_SHOWN, data=_TABLE, response=False)
_TABLE_NAME = OperationRules(
    keep=frozenset({"TableName", "IndexName"}), data=_TABLE, response=False
)
_ANY_TABLE = Named(_TABLE.type)
_BATCH = OperationRules(
    keep=frozenset(),
    data=_ANY_TABLE,
    named=(Named(_TABLE.type, ("RequestItems", KEYS), _TABLE.arn),),
    response=False,
)


def _transaction(*operations: str) -> OperationRules:
    """Return the rules of a transaction whose items are of ``operations``."""
    return OperationRules(
        keep=_SHOWN | {"TransactItems"},
        drop=frozenset({"ExpressionAttributeValues"} if "Put" in operations else ()),
        spelling=MappingProxyType({"Item": "items", "TransactItems": "requestItems"}),
        data=_ANY_TABLE,
        named=tuple(
            Named(_TABLE.type, ("TransactItems", name, "TableName"), _TABLE.arn)
            for name in operations
        ),
        response=False,
    )


# An iterator begins with the ARN of its stream, and nothing else names that.
DYNAMODB_STREAMS = ServiceRules(
    api_version="2012-08-10",
    operations=MappingProxyType(
        {
            "GetRecords": OperationRules(
                keep=frozenset({"ShardIterator"}),
                data=Named("AWS::DynamoDB::Stream", ("ShardIterator",), until="|"),
            )
        }
    ),
)

_STATEMENT = OperationRules(keep=frozenset(), data=_ANY_TABLE, response=False)
DYNAMODB = ServiceRules(
    api_version="2012-08-10",
    form=Form.DYNAMODB,
    operations=MappingProxyType(
        {
            **dict.fromkeys(("DeleteItem", "GetItem", "PutItem", "UpdateItem"), _ITEM),
            **dict.fromkeys(("Query", "Scan"), _TABLE_NAME),
            **dict.fromkeys(("BatchGetItem", "BatchWriteItem"), _BATCH),
            "TransactGetItems": _transaction("Get"),
            "TransactWriteItems": _transaction("ConditionCheck", "Delete", "Put", "Update"),
            # Statements have values in their text.
            **dict.fromkeys(
                ("BatchExecuteStatement", "ExecuteStatement", "ExecuteTransaction"), _STATEMENT
            ),
        }
    ),
)
