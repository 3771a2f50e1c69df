# SPDX-License-Identifier: Apache-2.0
"""Check a body that is signed chunk by chunk, while it streams.

Follows the S3 API Reference, "Signature calculations for the authorization header: transferring
payload in multiple chunks" and "… including trailing headers". Nothing of the data is kept.
"""

import hashlib
import hmac
import re
from dataclasses import dataclass, field

SIGNED_CHUNKS = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
SIGNED_TRAILER = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
"""What x-amz-content-sha256 says of such bodies."""

LINE_BYTES_MAX = 1024
"""The longest line between chunks: a size, a signature and 18 characters take 110 bytes, a
checksum's trailer less than 150."""
TRAILER_LINES_MAX = 32
"""Clients send one checksum, and its signature."""

HEAD = re.compile(rb"([0-9a-fA-F]{1,10});chunk-signature=([0-9a-f]{64})\r\n")
SIGNATURE_LINE = b"x-amz-trailer-signature"
_NOTHING = hashlib.sha256(b"").hexdigest()


@dataclass(slots=True)
class ChunkSigner:
    """Signs chunk after chunk: each signature covers the one before it."""

    key: bytes = field(repr=False)
    """The signing key of the request's scope."""
    timestamp: str
    scope: str
    previous: str = field(repr=False)
    """The signature before: at first the request's own."""

    def chunk(self, sha256: str) -> str:
        """Return the signature of the next chunk, of data with this hex SHA-256."""
        return self._next("AWS4-HMAC-SHA256-PAYLOAD", f"{_NOTHING}\n{sha256}")

    def trailer(self, sha256: str) -> str:
        """Return the signature of the trailing headers."""
        return self._next("AWS4-HMAC-SHA256-TRAILER", sha256)

    def _next(self, kind: str, what: str) -> str:
        text = f"{kind}\n{self.timestamp}\n{self.scope}\n{self.previous}\n{what}"
        self.previous = hmac.digest(self.key, text.encode(), "sha256").hex()
        return self.previous


class ChunkCheck:
    """Follows a body in pieces of any size. Satisfies ``capture.arrival.BodyCheck``."""

    def __init__(self, signer: ChunkSigner, *, trailer: bool, length: int | None) -> None:
        """``trailer``: whether signed headers follow; ``length`` of the data, where it was said."""
        self._signer = signer
        self._trailer = trailer
        self._length = length
        self._line = b""
        self._left = 0
        self._size = 0
        self._hash = hashlib.sha256()
        self._given = b""
        self._trailers: list[bytes] = []
        self._on_line = self._on_head
        self._good = True
        self._ended = False

    def feed(self, data: bytes) -> bool:
        """Take the next piece; return False once something is wrong, and for ever after."""
        at = 0
        while at < len(data) and self._good:
            at = self._on_data(data, at) if self._left else self._on_text(data, at)
        return self._good

    def complete(self) -> bool:
        """Return whether all of it was good, up to its proper end."""
        return self._good and self._ended and not self._line and self._length in (None, self._size)

    def _on_data(self, data: bytes, at: int) -> int:
        piece = data[at : at + self._left]
        self._hash.update(piece)
        self._left -= len(piece)
        self._size += len(piece)
        return at + len(piece)

    def _on_text(self, data: bytes, at: int) -> int:
        end = data.find(b"\n", at) + 1 or len(data)
        self._line += data[at:end]
        if len(self._line) > LINE_BYTES_MAX:
            self._good = False
        elif self._line.endswith(b"\n"):
            line, self._line = self._line, b""
            self._good = self._on_line(line)
        return end

    def _on_head(self, line: bytes) -> bool:
        found = HEAD.fullmatch(line)
        if found is None:
            return False
        self._left = int(found[1], 16)
        self._given = found[2]
        self._hash = hashlib.sha256()
        if self._left:
            self._on_line = self._on_data_end
            return True
        self._on_line = self._on_trailer if self._trailer else self._on_last
        self._ended = not self._trailer
        return self._is(self._signer.chunk(_NOTHING))

    def _on_data_end(self, line: bytes) -> bool:
        self._on_line = self._on_head
        return line == b"\r\n" and self._is(self._signer.chunk(self._hash.hexdigest()))

    def _on_trailer(self, line: bytes) -> bool:
        name, colon, value = line.strip().partition(b":")
        if name.lower() == SIGNATURE_LINE:
            signed = b"".join(self._trailers)
            self._given = value.strip()
            self._on_line = self._on_last
            self._ended = True
            return self._is(self._signer.trailer(hashlib.sha256(signed).hexdigest()))
        self._trailers.append(name.lower() + b":" + value.strip() + b"\n")
        # An empty line may stand before the signature, as in AWS's own example.
        if not line.strip():
            del self._trailers[-1]
            return bool(self._trailers)
        return bool(colon) and len(self._trailers) <= TRAILER_LINES_MAX

    def _on_last(self, line: bytes) -> bool:
        """Take the empty line at the end; then nothing more may come."""
        self._on_line = self._on_more
        return line == b"\r\n"

    def _on_more(self, line: bytes) -> bool:
        del line
        return False

    def _is(self, signature: str) -> bool:
        return hmac.compare_digest(signature.encode(), self._given)
