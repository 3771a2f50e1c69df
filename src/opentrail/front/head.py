# SPDX-License-Identifier: Apache-2.0
"""The bytes of a request's head before they are parsed: how many, and no offer of HTTP/2.

RFC 9110, 7.8 (Upgrade).
"""

import re

HEAD_BYTES_MAX = 64 * 1024
"""Longest request line and headers: a session token and a presigned query have some KB each."""

_UPGRADE = re.compile(rb"\nupgrade:", re.IGNORECASE)


def _half_a_name(data: bytes) -> int:
    """Return how many bytes at the end of ``data`` become ``Upgrade:`` if the rest comes next."""
    if data.endswith(b"\r"):
        return 1
    line = data[data.rfind(b"\n") + 1 :].lower()
    return len(line) if b"upgrade:".startswith(line) else 0


def _without_upgrade(data: bytes) -> bytes:
    """Take back a head's offer to speak HTTP/2, which some clients always make (RFC 9110, 7.8).

    The parser would otherwise take the body for the other protocol. Both headers end here anyway.
    """
    end = data.find(b"\r\n\r\n")
    end = len(data) if end < 0 else end
    if data[:end].lower().find(b"\nupgrade:") < 0:  # ``in`` would first try it as a number
        return data  # what follows the head may be long
    return _UPGRADE.sub(b"\ntrailer:", data[:end]) + data[end:]


class HeadFilter:
    """Where heads begin and end in what a client sends."""

    __slots__ = ("_before", "_bytes", "_held", "count", "inside")

    def __init__(self) -> None:
        self._held = b""
        """The end of what came of a head: half of a header's name, perhaps."""
        self._before = b""
        """What came just before: the end of a head may be split anywhere. Bytes of the message
        before do no harm: they can only hide an offer, which is then refused."""
        self._bytes = 0
        self.inside = True
        """Whether what comes next is (more of) a head."""
        self.count = 0
        """Heads that have ended."""

    @property
    def under_way(self) -> bool:
        """Whether some of a head has come, and not all."""
        return self._bytes > 0

    def passed(self, data: bytes) -> bytes:
        """Return what the parser is to have of ``data``, which came next."""
        if not self.inside:
            self._before = data[-3:]  # a head may begin in it
            return data
        before = self._before
        end = -1 if self._held else data.find(b"\r\n\r\n")
        if end >= 0 and b"upgrade:" not in (before + data[:end]).lower():
            self._before = data[-3:]
            return data  # as nearly always: what follows the head is long, and not copied
        if before or self._held:
            data = before + self._held + data
        held = 0 if data.find(b"\r\n\r\n") >= 0 else _half_a_name(data)
        if held:
            data, self._held = data[: len(data) - held], data[len(data) - held :]
        else:
            self._held = b""
        self._before = data[-3:]
        return _without_upgrade(data)[len(before) :]

    def too_long(self, more: int) -> bool:
        """Count bytes of a head that has not ended; return whether they are too many."""
        self._bytes += more
        return self._bytes > HEAD_BYTES_MAX

    def ended(self) -> None:
        """Note that the head has ended."""
        self.inside = False
        self._bytes = 0
        self.count += 1

    def begins(self) -> None:
        """Note that another head comes next."""
        self.inside = True
