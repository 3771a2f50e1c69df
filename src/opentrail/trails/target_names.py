# SPDX-License-Identifier: Apache-2.0
"""How a trail's topic, log group, role and key may be given. Pure.

Source: CloudTrail API Reference, "CreateTrail"; the ARN formats of the AWS General Reference. Texts
as the service words them where they are known.
"""

import re

from opentrail.errors import ClientError
from opentrail.trails.trail import Trail

TOPIC_CHARS_MAX = 256
"""Of SnsTopicName, name or ARN; CloudTrail's own bound."""

_REGION = r"(?P<region>[a-z0-9-]{1,32})"
_ACCOUNT = r"(?P<account>[0-9]{12})"
_TOPIC = re.compile(r"[A-Za-z0-9_-]+")
_TOPIC_ARN = re.compile(rf"arn:aws[a-z-]*:sns:{_REGION}:{_ACCOUNT}:[A-Za-z0-9_-]+")
_GROUP_ARN = re.compile(
    rf"arn:aws[a-z-]*:logs:{_REGION}:{_ACCOUNT}:log-group:[A-Za-z0-9._/#-]{{1,512}}:\*"
)
_ROLE_ARN = re.compile(rf"arn:aws[a-z-]*:iam::{_ACCOUNT}:role/[\x21-\x7e]{{1,576}}")
_UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_KEY = rf"(?:{_UUID}|mrk-[0-9a-f]{{32}}|mrk-{_UUID})"
"""The last is an emulator's way to name a key of several regions."""
_ALIAS = r"alias/[A-Za-z0-9/_-]{1,250}"
_KEY_ID = re.compile(rf"{_KEY}|{_ALIAS}")
_KEY_ARN = re.compile(rf"arn:aws[a-z-]*:kms:{_REGION}:{_ACCOUNT}:(?:key/{_KEY}|{_ALIAS})")

_PAIR = "You must specify a log group and a role ARN."
_GROUP_INVALID = "InvalidCloudWatchLogsLogGroupArnException"
_ROLE_INVALID = "InvalidCloudWatchLogsRoleArnException"


def check_log_group(trail: Trail) -> None:
    """Raise ClientError unless group and role are both there, or neither, and may be so."""
    group, role = trail.log_group_arn, trail.log_role_arn
    if group and not role:
        raise ClientError(_ROLE_INVALID, _PAIR)
    if role and not group:
        raise ClientError(_GROUP_INVALID, _PAIR)
    if not group:
        return
    found = _GROUP_ARN.fullmatch(group)
    if found is None:
        text = "CloudTrail cannot validate the specified log group ARN."
        raise ClientError(_GROUP_INVALID, text)
    of_role = _ROLE_ARN.fullmatch(role)
    if of_role is None:
        raise ClientError(_ROLE_INVALID, "CloudTrail cannot validate the specified role ARN.")
    if of_role["account"] != found["account"]:
        # What the role's account has under the group's name would get the events.
        text = "The log group and the role must be of the same account."
        raise ClientError(_GROUP_INVALID, text)
    if found["region"] != trail.home_region:
        text = "You must specify a log group that is in the current region."
        raise ClientError(_GROUP_INVALID, text)


def check_topic(topic: str) -> None:
    """Raise ClientError InvalidSnsTopicNameException unless files may be announced to ``topic``.

    A FIFO topic, whose name ends in ``.fifo``, takes none.
    """
    form = _TOPIC_ARN if topic.startswith("arn:") else _TOPIC
    if topic and (len(topic) > TOPIC_CHARS_MAX or not form.fullmatch(topic)):
        text = f"{topic!r} is not the name or ARN of a standard SNS topic."
        raise ClientError("InvalidSnsTopicNameException", text)


def check_key_id(trail: Trail) -> None:
    """Raise ClientError KmsKeyNotFoundException unless it is the form of a key of the home region."""
    given = trail.kms_key_id
    found = _KEY_ARN.fullmatch(given)
    region = trail.home_region if found is None else found["region"]
    if not given or (region == trail.home_region and (found or _KEY_ID.fullmatch(given))):
        return
    text = f"{given!r} is not the id, alias or ARN of a KMS key in {trail.home_region}."
    raise ClientError("KmsKeyNotFoundException", text)
