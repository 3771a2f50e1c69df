# SPDX-License-Identifier: Apache-2.0
"""What is asked of Event history, and what it answers.

Source: CloudTrail API Reference, "LookupEvents".
"""

from dataclasses import dataclass

from opentrail.history.derive import Derived


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


@dataclass(frozen=True, slots=True)
class Found:
    """One event that matches."""

    position: int
    """Where it lies in the log."""
    data: bytes
    """The record: the very bytes that were appended."""
    derived: Derived


@dataclass(frozen=True, slots=True)
class Page:
    """Newest first by (eventTime, position)."""

    events: list[Found]
    more: bool
    """Whether at least one older match exists."""
