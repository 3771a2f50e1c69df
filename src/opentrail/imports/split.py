# SPDX-License-Identifier: Apache-2.0
"""From a text to the JSON values that are in it, whatever is wrong with one of them. Pure.

One value, several behind each other or one a line, and of a damaged log file what is whole.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from opentrail.event.parts import is_json, is_object, past_blanks, value_end
from opentrail.imports import wrapped

LAYERS_MAX = 16
"""Of lists and what wraps records, in each other: CloudWatch Logs through Kinesis has eight."""
_OPENED = re.compile(rb'\s*\{\s*"Records"\s*:\s*\[\s*')
_BETWEEN = re.compile(rb"\s*,\s*|\s*\]\s*\}\s*")
_SEPARATORS = re.compile(rb"(?:[ \t\r\n,\x1e]|\xef\xbb\xbf)*+")
"""Between values: commas of a list that was torn apart, RFC 7464's mark, the mark of a file that was joined."""
_PREFIX = re.compile(rb'(?:[^"{}\[]|\[[^\s"{}\[\]=]+(?: [^\s"{}=]+="[^"{}]*")+\]|\[)++(?=\{)')
"""Before a value on its line: the time of an export of CloudWatch Logs, syslog's host and structured data.

Other quotes are none of it: before them a record may have been torn, and what follows be what somebody sent.
"""
_CELLS = re.compile(rb"\t[^{}]*+\Z")
_ROW = re.compile(rb"(?:RESOURCES|NEXTTOKEN)\t[^{}]*+\Z")
"""What ``aws cloudtrail lookup-events --output text`` writes behind a record, and on lines of its own."""
NEXT = re.compile(rb'(?:,|"Records"\s*:\s*\[)\s*(?=\{\s*"eventVersion"\s*:)')
"""Where a record begins in a list, surely."""
TRIES_MAX = 100
"""So often what seems to be the next record may be none: each costs a look at VALUE_BYTES_MAX."""
VALUE_BYTES_MAX = 4 * 1024 * 1024
"""Of one record: sixteen times the largest, as it may be indented."""
_BRACKETS = frozenset(b"{[")


@dataclass(frozen=True, slots=True)
class Unread:
    """Something that is no record."""

    position: int
    """Where it begins, in bytes of the unpacked file."""
    reason: str
    open: bool = False
    """Whether it is the file's end that it lacks."""


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
    listed: bool = False
    """Whether others like it follow."""

    def inside(self, offset: int, data: bytes, *, listed: bool = False) -> "Value":
        """Return ``data``, which is at ``offset`` in this value."""
        return Value(self.position + offset, data, self.layers - 1, listed)


Split = Value | Unread | NoRecord


def values(data: bytes, start: int, layers: int = LAYERS_MAX) -> Iterator[Split]:
    """Yield the values of ``data``, which begins at ``start``, and what of it is none."""
    if is_json(data):
        at = past_blanks(data, 0)
        return iter((Value(start + at, data[at:].rstrip(), layers),))
    newline = data.find(b"\n")
    if newline < 0 or (not is_json(data[:newline]) and _begins_with_value(data, newline)):
        return _joined(data, start, layers)
    return lines(data, start, layers)


def past_separators(data: bytes, at: int) -> int:
    """Return where what separates no values begins, from ``at`` on."""
    found = _SEPARATORS.match(data, at)
    return at if found is None else found.end()


def _begins_with_value(data: bytes, newline: int) -> bool:
    """Whether the first JSON value of ``data`` is on several lines."""
    end = value_end(data, past_separators(data, 0))
    return newline < end if end is not None else _OPENED.match(data) is not None


def _joined(data: bytes, start: int, layers: int) -> Iterator[Split]:
    """Read JSON values that follow each other, on one line or on many."""
    at = past_separators(data, 0)
    while at < len(data):
        end = value_end(data, at) if data[at] in _BRACKETS else None
        opened = _OPENED.match(data, at)
        if opened is not None and (end is None or not is_object(data[at:end])):
            yield from _salvaged(data, opened.end(), start, layers)
            return
        if end is None:
            cut = data[at] in _BRACKETS
            yield Unread(start + at, "not JSON, or cut short" if cut else "not JSON", open=cut)
            newline = data.find(b"\n", at)
            if _OPENED.match(data):
                rest = data[at:] if newline < 0 else data[at:newline]
                yield from torn(Value(start + at, rest, layers))
            if newline >= 0:
                yield from lines(data[newline + 1 :], start + newline + 1, layers)
            return
        yield Value(start + at, data[at:end], layers)
        at = past_separators(data, end)


def _salvaged(data: bytes, at: int, start: int, layers: int) -> Iterator[Split]:
    """Yield the records of a damaged log file, but for those that the damage hides."""
    while at < len(data):
        end = value_end(data, at)
        between = None if end is None else _BETWEEN.match(data, end)
        if end is not None:
            yield Value(start + at, data[at:end], layers - 1, listed=True)
        if between is None:
            rest = end or at
            yield Unread(start + rest, "the file is damaged here, or cut short", open=end is None)
            yield from torn(Value(start + rest, data[rest:], layers))
            return
        at = between.end()
        if b"]" in between[0]:
            yield from _joined(data[at:], start + at, layers)
            return
    yield Unread(start + len(data), "the file is cut short", open=True)


def torn(value: Value) -> Iterator[Value]:
    """Yield the records that begin in ``value``, of which the beginning is damaged.

    Where a quote or a bracket is lost, the records behind seem to be a part of the one that lost it. Only
    what follows the end of a record, as one does in a list, is taken for one: not what is within one.
    """
    at, tries = 0, 0
    while tries < TRIES_MAX and (found := NEXT.search(value.data, at)) is not None:
        end = value_end(value.data, found.end(), found.end() + VALUE_BYTES_MAX)
        record = value.data[found.end() : end]
        if end is None or not wrapped.is_record(record):
            at, tries = found.end(), tries + 1
        else:
            yield value.inside(found.end(), record)
            at = end - 1


def lines(data: bytes, start: int, layers: int = LAYERS_MAX) -> Iterator[Split]:
    """Read JSON values on lines, also behind what a log writes before them."""
    at = start
    for line in data.split(b"\n"):
        begin = past_blanks(line, 0)
        value = line[begin:].rstrip()
        if value and is_json(value):
            yield Value(at + begin, value, layers)
        elif value:
            yield from _line(value, at + begin, layers)
        at += len(line) + 1


def _line(line: bytes, start: int, layers: int) -> Iterator[Split]:
    """Read a line that is not JSON from its beginning to its end."""
    prefix = _PREFIX.match(line)
    begin = 0 if prefix is None else prefix.end()
    end = None if prefix is None else value_end(line, begin)
    if end == len(line) or (end is not None and _is_cell(line, begin, end)):
        yield Value(start + begin, line[begin:end], layers)
    elif _ROW.match(line):
        yield NoRecord(start)
    else:
        yield from _joined(line, start, layers)


def _is_cell(line: bytes, begin: int, end: int) -> bool:
    return _CELLS.match(line, end) is not None and wrapped.is_record(line[begin:end])
