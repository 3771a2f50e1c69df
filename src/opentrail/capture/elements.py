# SPDX-License-Identifier: Apache-2.0
"""Shape parsed members as requestParameters and responseElements: names, times, redaction.

Source: CloudTrail User Guide, "CloudTrail record contents"; the service models' ``sensitive``
traits. A writer is made once for an operation and then only walks along values. What does not fit
its shape is left out: the service cannot have parsed it, and nobody knows what it holds.
"""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from opentrail.aws.model import Member, Shape
from opentrail.capture.rules import Casing, Times
from opentrail.event.record import HIDDEN

Writer = Callable[[object], object]
"""Takes a parsed value (model names, JSON types); gives what the record shows, or ``LEFT_OUT``."""

LEFT_OUT = object()
"""Stands for a value that the record must not or cannot have."""

CREDENTIALS = frozenset({"SecretAccessKey"})
"""Members that CloudTrail itself leaves out wherever they appear."""

_MONTHS = "JanFebMarAprMayJunJulAugSepOctNovDec"
_HALF_DAY_H = 12


@dataclass(frozen=True, slots=True)
class Style:
    """How one operation's elements are written."""

    casing: Casing
    times: Times
    hide: frozenset[str] = frozenset()
    """Members, by model name at any depth, shown as hidden."""
    drop: frozenset[str] = frozenset()
    """Members, by model name at any depth, left out."""

    def spell(self, name: str) -> str:
        """Return a member's name as the record has it."""
        return name if self.casing is Casing.RAW else name[:1].lower() + name[1:]


class Structure:
    """Writes the members of a structure, in model order."""

    __slots__ = ("members",)

    def __init__(self) -> None:
        self.members: list[tuple[str, str, Writer]] = []
        """Model name, name in the record, writer; what is always left out is not here."""

    def __call__(self, value: object) -> object:
        """Return the record's object; members that are absent or null stay absent."""
        if type(value) is not dict:
            return LEFT_OUT
        shown: dict[str, object] = {}
        for name, spelling, write in self.members:
            member = value.get(name)
            if member is not None and (written := write(member)) is not LEFT_OUT:
                shown[spelling] = written
        return shown


class _List:
    __slots__ = ("member",)

    def __init__(self) -> None:
        self.member: Writer = _hidden

    def __call__(self, value: object) -> object:
        if type(value) is not list:
            return LEFT_OUT
        write = self.member
        written = [None if item is None else write(item) for item in value]
        return [item for item in written if item is not LEFT_OUT]


class _Map:
    __slots__ = ("member",)

    def __init__(self) -> None:
        self.member: Writer = _hidden

    def __call__(self, value: object) -> object:
        if type(value) is not dict:
            return LEFT_OUT
        write = self.member
        written = {key: None if item is None else write(item) for key, item in value.items()}
        return {key: item for key, item in written.items() if item is not LEFT_OUT}


class Compiler:
    """Makes writers for one style; a shape that contains itself is made once."""

    def __init__(self, style: Style) -> None:
        self._style = style
        self._made: dict[Shape, Writer | None] = {}

    def top(self, shape: Shape, keep: frozenset[str] | None) -> Structure:
        """Return the writer of an operation's input or output.

        ``keep`` says which members stay (by model name; None: all).
        """
        made = Structure()
        for member in shape.members.values():
            if keep is None or member.name in keep:
                self._add(made, member)
        return made

    def _add(self, made: Structure, member: Member) -> None:
        write = self._member(member)
        if write is not None:
            made.members.append((member.name, self._style.spell(member.name), write))

    def _member(self, member: Member) -> Writer | None:
        if member.name in self._style.drop or member.name in CREDENTIALS:
            return None
        return _hidden if member.name in self._style.hide else self._shape(member.shape)

    def _shape(self, shape: Shape) -> Writer | None:
        """Return the writer of ``shape``; None when it is never recorded."""
        if shape.sensitive:
            return _hidden if shape.kind != "blob" else None
        if shape.kind == "blob" or shape.streaming or shape.event_stream:
            return None
        if shape.document:
            return _as_sent
        return _TIMES[self._style.times] if shape.kind == "timestamp" else self._plain(shape)

    def _plain(self, shape: Shape) -> Writer | None:
        if shape.kind == "structure":
            return self._structure(shape)
        if shape.kind == "list":
            return self._collection(shape, _List(), "member")
        if shape.kind == "map":
            secret = shape.members["key"].shape.sensitive
            return _hidden if secret else self._collection(shape, _Map(), "value")
        return _scalar

    def _structure(self, shape: Shape) -> Writer | None:
        if shape in self._made:
            return self._made[shape]
        made = Structure()
        self._made[shape] = made
        for member in shape.members.values():
            self._add(made, member)
        return made

    def _collection(self, shape: Shape, made: _List | _Map, name: str) -> Writer | None:
        if shape in self._made:
            return self._made[shape]
        self._made[shape] = made
        inner = self._shape(shape.members[name].shape)
        if inner is None:
            self._made[shape] = None
        else:
            made.member = inner
        return self._made[shape]


def _hidden(_value: object) -> object:
    return HIDDEN


def _as_sent(value: object) -> object:
    return value


def _scalar(value: object) -> object:
    return LEFT_OUT if type(value) in (dict, list) else value


def _java(value: object) -> object:
    return _java_text(value, "")


def _java_comma(value: object) -> object:
    return _java_text(value, ",")


def _java_text(value: object, comma: str) -> object:
    when = _moment(value)
    if when is None:
        return _scalar(value)
    half = "AM" if when.hour < _HALF_DAY_H else "PM"
    hour = when.hour % _HALF_DAY_H or _HALF_DAY_H
    month = _MONTHS[when.month * 3 - 3 : when.month * 3]
    day = f"{month} {when.day}, {when.year}{comma}"
    return f"{day} {hour}:{when.minute:02}:{when.second:02} {half}"


def _epoch_ms(value: object) -> object:
    when = _moment(value)
    return _scalar(value) if when is None else round(when.timestamp() * 1000)


def _moment(value: object) -> dt.datetime | None:
    """Read a wire timestamp (epoch seconds or ISO 8601), UTC; None when it is neither."""
    try:
        if isinstance(value, msgspec.Raw):  # a number that a float would spell otherwise
            return dt.datetime.fromtimestamp(float(bytes(value)), tz=dt.UTC)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return dt.datetime.fromtimestamp(value, tz=dt.UTC)
        if isinstance(value, str):
            when = dt.datetime.fromisoformat(value)
            zoned = when if when.tzinfo is not None else when.replace(tzinfo=dt.UTC)
            return zoned.astimezone(dt.UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return None


_TIMES: dict[Times, Writer] = {
    Times.AS_SENT: _scalar,
    Times.JAVA: _java,
    Times.JAVA_COMMA: _java_comma,
    Times.EPOCH_MS: _epoch_ms,
}
