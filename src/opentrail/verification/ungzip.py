# SPDX-License-Identifier: Apache-2.0
"""Reads what must be exactly one gzip member (RFC 1952), in bounded memory.

By zlib-ng: it takes what zlib takes, and nothing else, as fast as isal. isal takes more (sets of codes
that have holes, flags that are reserved): a file that no other reader opens would be valid here.
"""

import hashlib
from collections.abc import Iterator
from typing import cast

from zlib_ng import zlib_ng

LOG_BYTES_MAX = 512 * 1024 * 1024
"""Ten times CloudTrail's largest log file: what unpacks to more is no log file."""
DIGEST_BYTES_MAX = 64 * 1024 * 1024
"""Lists 150,000 log files; it lies in memory."""
_ZlibError = cast("type[Exception]", zlib_ng.error)
_PIECE_BYTES = 64 * 1024
"""Unpacked at once, whatever a hostile file would unpack to. Memory for more would be asked of the
kernel anew for each piece, which takes a fifth of the whole time."""
_FEED_BYTES = 8 * 1024
"""Given at once: what it does not come to is copied each time."""
_ONE_GZIP = 31
"""zlib's way to say gzip's header, with the largest window."""


class NotOneMember(Exception):
    """The bytes are not one whole gzip member. Its text says why, as a verdict does."""


def sha256_of(data: bytes) -> str:
    """Return the SHA-256 (hex) of what a log file holds. Raises: NotOneMember."""
    digest = hashlib.sha256()
    for piece in _pieces(data, LOG_BYTES_MAX):
        digest.update(piece)
    return digest.hexdigest()


def unpacked(data: bytes) -> bytes:
    """Return what a digest holds. Raises: NotOneMember."""
    return b"".join(_pieces(data, DIGEST_BYTES_MAX))


def _pieces(data: bytes, bytes_max: int) -> Iterator[bytes]:
    inflate = zlib_ng.decompressobj(_ONE_GZIP)
    whole, at = memoryview(data), 0
    left = bytes_max
    feed: bytes | memoryview = b""
    try:
        while not inflate.eof:
            if not feed:
                feed = whole[at : at + _FEED_BYTES]
                at += len(feed)
            is_last = not feed
            piece = inflate.decompress(feed, _PIECE_BYTES)
            if is_last and not piece and not inflate.eof:
                raise NotOneMember("invalid format")
            feed = inflate.unconsumed_tail
            left -= len(piece)
            if left < 0:
                raise NotOneMember(f"unpacks to more than {bytes_max} bytes")
            yield piece
    except _ZlibError:
        raise NotOneMember("invalid format") from None
    if inflate.unused_data or at < len(data):
        raise NotOneMember("unexpected data after end of compressed stream")
