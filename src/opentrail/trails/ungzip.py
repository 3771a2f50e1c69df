# SPDX-License-Identifier: Apache-2.0
"""Reads what must be exactly one gzip member (RFC 1952), in bounded memory.

By isal: it inflates twice as fast as zlib, and lets other threads run meanwhile.
"""

import hashlib
from collections.abc import Iterator
from typing import cast

from isal import igzip_lib

LOG_BYTES_MAX = 512 * 1024 * 1024
"""Ten times CloudTrail's largest log file: what unpacks to more is no log file."""
DIGEST_BYTES_MAX = 64 * 1024 * 1024
"""Lists 150,000 log files; it lies in memory."""
_IsalError = cast("type[Exception]", igzip_lib.IsalError)
_PIECE_BYTES = 64 * 1024
"""Unpacked at once, whatever a hostile file would unpack to. Memory for more would be asked of the
kernel anew for each piece, which takes a fifth of the whole time."""
_WIDE = bytes(128)
"""A block of SHA-512. isal's check sum leaves the upper halves of the processor's wide registers in use,
and until something clears them, as OpenSSL's SHA-512 does, its SHA-256 takes a third longer."""
_FLAGS_AT, _FLAGS_MAX = 3, b"\x1f"
"""RFC 1952: the other flags are reserved. isal reads past them; zlib, and so others, do not."""


class NotOneMember(Exception):
    """The bytes are not one whole gzip member. Its text says why, as a verdict does."""


def sha256_of(data: bytes) -> str:
    """Return the SHA-256 (hex) of what a log file holds. Raises: NotOneMember."""
    digest = hashlib.sha256()
    for piece in _pieces(data, LOG_BYTES_MAX):
        hashlib.sha512(_WIDE)
        digest.update(piece)
    return digest.hexdigest()


def unpacked(data: bytes) -> bytes:
    """Return what a digest holds. Raises: NotOneMember."""
    return b"".join(_pieces(data, DIGEST_BYTES_MAX))


def _pieces(data: bytes, bytes_max: int) -> Iterator[bytes]:
    inflate = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)
    left, feed = bytes_max, data
    if data[_FLAGS_AT : _FLAGS_AT + 1] > _FLAGS_MAX:
        raise NotOneMember("invalid format")
    try:
        while not inflate.eof:
            piece = inflate.decompress(feed, _PIECE_BYTES)
            if not feed and not piece and not inflate.eof:
                raise NotOneMember("invalid format")
            feed = b""  # it keeps what it has not come to
            left -= len(piece)
            if left < 0:
                raise NotOneMember(f"unpacks to more than {bytes_max} bytes")
            yield piece
    except _IsalError:
        raise NotOneMember("invalid format") from None
    if inflate.unused_data:
        raise NotOneMember("unexpected data after end of compressed stream")
