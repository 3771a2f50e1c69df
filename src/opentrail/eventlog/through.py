# SPDX-License-Identifier: Apache-2.0
"""The reading half of a log that appends in its own way and reads as everybody does."""

from collections.abc import Iterator, Sequence

from opentrail.eventlog.base import Entry, Mark
from opentrail.eventlog.reader import SegmentReader


class ReadsThrough:
    """All of ``LogReader`` but ``durable_end``, by ``_reader``."""

    _reader: SegmentReader

    @property
    def log_id(self) -> str:
        """See ``LogReader``."""
        return self._reader.log_id

    def first(self) -> int:
        """See ``LogReader``."""
        return self._reader.first()

    def entries(self, start: int, end: int | None = None) -> Iterator[Entry]:
        """See ``LogReader``. Raises: ValueError: nothing begins at ``start``."""
        return self._reader.entries(start, end)

    def items(self, start: int, end: int | None = None) -> Iterator[Entry | Mark]:
        """See ``LogReader``. Raises: ValueError: nothing begins at ``start``."""
        return self._reader.items(start, end)

    def marks(self, start: int, end: int | None = None) -> Iterator[Mark]:
        """See ``LogReader``. Raises: ValueError: nothing begins at ``start``."""
        return self._reader.marks(start, end)

    def read(self, position: int) -> Entry:
        """See ``LogReader``."""
        return self._reader.read(position)

    def data_at(self, positions: Sequence[int]) -> list[bytes | None]:
        """See ``LogReader``."""
        return self._reader.data_at(positions)
