# SPDX-License-Identifier: Apache-2.0
"""CBOR bodies (RFC 8949) as the JSON values that their members are recorded with.

Smithy 2.0, "RPC v2 CBOR protocol". Written for hostile input: what is announced is checked against
the bytes that are there before anything is made of it, and nesting is bounded.
"""

import math
import struct
from base64 import b64encode
from collections.abc import Callable

import msgspec

from opentrail.event.caps import BODY_KEPT_MAX

BYTES_MAX = BODY_KEPT_MAX
"""Longest body that is read: as much as the gateway keeps of one."""
DEPTH_MAX = 64
"""Containers and tags inside each other: past any real call, far from the stack's end."""
BIGNUM_BYTES_MAX = 64
"""Longest integer past 64 bits: 512 bits hold every number that a service could take."""

_INDEFINITE = 31
_BREAK = 0xFF
_BYTES, _TEXT = 2, 3
_TAG_TIME, _TAG_BIGNUM, _TAG_NEGATIVE_BIGNUM = 1, 2, 3
_SIMPLE = {20: False, 21: True, 22: None, 23: None}
_FLOATS = {25: struct.Struct(">e"), 26: struct.Struct(">f"), 27: struct.Struct(">d")}
_ARGUMENT_BYTES = {24: 1, 25: 2, 26: 4, 27: 8}
_ARGUMENT_FOLLOWS = 24
"""From here on an item's length or value is not in its first byte."""
_NOT_WHOLE = "the body ends within an item"


def decode(body: bytes, parts: int = 1) -> object:
    """Return the value of ``body`` in JSON types.

    Byte strings become base64 text, as JSON carries blobs; a time (tag 1), which counts ``parts`` of
    a second, its seconds; undefined, infinite and NaN None. Raises: ValueError: not one CBOR item
    of at most BYTES_MAX bytes, nested deeper than DEPTH_MAX, or one that JSON has no form for (map
    keys that are no text).
    """
    if len(body) > BYTES_MAX:
        raise ValueError("longer than what is read")
    reader = _Reader(body, parts)
    try:
        value = reader.item(0)
    except IndexError as error:
        raise ValueError(_NOT_WHOLE) from error
    if reader.at != len(body):
        raise ValueError("more than one item")
    return value


class _Reader:
    __slots__ = ("at", "data", "parts")

    def __init__(self, data: bytes, parts: int) -> None:
        self.data = data
        self.at = 0
        self.parts = parts

    def item(self, depth: int) -> object:
        """Return the next item. Raises: ValueError, IndexError: the bytes end."""
        first = self.data[self.at]
        self.at += 1
        return _MAJORS[first >> 5](self, first & 31, depth)

    def integer(self, info: int, _depth: int) -> int:
        return self._argument(info)

    def negative(self, info: int, _depth: int) -> int:
        return -1 - self._argument(info)

    def blob(self, info: int, _depth: int) -> str:
        return b64encode(self._string(info, _BYTES)).decode()

    def text(self, info: int, _depth: int) -> str:
        return self._string(info, _TEXT).decode()

    def _argument(self, info: int) -> int:
        if info < _ARGUMENT_FOLLOWS:
            return info
        if info not in _ARGUMENT_BYTES:
            raise ValueError("no such length")
        return int.from_bytes(self._take(_ARGUMENT_BYTES[info]))

    def _take(self, size: int) -> bytes:
        start, self.at = self.at, self.at + size
        if self.at > len(self.data):
            raise ValueError(_NOT_WHOLE)
        return self.data[start : self.at]

    def _string(self, info: int, major: int) -> bytes:
        if info != _INDEFINITE:
            return self._take(self._argument(info))
        pieces = []
        while not self._ended():
            first = self.data[self.at]
            self.at += 1
            if first >> 5 != major or first & 31 == _INDEFINITE:
                raise ValueError("a string made of other things")
            pieces.append(self._take(self._argument(first & 31)))
        return b"".join(pieces)

    def _ended(self) -> bool:
        """Return whether an item of indefinite length ends here, and pass its end."""
        if self.data[self.at] != _BREAK:
            return False
        self.at += 1
        return True

    def _count(self, info: int, depth: int) -> int | None:
        """Return how many items a container says it has; None when it says so at its end."""
        if depth >= DEPTH_MAX:
            raise ValueError("nested too deeply")
        if info == _INDEFINITE:
            return None
        count = self._argument(info)
        if count > len(self.data) - self.at:  # an item has a byte at least
            raise ValueError(_NOT_WHOLE)
        return count

    def array(self, info: int, depth: int) -> list[object]:
        count = self._count(info, depth)
        if count is not None:
            return [self.item(depth + 1) for _ in range(count)]
        items = []
        while not self._ended():
            items.append(self.item(depth + 1))
        return items

    def map(self, info: int, depth: int) -> dict[str, object]:
        count = self._count(info, depth)
        found: dict[str, object] = {}
        while not self._ended() if count is None else count > 0:
            first = self.data[self.at]
            self.at += 1
            if first >> 5 != _TEXT:
                raise ValueError("a key that is no text")
            key = self._string(first & 31, _TEXT).decode()
            found[key] = self.item(depth + 1)
            count = None if count is None else count - 1
        return found

    def tag(self, info: int, depth: int) -> object:
        number = self._argument(info)
        if number in {_TAG_BIGNUM, _TAG_NEGATIVE_BIGNUM}:
            return self._bignum(negative=number == _TAG_NEGATIVE_BIGNUM)
        if depth >= DEPTH_MAX:
            raise ValueError("nested too deeply")
        value = self.item(depth + 1)
        if number == _TAG_TIME and self.parts != 1 and isinstance(value, int | float):
            return value // self.parts if value % self.parts == 0 else value / self.parts
        return value

    def _bignum(self, *, negative: bool) -> object:
        first = self.data[self.at]
        self.at += 1
        digits = self._string(first & 31, _BYTES) if first >> 5 == _BYTES else None
        if digits is None or len(digits) > BIGNUM_BYTES_MAX:
            raise ValueError("no number")
        value = int.from_bytes(digits)
        return msgspec.Raw(str(-1 - value if negative else value).encode())

    def simple(self, info: int, _depth: int) -> object:
        if info in _SIMPLE:
            return _SIMPLE[info]
        if info not in _FLOATS:
            raise ValueError("no such simple value")
        (value,) = _FLOATS[info].unpack(self._take(_ARGUMENT_BYTES[info]))
        return value if math.isfinite(value) else None


_MAJORS: tuple[Callable[[_Reader, int, int], object], ...] = (
    _Reader.integer,
    _Reader.negative,
    _Reader.blob,
    _Reader.text,
    _Reader.array,
    _Reader.map,
    _Reader.tag,
    _Reader.simple,
)
"""What reads an item, by its major type."""
