# SPDX-License-Identifier: Apache-2.0
"""JSON values of any number and a list of any length, read through a window that is never large.

For files in which a value is on many lines (what ``jq`` prints), values follow each other on one line (what
Firehose joins), or one list is the whole file, in whatever it is wrapped; and for damaged ones of these.
"""

import re
from collections.abc import Iterator

from opentrail.event.parts import TEXT, is_json, past_blanks, past_comma, text_of, value_end
from opentrail.imports import wrapped
from opentrail.imports.split import (
    NEXT,
    TRIES_MAX,
    VALUE_BYTES_MAX,
    Split,
    Unread,
    Value,
    past_separators,
    values,
)
from opentrail.imports.ungzip import NotReadable

_AHEAD = 64 * 1024
"""Bytes between two lists, and after the last one, at most."""
_NAME = rb"\s*+" + TEXT + rb"\s*+:\s*+"
_SHORT = rb"(?:" + TEXT + rb"|[^\s\"{}\[\],]++|\{[^{}\[\]]*+\}|\[[^{}\[\]]*+\])\s*+"
_INTO = re.compile(
    rb"\s*+(?:(\[)|\{(?:" + _NAME + _SHORT + rb",)*+\s*+(" + TEXT + rb")\s*+:\s*+(?=[\[{]))"
)
"""Into a list, or into the member of an object in which one is, past what is short."""
_OUT = re.compile(rb"(?:\s*+,?" + _NAME + _SHORT + rb")*+\s*+([\]}])")
_AGAIN = re.compile(rb"\n(?=[{\[])|\}\s*(?=\{\s*\"(?:eventVersion|Records)\"\s*:)|" + NEXT.pattern)
"""Where a value begins that is no part of another, as values are printed or joined; or the next of a list."""
_PRINTED = re.compile(rb"[{\[][ \t\r]*+\n")
_DAMAGED = "the file is damaged here, or cut short"
_NAMES = re.compile(rb"(" + TEXT + rb")\s*+:")
_DEPTH_MAX = 8
"""Of lists and objects around a list."""


def _carries(into: re.Match[bytes]) -> bool:
    """Whether an object is entered in which records may be, rather than one record."""
    names = {text_of(name) for name in _NAMES.findall(into[0])}
    return text_of(into[2]) in wrapped.CARRIERS and not wrapped.is_meant(names)


def opens(data: bytes, at: int) -> bool:
    """Whether at ``at`` a value begins that may have a list of records in it."""
    into = _INTO.match(data, at)
    return into is not None and bool(into[1] or _carries(into))


def is_of_lines(data: bytes) -> bool:
    """Return whether ``data`` begins with a line that is one JSON value, or with none at all."""
    at = past_blanks(data, 0)
    if data[at : at + 1] not in (b"{", b"["):
        return True
    end = value_end(data, at)
    if end is None:
        return not opens(data, at) and _PRINTED.match(data, at) is None
    return b"\n" not in data[at:end] and data[end : end + 2].lstrip(b"\r").startswith(b"\n")


def whole_values(data: bytes, start: int) -> Iterator[Split]:
    """Yield the values of a file that is at hand as a whole, but for ``start`` bytes."""
    if is_json(data) or is_of_lines(data):
        return values(data, start)
    return Window(data, iter(()), start).values()


class Window:
    """The part of a file that is being read."""

    def __init__(self, data: bytes, pieces: Iterator[bytes], before: int = 0) -> None:
        """``before``: bytes of the file before ``data``, after which ``pieces`` come."""
        self._data = data
        self._at = 0
        self._pieces = pieces
        self._before = before
        self._tries = 0
        self._lists = 0
        self._unreadable: NotReadable | None = None

    def values(self) -> Iterator[Split]:
        """Yield all values; of those that are too large the elements of the list in them.

        Raises: NotReadable: as the pieces do.
        """
        while self._has_more():
            end = self._value_end()
            if end is not None:
                value = self._taken(end)
                yield from values(value.data, value.position)
            elif closing := self._entered():
                yield from self._list(closing)
            else:
                yield self._past_damage(_AGAIN)
        if self._unreadable is not None:
            raise self._unreadable

    def _list(self, closing: bytes) -> Iterator[Split]:
        """Yield the elements of one list, but for those that damage hides; ``closing`` ends it."""
        self._lists += 1
        yield from self._elements()
        while not self._left(closing):
            yield self._past_damage(NEXT)
            if not self._has_more():
                return
            yield from self._elements()

    def _past_damage(self, place: re.Pattern[bytes]) -> Unread:
        """Go to where something surely begins again, or to the file's end; return what is said of it."""
        damage = self._before + self._at
        self._tries += 1
        if self._tries > TRIES_MAX:
            self._pieces = iter(())
            self._at = len(self._data)
        while (found := place.search(self._data, self._at)) is None:
            # It may be in two pieces.
            self._at = max(self._at, len(self._data) - _AHEAD)
            if not self._more():
                self._at = len(self._data)
                return Unread(damage, _DAMAGED, open=True)
        self._at = found.end()
        return Unread(damage, _DAMAGED)

    def _elements(self) -> Iterator[Split]:
        """Yield the elements of one list, up to where it ends, or is damaged."""
        while (end := self._value_end()) is not None:
            yield self._taken(end, listed=True)
            self._look_ahead()
            self._at = past_comma(self._data, self._at)

    def _taken(self, end: int, *, listed: bool = False) -> Value:
        at, self._at = self._at, end
        return Value(self._before + at, self._data[at:end], listed=listed)

    def _has_more(self) -> bool:
        """Go past what separates values; return whether there is something else.

        A comma behind a list is damage, and said where it is.
        """
        past = past_blanks if self._lists and not self._tries else past_separators
        while True:
            self._at = past(self._data, self._at)
            if self._at < len(self._data):
                return True
            if not self._more():
                return False

    def _entered(self) -> bytes:
        """Go into the list that is the next value, or in it.

        Return the brackets that close the list and what is around it; none if there is no list.
        """
        closing, at = b"", self._at
        while len(closing) < _DEPTH_MAX and opens(self._data, at):
            into = _INTO.match(self._data, at)
            assert into is not None
            at = past_blanks(self._data, into.end())
            if into[1]:
                self._at = at
                return b"]" + closing
            closing = b"}" + closing
        return b""

    def _left(self, closing: bytes) -> bool:
        """Go out of a list; return whether it ends as it began."""
        self._look_ahead()
        at = self._at
        for bracket in closing:
            out = _OUT.match(self._data, at)
            if out is None or out[1][0] != bracket:
                return False
            at = out.end()
        self._at = at
        return True

    def _look_ahead(self) -> None:
        """See to it that what comes between two values is in the window."""
        while len(self._data) - self._at < _AHEAD and self._more():
            pass

    def _value_end(self) -> int | None:
        """Return where the next value ends; None when there is none, or it is too large."""
        while (end := value_end(self._data, self._at)) is None:
            if len(self._data) - self._at > VALUE_BYTES_MAX or not self._more():
                return None
        return end

    def _more(self) -> bool:
        """Let the window reach further; False at the file's end."""
        try:
            piece = next(self._pieces, b"")
        except NotReadable as error:
            # What is in the window is read first.
            self._unreadable, piece = error, b""
        if piece:
            self._data = self._data[self._at :] + piece
            self._before += self._at
            self._at = 0
        return bool(piece)
