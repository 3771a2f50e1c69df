# SPDX-License-Identifier: Apache-2.0
"""Tells an SNS topic of each delivered file.

Source: CloudTrail User Guide, "Configuring Amazon SNS notifications for CloudTrail"; the message is
the one that CloudTrail's own processing library reads.
"""

import msgspec

from opentrail.errors import ClientError, Unavailable
from opentrail.trails.notice import Notice
from opentrail.trails.target_client import Clients, Service
from opentrail.trails.trail import Trail

VALIDATION_MESSAGE = "CloudTrail validation message."
"""Sent when a trail gets its topic."""
MESSAGES_AT_ONCE = 20
"""Until it is written down: what was told is written in one piece, of an organization megabytes."""

_encode = msgspec.json.Encoder().encode


class SnsTarget:
    """``target.Announces``: one message for each file, in their order; some of them in a row."""

    name = "sns"

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    def wants(self, trail: Trail) -> bool:
        """See ``Announces``."""
        return bool(trail.sns_topic)

    def announce(self, notice: Notice) -> int:
        """See ``Announces``. SNS gives repeated messages other ids: the object's key tells.

        A refusal of any but the first is no error yet: it is met again, and what was told is told.
        """
        files = notice.files[notice.told : notice.told + MESSAGES_AT_ONCE]
        for count, file in enumerate(files):
            message = _encode({"s3Bucket": file.bucket, "s3ObjectKey": [file.key]}).decode()
            try:
                self.publish(notice.trail.sns_topic_arn, message)
            except (ClientError, Unavailable):
                if not count:
                    raise
                return notice.told + count
        return notice.told + len(files)

    def validate(self, trail: Trail) -> None:
        """Send the message by which CloudTrail tries a topic. Raises: ClientError. Unavailable."""
        self.publish(trail.sns_topic_arn, VALIDATION_MESSAGE)

    def publish(self, arn: str, message: str) -> None:
        """Publish one message. Raises: ClientError. Unavailable."""
        region = arn.split(":")[3]
        self._clients.call(Service("sns", region), "publish", TopicArn=arn, Message=message)
