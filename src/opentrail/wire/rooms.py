# SPDX-License-Identifier: Apache-2.0
"""What an operation of CloudTrail's API works with: the rooms it reads, and who asks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from opentrail.clock import Clock
from opentrail.history.lookup import Lookup, Page
from opentrail.history.recent import Recent
from opentrail.objects.base import Buckets
from opentrail.trails.keys import PublicKey
from opentrail.trails.organization import Organizations
from opentrail.trails.registry import Registry
from opentrail.trails.trail import Trail
from opentrail.wire.throttle import Throttle


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
    """What a trail delivers to beside its bucket, tried before the trail is made or changed.

    What a try leaves there (a message, an empty log stream) stays, as with CloudTrail. All raise
    Unavailable where there is no answer.
    """

    def offered(self, trail: Trail) -> None:
        """Refuse what cannot be delivered to from here at all, before anything happens.

        Raises: ClientError UnsupportedOperationException, CloudWatchLogsDeliveryUnavailableException.
        """
        ...

    def key_arn(self, trail: Trail) -> str:
        """Return the ARN of the trail's KMS key, which is given by id, alias or ARN.

        The key is tried too, with the encryption context of the trail's deliveries.
        Raises: ClientError KmsKeyNotFoundException, KmsException,
        InsufficientEncryptionPolicyException.
        """
        ...

    def try_topic(self, trail: Trail) -> None:
        """Send CloudTrail's validation message to the trail's topic.

        Raises: ClientError InsufficientSnsTopicPolicyException.
        """
        ...

    def try_log_group(self, trail: Trail) -> None:
        """Make the log stream of the trail's home region, as the trail's role.

        Raises: ClientError InvalidCloudWatchLogsLogGroupArnException.
        """
        ...


@dataclass(frozen=True, slots=True)
class Rooms:
    """All that operations may touch."""

    history: Lookups
    trails: Registry
    buckets: Buckets
    targets: Targets
    organizations: Organizations
    public_keys: PublicKeys
    clock: Clock
    trails_max: int
    """Trails of an account that a region shows, shadows of other regions' trails included."""
    throttle: Throttle
    """Of LookupEvents."""
    token_key: bytes = field(repr=False)
    """Signs page tokens. Secret; tokens made under another key are refused."""
    shown: Recent[tuple[bytes, msgspec.Raw]] = field(default_factory=Recent, repr=False)
    """Records of LookupEvents' last pages, and as what they are sent."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose events are asked for: the caller's account and region, never another's."""

    account: str
    region: str
