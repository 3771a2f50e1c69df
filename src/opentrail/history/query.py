# SPDX-License-Identifier: Apache-2.0
"""What ``opentrail search`` is asked: conditions on events, joined by and, or, not. Pure.

    EventName=Create* and not Username=ci       attributes of LookupEvents, * at the end or anywhere
    requestParameters.bucketName=logs           any field of the record, by its path
    sourceIPAddress=10.0.0.0/8                  an address in a network
    errorCode                                   the field is there, and is not null
    errorMessage~"not authorized"               the value contains the text, in any case of letters
    "AKIAIOSFODNN7EXAMPLE"                      the text is anywhere in the record

Conditions that stand side by side are joined by and; or binds less; brackets group.
"""

import ipaddress
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec

from opentrail.errors import UsageError
from opentrail.event.record import FIELD_ORDER
from opentrail.history.derive import ATTRIBUTES, Derived

QUERY_CHARS_MAX = 10_000
"""Longer than anybody writes; what a request may have parsed."""
DEPTH_MAX = 50
"""Of brackets and nots in each other."""

_decode = msgspec.json.Decoder().decode
_OWN = {name.lower(): name for name in (*ATTRIBUTES, "Account", "Region", "Category")}
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
                self._fields = {}
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
class Like:
    """``field=Create*`` or ``field~text``: some value of the field matches."""

    field: str
    pattern: re.Pattern[str]

    def holds(self, event: Event) -> bool:
        """See ``Condition``."""
        return any(self.pattern.search(value) for value in event.values(self.field))


@dataclass(frozen=True, slots=True)
class Within:
    """``field=10.0.0.0/8``: some value of the field is an address in the network."""

    field: str
    network: ipaddress.IPv4Network | ipaddress.IPv6Network

    def holds(self, event: Event) -> bool:
        """See ``Condition``."""
        return any(_within(value, self.network) for value in event.values(self.field))


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


def all_of(parts: Sequence[Condition]) -> Condition:
    """Return the condition that all of ``parts`` hold."""
    kept = tuple(part for part in parts if not isinstance(part, Everything))
    if not kept:
        return Everything()
    return kept[0] if len(kept) == 1 else And(kept)


def any_of(parts: Sequence[Condition]) -> Condition:
    """Return the condition that any of ``parts``, of which there are some, holds."""
    return parts[0] if len(parts) == 1 else Or(tuple(parts))


_TOKEN = re.compile(
    r"""\s*(?:
      (?P<bracket>[()])
    | (?P<field>[A-Za-z][\w.:/-]*)(?P<operator>!=|=|!~|~)(?P<value>"(?:[^"\\]|\\.)*"|[^\s()]*)
    | (?P<quoted>"(?:[^"\\]|\\.)*")
    | (?P<word>[^\s()"]+)
    )""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    """"(", ")", "and", "or", "not", or "is" with a condition."""
    at: int
    condition: Condition | None = None


def parse(text: str) -> Condition:
    """Return what ``text`` asks for. Raises: UsageError: it says where it cannot be understood."""
    if len(text) > QUERY_CHARS_MAX:
        raise UsageError(f"the query has {len(text)} characters; {QUERY_CHARS_MAX} at most")
    return _Parser(list(_tokens(text)), text).whole()


def condition(field: str, operator: str, value: str) -> Condition:
    """Return one condition: operators are ``=``, ``!=``, ``~``, ``!~``. Raises: UsageError."""
    name = field_name(field)
    if operator.startswith("!"):
        return Not(condition(field, operator[1:], value))
    if operator == "~":
        return Like(name, re.compile(re.escape(value), re.IGNORECASE))
    if "*" in value:
        pattern = ".*".join(map(re.escape, value.split("*")))
        return Like(name, re.compile(rf"\A{pattern}\Z", re.DOTALL))
    if "/" in value and (network := _network(value)) is not None:
        return Within(name, network)
    return Is(name, value)


def field_name(field: str) -> str:
    """Return the attribute that ``field`` is a word for; else the path itself."""
    lower = field.lower()
    return _OWN.get(lower) or _RECORD_NAMES.get(lower) or field


def _network(value: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(value, strict=False)
    except ValueError:
        return None


def _tokens(text: str) -> Iterator[_Token]:
    at = 0
    while text[at:].strip():
        found = _TOKEN.match(text, at)
        if found is None:
            raise UsageError(_where(text, at, "a quote that does not end"))
        yield _token(found, text)
        at = found.end()


def _token(found: re.Match[str], text: str) -> _Token:
    at = found.start(found.lastgroup or 0)
    kind = found["bracket"] or (found["word"] or "").lower()
    if kind in ("(", ")", "and", "or", "not"):
        return _Token(kind, at)
    if found["field"]:
        value = _unquoted(found["value"], text, at)
        return _Token("is", at, condition(found["field"], found["operator"], value))
    if found["word"] and _known(found["word"]):
        return _Token("is", at, There(field_name(found["word"])))
    return _Token("is", at, Text(_unquoted(found["quoted"] or found["word"], text, at)))


_TOP = frozenset(name.lower() for name in FIELD_ORDER)


def _known(word: str) -> bool:
    """Whether a bare word is the name of a field rather than a text to look for."""
    first = word.lower().split(".", 1)[0]
    return first in _TOP


def _unquoted(text: str, query: str, at: int) -> str:
    if not text.startswith('"'):
        return text
    if len(text) < len('""') or not text.endswith('"'):
        raise UsageError(_where(query, at, "a quote that does not end"))
    return re.sub(r"\\(.)", r"\1", text[1:-1])


def _where(text: str, at: int, what: str) -> str:
    return f"the query has {what} here: …{text[at : at + 40]}"


class _Parser:
    def __init__(self, tokens: list[_Token], text: str) -> None:
        self._tokens = tokens
        self._text = text
        self._next = 0
        self._depth = 0

    def whole(self) -> Condition:
        if not self._tokens:
            return Everything()
        found = self._any()
        if self._next < len(self._tokens):
            raise self._wrong("a bracket that was not opened")
        return found

    def _any(self) -> Condition:
        parts = [self._all()]
        while self._at("or"):
            self._next += 1
            parts.append(self._all())
        return any_of(parts)

    def _all(self) -> Condition:
        parts = [self._one()]
        while self._next < len(self._tokens) and not self._at("or", ")"):
            if self._at("and"):
                self._next += 1
            parts.append(self._one())
        return all_of(parts)

    def _one(self) -> Condition:
        self._depth += 1
        if self._depth > DEPTH_MAX:
            raise self._wrong(f"more than {DEPTH_MAX} brackets and nots in each other")
        found = self._inner()
        self._depth -= 1
        return found

    def _inner(self) -> Condition:
        if self._next == len(self._tokens):
            raise UsageError("the query ends where a condition should follow")
        token = self._tokens[self._next]
        self._next += 1
        if token.kind == "not":
            return Not(self._one())
        if token.kind == "(":
            found = self._any()
            if not self._at(")"):
                raise self._wrong("a bracket that is not closed")
            self._next += 1
            return found
        if token.condition is None:
            self._next -= 1
            raise self._wrong("no condition")
        return token.condition

    def _at(self, *kinds: str) -> bool:
        return self._next < len(self._tokens) and self._tokens[self._next].kind in kinds

    def _wrong(self, what: str) -> UsageError:
        at = self._tokens[min(self._next, len(self._tokens) - 1)].at
        return UsageError(_where(self._text, at, what))
