# SPDX-License-Identifier: Apache-2.0
"""Whether a trail's bucket takes what will be delivered: tried before the trail is made or changed.

Follows the CloudTrail User Guide, "Amazon S3 bucket policy for CloudTrail", and what the service
does: GetBucketAcl, then an empty object where log files will be, and one where digests will be.
"""

from opentrail.errors import ClientError, UsageError
from opentrail.objects.base import Buckets, Put
from opentrail.trails.trail import Trail

_MARKER = Put(content_type="binary/octet-stream", content_encoding="")


def preflight(buckets: Buckets, trail: Trail) -> None:
    """Try the bucket of ``trail``; what this leaves in the bucket stays there, as the service does.

    1. read the ACL
    2. put the empty object of the log files
    3. put that of the digests, if they are wanted
    A crash between leaves empty objects that mean nothing.
    Raises: ClientError: with CloudTrail's codes. Unavailable: the bucket does not answer.
    """
    root = f"{trail.prefix}/" if trail.prefix else ""
    home = f"{root}AWSLogs/{trail.account}"
    try:
        bucket = buckets.find(trail.bucket)
        bucket.acl_readable()
        bucket.put(f"{home}/CloudTrail/", b"", _MARKER)
        if trail.log_file_validation:
            bucket.put(f"{home}/CloudTrail-Digest/", b"", _MARKER)
    except ClientError as error:
        raise _translated(error, trail.bucket) from error
    except UsageError as error:
        message = f"The server's settings for bucket {trail.bucket} cannot be used."
        raise ClientError("InternalFailure", message, 500) from error


def _translated(error: ClientError, bucket: str) -> ClientError:
    """Return CloudTrail's word for what S3 said; any refusal that is no other is the policy's."""
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
