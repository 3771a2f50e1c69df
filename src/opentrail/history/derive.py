# SPDX-License-Identifier: Apache-2.0
"""From a record's bytes to what LookupEvents shows and is searched by. Pure.

Source: CloudTrail API Reference, "LookupEvents", data type "Event"; CloudTrail User Guide,
"CloudTrail userIdentity element".
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from operator import attrgetter

import msgspec

from opentrail.event.place import older_category
from opentrail.history.indexed import Indexed, caller_of, indexed
from opentrail.history.resources import Resource, resources_of

DERIVE_VERSION = 7
"""Raise it whenever any rule here, in ``indexed`` or in ``resources`` changes: indexes are then built anew."""

ATTRIBUTES = (
    "EventId",
    "EventName",
    "ReadOnly",
    "Username",
    "ResourceType",
    "ResourceName",
    "EventSource",
    "AccessKeyId",
)
"""What an event can be looked up by; AWS's names."""

_READS = re.compile(
    r"(?:Describe|Get|List|Head|Search|Query|BatchGet|BatchDescribe|Lookup|Render)(?![a-z])"
)
"""First words of the names of reading operations, for records from before ``readOnly`` existed."""

FIRST_S, LAST_S = -62_135_596_800, 253_402_300_799
"""The years 1 to 9999 in UTC: what can be written as a time again."""

_TIMES_CACHED = 4096
"""Distinct seconds remembered: a batch of the log spans few."""


class Derived(msgspec.Struct, frozen=True, gc=False):
    """What Event history knows of one record. Text that the record does not give is ""."""

    account: str
    """The account whose history shows it: recipientAccountId, else the caller's."""
    region: str
    category: str
    event_id: str
    event_name: str
    event_source: str
    event_time_s: int
    """Epoch seconds, UTC."""
    read_only: str
    """"true" or "false": LookupEvents has it as text."""
    username: str
    access_key_id: str
    resources: tuple[Resource, ...]
    """LookupEvents' alias list; not the record's own ``resources``."""

    def values(self, attribute: str) -> tuple[str, ...]:
        """Return what the event is found by under ``attribute``, one of ``ATTRIBUTES``."""
        if attribute == "ResourceType":
            return tuple(each.type for each in self.resources if each.type)
        if attribute == "ResourceName":
            return tuple(each.name for each in self.resources)
        value: str = getattr(self, _FIELDS[attribute])
        return (value,) if value else ()


_FIELDS = {
    "EventId": "event_id",
    "EventName": "event_name",
    "ReadOnly": "read_only",
    "Username": "username",
    "EventSource": "event_source",
    "AccessKeyId": "access_key_id",
}


def derive(data: bytes) -> Derived | None:
    """Return what the record ``data`` is shown and found by.

    None when it cannot be shown at all: not a JSON object, or without a readable eventTime.
    """
    read = indexed(data)
    time_s = epoch_s(read.event_time) if read is not None else None
    return None if read is None or time_s is None else from_indexed(read, time_s)


def from_indexed(read: Indexed, time_s: int) -> Derived:
    """Return what a record, whose eventTime is ``time_s``, is shown and found by."""
    caller = caller_of(read.user_identity)
    return Derived(
        account=read.recipient_account_id or caller.account,
        region=read.aws_region,
        category=category_of(read),
        event_id=read.event_id,
        event_name=read.event_name,
        event_source=read.event_source,
        event_time_s=time_s,
        read_only=read_only_of(read),
        username=caller.username,
        access_key_id=caller.access_key_id,
        resources=resources_of(read),
    )


def finder(attribute: str, value: str) -> tuple[Callable[[Indexed], object], object]:
    """Return what reads a record, and what it must give if ``value``, not empty, under ``attribute`` finds it.

    As ``Derived.values`` does, without deriving the rest.
    """
    read = _READ.get(attribute)
    if read is not None:
        return read, value
    part = _RESOURCE_PARTS[attribute]
    return lambda record: any(each[part] == value for each in resources_of(record)), True


@lru_cache(maxsize=_TIMES_CACHED)
def epoch_s(text: str) -> int | None:
    """Return a record's eventTime as epoch seconds, rounded down; None when it is none.

    A time without a zone is UTC, as all times in records are.
    """
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return None
    time_s = int((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() // 1)
    return time_s if FIRST_S <= time_s <= LAST_S else None


def category_of(read: Indexed) -> str:
    """Return the record's category, as ``event.place`` does."""
    return read.event_category or older_category(management_event=read.management_event)


def read_only_of(read: Indexed) -> str:
    """Return "true" or "false": the record's word, else by how the operation's name begins."""
    if read.read_only is not None:
        return "true" if read.read_only else "false"
    return _reads_by_name(read.event_name)


@lru_cache(maxsize=_TIMES_CACHED)
def _reads_by_name(name: str) -> str:
    return "true" if _READS.match(name) else "false"


_READ: Mapping[str, Callable[[Indexed], str]] = {
    "EventId": attrgetter("event_id"),
    "EventName": attrgetter("event_name"),
    "ReadOnly": read_only_of,
    "Username": lambda read: caller_of(read.user_identity).username,
    "EventSource": attrgetter("event_source"),
    "AccessKeyId": lambda read: caller_of(read.user_identity).access_key_id,
}
_RESOURCE_PARTS = {"ResourceType": 0, "ResourceName": 1}
