# SPDX-License-Identifier: Apache-2.0
"""Which header fields go on to the next hop, and how the head of a message is written.

RFC 9110, 7.6.1 (what is meant for one hop), and RFC 9112 (how it is written).
"""

import http
import re
from collections.abc import Sequence
from email.utils import formatdate
from functools import lru_cache

Headers = list[tuple[bytes, bytes]]
"""Names in lower case, in the order in which they came."""

NAMES_KEPT_MAX = 4096
"""Spellings of names that are remembered; past it all are forgotten."""

NAME_BYTES_KEPT_MAX = 128
"""Of a spelling that is remembered: all of them together take 2 MB at most."""

HOP_BY_HOP = frozenset(
    b"connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer"
    b" transfer-encoding upgrade".split()
)
"""RFC 9110, 7.6.1: meant for one hop only."""
NOT_FORWARDED = HOP_BY_HOP | {b"expect"}
"""``Expect: 100-continue`` is answered by our own server."""
_END_TO_END = (b"authorization", b"content-", b"host", b"smithy-protocol", b"x-amz")
"""What makes the call: Connection may not name these, or the upstream would be asked for something
else than what is recorded (RFC 9110, 7.6.1: it must not name what all recipients need)."""
_UNSENDABLE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
"""Control characters: no field value may have them (RFC 9110, 5.5)."""

STATUS_LINES = {
    status: f"HTTP/1.1 {status} {http.HTTPStatus(status).phrase if status in set(http.HTTPStatus) else ''}\r\n".encode()
    for status in range(100, 600)
}


class Names(dict[bytes, tuple[bytes, str]]):
    """Header names as they come on the wire -> in lower case, as bytes and as text."""

    def __missing__(self, name: bytes) -> tuple[bytes, str]:
        """Work out a spelling that is new."""
        lower = name.lower()
        found = lower, lower.decode("latin-1")
        if len(name) > NAME_BYTES_KEPT_MAX:
            return found
        if len(self) >= NAMES_KEPT_MAX:
            self.clear()
        self[name] = found
        return found


NAMES = Names()
"""Few names come again and again: looking one up is cheaper than lowering and decoding it."""


def dated(headers: Headers, now_ms: int) -> Headers:
    """Return ``headers`` of an answer of our own with its Date (RFC 9110, 6.6.1).

    A client whose clock is wrong is refused for it, and most SDKs put their clock right by this.
    """
    return [*headers, (b"date", _http_date(now_ms // 1000))]


@lru_cache(maxsize=1)
def _http_date(epoch_s: int) -> bytes:
    return formatdate(epoch_s, usegmt=True).encode()


def text_map(headers: Headers) -> dict[str, str]:
    """Return the headers as text; of a name that repeats the last value.

    Blanks around a value are no part of it (RFC 9110, 5.5).
    """
    return {NAMES[name][1]: value.decode("latin-1").strip(" \t") for name, value in headers}


def joined_map(headers: Headers) -> dict[str, str]:
    """Return the headers as text; the values of a name that repeats joined (RFC 9110, 5.3).

    As signatures have them: whichever of the values the upstream goes by, it is there.
    """
    found: dict[str, str] = {}
    for name, value in headers:
        key, text = NAMES[name][1], value.decode("latin-1").strip(" \t")
        found[key] = f"{found[key]},{text}" if key in found else text
    return found


def end_to_end(headers: Headers, dropped: frozenset[bytes] = HOP_BY_HOP) -> Headers:
    """Return ``headers`` without those that are meant for one hop."""
    named = named_by_connection(headers)
    if named:
        dropped |= named
    return [pair for pair in headers if pair[0] not in dropped]


def named_by_connection(headers: Headers) -> frozenset[bytes]:
    """Return the names that Connection says are for this hop only, in lower case."""
    values = [value for name, value in headers if name == b"connection"]
    if not values:
        return frozenset()
    named = {part.strip().lower() for part in b",".join(values).split(b",")}
    return frozenset(name for name in named if not name.startswith(_END_TO_END))


def sendable(headers: Headers) -> bool:
    """Return whether all values may be sent on."""
    values = b"".join([value for _, value in headers])
    return (values.isascii() and values.decode().isprintable()) or not _UNSENDABLE.search(values)


def only_chunked(headers: Headers) -> bool:
    """Return whether a body has no transfer coding but chunks.

    Other codings are of one hop: without what names them the body would be another one.
    """
    codings = [value.strip().lower() for name, value in headers if name == b"transfer-encoding"]
    return not codings or codings == [b"chunked"]


def lines(headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    """Return ``headers`` as they are written, each with its line's end."""
    return b"".join([b"%b: %b\r\n" % pair for pair in headers])
