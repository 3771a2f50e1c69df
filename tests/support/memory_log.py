# SPDX-License-Identifier: Apache-2.0
"""A log in memory: the contract of ``eventlog.base.EventLog``, and faults when a test wants some."""

import threading
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence

from support.log_files import Fault

from opentrail.errors import Unavailable
from opentrail.eventlog.base import Draft, Entry, Mark, MarkKind, Origin

GAP = 7
"""Positions are opaque: they begin above 0 and do not count records."""
START_MS = 1_700_000_000_000


def stand_still() -> int:
    return START_MS


class MemoryLog:
    """Records and marks appended by a test; durable at once, unless it says otherwise.

    Bare bytes are records that were captured. ``fault`` is met by the next append: Unavailable,
    and it was lost or kept.
    """

    def __init__(
        self,
        log_id: str = "5f6ed2cc-6f4c-4c5b-9d3f-0d3a3c9b7a51",
        now_ms: Callable[[], int] = stand_still,
    ) -> None:
        self.log_id = log_id
        self.now_ms = now_ms
        self.fault = Fault.NONE
        self._lock = threading.Lock()
        self._items: list[Entry | Mark] = []
        self._positions: list[int] = []
        self._append_ms = 0
        self._first = 0
        self._durable = GAP
        self.reads = 0

    def append(self, drafts: Sequence[Draft | bytes], *, durable: bool = True) -> list[int]:
        """Append ``drafts``; those that are not ``durable`` are not shown until ``sync``."""
        whole = (
            draft if isinstance(draft, Draft) else Draft(Origin.CAPTURE, draft) for draft in drafts
        )
        return self._append(list(whole), durable=durable)

    def append_marks(self, marks: Sequence[tuple[MarkKind, bytes]]) -> list[int]:
        return self._append(marks, durable=True)

    def _append(
        self, news: Sequence[Draft | tuple[MarkKind, bytes]], *, durable: bool
    ) -> list[int]:
        with self._lock:
            fault, self.fault = self.fault, Fault.NONE
            if fault is Fault.LOST:
                raise Unavailable("injected: the append was lost")
            self._append_ms = append_ms = max(self._append_ms, self.now_ms())
            start = len(self._items)
            for new in news:
                at = self._end()
                self._positions.append(at)
                self._items.append(
                    Entry(at, append_ms, new.origin, new.data)
                    if isinstance(new, Draft)
                    else Mark(at, append_ms, *new)
                )
            if durable:
                self.sync()
            if fault is Fault.KEPT:
                raise Unavailable("injected: the append was kept")
            return self._positions[start:]

    def writable(self) -> str:
        return ""

    def sync(self) -> None:
        """Make everything durable."""
        self._durable = self._end()

    def expire(self, first: int) -> None:
        """Delete what lies under ``first``, a position or an end."""
        self._first = max(self._first, first)

    def first(self) -> int:
        entry = next(self.entries(0), None)
        return self._durable if entry is None else entry.position

    def durable_end(self) -> int:
        return self._durable

    def items(self, start: int, end: int | None = None) -> Iterator[Entry | Mark]:
        stop = self._durable if end is None else min(end, self._durable)
        assert start in (0, self._end()) or start in self._positions, start
        at = bisect_left(self._positions, max(start, self._first))
        while at < len(self._positions) and self._positions[at] < stop:
            yield self._items[at]
            at += 1

    def entries(self, start: int, end: int | None = None) -> Iterator[Entry]:
        return (item for item in self.items(start, end) if isinstance(item, Entry))

    def marks(self, start: int, end: int | None = None) -> Iterator[Mark]:
        return (item for item in self.items(start, end) if isinstance(item, Mark))

    def read(self, position: int) -> Entry:
        self.reads += 1
        at = bisect_left(self._positions, position)
        found = at < len(self._positions) and self._positions[at] == position
        item = self._items[at] if found else None
        if not isinstance(item, Entry) or not self._first <= position < self._durable:
            raise KeyError(position)
        return item

    def data_at(self, positions: Sequence[int]) -> list[bytes | None]:
        return [self._data_or_none(position) for position in positions]

    def _data_or_none(self, position: int) -> bytes | None:
        try:
            return self.read(position).data
        except KeyError:
            return None

    def _end(self) -> int:
        if not self._items:
            return GAP
        last = self._items[-1]
        return last.position + len(last.data if isinstance(last, Entry) else last.payload) + GAP
