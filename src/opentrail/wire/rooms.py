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


class Lookups(Protocol):
    """The part of Event history that the API reads."""

    def lookup(self, query: Lookup) -> Page:
        """Return one page of events, newest first by (eventTime, position).

        Raises: Corrupt: a record that belongs on the page does not check out.
        """
        ...


PublicKeys = Callable[[int, int], Sequence[PublicKey]]
"""(start_ms, end_ms), inclusive, milliseconds since 1970 UTC -> the keys valid at some time of it."""


@dataclass(frozen=True, slots=True)
class Rooms:
    """All that operations may touch."""

    history: Lookups
    trails: Registry
    buckets: Buckets
    public_keys: PublicKeys
    clock: Clock
    token_key: bytes = field(repr=False)
    """Signs page tokens. Secret; tokens made under another key are refused."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose events are asked for: the caller's account and region, never another's."""

    account: str
    region: str
