# SPDX-License-Identifier: Apache-2.0
"""What an operation of CloudTrail's API works with: the rooms it reads, and who asks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from opentrail.clock import Clock
from opentrail.history.lookup import Lookup, Page
from opentrail.objects.base import Buckets
from opentrail.trails.keys import PublicKey
from opentrail.trails.registry import Registry
from opentrail.trails.trail import Trail


class Lookups(Protocol):
    """The part of Event history that the API reads."""

    def lookup(self, query: Lookup) -> Page:
        """Return one page of events, newest first by (eventTime, position).

        Raises: Corrupt: a record that belongs on the page does not check out.
        """
        ...


PublicKeys = Callable[[int, int], Sequence[PublicKey]]
"""(start_ms, end_ms), inclusive, milliseconds since 1970 UTC -> the keys valid at some time of it."""


class Targets(Protocol):
    """What trails are connected with beside buckets: tried before a trail is made or changed.

    Each raises ClientError with CloudTrail's own code and text, or Unavailable: it does not answer.
    """

    def key_arn(self, trail: Trail) -> str:
        """Return the ARN of the KMS key that ``trail.kms_key_id`` (an id, alias or ARN) means.

        The key is tried too, with the encryption context of the trail's deliveries.
        Raises: ClientError KmsKeyNotFoundException, KmsKeyDisabledException, KmsException,
        InsufficientEncryptionPolicyException.
        """
        ...

    def check_sns(self, trail: Trail) -> None:
        """Send the topic of ``trail`` a message. Raises: ClientError InsufficientSnsTopicPolicyException."""
        ...

    def check_logs(self, trail: Trail) -> None:
        """Make the log stream of ``trail`` in its group, with its role; it stays there.

        Raises: ClientError InvalidCloudWatchLogsLogGroupArnException,
        CloudWatchLogsDeliveryUnavailableException.
        """
        ...


@dataclass(frozen=True, slots=True)
class Rooms:
    """All that operations may touch."""

    history: Lookups
    trails: Registry
    buckets: Buckets
    targets: Targets
    public_keys: PublicKeys
    clock: Clock
    token_key: bytes = field(repr=False)
    """Signs page tokens. Secret; tokens made under another key are refused."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose events are asked for: the caller's account and region, never another's."""

    account: str
    region: str
