# SPDX-License-Identifier: Apache-2.0
"""Parquet files, through pyarrow, which is loaded only where one is asked for."""

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


def write(path: Path, columns: Sequence[str], rows: Iterator[list[str]], group_rows: int) -> None:
    """Write ``rows`` of text, ``group_rows`` to a row group; memory does not grow with their number."""
    schema = pa.schema([(name, pa.string()) for name in columns])
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        while group := list(islice(rows, group_rows)):
            values = [pa.array(column, pa.string()) for column in zip(*group, strict=True)]
            writer.write_table(pa.table(values, schema=schema))
