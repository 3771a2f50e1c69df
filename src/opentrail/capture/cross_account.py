# SPDX-License-Identifier: Apache-2.0
"""Calls upon what another account owns: the owner gets an event of its own.

CloudTrail User Guide, "CloudTrail userIdentity element" (AWSAccount) and "sharedEventID". Only
where the request itself says who the owner is, or the settings do, and only between accounts that are
served here.
"""

import re
from collections.abc import Mapping

import msgspec

from opentrail.access.keys import AccessKey, IdentityType, is_account
from opentrail.aws.model import operation
from opentrail.aws.protocol import request_members
from opentrail.capture.call import Call, Outcome, plain
from opentrail.capture.user_identity import encode_identity
from opentrail.clock import Ids, uuid4_text

_ARN_OF: Mapping[str, tuple[str, ...]] = {
    "dynamodb.amazonaws.com": ("TableName",),
    "events.amazonaws.com": ("EventBusName",),
    "kinesis.amazonaws.com": ("StreamARN",),
    "kms.amazonaws.com": ("KeyId",),
    "lambda.amazonaws.com": ("FunctionName",),
    "sagemaker.amazonaws.com": (
        "FeatureGroupName",
        "HubName",
        "ModelCardName",
        "ModelPackageGroupName",
        "ModelPackageName",
        "PipelineName",
    ),
    "secretsmanager.amazonaws.com": ("SecretId",),
    "sns.amazonaws.com": ("TopicArn", "TargetArn"),
    "sqs.amazonaws.com": ("QueueUrl",),
    "sts.amazonaws.com": ("RoleArn",),
}
"""Event source -> the members that name what is acted upon, by ARN where another account owns it.
Of SQS a URL, whose path begins with the account."""
_S3 = "s3.amazonaws.com"
_BUCKET_OWNER = "x-amz-expected-bucket-owner"
"""S3 refuses the call when it is wrong: in an answer without error it is the owner. Work-alikes may
ignore it, and then it is nothing but the client's word."""
_ARN = re.compile(r"arn:[a-z-]+:[a-z0-9-]+:[a-z0-9-]*:([0-9]{12}):.+", re.DOTALL)
_QUEUE = re.compile(r"https?://[^/]+/([0-9]{12})/[^/]+")
_ERROR_STATUS = 300


class _Identity(msgspec.Struct, frozen=True, rename="camel"):
    type: str = ""
    principal_id: str = ""


def owner_of(call: Call, bucket_owners: Mapping[str, str]) -> str:
    """Return the account that owns what a successful call acted upon; "" where nobody says.

    ``bucket_owners`` are the owners of S3 buckets, by name, as the settings have them.
    """
    if call.outcome is not Outcome.ANSWERED or call.status >= _ERROR_STATUS:
        return ""
    if call.target.event_source == _S3:
        return _bucket_owner(call, bucket_owners)
    names = _ARN_OF.get(call.target.event_source, ())
    body = plain(call.request, call.head.headers)
    if not names or not body.complete:
        return ""
    members = _members(call, body.data)
    return next(filter(None, (_account(members.get(name)) for name in names)), "")


def _bucket_owner(call: Call, bucket_owners: Mapping[str, str]) -> str:
    """Return who owns the bucket of a call: as the settings say, else as S3 has confirmed."""
    if bucket_owners:
        bucket = _members(call, b"").get("Bucket")  # of the path or the host: no body says it
        if isinstance(bucket, str) and bucket in bucket_owners:
            return bucket_owners[bucket]
    owner = call.head.headers.get(_BUCKET_OWNER, "") if call.checks_bucket_owner else ""
    return owner if is_account(owner) else ""


def _members(call: Call, body: bytes) -> Mapping[str, object]:
    model = operation(call.target)
    return (request_members(model, call.head, body) or {}) if model is not None else {}


def _account(value: object) -> str:
    if not isinstance(value, str):
        return ""
    found = _ARN.fullmatch(value) or _QUEUE.fullmatch(value)
    return found[1] if found else ""


def owners_copy(call: Call, owner: str, ids: Ids) -> Call:
    """Return the call as the owner's event tells of it: the caller is an account, and an id in it.

    ``call`` gets the sharedEventID that both have.
    """
    caller = call.caller
    known = msgspec.json.decode(bytes(caller.user_identity), type=_Identity)
    identity = AccessKey(
        "", "", IdentityType.AWS_ACCOUNT, caller.account, principal_id=known.principal_id
    )
    call.shared_event_id = call.shared_event_id or uuid4_text(ids)
    return msgspec.structs.replace(
        call,
        event_id=uuid4_text(ids),
        caller=msgspec.structs.replace(
            caller,
            # A service is the same to every account.
            user_identity=caller.user_identity if caller.is_service else encode_identity(identity),
            account=owner,
            from_console=False,
        ),
        additional=dict(call.additional),
    )
