# SPDX-License-Identifier: Apache-2.0
"""The ``resources`` of S3's events: the object or what was listed, then the bucket.

Source: S3 User Guide, "Example: CloudTrail log file entry for Amazon S3"; delivered records.
"""

from opentrail.capture.limits import ARN_BYTES_MAX
from opentrail.capture.resources import Members, Resource
from opentrail.event.place import partition_of

MAKING = frozenset({"CreateBucket"})
"""Operations whose events name no bucket: there was none yet."""
_DIRECTORY = "--x-s3"
"""How the names of directory buckets end."""
_POINTS = {
    "s3": ("AWS::S3::Object", "AWS::S3::AccessPoint"),
    "s3-object-lambda": ("AWS::S3::Object", "AWS::S3ObjectLambda::AccessPoint"),
    "s3-outposts": ("AWS::S3Outposts::Object", "AWS::S3Outposts::AccessPoint"),
    "s3express": ("AWS::S3Express::Object", "AWS::S3Express::AccessPoint"),
}
"""Service of an access point's ARN -> types of objects and of the access point itself."""


def s3_resources(members: Members, account: str, region: str, *, data: bool) -> list[Resource]:
    """Return the entries of one call; ``account`` is taken for the bucket's owner."""
    bucket = _text(members, "Bucket")
    if not bucket:
        return []
    of_object, inside, owner = _place(bucket, account, region)
    return [_inside(of_object, inside, members), owner] if data else [owner]


def _place(bucket: str, account: str, region: str) -> tuple[str, str, Resource]:
    """Return the type of objects, how their ARNs begin, and the entry of what holds them."""
    if bucket.startswith("arn:"):
        _, _, service, _, owner, *_ = [*bucket.split(":"), "", "", "", "", ""]
        of_object, of_point = _POINTS.get(service, _POINTS["s3"])
        return of_object, f"{bucket}/object/", Resource(owner or account, of_point, bucket)
    if bucket.endswith(_DIRECTORY):
        arn = f"arn:{partition_of(region)}:s3express:{region}:{account}:bucket/{bucket}"
        entry = Resource(account, "AWS::S3Express::DirectoryBucket", arn)
        return "AWS::S3Express::Object", f"{arn}/", entry
    arn = f"arn:{partition_of(region)}:s3:::{bucket}"
    return "AWS::S3::Object", f"{arn}/", Resource(account, "AWS::S3::Bucket", arn)


def _inside(of_type: str, arn: str, members: Members) -> Resource:
    """Return the entry of the object, or of all that a list or a batch of them may be about."""
    key = _text(members, "Key")
    if key:
        return Resource(type=of_type, arn=arn + key)
    return Resource(type=of_type, arn_prefix=arn + _text(members, "Prefix"))


def _text(members: Members, name: str) -> str:
    value = members.get(name)
    return value if isinstance(value, str) and len(value.encode()) <= ARN_BYTES_MAX else ""
