# SPDX-License-Identifier: Apache-2.0
"""The ``resources`` of S3's events: the object or what was listed, then the bucket.

Source: S3 User Guide, "Example: CloudTrail log file entry for Amazon S3"; delivered records.
"""

from opentrail.capture.limits import ARN_BYTES_MAX
from opentrail.capture.resources import Members, Resource, partition

_OBJECT = "AWS::S3::Object"


def s3_resources(members: Members, account: str, region: str, *, data: bool) -> list[Resource]:
    """Return the entries of one call; ``account`` is taken for the bucket's owner."""
    bucket = _text(members, "Bucket")
    if not bucket:
        return []
    if bucket.startswith("arn:"):
        inside, owner = f"{bucket}/object/", _access_point(bucket, account)
    else:
        arn = f"arn:{partition(region)}:s3:::{bucket}"
        inside, owner = f"{arn}/", Resource(account, "AWS::S3::Bucket", arn)
    return [_inside(inside, members), owner] if data else [owner]


def _inside(arn: str, members: Members) -> Resource:
    """Return the entry of the object, or of all that a list or a batch of them may be about."""
    key = _text(members, "Key")
    if key:
        return Resource(type=_OBJECT, arn=arn + key)
    return Resource(type=_OBJECT, arn_prefix=arn + _text(members, "Prefix"))


def _access_point(arn: str, account: str) -> Resource:
    owner = arn.split(":")[4:5]
    return Resource(owner[0] if owner and owner[0] else account, "AWS::S3::AccessPoint", arn)


def _text(members: Members, name: str) -> str:
    value = members.get(name)
    return value if isinstance(value, str) and len(value.encode()) <= ARN_BYTES_MAX else ""
