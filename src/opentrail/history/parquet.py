# SPDX-License-Identifier: Apache-2.0
"""Parquet, piece by piece, through pyarrow, which is loaded only where one is asked for."""

import importlib
from collections.abc import Sequence
from types import ModuleType

from opentrail.errors import UsageError


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
    """A file of text columns; each ``add`` is a row group. Memory does not grow with their number."""

    def __init__(self, arrow: ModuleType, parquet: ModuleType, columns: Sequence[str]) -> None:
        """Use ``parquet_stream``."""
        self._arrow = arrow
        self._schema = arrow.schema([(name, arrow.string()) for name in columns])
        self._sink = _Sink()
        self._writer = parquet.ParquetWriter(self._sink, self._schema, compression="zstd")

    def add(self, rows: Sequence[Sequence[str]]) -> bytes:
        """Return the next bytes of the file, with ``rows``."""
        if rows:
            text = self._arrow.string()
            columns = [self._arrow.array(column, text) for column in zip(*rows, strict=True)]
            self._writer.write_table(self._arrow.table(columns, schema=self._schema))
        return self._sink.fetched()

    def end(self) -> bytes:
        """Return the last bytes of the file."""
        self._writer.close()
        return self._sink.fetched()


def parquet_stream(columns: Sequence[str]) -> ParquetStream:
    """Begin a file. Raises: UsageError: pyarrow is not installed."""
    try:
        arrow = importlib.import_module("pyarrow")
        parquet = importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise UsageError("parquet needs pyarrow: pip install 'opentrail[parquet]'") from error
    return ParquetStream(arrow, parquet, columns)
