# SPDX-License-Identifier: Apache-2.0
"""Time and randomness enter OpenTrail here, and nowhere else."""

import datetime as dt
import os
import time
from typing import Protocol


class Clock(Protocol):
    """Where the time comes from. Tests give one that they move by hand."""

    def now_ms(self) -> int:
        """Wall clock, milliseconds since 1970 UTC. It may jump, both ways."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back; only differences mean anything."""
        ...


class SystemClock:
    """The machine's clock."""

    def now_ms(self) -> int:
        """See ``Clock``."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """See ``Clock``."""
        return time.monotonic()


class Ids(Protocol):
    """Where random identifiers come from. Tests give a seeded one."""

    def random_bytes(self, count: int) -> bytes:
        """Return ``count`` unpredictable bytes."""
        ...


POOL_BYTES = 4096
"""Randomness fetched at once: a system call a few hundred ids, not one each."""


class SystemIds:
    """The operating system's randomness, fetched in blocks. Not for a process that forks."""

    def __init__(self) -> None:
        self._pool = b""
        self._used = 0

    def random_bytes(self, count: int) -> bytes:
        """See ``Ids``."""
        first, end = self._used, self._used + count
        if end > len(self._pool):
            self._pool = os.urandom(max(POOL_BYTES, count))
            first, end = 0, count
        self._used = end
        return self._pool[first:end]


def uuid4_text(ids: Ids) -> str:
    """Return a random UUID (version 4, RFC 9562) in its 36-character text form."""
    text = ids.random_bytes(16).hex()
    variant = _VARIANTS[text[16]]
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{variant}{text[17:20]}-{text[20:]}"


_VARIANTS = {digit: f"{int(digit, 16) & 3 | 8:x}" for digit in "0123456789abcdef"}
"""A hexadecimal digit -> the same with the two bits of the variant set."""


def uuid_text(raw: bytes) -> str:
    """Return the text form of a UUID's 16 bytes."""
    text = raw.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def uuid_bytes(text: str) -> bytes:
    """Return the 16 bytes of a UUID's text form."""
    return bytes.fromhex(text.replace("-", ""))


def iso_seconds(epoch_ms: int) -> str:
    """Return ``epoch_ms`` as CloudTrail writes times: UTC, whole seconds, ``2023-07-10T12:27:45Z``."""
    when = dt.datetime.fromtimestamp(epoch_ms // 1000, tz=dt.UTC)
    return f"{when.replace(tzinfo=None).isoformat()}Z"
