# SPDX-License-Identifier: Apache-2.0
"""Reads what must be exactly one gzip member (RFC 1952), in bounded memory.

By isal: it inflates twice as fast as zlib, and lets other threads run meanwhile.
"""

import hashlib
from collections.abc import Iterator
from typing import cast

from isal import isal_zlib

LOG_BYTES_MAX = 512 * 1024 * 1024
"""Ten times CloudTrail's largest log file: what unpacks to more is no log file."""
DIGEST_BYTES_MAX = 64 * 1024 * 1024
"""Lists 150,000 log files; it lies in memory."""
_IsalError = cast("type[Exception]", isal_zlib.error)
_PIECE_BYTES = 256 * 1024
"""Unpacked at once, whatever a hostile file would unpack to. Memory for more would be asked of the
kernel anew for each piece, which takes a third of the whole time."""
_FEED_BYTES = 64 * 1024
"""Packed bytes given at once: what is left of them is copied after each piece."""
_GZIP = 31
"""zlib's window bits for the largest window with a gzip header."""
_FLAGS_AT, _FLAGS_MAX = 3, b"\x1f"
"""RFC 1952: the other flags are reserved. isal reads past them; zlib, and so others, do not."""


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
    inflate = isal_zlib.decompressobj(_GZIP)
    left, given, feed = bytes_max, 0, b""
    if data[_FLAGS_AT : _FLAGS_AT + 1] > _FLAGS_MAX:
        raise NotOneMember("invalid format")
    try:
        while not inflate.eof:
            if not feed:
                feed = data[given : given + _FEED_BYTES]
                given += len(feed)
            piece = inflate.decompress(feed, _PIECE_BYTES)
            if not feed and not piece and not inflate.eof:
                raise NotOneMember("invalid format")
            feed = inflate.unconsumed_tail
            left -= len(piece)
            if left < 0:
                raise NotOneMember(f"unpacks to more than {bytes_max} bytes")
            yield piece
    except _IsalError:
        raise NotOneMember("invalid format") from None
    if inflate.unused_data or given < len(data):
        raise NotOneMember("unexpected data after end of compressed stream")
