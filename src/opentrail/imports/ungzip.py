# SPDX-License-Identifier: Apache-2.0
"""From a file's bytes as they are stored to what it holds, piece by piece: gzip (RFC 1952), any members.

By isal: it inflates twice as fast as zlib, and lets other threads run meanwhile.
"""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import cast

from isal import igzip_lib

PIECE_BYTES = 4 * 1024 * 1024
"""Unpacked at once, whatever a file would unpack to."""
SLICE_BYTES = 64 * 1024
"""Given at once to each member but the first: the end of one costs a copy of what follows it, and of files that
were joined from others there are thousands in one piece."""
LAYERS_MAX = 2
"""A packed file is packed once more by tools that compress whatever they store."""
EMPTY_MAX = 3
"""Turns in which a member that has not ended gives nothing: then its bytes are no gzip data."""
_MAGIC = b"\x1f\x8b"
_OTHERS = (
    (0, b"PK\x03\x04", "a zip archive"),
    (0, b"PK\x05\x06", "a zip archive"),
    (257, b"ustar", "a tar archive"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (0, _MAGIC, "packed by gzip again and again"),
    (0, b"x\x9c", "packed by zlib"),
    (0, b"BZh", "packed by bzip2"),
    (0, b"\xfd7zXZ\x00", "packed by xz"),
    (0, b"\x28\xb5\x2f\xfd", "packed by zstd"),
)
"""Where a file says that it has to be unpacked, and what it is."""
_Damaged = cast("type[Exception]", igzip_lib.error)


class NotReadable(Exception):
    """The file cannot be unpacked from here on; its text says why."""


def unpacked(stored: Iterable[bytes], layers: int = LAYERS_MAX) -> Iterator[bytes]:
    """Yield what a file holds whose bytes are ``stored``: unpacked, if it is packed.

    Raises: NotReadable: it is cut short, or damaged; what was yielded is what came before.
    """
    pieces = iter(stored)
    first = next(pieces, b"")
    while len(first) < len(_MAGIC) and (more := next(pieces, b"")):
        first += more
    if not layers or not first.startswith(_MAGIC):
        _refuse_others(first)
        yield first
        yield from pieces
    else:
        yield from unpacked(_members(first, pieces), layers - 1)


def _refuse_others(first: bytes) -> None:
    """Raise NotReadable if a file that begins with ``first`` is one from which nothing can be taken."""
    for at, magic, what in _OTHERS:
        if first.startswith(magic, at):
            raise NotReadable(f"it is {what}, of which nothing was read: unpack it first")


def _members(data: bytes, stored: Iterator[bytes]) -> Iterator[bytes]:
    """Yield what all members hold. Raises: NotReadable."""
    rest: Iterator[bytes] = stored
    while True:
        member = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)
        yield from _member(member, data, rest)
        data = member.unused_data
        if rest is stored:
            rest = _sliced(chain((data,), stored))
            data = b""
        data = data.lstrip(b"\0")
        while not data:
            more = next(rest, b"")
            if not more:
                return
            data = more.lstrip(b"\0")
        if not data.startswith(_MAGIC[: len(data)]):
            raise NotReadable("what follows its gzip data is none")


def _sliced(pieces: Iterable[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        for at in range(0, len(piece), SLICE_BYTES):
            yield piece[at : at + SLICE_BYTES]


def _member(
    member: igzip_lib.IgzipDecompressor, data: bytes, stored: Iterator[bytes]
) -> Iterator[bytes]:
    """Yield what one member holds. Raises: NotReadable."""
    empty = 0
    while not member.eof:
        try:
            piece = member.decompress(data, PIECE_BYTES)
        except _Damaged as error:
            raise NotReadable("its gzip data is damaged") from error
        data = b""
        if piece:
            empty = 0
            yield piece
        if member.needs_input:
            data = next(stored, b"")
            if not data:
                raise NotReadable("its gzip data is cut short")
        elif not piece:
            empty += 1
            if empty == EMPTY_MAX:
                raise NotReadable("its gzip data is damaged")
