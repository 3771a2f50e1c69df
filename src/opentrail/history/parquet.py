# SPDX-License-Identifier: Apache-2.0
"""Parquet, piece by piece, through pyarrow, which is loaded only where one is asked for."""

import importlib
from collections.abc import Sequence
from types import ModuleType

from opentrail.errors import UsageError

GROUP_CHARACTERS_MAX = 32 * 1024 * 1024
"""Of the records of a row group, which is in memory: of large ones there are the fewer in it."""


class _Sink:
    """A file that takes what is written, until it is fetched."""

    closed = False

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0

    def tell(self) -> int:
        """Return how much was written."""
        return self._size

    def write(self, data: bytes) -> int:
        """Take ``data``."""
        self._pieces.append(bytes(data))
        self._size += len(data)
        return len(data)

    def flush(self) -> None:
        """Do nothing: it is fetched."""

    def close(self) -> None:
        """Do nothing: the rest is fetched."""

    def fetched(self) -> bytes:
        """Return what was written since the last time."""
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)


class ParquetStream:
    """A file of text columns. Memory grows neither with the number of rows nor with their size."""

    def __init__(
        self, arrow: ModuleType, parquet: ModuleType, columns: Sequence[str], group_rows: int
    ) -> None:
        """Use ``parquet_stream``."""
        self._arrow = arrow
        self._group_rows = group_rows
        self._rows: list[Sequence[str]] = []
        self._characters = 0
        self._schema = arrow.schema([(name, arrow.string()) for name in columns])
        self._sink = _Sink()
        self._writer = parquet.ParquetWriter(self._sink, self._schema, compression="zstd")

    def add(self, rows: Sequence[Sequence[str]]) -> bytes:
        """Take ``rows``, and return the next bytes of the file: a row group, once it is full."""
        self._rows += rows
        self._characters += sum(len(row[-1]) for row in rows)  # the record; the rest is of it
        if len(self._rows) >= self._group_rows or self._characters >= GROUP_CHARACTERS_MAX:
            self._write()
        return self._sink.fetched()

    def _write(self) -> None:
        """Write what was taken as a row group."""
        if self._rows:
            text = self._arrow.string()
            columns = [self._arrow.array(column, text) for column in zip(*self._rows, strict=True)]
            self._rows, self._characters = [], 0
            self._writer.write_table(self._arrow.table(columns, schema=self._schema))

    def end(self) -> bytes:
        """Return the last bytes of the file."""
        self._write()
        self._writer.close()
        return self._sink.fetched()


def parquet_stream(columns: Sequence[str], group_rows: int) -> ParquetStream:
    """Begin a file with so many rows in a row group, or some more. Raises: UsageError: pyarrow is not installed."""
    try:
        arrow = importlib.import_module("pyarrow")
        parquet = importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise UsageError("parquet needs pyarrow: pip install 'opentrail[parquet]'") from error
    return ParquetStream(arrow, parquet, columns, group_rows)
