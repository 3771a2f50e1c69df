# SPDX-License-Identifier: Apache-2.0
"""What the rooms may expect of the event log, whatever stores it."""

from collections.abc import Iterator, Sequence
from enum import IntEnum
from typing import Protocol

import msgspec


class Origin(IntEnum):
    """How a record reached the log. On disk: one byte."""

    CAPTURE = 1
    """A call that went through the gateway."""
    INTAKE = 2
    """A record sent to us."""
    IMPORT = 3
    """A record of a log file made elsewhere: never delivered, never fed to Insights."""
    INTERNAL = 4
    """OpenTrail's own: gap events, service events, recovered calls."""


class Draft(msgspec.Struct, frozen=True, gc=False):
    """A record that is to be appended."""

    origin: Origin
    data: bytes
    """The record's JSON: one line, UTF-8, at most RECORD_BYTES_MAX. These bytes are final."""


class Entry(msgspec.Struct, frozen=True, gc=False):
    """A record that is in the log."""

    position: int
    append_ms: int
    """When it was appended: never decreases along the log, whatever the clock did."""
    origin: Origin
    data: bytes
    """The very bytes that were appended."""


class MarkKind(IntEnum):
    """What a frame without records says. On disk: the frame's kind."""

    CUT = 2
    """Log files end here. Payload: ``trails.trail.Cut``, JSON."""
    CONTROL = 3
    """From here on a trail has this configuration. Payload: ``trails.trail.Control``, JSON."""


class Mark(msgspec.Struct, frozen=True, gc=False):
    """A frame without records."""

    position: int
    append_ms: int
    kind: MarkKind
    payload: bytes


class LogReader(Protocol):
    """Reading. Safe from any thread and any process while one writer appends.

    Trust: whoever can write here can change the past; checksums find damage, not a careful forger.
    Order: positions grow as records were appended, and all readers see the same order.
    """

    @property
    def log_id(self) -> str:
        """The log's identity (UUID text); a log begun anew has another."""
        ...

    def first(self) -> int:
        """Position of the oldest record kept (equals ``durable_end`` when there is none)."""
        ...

    def durable_end(self) -> int:
        """Position past the last acknowledged record. Nothing at or past it is ever shown."""
        ...

    def entries(self, start: int, end: int | None = None) -> Iterator[Entry]:
        """Yield what lies in ``[start, end)``, in log order, up to the durable end of now.

        ``start`` is 0, a position of an entry, or a durable end; what retention deleted is
        skipped. Raises: Corrupt.
        """
        ...

    def items(self, start: int, end: int | None = None) -> Iterator[Entry | Mark]:
        """Yield records and marks of ``[start, end)`` in log order. Raises: Corrupt.

        ``start`` may also be the position of a mark.
        """
        ...

    def marks(self, start: int, end: int | None = None) -> Iterator[Mark]:
        """Yield the marks only, without decompressing the records between. Raises: Corrupt."""
        ...

    def read(self, position: int) -> Entry:
        """Return the one record at ``position`` without reading its neighbours.

        Raises: KeyError: retention deleted it, or nothing begins there. Corrupt.
        """
        ...

    def data_at(self, positions: Sequence[int]) -> list[bytes | None]:
        """Return the bytes of the records at ``positions``: much cheaper than one at a time.

        Each is where a record was appended, in any order; those that lie near each other are best
        side by side. None is a record that retention deleted. Raises: Corrupt.
        """
        ...


class EventLog(LogReader, Protocol):
    """Reading and appending."""

    def append(self, drafts: Sequence[Draft]) -> list[int]:
        """Append all of ``drafts``, next to each other, and return their positions.

        Durable when it returns: fdatasync has come back. Positions are opaque and increasing.
        All or none is acknowledged. Safe from several threads; one fsync may serve many.
        Raises: Unavailable: the outcome is unknown, or the log refuses (disk reserve, a failed
        fdatasync, read-only); ``writable()`` says why.
        """
        ...

    def append_marks(self, marks: Sequence[tuple[MarkKind, bytes]]) -> list[int]:
        """Append frames without records, next to each other; as ``append`` otherwise.

        All or none is acknowledged. Raises: Unavailable: the outcome is unknown; the first few may
        be in the log, never a later one without those before it.
        """
        ...

    def writable(self) -> str:
        """Return "" when an append may be tried, else why not, as one line for an operator."""
        ...
