# SPDX-License-Identifier: Apache-2.0
"""From a file's stored bytes to its records, in bounded memory: files of any size are read.

A file up to ``WHOLE_BYTES_MAX`` is read as a whole. A larger one is no log file of CloudTrail's, which
have 50 MB at most, but one that somebody joined: lines, or one very long list of records.
"""

import codecs
import re
from collections.abc import Iterable, Iterator
from itertools import chain

from opentrail.event.parts import past_blanks, value_end
from opentrail.imports.split import Split, Unread, Value, lines
from opentrail.imports.ungzip import NotReadable, unpacked
from opentrail.imports.unpack import Found, opened, plain_records, records_of

WHOLE_BYTES_MAX = 64 * 1024 * 1024
"""Unpacked."""
VALUE_BYTES_MAX = 4 * 1024 * 1024
"""Of one record in a larger file: sixteen times the largest, as it may be indented."""
_OPENED = re.compile(rb'\s*(?:\{\s*"Records"\s*:\s*)?\[\s*')
_BETWEEN = re.compile(rb"\s*,\s*")
_ENDS = {True: re.compile(rb"\s*\]\s*\}\s*"), False: re.compile(rb"\s*\]\s*")}
"""The end of a list, that of a log file or a bare one."""
_LOOKED_AT = 64
"""Bytes between two records, at most."""


def begun(stored: Iterable[bytes]) -> Iterator[bytes]:
    """Return the unpacked pieces of a file whose bytes are ``stored``, the first at hand.

    Raises: OSError. ClientError. Unavailable: as ``stored`` does.
    """
    pieces = unpacked(stored)
    try:
        first = next(pieces, b"")
    except NotReadable as error:
        return _raising(error)
    return chain((first,), pieces)


def found_in(pieces: Iterator[bytes]) -> list[bytes] | Iterator[Found]:
    """Return what a file of these unpacked ``pieces`` has: records, and what is none.

    A list when it is a log file as CloudTrail makes them, with nothing odd in it. Raises: as
    ``begun``; the iterator, too.
    """
    whole: list[bytes] = []
    size = 0
    try:
        for piece in pieces:
            whole.append(piece)
            size += len(piece)
            if size > WHOLE_BYTES_MAX:
                return _unless_damaged(opened(_large(chain(_drained(whole), pieces))))
    except NotReadable as error:
        return _unless_damaged(chain(records_of(b"".join(whole)), _raising(error)))
    data = whole[0] if len(whole) == 1 else b"".join(whole)
    plain = plain_records(data)
    return records_of(data) if plain is None else plain


def _raising(error: NotReadable) -> Iterator[bytes]:
    """Return what raises ``error`` when it is read."""
    return map(_raise, (error,))


def _raise(error: NotReadable) -> bytes:
    raise error


def _unless_damaged(found: Iterator[Found]) -> Iterator[Found]:
    """Yield what is ``found`` up to where the file cannot be unpacked, and say that, once."""
    last: Unread | None = None
    try:
        for each in found:
            if last is not None:
                yield last
            last = each if isinstance(each, Unread) else None
            if last is None:
                yield each
    except NotReadable as error:
        # What is read last is a record that was cut in two: it is the same damage.
        yield Unread(0 if last is None else last.position, str(error))
    else:
        if last is not None:
            yield last


def _drained(pieces: list[bytes]) -> Iterator[bytes]:
    """Yield ``pieces`` and let go of each."""
    pieces.reverse()
    while pieces:
        yield pieces.pop()


def _large(pieces: Iterator[bytes]) -> Iterator[Split]:
    """Read a large file. Raises: NotReadable."""
    first = b""
    while len(first) < VALUE_BYTES_MAX and (piece := next(pieces, b"")):
        first += piece
    first = first.removeprefix(codecs.BOM_UTF8)
    if _OPENED.match(first) is None or _first_line_is_whole(first):
        yield from _large_lines(chain((first,), pieces))
    else:
        yield from _Window(first, pieces).values()


def _first_line_is_whole(data: bytes) -> bool:
    """Whether ``data`` begins with one JSON value, and then a line ends."""
    at = past_blanks(data, 0)
    end = value_end(data, at)
    if end is None or b"\n" in data[at:end]:
        return False
    return data[end : end + 2].lstrip(b"\r").startswith(b"\n")


def _large_lines(pieces: Iterator[bytes]) -> Iterator[Split]:
    """Read whole lines, a piece's at a time."""
    rest, start = b"", 0
    for piece in pieces:
        data = rest + piece
        end = data.rfind(b"\n") + 1
        if not end and len(data) > WHOLE_BYTES_MAX:
            raise NotReadable(f"a line of it is longer than {WHOLE_BYTES_MAX} bytes: split it")
        yield from lines(data[:end], start)
        rest, start = data[end:], start + end
    yield from lines(rest, start)


class _Window:
    """The part of one long list of records that is being read."""

    def __init__(self, data: bytes, pieces: Iterator[bytes]) -> None:
        self._data = data
        self._at = 0
        self._pieces = pieces
        self._before = 0
        """Bytes of the file before the window."""

    def values(self) -> Iterator[Split]:
        """Yield what is in all lists. Raises: NotReadable."""
        while (opened := _OPENED.match(self._data, self._at)) is not None:
            self._at = opened.end()
            yield from self._list()
            ended = _ENDS[b"{" in opened[0]].match(self._data, self._at)
            if ended is None:
                break
            self._at = ended.end()
            self._look_ahead()
            if self._at == len(self._data):
                return
        yield Unread(self._before + self._at, "the file is damaged from here on")

    def _list(self) -> Iterator[Split]:
        """Yield what is in one list, up to where it ends, or is damaged. Raises: NotReadable."""
        while (end := self._value_end()) is not None:
            yield Value(self._before + self._at, self._data[self._at : end])
            self._at = end
            self._look_ahead()
            between = _BETWEEN.match(self._data, self._at)
            if between is None:
                return
            self._at = between.end()

    def _look_ahead(self) -> None:
        """See to it that what comes between two values is in the window. Raises: NotReadable."""
        while len(self._data) - self._at < _LOOKED_AT and self._more():
            pass

    def _value_end(self) -> int | None:
        """Return where the next value ends; None when there is none. Raises: NotReadable."""
        while (end := value_end(self._data, self._at)) is None:
            if len(self._data) - self._at > VALUE_BYTES_MAX or not self._more():
                return None
        return end

    def _more(self) -> bool:
        """Let the window reach further; False at the file's end. Raises: NotReadable."""
        piece = next(self._pieces, b"")
        if piece:
            self._data = self._data[self._at :] + piece
            self._before += self._at
            self._at = 0
        return bool(piece)
