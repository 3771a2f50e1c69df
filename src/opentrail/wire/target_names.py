# SPDX-License-Identifier: Apache-2.0
"""What a trail's topic, log group and role may be called. Pure.

Follows the CloudTrail API Reference, CreateTrail; texts as the service words them where they are
known. Whether they are there and may be used is tried later: ``rooms.Targets``.
"""

import re

from opentrail.errors import ClientError
from opentrail.trails.trail import Trail

TOPIC_CHARS_MAX = 256
"""SNS's bound on a topic's name, and CloudTrail's on SnsTopicName."""

_TOPIC = re.compile(r"[A-Za-z0-9_-]{1,256}")
_TOPIC_ARN = re.compile(r"arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,256}")
_GROUP_ARN = re.compile(
    r"arn:aws[a-z-]*:logs:(?P<region>[a-z0-9-]+):[0-9]{12}:log-group:[A-Za-z0-9_/.#-]{1,512}:\*"
)
_ROLE_ARN = re.compile(r"arn:aws[a-z-]*:iam::[0-9]{12}:role/[\w+=,.@/-]{1,512}")
_PAIR = "You must specify a log group and a role ARN."


def topic_arn(trail: Trail) -> str:
    """Return the ARN of the trail's topic, which is given by name or ARN; "" without one."""
    if not trail.sns_topic or trail.sns_topic.startswith("arn:"):
        return trail.sns_topic
    return f"arn:aws:sns:{trail.home_region}:{trail.account}:{trail.sns_topic}"


def check_topic(given: str) -> None:
    """Raise ClientError InvalidSnsTopicNameException unless a topic may be called so."""
    if not given:
        return
    wanted = _TOPIC_ARN if given.startswith("arn:") else _TOPIC
    if len(given) > TOPIC_CHARS_MAX or wanted.fullmatch(given) is None:
        raise ClientError(
            "InvalidSnsTopicNameException",
            f"SNS topic name is invalid: {given[:TOPIC_CHARS_MAX]}. Give the name or the ARN of a"
            " standard topic.",
        )


def check_log_group(trail: Trail) -> None:
    """Raise ClientError unless the trail has both a log group and a role, or neither.

    The group's ARN ends in ``:*`` and is of the trail's home region.
    """
    group, role = trail.log_group_arn, trail.log_role_arn
    if not group and not role:
        return
    if not role:
        raise ClientError("InvalidCloudWatchLogsRoleArnException", _PAIR)
    if not group:
        raise ClientError("InvalidCloudWatchLogsLogGroupArnException", _PAIR)
    found = _GROUP_ARN.fullmatch(group)
    if found is None:
        raise ClientError(
            "InvalidCloudWatchLogsLogGroupArnException",
            "CloudTrail cannot validate the specified log group ARN.",
        )
    if found["region"] != trail.home_region:
        raise ClientError(
            "InvalidCloudWatchLogsLogGroupArnException",
            "You must specify a log group that is in the current region.",
        )
    if _ROLE_ARN.fullmatch(role) is None:
        raise ClientError(
            "InvalidCloudWatchLogsRoleArnException",
            "CloudTrail cannot validate the specified role ARN.",
        )
