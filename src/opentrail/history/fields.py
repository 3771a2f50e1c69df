# SPDX-License-Identifier: Apache-2.0
"""What conditions look at of a record: its attributes, its fields by their paths, its texts. Pure."""

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress

import msgspec

from opentrail.event.codec import whole_characters
from opentrail.history.derive import ATTRIBUTES, Derived


def _as_written(number: str) -> msgspec.Raw:
    return msgspec.Raw(number.encode())


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(float_hook=_as_written).decode
"""Numbers with a point or an exponent stay what they are: 1.10 is written so, and so asked for."""
OWN_NAMES = frozenset((*ATTRIBUTES, "Account", "Region", "Category"))
"""Words for what an event is found by."""


class Event:
    """A record that is looked at: what it is found by, and its fields once they are asked for.

    What was found out is kept, as many conditions ask for the same: keep ``data`` of many, not this.
    """

    __slots__ = ("_fields", "_shown", "_texts", "_values", "data", "derived")

    def __init__(self, data: bytes, derived: Derived) -> None:
        self.data = data
        self.derived = derived
        self._fields: object = None
        self._values: dict[str, Sequence[str]] = {}
        self._shown: str | None = None
        self._texts: Sequence[str] | None = None

    def values(self, field: str) -> Sequence[str]:
        """Return the values of an attribute, or of the record's field of that path, as text."""
        found = self._values.get(field)
        if found is None:
            found = self._found_by(field) if field in OWN_NAMES else self._found_at(field)
            self._values[field] = found
        return found

    def shown(self) -> str:
        """Return the record's JSON, in small letters."""
        if self._shown is None:
            self._shown = self.data.decode("utf-8", "replace").lower()
        return self._shown

    def texts(self) -> Sequence[str]:
        """Return all names and texts of the record, in small letters."""
        if self._texts is None:
            self._texts = tuple(_all_texts(self.fields()))
        return self._texts

    def _found_at(self, field: str) -> Sequence[str]:
        found = at(self.fields(), field.split("."))
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


def at(value: object, path: list[str]) -> Iterator[object]:
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
