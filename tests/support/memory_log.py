# SPDX-License-Identifier: Apache-2.0
"""A log in memory: the contract of ``eventlog.base.LogReader``, and nothing else."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence

from opentrail.eventlog.base import Entry, Origin

GAP = 7
"""Positions are opaque: they begin above 0 and do not count records."""


class MemoryLog:
    """Records appended by a test; durable at once, unless it says otherwise."""

    def __init__(self, log_id: str = "5f6ed2cc-6f4c-4c5b-9d3f-0d3a3c9b7a51") -> None:
        self.log_id = log_id
        self._entries: list[Entry] = []
        self._positions: list[int] = []
        self._first = 0
        self._durable = 0
        self.reads = 0

    def append(self, records: Sequence[bytes], *, durable: bool = True) -> list[int]:
        """Append ``records``; those that are not ``durable`` are not shown until ``sync``."""
        start = len(self._entries)
        for data in records:
            position = self._end()
            self._positions.append(position)
            self._entries.append(Entry(position, 1_700_000_000_000, Origin.CAPTURE, data))
        if durable:
            self.sync()
        return self._positions[start:]

    def sync(self) -> None:
        """Make everything durable."""
        self._durable = self._end()

    def expire(self, first: int) -> None:
        """Delete what lies under ``first``, a position or an end."""
        self._first = max(self._first, first)

    def first(self) -> int:
        return min(self._first, self._durable)

    def durable_end(self) -> int:
        return self._durable

    def entries(self, start: int, end: int | None = None) -> Iterator[Entry]:
        stop = self._durable if end is None else min(end, self._durable)
        assert start in (0, self._end()) or start in self._positions, start
        at = bisect_left(self._positions, max(start, self._first))
        while at < len(self._positions) and self._positions[at] < stop:
            yield self._entries[at]
            at += 1

    def read(self, position: int) -> Entry:
        self.reads += 1
        at = bisect_left(self._positions, position)
        found = at < len(self._positions) and self._positions[at] == position
        if not found or position < self._first or position >= self._durable:
            raise KeyError(position)
        return self._entries[at]

    def _end(self) -> int:
        if not self._entries:
            return GAP
        return self._entries[-1].position + len(self._entries[-1].data) + GAP
