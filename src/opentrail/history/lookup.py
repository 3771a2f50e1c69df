# SPDX-License-Identifier: Apache-2.0
"""What is asked of Event history, and what it answers.

Source: CloudTrail API Reference, "LookupEvents".
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from opentrail.history.derive import Derived, category_of, epoch_s, from_indexed, values_of
from opentrail.history.indexed import Indexed, caller_of, indexed


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
    return None if read is None or time_s is None else Found(position, time_s, data, read)


def holder(query: Lookup) -> Callable[[Indexed, int], bool]:
    """Return what says whether a record is what ``query`` asks for, and has the eventTime given.

    Its eventTime is given in epoch seconds; the bounds of ``query`` are not looked at.
    """
    account, region, category, wanted = query.account, query.region, query.category, ""
    values: Callable[[Indexed], Sequence[str]] = _whole
    if query.attribute is not None:
        name, wanted = query.attribute
        values = values_of(name)

    def holds(record: Indexed, time_s: int) -> bool:
        return (
            (record.recipient_account_id or caller_of(record.user_identity).account) == account
            and record.aws_region == region
            and (record.event_category or category_of(record)) == category
            and epoch_s(record.event_time) == time_s
            and wanted in values(record)
        )

    return holds


def _whole(_record: Indexed) -> Sequence[str]:
    return ("",)
