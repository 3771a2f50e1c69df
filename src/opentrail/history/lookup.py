# SPDX-License-Identifier: Apache-2.0
"""What is asked of Event history, and what it answers.

Source: CloudTrail API Reference, "LookupEvents".
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from opentrail.history.derive import Derived, category_of, epoch_s, finder, from_indexed
from opentrail.history.indexed import Indexed, caller_of, indexed
from opentrail.history.table import Row


@dataclass(frozen=True, slots=True)
class Lookup:
    """One page's question: the events of one account, region and category."""

    account: str
    region: str
    category: str
    """``eventCategory``: "Management" is what LookupEvents shows; "Data", "Insight", …"""
    attribute: tuple[str, str] | None = None
    """One of ``derive.ATTRIBUTES`` and the value that must equal it; None: all of the scope."""
    start_s: int | None = None
    """Oldest eventTime, inclusive, epoch seconds."""
    end_s: int | None = None
    """Newest eventTime, inclusive, epoch seconds."""
    limit: int = 50
    """Events on the page, at least 1."""
    after: tuple[int, int] | None = None
    """(eventTime in epoch seconds, position) of the last event already shown."""


class Found(msgspec.Struct, frozen=True, gc=False):
    """One event that matches."""

    position: int
    """Where it lies in the log."""
    time_s: int
    """Its eventTime in epoch seconds."""
    data: bytes
    """The record: the very bytes that were appended."""
    record: Indexed
    """The same, read."""
    scope: tuple[str, str, str]
    """Account, region and category of the history that shows it."""

    @property
    def derived(self) -> Derived:
        """What it is shown and found by; made when it is asked for."""
        return from_indexed(self.record, self.time_s)


@dataclass(frozen=True, slots=True)
class Page:
    """Newest first by (eventTime, position)."""

    events: list[Found]
    more: bool
    """Whether at least one older match exists."""


def found_at(position: int, data: bytes) -> Found | None:
    """Return the event at ``position`` of the log; None when ``data`` cannot be shown as one."""
    read = indexed(data)
    time_s = epoch_s(read.event_time) if read is not None else None
    if read is None or time_s is None:
        return None
    account = read.recipient_account_id or caller_of(read.user_identity).account
    return Found(position, time_s, data, read, (account, read.aws_region, category_of(read)))


def filter_of(query: Lookup) -> Callable[[Sequence[Row], Sequence[Found | None]], list[Found]]:
    """Return what keeps of some rows' events those that ``query`` asks for: the index's terms collide.

    Each must have its row's eventTime; the bounds of ``query`` are not looked at. Rows of which there
    is no event are left out.
    """
    scope = (query.account, query.region, query.category)
    read, wanted = (bool, True) if query.attribute is None else finder(*query.attribute)

    def kept(rows: Sequence[Row], events: Sequence[Found | None]) -> list[Found]:
        return [
            each
            for (time_s, _), each in zip(rows, events, strict=True)
            if each is not None
            and each.time_s == time_s
            and each.scope == scope
            and read(each.record) == wanted
        ]

    return kept
