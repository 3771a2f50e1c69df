# SPDX-License-Identifier: Apache-2.0
"""From a file's bytes as they are stored to what it holds, piece by piece: gzip (RFC 1952), any members.

By isal: it inflates twice as fast as zlib, and lets other threads run meanwhile.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import cast

from isal import igzip_lib

PIECE_BYTES = 4 * 1024 * 1024
"""Unpacked at once, whatever a file would unpack to."""
SLICE_BYTES = 64 * 1024
"""Given at once to each member but the first: the end of one costs a copy of what follows it, and of files that
were joined from others there are thousands in one piece."""
HELD_BYTES_MAX = 64 * 1024 * 1024
"""Of a member, until its checksum is read: more than a log file of CloudTrail's has."""
LAYERS_MAX = 2
"""A packed file is packed once more by tools that compress whatever they store."""
EMPTY_MAX = 3
"""Turns in which a member that has not ended gives nothing: then its bytes are no gzip data."""
_MAGIC = b"\x1f\x8b"
_HEADER = re.compile(rb"\x1f\x8b\x08[\0-\x1f].{4}[\0\2\4][\0-\x0d\xff]", re.DOTALL)
"""Of a member, and of hardly anything else: RFC 1952, 2.3."""
_HEADER_BYTES = 10
_UNPACK, _CONVERT = "unpack it first", "make JSON of it first"
_OTHERS = (
    (b"PK\x03\x04", "a zip archive", _UNPACK),
    (b"PK\x05\x06", "a zip archive", _UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", _UNPACK),
    (_MAGIC, "packed by gzip again and again", _UNPACK),
    (b"x\x9c", "packed by zlib", _UNPACK),
    (b"BZh", "packed by bzip2", _UNPACK),
    (b"\xfd7zXZ\x00", "packed by xz", _UNPACK),
    (b"\x28\xb5\x2f\xfd", "packed by zstd", _UNPACK),
    (b"\x04\x22\x4d\x18", "packed by lz4", _UNPACK),
    (b"PAR1", "a Parquet file", _CONVERT),
    (b"Obj\x01", "an Avro file", _CONVERT),
)
"""How a file begins from which nothing can be taken, what it is, and what to do."""
_TAR = re.compile(rb".{148}([0-7]{6})[\0 ]{2}", re.DOTALL)
"""The checksum of a tar archive's first header (POSIX, "pax", "ustar Interchange Format")."""
_TAR_BYTES, _TAR_SUM = 512, slice(148, 156)
_Damaged = cast("type[Exception]", igzip_lib.error)


class NotReadable(Exception):
    """The file cannot be unpacked from here on; its text says why."""


def unpacked(stored: Iterable[bytes], layers: int = LAYERS_MAX) -> Iterator[bytes]:
    """Yield what a file holds whose bytes are ``stored``: unpacked, if it is packed.

    Raises: NotReadable: it is cut short, or damaged; what was yielded is what can be read of it.
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
    tar = ((first, "a tar archive", _UNPACK),) if _is_tar(first) else ()
    for magic, what, advice in (*tar, *_OTHERS):
        if first.startswith(magic):
            raise NotReadable(f"it is {what}, of which nothing was read: {advice}")


def _is_tar(first: bytes) -> bool:
    # A text has no zeros: who can put words into a record must not have its file taken for another.
    header = _TAR.match(first)
    if header is None or b"\0" not in first[:_TAR_BYTES]:
        return False
    others = sum(first[:_TAR_BYTES]) - sum(first[_TAR_SUM])
    return int(header[1], 8) == others + sum(b" " * 8)


def _members(data: bytes, stored: Iterator[bytes]) -> Iterator[bytes]:
    """Yield what all members hold; also those behind one that is damaged, in another line.

    Raises: NotReadable: at the end, why the first that is damaged is so.
    """
    packed = _Packed(data, stored)
    damage: NotReadable | None = None
    while True:
        try:
            if not packed.goes_on():
                break
            yield from _member(packed)
        except NotReadable as error:
            damage = damage or error
            if not packed.go_to_member():
                break
            yield b"\n"
    if damage is not None:
        raise damage


class _Packed:
    """Bytes that members are in, in slices."""

    def __init__(self, data: bytes, stored: Iterator[bytes]) -> None:
        self.data = data
        """What the next member begins in, or the slice that one is read from."""
        self._before = b""
        """What was read of this member before ``data``: its damage may be found only behind the next."""
        self._slices = _sliced(stored)

    def go_on_in(self, data: bytes) -> None:
        """Take ``data`` for what comes next, in slices."""
        self.data, self._before = data[:SLICE_BYTES], b""
        if len(data) > SLICE_BYTES:
            self._slices = chain(_sliced((data[SLICE_BYTES:],)), self._slices)

    def more(self) -> bytes:
        """Return the next slice; none at the end."""
        self._before = (self._before + self.data)[-SLICE_BYTES:]
        self.data = next(self._slices, b"")
        return self.data

    def goes_on(self) -> bool:
        """Return whether another member follows. Raises: NotReadable: something else does."""
        self.data = self.data.lstrip(b"\0")
        while not self.data:
            if not self.more():
                return False
            self.data = self.data.lstrip(b"\0")
        if not self.data.startswith(_MAGIC[: len(self.data)]):
            raise NotReadable("what follows its gzip data is none")
        return True

    def go_to_member(self) -> bool:
        """Go to where the next member surely begins; return whether there is one."""
        data, start = self._before + self.data, 1
        while (found := _HEADER.search(data, start)) is None:
            if not self.more():
                return False
            data, start = data[-_HEADER_BYTES:] + self.data, 0
        self.go_on_in(data[found.start() :])
        return True


def _sliced(pieces: Iterable[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        for at in range(0, len(piece), SLICE_BYTES):
            yield piece[at : at + SLICE_BYTES]


def _member(packed: _Packed) -> Iterator[bytes]:
    """Yield what one member holds, once its checksum is right. Raises: NotReadable.

    Of one that is cut short all that came is yielded. Of one that is damaged nothing is: anything in it
    may be altered, and a record of another content is worse than none. But one that is larger than
    ``HELD_BYTES_MAX`` is yielded before that is known.
    """
    held: list[bytes] = []
    size = 0
    try:
        for piece in _inflated(packed):
            held.append(piece)
            size += len(piece)
            if size > HELD_BYTES_MAX:
                yield from held
                held.clear()
    except _CutShort:
        yield from held
        raise
    except _Damaged as error:
        small = size <= HELD_BYTES_MAX
        what = "of it nothing was taken, as it" if small else "what was taken of it"
        raise NotReadable(f"its gzip data is damaged: {what} may be altered") from error
    yield from held


class _CutShort(NotReadable):
    pass


def _inflated(packed: _Packed) -> Iterator[bytes]:
    """Yield what one member seems to hold. Raises: _CutShort. _Damaged."""
    member = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)
    data, empty = packed.data, 0
    while not member.eof:
        piece = member.decompress(data, PIECE_BYTES)
        data = b""
        if piece:
            empty = 0
            yield piece
        if member.needs_input:
            data = packed.more()
            if not data:
                raise _CutShort("its gzip data is cut short")
        elif not piece:
            empty += 1
            if empty == EMPTY_MAX:
                raise _Damaged
    packed.go_on_in(member.unused_data)
