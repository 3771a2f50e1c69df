# SPDX-License-Identifier: Apache-2.0
"""JSON arrays and objects taken apart: where one element is bad, the others are still found. Pure.

A parser gives up a whole list of records for one that has NaN, half a character or a control character in
it, or is nested too deeply. By brackets, quotes and commas alone it can be taken apart all the same. Source:
RFC 8259, sections 2 to 7.
"""

import json
import re
import sys
from collections.abc import Iterator

import msgspec

from opentrail.event.codec import UNREADABLE, Fields

NESTING_MAX = 100_000
"""Of brackets in each other; a file of nothing else must not be looked at for minutes."""
# What is inside of a string is skipped at once. No string goes on in another line, so that a lost quote
# does not make strings of all that follows in a file of lines.
TEXT = rb'"[^"\\\n]*+(?:\\[^\n][^"\\\n]*+)*+"'
"""A JSON text, quotes and all."""
_SIMPLE = re.compile(TEXT + rb"|(?:null|true|false|-?[0-9][0-9.eE+-]*+)(?![\w.])")
_TO_BRACKET = re.compile(rb'[^"\[\]{}]*+(?:' + TEXT + rb'[^"\[\]{}]*+)*+([\[\]{}])')
_PLAIN = re.compile(rb'[^"\[\]{},]*+')
_BLANKS = re.compile(rb"[ \t\r\n]*+")
_WORD = re.compile(rb"(?:" + TEXT + rb"|[\w.+-]++)(?=[ \t\r\n]*+[,\]])")
_QUOTE = ord('"')
_COMMA = re.compile(rb"[ \t\r\n]*+,?[ \t\r\n]*+")
_NAME = re.compile(rb"(" + TEXT + rb")[ \t\r\n]*+:[ \t\r\n]*+")

_raw = msgspec.json.Decoder(msgspec.Raw).decode
_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_fields = msgspec.json.Decoder(Fields).decode

Part = tuple[int, bytes]
"""Where an element stands in what was taken apart, and its bytes."""


def is_json(data: bytes) -> bool:
    """Return whether ``data`` is one JSON text, as far as a parser that skips values looks."""
    try:
        _raw(data)
    except UNREADABLE:
        return False
    return True


def past_blanks(data: bytes, at: int) -> int:
    """Return where what is not blank begins, from ``at`` on."""
    found = _BLANKS.match(data, at)
    return at if found is None else found.end()


def past_comma(data: bytes, at: int) -> int:
    """Return where what is neither blank nor the next comma begins, from ``at`` on."""
    found = _COMMA.match(data, at)
    return at if found is None else found.end()


def value_end(data: bytes, at: int, last: int = sys.maxsize) -> int | None:
    """Return where the value that begins at ``at`` ends, whatever is in it, before ``last``.

    None: it does not, or is none.
    """
    if data[at : at + 1] not in (b"{", b"["):
        simple = _SIMPLE.match(data, at)
        return None if simple is None else simple.end()
    depth = 0
    while depth <= NESTING_MAX and (found := _TO_BRACKET.match(data, at, last)) is not None:
        at = found.end()
        depth += 1 if found[1] in b"[{" else -1
        if not depth:
            return at
    return None


def whole(array: bytes, brackets_max: int) -> list[bytes] | None:
    """Return the elements of a JSON array of which some are bad; None: it is none even by its commas.

    ``brackets_max``: one with more of them, or of elements, is not: each takes half a microsecond.
    """
    brackets = len(array) - len(array.translate(None, b"[{"))
    if not array.startswith(b"[") or brackets > brackets_max:
        return None
    found: list[bytes] = []
    at, last = past_blanks(array, 1), len(array) - 1
    while len(found) < brackets_max and (end := value_end(array, at)) is not None:
        found.append(array[at:end])
        at = past_blanks(array, end)
        if array[at : at + 1] != b",":
            return found if at == last and array.endswith(b"]") else None
        at = past_blanks(array, at + 1)
    return None


def elements(array: bytes) -> Iterator[Part]:
    """Yield the elements of ``array``, which is whole by its brackets, and what else is between commas.

    Where something is that can be neither, all that follows is the last.
    """
    try:
        found = _list(array)
    except UNREADABLE:
        found = []
    at = past_comma(array, 1)
    for raw in found:
        element = bytes(raw)
        yield at, element
        at = past_comma(array, at + len(element))
    last = len(array) - 1
    while at < last:
        word = _WORD.match(array, at)
        end = value_end(array, at) if word is None else word.end()
        # A text that nothing separates from the next lost a quote: the others' are wrong, too.
        end = last if end is None or (word is None and array[at] == _QUOTE) else min(end, last)
        yield at, array[at:end].rstrip()
        at = past_comma(array, end)


def members(data: bytes) -> list[tuple[str, Part]]:
    """Return the members of the object ``data``, which is whole by its brackets: all, also of one name."""
    quick = _members(data)
    if quick is not None:
        return quick
    found = []
    for at, part in _parted(data):
        named = _NAME.match(part)
        if named is not None:
            found.append((text_of(named[1]), (at + named.end(), part[named.end() :])))
    return found


def is_object(data: bytes) -> bool:
    """Whether all that stands between the commas of ``data`` has a name, as members do."""
    return all(_NAME.match(part) is not None for _, part in _parted(data))


def text_of(string: bytes) -> str:
    """Return what a JSON string says, halves of characters and all; one with a bad escape, as it stands."""
    text = string.decode("utf-8", "replace")
    try:
        return str(json.loads(text, strict=False))
    except ValueError:
        return text[1:-1]


def _members(data: bytes) -> list[tuple[str, Part]] | None:
    """Return the members of an object where nothing is odd: each name once, and without an escape."""
    found: list[tuple[str, Part]] = []
    try:
        fields = _fields(data)
    except UNREADABLE:
        return None
    at = past_blanks(data, 1)
    for name, raw in fields.items():
        named = _NAME.match(data, at)
        if named is None or named[1] != b'"%s"' % name.encode():
            return None
        value = bytes(raw)
        found.append((name, (named.end(), value)))
        end = named.end() + len(value)
        at = past_comma(data, end)
        if not data.startswith(value, named.end()):
            return None
    return found if at == len(data) - 1 else None


def _parted(data: bytes) -> Iterator[Part]:
    """Yield what stands between the commas of an array or object."""
    last = len(data) - 1
    at = past_blanks(data, 1)
    if at >= last:
        return
    while True:
        end = _part_end(data, at, last)
        yield at, data[at:end].rstrip()
        if end >= last:
            return
        at = past_blanks(data, end + 1)


def _part_end(data: bytes, at: int, last: int) -> int:
    """Return where the next comma stands that is not within an element; ``last`` if none does."""
    while True:
        found = _PLAIN.match(data, at, last)
        at = at if found is None else found.end()
        if at >= last or data[at : at + 1] == b",":
            return min(at, last)
        end = value_end(data, at)
        at = last if end is None else end
