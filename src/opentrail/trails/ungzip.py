# SPDX-License-Identifier: Apache-2.0
"""Reads what must be exactly one gzip member (RFC 1952), in bounded memory."""

import hashlib
import zlib
from collections.abc import Iterator

LOG_BYTES_MAX = 512 * 1024 * 1024
"""Ten times CloudTrail's largest log file: what unpacks to more is no log file."""
DIGEST_BYTES_MAX = 64 * 1024 * 1024
"""Lists 150,000 log files; it lies in memory."""
_PIECE_BYTES = 1024 * 1024
_GZIP = 31
"""zlib's window bits for the largest window with a gzip header."""


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
    inflate = zlib.decompressobj(_GZIP)
    left = bytes_max
    try:
        while not inflate.eof:
            piece = inflate.decompress(data, _PIECE_BYTES)
            data = inflate.unconsumed_tail
            left -= len(piece)
            if left < 0:
                raise NotOneMember(f"unpacks to more than {bytes_max} bytes")
            if not piece and not data and not inflate.eof:
                raise NotOneMember("invalid format")
            yield piece
    except zlib.error:
        raise NotOneMember("invalid format") from None
    if inflate.unused_data:
        raise NotOneMember("unexpected data after end of compressed stream")
