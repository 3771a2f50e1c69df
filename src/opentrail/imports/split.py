# SPDX-License-Identifier: Apache-2.0
"""From a text to the JSON values that are in it, whatever is wrong with one of them. Pure.

One value, several behind each other or one a line, and of a damaged log file what is whole.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from opentrail.event.codec import UNREADABLE
from opentrail.event.parts import past_blanks, value_end

LAYERS_MAX = 16
"""Of lists and what wraps records, in each other: CloudWatch Logs through Kinesis has eight."""
_OPENED = re.compile(rb'\s*\{\s*"Records"\s*:\s*\[\s*')
_BETWEEN = re.compile(rb"\s*,\s*|\s*\]\s*\}\s*")
_TIMED = re.compile(rb"\d{4}-\d\d-\d\dT\S*\s+\{")
_BRACKETS = frozenset(b"{[")
_raw = msgspec.json.Decoder(msgspec.Raw).decode


@dataclass(frozen=True, slots=True)
class Unread:
    """Something that is no record."""

    position: int
    """Where it begins, in bytes of the unpacked file."""
    reason: str


@dataclass(frozen=True, slots=True)
class NoRecord:
    """What a tool writes beside records: nothing is lost with it."""

    position: int
    """As in ``Unread``."""


@dataclass(frozen=True, slots=True)
class Value:
    """A JSON value, which is whole by its brackets."""

    position: int
    """As in ``Unread``."""
    data: bytes
    layers: int = LAYERS_MAX
    """How many may be opened that are in each other."""

    def inside(self, offset: int, data: bytes) -> "Value":
        """Return ``data``, which is at ``offset`` in this value."""
        return Value(self.position + offset, data, self.layers - 1)


Split = Value | Unread


def values(data: bytes, start: int, layers: int = LAYERS_MAX) -> Iterator[Split]:
    """Yield the values of ``data``, which begins at ``start``, and what of it is none."""
    if _is_json(data):
        at = past_blanks(data, 0)
        return iter((Value(start + at, data[at:].rstrip(), layers),))
    newline = data.find(b"\n")
    if newline < 0 or (not _is_json(data[:newline]) and _begins_with_value(data, newline)):
        return _joined(data, start, layers)
    return lines(data, start, layers)


def _is_json(data: bytes) -> bool:
    try:
        _raw(data)
    except UNREADABLE:
        return False
    return True


def _begins_with_value(data: bytes, newline: int) -> bool:
    """Whether the first JSON value of ``data`` is on several lines."""
    end = value_end(data, past_blanks(data, 0))
    return newline < end if end is not None else _OPENED.match(data) is not None


def _joined(data: bytes, start: int, layers: int) -> Iterator[Split]:
    """Read JSON values that follow each other, on one line or on many."""
    at = past_blanks(data, 0)
    while at < len(data):
        end = value_end(data, at) if data[at] in _BRACKETS else None
        if end is None:
            opened = _OPENED.match(data, at)
            if opened is not None:
                yield from _salvaged(data, opened.end(), start, layers)
                return
            yield Unread(start + at, "not JSON, or cut short")
            newline = data.find(b"\n", at)
            if newline >= 0:
                yield from lines(data[newline + 1 :], start + newline + 1, layers)
            return
        yield Value(start + at, data[at:end], layers)
        at = past_blanks(data, end)


def _salvaged(data: bytes, at: int, start: int, layers: int) -> Iterator[Split]:
    """Yield the records of a damaged log file that lie before the damage."""
    while at < len(data):
        end = value_end(data, at)
        if end is None:
            yield Unread(start + at, "the file is damaged from here on, or cut short")
            return
        yield Value(start + at, data[at:end], layers - 1)
        between = _BETWEEN.match(data, end)
        if between is None:
            yield Unread(start + end, "the file is damaged from here on: no comma or end follows")
            return
        at = between.end()
        if b"]" in between[0]:
            yield from _joined(data[at:], start + at, layers)
            return
    yield Unread(start + len(data), "the file is cut short")


def lines(data: bytes, start: int, layers: int = LAYERS_MAX) -> Iterator[Split]:
    """Read JSON values on lines, a time before them or not, as exports of CloudWatch Logs have it."""
    at = start
    for line in data.split(b"\n"):
        brace = line.find(b"{") if _TIMED.match(line) else past_blanks(line, 0)
        value = line[brace:].rstrip()
        if value and _is_json(value):
            yield Value(at + brace, value, layers)
        elif value:
            yield from _joined(value, at + brace, layers)
        at += len(line) + 1
