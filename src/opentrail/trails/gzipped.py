# SPDX-License-Identifier: Apache-2.0
"""One gzip member, the same bytes for the same input (RFC 1952); zlib-ng at one fixed level.

Two releases of zlib-ng may pack differently. That is harmless: digests sign uncompressed bytes.
"""

import struct

from zlib_ng import zlib_ng

LEVEL = 6
"""Fixed: the bytes must not depend on load. zlib's level 6 size at over twice its speed."""
_RAW = -15
"""Deflate with the largest window and no header: zlib's own header names the platform."""
_HEADER = bytes((0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 255))
"""Deflate, no flags, no time, no extra flags, unknown system."""
_TRAILER = struct.Struct("<II")


class GzipMember:
    """Compresses as it goes; holds some 300 KB."""

    def __init__(self) -> None:
        """Begin a member."""
        self._deflate = zlib_ng.compressobj(LEVEL, zlib_ng.DEFLATED, _RAW)
        self._crc = 0
        self._size = 0
        self._head = _HEADER

    def add(self, data: bytes) -> bytes:
        """Return what can be written by now, often nothing.

        How ``data`` is split over calls may show in the bytes: split the same input the same way.
        """
        self._crc = zlib_ng.crc32(data, self._crc)
        self._size += len(data)
        head, self._head = self._head, b""
        return head + self._deflate.compress(data)

    def finish(self) -> bytes:
        """Return the rest of the member."""
        trailer = _TRAILER.pack(self._crc, self._size & 0xFFFFFFFF)
        return self._head + self._deflate.flush() + trailer


def gzipped(data: bytes) -> bytes:
    """Return ``data`` as one gzip member."""
    member = GzipMember()
    return member.add(data) + member.finish()
