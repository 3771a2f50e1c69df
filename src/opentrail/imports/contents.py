# SPDX-License-Identifier: Apache-2.0
"""From a file's stored bytes to its records, in bounded memory: files of any size are read.

A file up to ``WHOLE_BYTES_MAX`` is read as a whole. A larger one is no log file of CloudTrail's, which
have 50 MB at most, but one that somebody joined: lines, or what a ``window`` is for.
"""

import codecs
from collections.abc import Iterable, Iterator
from itertools import chain

from opentrail.imports import window
from opentrail.imports.split import VALUE_BYTES_MAX, Split, Unread, lines
from opentrail.imports.ungzip import NotReadable, unpacked
from opentrail.imports.unpack import (
    Decoder,
    Found,
    encoding_of,
    opened,
    plain_records,
    records_of,
)

WHOLE_BYTES_MAX = 64 * 1024 * 1024
"""Unpacked."""


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
            last = each if isinstance(each, Unread) and each.open else None
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
    pieces = _gathered(pieces)
    first = next(pieces, b"")
    encoding = encoding_of(first)
    if encoding:
        pieces = _decoded(chain((first,), pieces), encoding)
        first = next(pieces, b"")
    data = first.removeprefix(codecs.BOM_UTF8)
    before = len(first) - len(data)
    if window.is_of_lines(data):
        yield from _large_lines(chain((data,), pieces), before)
    else:
        yield from window.Window(data, pieces, before).values()


def _gathered(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield ``pieces`` in larger ones: those of files that were joined have some KB. Raises: NotReadable."""
    some: list[bytes] = []
    size = 0
    try:
        for piece in pieces:
            some.append(piece)
            size += len(piece)
            if size >= VALUE_BYTES_MAX:
                yield b"".join(some)
                some, size = [], 0
    except NotReadable as error:
        yield b"".join(some)
        raise error from None
    yield b"".join(some)


def _decoded(pieces: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    """Yield ``pieces`` in UTF-8. Raises: NotReadable."""
    decoder = Decoder(encoding)
    for piece in pieces:
        text = decoder.utf8(piece)
        if text:
            yield text
    decoder.end()


def _large_lines(pieces: Iterator[bytes], start: int) -> Iterator[Split]:
    """Read whole lines, a piece's at a time. Raises: NotReadable."""
    rest = b""
    damage: NotReadable | None = None
    try:
        for piece in pieces:
            data = rest + piece
            end = data.rfind(b"\n") + 1
            yield from lines(data[:end], start)
            rest, start = data[end:], start + end
            if len(rest) > WHOLE_BYTES_MAX:
                rest = b""
                damage = NotReadable(f"a line is longer than {WHOLE_BYTES_MAX} bytes: split it")
                break
    except NotReadable as error:
        damage = error
    yield from lines(rest, start)
    if damage is not None:
        raise damage
