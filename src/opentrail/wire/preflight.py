# SPDX-License-Identifier: Apache-2.0
"""Whether bucket and targets take what will be delivered: tried before a trail is made or changed.

Follows the CloudTrail User Guide, "Amazon S3 bucket policy for CloudTrail", and what the service
does: GetBucketAcl, then an empty object where log files will be, and one where digests will be.
"""

from dataclasses import dataclass, replace

import msgspec

from opentrail.errors import ClientError, Unavailable, UsageError
from opentrail.objects.base import Buckets, Put
from opentrail.trails.flight import KMS_CONTEXT_KEY
from opentrail.trails.logfile import key_root
from opentrail.trails.status import NO_BUCKET
from opentrail.trails.trail import Trail
from opentrail.wire.rooms import Rooms

_MARKER = Put(content_type="binary/octet-stream", content_encoding="")


@dataclass(frozen=True, slots=True)
class Given:
    """Which targets a request gives: those that it does not name are not tried again."""

    topic: bool
    group: bool
    key: bool


def preflight(rooms: Rooms, trail: Trail, given: Given) -> Trail:
    """Try all that ``trail`` is connected with; return it with the ARN of its key.

    1. whether there is somebody to deliver to
    2. the key
    3. the bucket     (leaves empty objects)
    4. the topic      (gets a message)
    5. the log group  (gets a stream)
    The first that refuses ends it; what was left behind until then stays, as the service does.
    Raises: ClientError: with CloudTrail's codes. Unavailable: one of them does not answer.
    """
    rooms.targets.offered(trail)
    if given.key:
        arn = rooms.targets.key_arn(trail)
        trail = msgspec.structs.replace(trail, kms_key_id=arn)
    try_bucket(rooms.buckets, trail)
    if given.topic:
        rooms.targets.try_topic(trail)
    if given.group:
        rooms.targets.try_log_group(trail)
    return trail


def try_bucket(buckets: Buckets, trail: Trail) -> None:
    """Try the bucket of ``trail``; what this leaves in the bucket stays there, as the service does.

    1. read the ACL
    2. put the empty object of the log files
    3. put that of the digests, if they are wanted
    A crash between leaves empty objects that mean nothing.
    Raises: ClientError: with CloudTrail's codes. Unavailable: the bucket does not answer.
    """
    home = f"{key_root(trail)}{trail.account}"
    try:
        bucket = buckets.find(trail.bucket)
        bucket.acl_readable()
        bucket.put(f"{home}/CloudTrail/", b"", _as_delivered(trail))
        if trail.log_file_validation:
            bucket.put(f"{home}/CloudTrail-Digest/", b"", _as_delivered(trail))
    except ClientError as error:
        raise _translated(error, trail) from error
    except UsageError as error:
        message = f"The server's settings for bucket {trail.bucket} cannot be used."
        raise ClientError("InternalFailure", message, 500) from error


def waits_for_gone(rooms: Rooms, before: Trail, trail: Trail) -> bool:
    """Return whether what ``before`` took may wait for a bucket that is not there any more.

    That of ``trail``, which is to follow, was tried just now: it is there. So may be by now the one of
    which the status says that it was not, and it may have some of what waits: it is asked again.
    """
    status = rooms.trails.status(before.id).delivery
    if status.error not in ("", NO_BUCKET):
        return False  # a bucket that refuses is there
    waits_for = status.bucket if status.error and status.bucket else before.bucket
    if waits_for == trail.bucket:
        return False
    try:
        rooms.buckets.find(waits_for).acl_readable()
    except ClientError as refusal:
        return refusal.code == NO_BUCKET
    except (Unavailable, UsageError):
        return False
    return False


def _as_delivered(trail: Trail) -> Put:
    """Return how the empty object is written: encrypted as files will be, which the key may refuse."""
    if not trail.kms_key_id:
        return _MARKER
    context = {KMS_CONTEXT_KEY: trail.arn}
    return replace(_MARKER, kms_key_id=trail.kms_key_id, kms_context=context)


def _translated(error: ClientError, trail: Trail) -> ClientError:
    """Return CloudTrail's word for what S3 said; any refusal that is no other is the policy's."""
    bucket, key = trail.bucket, trail.kms_key_id
    if key and (error.code.startswith("KMS.") or error.code == "NotImplemented"):
        return ClientError(
            "InsufficientEncryptionPolicyException",
            f"Insufficient permissions to access S3 bucket {bucket} or KMS key {key}.",
        )
    if error.code == "NoSuchBucket":
        return ClientError("S3BucketDoesNotExistException", f"S3 bucket {bucket} does not exist!")
    if error.code == "InvalidBucketName":
        message = f"Bucket name {bucket!r} is not valid in Amazon S3."
        return ClientError("InvalidS3BucketNameException", message)
    if error.code in ("InvalidArgument", "KeyTooLongError"):
        return ClientError("InvalidS3PrefixException", error.message)
    return ClientError(
        "InsufficientS3BucketPolicyException",
        f"Incorrect S3 bucket policy is detected for bucket: {bucket}",
    )
