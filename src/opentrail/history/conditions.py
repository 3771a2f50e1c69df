# SPDX-License-Identifier: Apache-2.0
"""Conditions on events: what a query is made of. Pure."""

import ipaddress
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from opentrail.history.fields import OWN_NAMES, Event, at

_OWN = {name.lower(): name for name in OWN_NAMES}
"""Words for what an event is found by, in any case of letters."""
_RECORD_NAMES = {
    "eventid": "EventId",
    "eventname": "EventName",
    "eventsource": "EventSource",
    "readonly": "ReadOnly",
    "awsregion": "Region",
    "eventcategory": "Category",
    "recipientaccountid": "Account",
    "user": "Username",
    "accesskeyid": "AccessKeyId",
}
"""The record's own names for the same."""


class Condition(Protocol):
    """Something that holds for an event or not."""

    def holds(self, event: Event) -> bool:
        """Return whether it does."""
        ...


@dataclass(frozen=True, slots=True)
class Everything:
    """Holds for every event."""

    def holds(self, event: Event) -> bool:
        """See ``Condition``."""
        del event
        return True


@dataclass(frozen=True, slots=True)
class Is:
    """``field=value``: some value of the field is this one."""

    field: str
    value: str

    def holds(self, event: Event) -> bool:
        """See ``Condition``."""
        return self.value in event.values(self.field)


@dataclass(frozen=True, slots=True)
class Contains:
    """``field~text``: some value of the field has the text in it, in any case of letters."""

    field: str
    pattern: re.Pattern[str]

    def holds(self, event: Event) -> bool:
        """See ``Condition``."""
        return any(self.pattern.search(value) for value in event.values(self.field))


@dataclass(frozen=True, slots=True)
class Like:
    """``field=Create*``: some value of the field has the parts in their order, from end to end."""

    field: str
    parts: tuple[str, ...]
    """Two at least: what stands between the asterisks."""

    def holds(self, event: Event) -> bool:
        """See ``Condition``."""
        return any(self.fits(value) for value in event.values(self.field))

    def fits(self, value: str) -> bool:
        """Return whether ``value`` does. In linear time, which a regular expression would not take."""
        first, *between, last = self.parts
        at, end = len(first), len(value) - len(last)
        if at > end or not (value.startswith(first) and value.endswith(last)):
            return False
        for part in between:
            found = value.find(part, at, end)
            if found < 0:
                return False
            at = found + len(part)
        return True


@dataclass(frozen=True, slots=True)
class Within:
    """``field=10.0.0.0/8``: some value of the field is an address in the network."""

    field: str
    network: ipaddress.IPv4Network | ipaddress.IPv6Network
    text: str
    """As it was given: records have networks, too."""

    def holds(self, event: Event) -> bool:
        """See ``Condition``."""
        values = event.values(self.field)
        return any(value == self.text or _within(value, self.network) for value in values)


_QUAD = re.compile(r"\d+(?:\.\d+){3}")


_ADDRESS_CHARS_MAX = 100
"""Of an IPv6 address with a zone: longer texts are none, and would fill the memory that keeps them."""
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def _within(value: str, network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> bool:
    if "," in value:  # what proxies in front of a service have handed on, as in Grafana's events
        return any(_within(each.strip(), network) for each in value.split(","))
    return len(value) <= _ADDRESS_CHARS_MAX and any(
        address in network for address in _addresses(value)
    )


@lru_cache(4096)
def _addresses(value: str) -> tuple[_Address, ...]:
    """Return the address that ``value`` is, and the IPv4 address that an IPv6 one stands for."""
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        return ()
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (address,) if mapped is None else (address, mapped)


@dataclass(frozen=True, slots=True)
class There:
    """``field``: the field is there, with a value that is not null."""

    field: str

    def holds(self, event: Event) -> bool:
        """See ``Condition``."""
        if self.field in OWN_NAMES:
            return any(event.values(self.field))
        found = at(event.fields(), self.field.split("."))
        return any(value is not None for value in found)


@dataclass(frozen=True, slots=True)
class Text:
    """``"text"``: it is anywhere in the record, in any case of letters."""

    text: str

    def holds(self, event: Event) -> bool:
        """See ``Condition``."""
        wanted, shown = self.text.lower(), event.shown()
        escapes = "\\" in shown
        if wanted in shown and (
            not escapes or "\\" in wanted or wanted in _ESCAPE.sub("\0", shown)
        ):
            return True
        # The record's JSON may write the text with escapes, whose letters are none of it.
        return escapes and any(wanted in value for value in event.texts())


_ESCAPE = re.compile(r"\\(?:u....|.)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Not:
    """``not …``."""

    inner: Condition

    def holds(self, event: Event) -> bool:
        """See ``Condition``."""
        return not self.inner.holds(event)


@dataclass(frozen=True, slots=True)
class And:
    """All of them."""

    parts: tuple[Condition, ...]

    def holds(self, event: Event) -> bool:
        """See ``Condition``."""
        return all(part.holds(event) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Or:
    """Any of them."""

    parts: tuple[Condition, ...]

    def holds(self, event: Event) -> bool:
        """See ``Condition``."""
        return any(part.holds(event) for part in self.parts)


def leaves(condition: Condition) -> Iterator[Condition]:
    """Yield the conditions that ``condition`` is made of, those under a not, too."""
    if isinstance(condition, Not):
        yield from leaves(condition.inner)
    elif isinstance(condition, And | Or):
        for part in condition.parts:
            yield from leaves(part)
    else:
        yield condition


def fields_of(condition: Condition) -> Iterator[str]:
    """Yield the names of the fields that ``condition`` looks at."""
    for each in leaves(condition):
        if isinstance(each, Is | Contains | Like | Within | There):
            yield each.field


def size_of(condition: Condition) -> int:
    """Return how many conditions ``condition`` is made of."""
    return sum(1 for _ in leaves(condition))


def all_of(parts: Sequence[Condition]) -> Condition:
    """Return the condition that all of ``parts`` hold, flat: the index helps with parts of it."""
    kept = tuple(
        each
        for part in parts
        for each in (part.parts if isinstance(part, And) else (part,))
        if not isinstance(each, Everything)
    )
    if not kept:
        return Everything()
    return kept[0] if len(kept) == 1 else And(kept)


def any_of(parts: Sequence[Condition]) -> Condition:
    """Return the condition that any of ``parts``, of which there are some, holds, flat."""
    kept = tuple(
        each for part in parts for each in (part.parts if isinstance(part, Or) else (part,))
    )
    return kept[0] if len(kept) == 1 else Or(kept)


def condition(field: str, operator: str, parts: Sequence[str]) -> Condition:
    """Return one condition: operators are ``=``, ``!=``, ``~``, ``!~``.

    ``parts`` are what stands between a value's asterisks, where each stands for any text.
    """
    name = field_name(field)
    value = "*".join(parts)
    if operator.startswith("!"):
        return Not(condition(field, operator[1:], parts))
    if operator == "~":
        return Contains(name, re.compile(re.escape(value), re.IGNORECASE))
    if len(parts) > 1:
        return Like(name, tuple(parts))
    # Not of what the index answers for by its very value.
    quad = name not in OWN_NAMES and _QUAD.fullmatch(value)
    if ("/" in value or ":" in value or quad) and (found := network(value)) is not None:
        return Within(name, found, value)
    return Is(name, value)


def field_name(field: str) -> str:
    """Return the attribute that ``field`` is a word for; else the path itself."""
    lower = field.lower()
    return _OWN.get(lower) or _RECORD_NAMES.get(lower) or field


def is_own(word: str) -> bool:
    """Return whether ``word`` is one of ``OWN_NAMES``, in any case of letters."""
    return word.lower() in _OWN


def network(value: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    """Return the network that ``value`` names, or the address; None: neither."""
    try:
        return ipaddress.ip_network(value, strict=False)
    except ValueError:
        return None
