# SPDX-License-Identifier: Apache-2.0
"""Gzip members that are just short of what RFC 1951 allows, and hold what is wanted all the same."""

import zlib

_DISTANCES = 2
"""Codes for distances, of two bits each: half of what two bits can say means nothing."""
_BYTES, _ENDED = 255, 257
"""Literals before this one have codes of eight bits; it and the end of the block, of nine."""


class _Bits:
    def __init__(self) -> None:
        self._number, self._count = 0, 0

    def add(self, value: int, width: int) -> None:
        """Add a number, its least bit first."""
        self._number |= value << self._count
        self._count += width

    def code(self, code: int, width: int) -> None:
        """Add a code, its most bit first."""
        self.add(int(f"{code:0{width}b}"[::-1], 2), width)

    def whole(self) -> bytes:
        return self._number.to_bytes(-(-self._count // 8), "little")


def with_holes(content: bytes) -> bytes:
    """Return a gzip member of ``content`` whose distance codes do not make a whole set.

    zlib refuses it ("invalid distances set"), and so do those who use zlib.
    """
    bits = _Bits()
    bits.add(0b101, 3)  # the last block, with codes of its own
    bits.add(_ENDED - 257, 5)
    bits.add(_DISTANCES - 1, 5)
    order = (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2)
    bits.add(len(order) - 4, 4)
    for symbol in order:
        bits.add({8: 1, 2: 2, 9: 2}.get(symbol, 0), 3)
    for width in (*[8] * _BYTES, *[9] * (_ENDED - _BYTES), *[2] * _DISTANCES):
        bits.code(*{8: (0b0, 1), 2: (0b10, 2), 9: (0b11, 2)}[width])
    for byte in content:
        bits.code(*(byte, 8) if byte < _BYTES else (0b111111110, 9))
    bits.code(0b111111111, 9)
    trailer = zlib.crc32(content).to_bytes(4, "little") + len(content).to_bytes(4, "little")
    return b"\x1f\x8b\x08" + bytes(6) + b"\xff" + bits.whole() + trailer
