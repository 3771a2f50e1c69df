# SPDX-License-Identifier: Apache-2.0
"""What an operation of CloudTrail's API works with: the rooms it reads, and who asks."""

from dataclasses import dataclass, field
from typing import Protocol

from opentrail.clock import Clock
from opentrail.history.lookup import Lookup, Page


class Lookups(Protocol):
    """The part of Event history that the API reads."""

    def lookup(self, query: Lookup) -> Page:
        """Return one page of events, newest first by (eventTime, position).

        Raises: Corrupt: a record that belongs on the page does not check out.
        """
        ...


@dataclass(frozen=True, slots=True)
class Rooms:
    """All that operations may touch."""

    history: Lookups
    clock: Clock
    token_key: bytes = field(repr=False)
    """Signs page tokens. Secret; tokens made under another key are refused."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose events are asked for: the caller's account and region, never another's."""

    account: str
    region: str
