# SPDX-License-Identifier: Apache-2.0
"""Conditions on events: what a query is made of. Pure."""

import ipaddress
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

import msgspec

from opentrail.event.codec import whole_characters
from opentrail.history.derive import ATTRIBUTES, Derived


def _as_written(number: str) -> msgspec.Raw:
    return msgspec.Raw(number.encode())


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(float_hook=_as_written).decode
"""Numbers with a point or an exponent stay what they are: 1.10 is written so, and so asked for."""
_OWN = {name.lower(): name for name in (*ATTRIBUTES, "Account", "Region", "Category")}
"""Words for what an event is found by, in any case of letters."""
OWN_NAMES = frozenset(_OWN.values())
"""The words themselves."""
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


class Event:
    """A record that is looked at: what it is found by, and its fields once they are asked for."""

    __slots__ = ("_fields", "data", "derived")

    def __init__(self, data: bytes, derived: Derived) -> None:
        self.data = data
        self.derived = derived
        self._fields: object = None

    def values(self, field: str) -> Sequence[str]:
        """Return the values of an attribute, or of the record's field of that path, as text."""
        if field in _OWN.values():
            return self._found_by(field)
        found = _at(self.fields(), field.split("."))
        try:
            return tuple(text for value in found for text in _texts(value))
        except RecursionError:  # an object that is nested too deeply to be written
            return ()

    def fields(self) -> object:
        """Return the record, parsed; {} of one whose odd parts cannot be."""
        if self._fields is None:
            try:
                self._fields = _decode(self.data)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                self._fields = _patient(self.data)
        return self._fields

    def _found_by(self, name: str) -> Sequence[str]:
        derived = self.derived
        if name == "Account":
            return (derived.account,)
        if name == "Region":
            return (derived.region,)
        if name == "Category":
            return (derived.category,)
        return derived.values(name)


def _patient(data: bytes) -> object:
    """Return a record with half a character, or with odd numbers or bytes in it; {} of one too odd."""
    whole = whole_characters(data)
    with suppress(msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _decode(whole)
    try:
        found: object = json.loads(
            whole.decode("utf-8", "replace"), parse_int=_as_written, parse_float=_as_written
        )
    except (ValueError, RecursionError):
        return {}
    return found


def _at(value: object, path: list[str]) -> Iterator[object]:
    """Yield what lies at ``path``; within lists, of each element. Names in any case of letters.

    No deeper in calls for records that are: whoever nests them must not end a search.
    """
    waiting = [(value, path)]
    while waiting:
        value, path = waiting.pop()
        if not path:
            yield value
        elif isinstance(value, list):
            waiting += [(each, path) for each in reversed(value)]
        elif isinstance(value, dict):
            waiting += reversed(list(_members(value, path)))


def _texts(value: object) -> Iterator[str]:
    """Yield a value as text; of a list, each element's; nothing for null."""
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += reversed(value)
        elif isinstance(value, str):
            yield value
        elif value is not None:
            yield _encode(value).decode()


def _members(value: dict[str, object], path: list[str]) -> Iterator[tuple[object, list[str]]]:
    """Yield what the path leads to, and the rest of it: names may have dots themselves."""
    first, rest = path[0].lower(), path[1:]
    for key, inner in value.items():
        lower = key.lower()
        if lower == first:
            yield inner, rest
        elif rest and "." in lower:
            length = lower.count(".") + 1
            if lower == ".".join(path[:length]).lower():
                yield inner, path[length:]


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


def _within(value: str, network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> bool:
    if "," in value:  # what proxies in front of a service have handed on, as in Grafana's events
        return any(_within(each.strip(), network) for each in value.split(","))
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return address in network or (mapped is not None and mapped in network)


@dataclass(frozen=True, slots=True)
class There:
    """``field``: the field is there, with a value that is not null."""

    field: str

    def holds(self, event: Event) -> bool:
        """See ``Condition``."""
        if self.field in OWN_NAMES:
            return any(event.values(self.field))
        found = _at(event.fields(), self.field.split("."))
        return any(value is not None for value in found)


@dataclass(frozen=True, slots=True)
class Text:
    """``"text"``: it is anywhere in the record, in any case of letters."""

    text: str

    def holds(self, event: Event) -> bool:
        """See ``Condition``."""
        wanted = self.text.lower()
        shown = event.data.decode("utf-8", "replace").lower()
        escapes = "\\" in shown
        if wanted in shown and (
            not escapes or "\\" in wanted or wanted in _ESCAPE.sub("\0", shown)
        ):
            return True
        # The record's JSON may write the text with escapes, whose letters are none of it.
        return escapes and any(wanted in value for value in _all_texts(event.fields()))


_ESCAPE = re.compile(r"\\(?:u....|.)", re.DOTALL)


def _all_texts(value: object) -> Iterator[str]:
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            yield from map(str.lower, value)
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
        elif isinstance(value, str):
            yield value.lower()


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
