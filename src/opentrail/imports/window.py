# SPDX-License-Identifier: Apache-2.0
"""JSON values of any number and a list of any length, read through a window that is never large.

For files in which a value is on many lines (what ``jq`` prints), values follow each other on one line (what
Firehose joins), or one list is the whole file, in whatever it is wrapped.
"""

import re
from collections.abc import Iterator

from opentrail.event.parts import past_blanks, past_comma, text_of, value_end
from opentrail.imports import wrapped
from opentrail.imports.split import Split, Unread, Value

VALUE_BYTES_MAX = 4 * 1024 * 1024
"""Of one record: sixteen times the largest, as it may be indented."""
_AHEAD = 64 * 1024
"""Bytes between two lists, and after the last one, at most."""
_TEXT = rb'"[^"\\\n]*+(?:\\[^\n][^"\\\n]*+)*+"'
_NAME = rb"\s*+" + _TEXT + rb"\s*+:\s*+"
_SHORT = rb"(?:" + _TEXT + rb"|[^\s\"{}\[\],]++|\{[^{}\[\]]*+\}|\[[^{}\[\]]*+\])\s*+"
_INTO = re.compile(
    rb"\s*+(?:(\[)|\{(?:" + _NAME + _SHORT + rb",)*+\s*+(" + _TEXT + rb")\s*+:\s*+(?=[\[{]))"
)
"""Into a list, or into the member of an object in which one is, past what is short."""
_OUT = re.compile(rb"(?:\s*+,?" + _NAME + _SHORT + rb")*+\s*+[\]}]")
_NAMES = re.compile(rb"(" + _TEXT + rb")\s*+:")
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


class Window:
    """The part of a file that is being read."""

    def __init__(self, data: bytes, pieces: Iterator[bytes], before: int = 0) -> None:
        """``before``: bytes of the file before ``data``, after which ``pieces`` come."""
        self._data = data
        self._at = 0
        self._pieces = pieces
        self._before = before

    def values(self) -> Iterator[Split]:
        """Yield all values; of those that are too large the elements of the list in them.

        Raises: as the pieces do.
        """
        while self._has_more():
            end = self._value_end()
            if end is not None:
                yield self._taken(end)
                continue
            depth = self._entered()
            if depth:
                yield from self._elements()
            if not depth or not self._left(depth):
                yield Unread(
                    self._before + self._at, "the file is damaged from here on, or cut short"
                )
                return

    def _elements(self) -> Iterator[Split]:
        """Yield the elements of one list, up to where it ends, or is damaged."""
        while (end := self._value_end()) is not None:
            yield self._taken(end)
            self._look_ahead()
            self._at = past_comma(self._data, self._at)

    def _taken(self, end: int) -> Value:
        at, self._at = self._at, end
        return Value(self._before + at, self._data[at:end])

    def _has_more(self) -> bool:
        """Go past blanks; return whether there is something else."""
        while True:
            self._at = past_blanks(self._data, self._at)
            if self._at < len(self._data):
                return True
            if not self._more():
                return False

    def _entered(self) -> int:
        """Go into the list that is the next value, or in it; return how deep: 0 if there is none."""
        for depth in range(1, _DEPTH_MAX + 1):
            into = _INTO.match(self._data, self._at)
            if into is None or not opens(self._data, self._at):
                return 0
            self._at = into.end()
            if into[1]:
                self._at = past_blanks(self._data, self._at)
                return depth
        return 0

    def _left(self, depth: int) -> bool:
        """Go out of a list; return whether it ends as it began."""
        self._look_ahead()
        for _ in range(depth):
            out = _OUT.match(self._data, self._at)
            if out is None:
                return False
            self._at = out.end()
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
        piece = next(self._pieces, b"")
        if piece:
            self._data = self._data[self._at :] + piece
            self._before += self._at
            self._at = 0
        return bool(piece)
