# SPDX-License-Identifier: Apache-2.0
"""Conditions on events: what a query is made of. Pure."""

import ipaddress
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

import msgspec

from opentrail.errors import UsageError
from opentrail.event.codec import whole_characters
from opentrail.history.derive import ATTRIBUTES, Derived

_decode = msgspec.json.Decoder().decode
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
        return tuple(_texts(self.fields(), field.split(".")))

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
    """Return a record with half a character in it, or with odd numbers or bytes, its numbers as text.

    {} of one too odd.
    """
    whole = whole_characters(data)
    with suppress(msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _decode(whole)
    try:
        found: object = json.loads(whole.decode("utf-8", "replace"), parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        return {}
    return found


def _texts(value: object, path: list[str]) -> Iterator[str]:
    """Yield what lies at ``path``; of lists, of each element. Names in any case of letters."""
    if isinstance(value, list):
        for each in value:
            yield from _texts(each, path)
    elif path and isinstance(value, dict):
        for inner, rest in _members(value, path):
            yield from _texts(inner, rest)
    elif isinstance(value, str) and not path:
        yield value
    elif value is not None and not path:
        yield json.dumps(value, separators=(",", ":"))


def _members(value: dict[str, object], path: list[str]) -> Iterator[tuple[object, list[str]]]:
    """Yield what the path leads to, and the rest of it: names may have dots themselves."""
    for length in range(1, len(path) + 1):
        name = ".".join(path[:length]).lower()
        for key, inner in value.items():
            if key.lower() == name:
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


def _within(value: str, network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> bool:
    try:
        return ipaddress.ip_address(value) in network
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class There:
    """``field``: the field is there, with a value that is not null."""

    field: str

    def holds(self, event: Event) -> bool:
        """See ``Condition``."""
        return bool(event.values(self.field)) or self._object(event.fields())

    def _object(self, value: object) -> bool:
        for name in self.field.split("."):
            if not isinstance(value, Mapping):
                return False
            value = next((v for key, v in value.items() if key.lower() == name.lower()), None)
        return value is not None


@dataclass(frozen=True, slots=True)
class Text:
    """``"text"``: it is anywhere in the record, in any case of letters."""

    text: str

    def holds(self, event: Event) -> bool:
        """See ``Condition``."""
        wanted = self.text.lower()
        shown = event.data.decode("utf-8", "replace").lower()
        if wanted in shown:
            return True
        # In the record's JSON the same text may be written with escapes.
        return "\\" in shown and any(wanted in value for value in _all_texts(event.fields()))


def _all_texts(value: object) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield str(key).lower()
            yield from _all_texts(inner)
    elif isinstance(value, list):
        for each in value:
            yield from _all_texts(each)
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


def fields_of(condition: Condition) -> Iterator[str]:
    """Yield the names of the fields that ``condition`` looks at."""
    if isinstance(condition, Is | Contains | Like | Within | There):
        yield condition.field
    elif isinstance(condition, Not):
        yield from fields_of(condition.inner)
    elif isinstance(condition, And | Or):
        for part in condition.parts:
            yield from fields_of(part)


def all_of(parts: Sequence[Condition]) -> Condition:
    """Return the condition that all of ``parts`` hold."""
    kept = tuple(part for part in parts if not isinstance(part, Everything))
    if not kept:
        return Everything()
    return kept[0] if len(kept) == 1 else And(kept)


def any_of(parts: Sequence[Condition]) -> Condition:
    """Return the condition that any of ``parts``, of which there are some, holds."""
    return parts[0] if len(parts) == 1 else Or(tuple(parts))


def condition(field: str, operator: str, parts: Sequence[str]) -> Condition:
    """Return one condition: operators are ``=``, ``!=``, ``~``, ``!~``.

    ``parts`` are what stands between a value's asterisks, where each stands for any text.
    Raises: UsageError.
    """
    name = field_name(field)
    value = "*".join(parts)
    if operator.startswith("!"):
        return Not(condition(field, operator[1:], parts))
    if operator == "~":
        return Contains(name, re.compile(re.escape(value), re.IGNORECASE))
    if len(parts) > 1:
        return Like(name, tuple(parts))
    if "/" in value and (network := _network(value)) is not None:
        return Within(name, network, value)
    if _LIKE_NETWORK.fullmatch(value):
        raise UsageError(f"{value} is no network: write it as 10.0.0.0/8")
    return Is(name, value)


_LIKE_NETWORK = re.compile(r"\d+\.\d+\.\d+\.\d+/\d+")
"""Nothing else in a record looks like that: one that is none was mistyped."""


def field_name(field: str) -> str:
    """Return the attribute that ``field`` is a word for; else the path itself."""
    lower = field.lower()
    return _OWN.get(lower) or _RECORD_NAMES.get(lower) or field


def is_own(word: str) -> bool:
    """Return whether ``word`` is one of ``OWN_NAMES``, in any case of letters."""
    return word.lower() in _OWN


def _network(value: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(value, strict=False)
    except ValueError:
        return None
