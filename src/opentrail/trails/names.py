# SPDX-License-Identifier: Apache-2.0
"""What a trail and its prefix may be called, and trail ARNs taken apart. Pure.

Source: CloudTrail User Guide, "Naming requirements for CloudTrail resources, Amazon S3 buckets, and
KMS keys"; texts as the service words them where they are known.
"""

import re
from dataclasses import dataclass

from opentrail.errors import ClientError

NAME_CHARS_MIN = 3
NAME_CHARS_MAX = 128
"""CloudTrail's own bounds on a trail's name."""

PREFIX_CHARS_MAX = 200
"""CloudTrail's own bound on S3KeyPrefix."""
PREFIX_BYTES_MAX = 600
"""In UTF-8: the longest key, a digest's, adds some 370 to it, and S3 takes 1,024."""

_ARN = re.compile(
    r"arn:aws[a-z-]*:cloudtrail:(?P<region>[a-z0-9-]+):(?P<account>[0-9]{12}):"
    r"(?P<kind>[a-z]+)/(?P<name>.+)"
)
_NAME_CHARS = re.compile(r"[A-Za-z0-9._-]+")
_ADJACENT = re.compile(r"[._-]{2}")
_IPV4 = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}")
_PRINTABLE = re.compile(r"[^\x00-\x1f\x7f]*")


@dataclass(frozen=True, slots=True)
class Arn:
    """The ARN of something of CloudTrail's, taken apart."""

    region: str
    account: str
    kind: str
    """"trail", "eventdatastore", "channel", "dashboard"."""
    name: str


def parse_arn(text: str) -> Arn:
    """Return the parts of an ARN. Raises: ClientError CloudTrailARNInvalidException."""
    match = _ARN.fullmatch(text)
    if match is None:
        raise ClientError(
            "CloudTrailARNInvalidException",
            f"The ARN {text!r} is not valid: a trail's is "
            "arn:aws:cloudtrail:REGION:ACCOUNT:trail/NAME.",
        )
    return Arn(match["region"], match["account"], match["kind"], match["name"])


def check_name(name: str) -> None:
    """Raise ClientError InvalidTrailNameException unless a trail may have this name."""
    wrong = _length(name) or _characters(name)
    if wrong:
        raise ClientError("InvalidTrailNameException", wrong)


def _length(name: str) -> str:
    given = f"Specified name length: {len(name)} characters."
    if len(name) < NAME_CHARS_MIN:
        return f"Trail name too short. Minimum allowed length: {NAME_CHARS_MIN} characters. {given}"
    if len(name) > NAME_CHARS_MAX:
        return f"Trail name too long. Maximum allowed length: {NAME_CHARS_MAX} characters. {given}"
    return ""


def _characters(name: str) -> str:
    if not _alphanumeric(name[0]):
        return "Trail name must starts with a letter or number."
    if not _alphanumeric(name[-1]):
        return "Trail name must ends with a letter or number."
    if not _NAME_CHARS.fullmatch(name):
        return (
            "Trail name or ARN can only contain uppercase letters, lowercase letters, numbers, "
            "periods (.), hyphens (-), and underscores (_)."
        )
    if _ADJACENT.search(name):
        return "Trail name must not have two of . - _ next to each other."
    return "Trail name must not look like an IP address." if _IPV4.fullmatch(name) else ""


def _alphanumeric(character: str) -> bool:
    return character.isascii() and character.isalnum()


def check_prefix(prefix: str) -> None:
    """Raise ClientError InvalidS3PrefixException unless keys may begin with this prefix."""
    if len(prefix) > PREFIX_CHARS_MAX:
        raise ClientError(
            "InvalidS3PrefixException",
            f"S3 prefix is longer than the maximum of {PREFIX_CHARS_MAX} characters.",
        )
    if len(prefix.encode()) > PREFIX_BYTES_MAX:
        raise ClientError(
            "InvalidS3PrefixException",
            f"S3 prefix is longer than {PREFIX_BYTES_MAX} bytes: keys would be too long for S3.",
        )
    if not _PRINTABLE.fullmatch(prefix):
        raise ClientError("InvalidS3PrefixException", "S3 prefix has a control character.")
