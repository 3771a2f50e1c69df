# SPDX-License-Identifier: Apache-2.0
"""Tries what a trail is connected with beside its bucket, as CloudTrail does before it says yes.

Source: CloudTrail API Reference, "CreateTrail", errors; their texts as the service words them.
"""

import msgspec

from opentrail.errors import ClientError
from opentrail.trails.flight import KMS_CONTEXT_KEY
from opentrail.trails.target_client import Clients, Service, answer_as
from opentrail.trails.target_logs import LogsTarget
from opentrail.trails.target_sns import SnsTarget
from opentrail.trails.trail import Trail

_GROUP = "InvalidCloudWatchLogsLogGroupArnException"
_DENIED = "Access denied. Verify in IAM that the role has adequate permissions."
_UNKNOWN_KEY = frozenset({"InvalidArnException", "ValidationException"})
_USABLE_KEY = "Enabled"
_UNSUPPORTED = "UnsupportedOperationException"
_NOT_OFFERED = {"logs": "CloudWatchLogsDeliveryUnavailableException"}


class _KeyMetadata(msgspec.Struct, rename="pascal"):
    arn: str
    key_state: str = _USABLE_KEY


class _Described(msgspec.Struct, rename="pascal"):
    key_metadata: _KeyMetadata


class Connections:
    """The targets as they are. Safe from several threads."""

    def __init__(self, clients: Clients, sns: SnsTarget, logs: LogsTarget) -> None:
        self._clients = clients
        self._sns = sns
        self._logs = logs

    def offered(self, trail: Trail) -> None:
        """Refuse what it is not known where it is. Raises: ClientError.

        For CloudWatch Logs there is a code of its own, for regions that do not have it.
        """
        wanted = (
            ("CloudWatchLogsLogGroupArn", "logs", trail.log_group_arn),
            ("SnsTopicName", "sns", trail.sns_topic),
            ("KmsKeyId", "kms", trail.kms_key_id),
        )
        for member, service, given in wanted:
            if given and not self._clients.has(service):
                message = f"{member}: this OpenTrail has no upstream for {service}."
                raise ClientError(_NOT_OFFERED.get(service, _UNSUPPORTED), message)

    def key_arn(self, trail: Trail) -> str:
        """Return the ARN of the KMS key that the trail names by id, alias or ARN.

        1. look it up
        2. make a data key with the context of the trail's deliveries, and throw it away
        Raises: ClientError: KmsKeyNotFoundException, KmsException,
        InsufficientEncryptionPolicyException. Unavailable.
        """
        region = trail.home_region
        if trail.kms_key_id.startswith("arn:"):
            region = trail.kms_key_id.split(":")[3]
        kms = Service("kms", region)
        try:
            answer = self._clients.call(kms, "describe_key", KeyId=trail.kms_key_id)
            key = answer_as(answer, _Described, "kms").key_metadata
            _check_usable(key)
            self._clients.call(
                kms,
                "generate_data_key",
                KeyId=key.arn,
                KeySpec="AES_256",
                EncryptionContext={KMS_CONTEXT_KEY: trail.arn},
            )
        except ClientError as error:
            raise _of_key(error, trail) from error
        return key.arn

    def try_topic(self, trail: Trail) -> None:
        """Send the trail's topic a message. Raises: ClientError. Unavailable."""
        try:
            self._sns.validate(trail)
        except ClientError as error:
            message = "SNS Topic does not exist or the topic policy is incorrect!"
            raise ClientError("InsufficientSnsTopicPolicyException", message) from error

    def try_log_group(self, trail: Trail) -> None:
        """Assume the trail's role, make its stream, try to put. Raises: ClientError. Unavailable."""
        try:
            self._logs.ensure_home(trail)
            self._logs.try_put(trail)
        except ClientError as error:
            if error.code == "ResourceNotFoundException":
                text = "CloudTrail cannot validate the specified log group ARN."
                raise ClientError(_GROUP, text) from error
            raise ClientError(_GROUP, _DENIED) from error


def _check_usable(key: _KeyMetadata) -> None:
    """Raise ClientError as KMS does for a key that is disabled: not every KMS looks."""
    if key.key_state != _USABLE_KEY:
        raise ClientError("DisabledException", f"{key.arn} is {key.key_state}")


def _of_key(error: ClientError, trail: Trail) -> ClientError:
    """Return CloudTrail's word for what KMS said; any that is no other is the policy's."""
    key = trail.kms_key_id
    if error.code in _UNKNOWN_KEY:
        return ClientError("KmsKeyNotFoundException", f"KMS key {key} cannot be found.")
    if error.code in ("DisabledException", "KMSInvalidStateException"):
        return ClientError("KmsException", f"KMS key {key} is not enabled.")
    return ClientError(
        "InsufficientEncryptionPolicyException",
        f"Insufficient permissions to access S3 bucket {trail.bucket} or KMS key {key}.",
    )
