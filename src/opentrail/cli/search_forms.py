# SPDX-License-Identifier: Apache-2.0
"""The forms in which events are written: for people, for machines, for spreadsheets, for engines."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO

from rich.cells import cell_len
from rich.console import Console, OverflowMethod
from rich.table import Table
from rich.text import Text

from opentrail.errors import UsageError
from opentrail.event.codec import in_utf8
from opentrail.event.safe import safe_json
from opentrail.eventlog.base import Entry
from opentrail.history.derive import derive
from opentrail.history.parquet import parquet_stream
from opentrail.history.rows import HEADER, as_csv, cells_of, table_row
from opentrail.history.search import Hit

_TITLES = ("Time", "Event", "User", "Error", "Resources", "Source", "Region")
"""Columns of a table, what matters most first."""
_NARROW_COLUMNS = 5
"""As many of them as a terminal narrower than _WIDE gets."""
_WIDE = 110
_ERROR = _TITLES.index("Error")
PARQUET_ROWS = 50_000
"""Rows of a row group, of records of the usual size."""
PARQUET_ROWS_AT_ONCE = 100
"""Given to the file at once: 25 MB of the largest records."""


class Found:
    """Hits, and whether there are more than were asked for."""

    def __init__(self, hits: Iterator[Hit], limit: int) -> None:
        """``hits`` has one more than ``limit`` where there are more."""
        self._hits = hits
        self._limit = limit
        self.count = 0
        self.more = False

    def __iter__(self) -> Iterator[Hit]:
        for hit in islice(self._hits, self._limit):
            self.count += 1
            yield hit
        self.more = next(self._hits, None) is not None


def _table(found: Found, output: Path | None) -> None:
    console = Console()
    if output is not None or not console.is_terminal:
        with _opened(output) as file:
            for row in map(_row, found):
                file.write("\t".join(row).encode() + b"\n")
        return
    count = len(_TITLES) if console.width >= _WIDE else _NARROW_COLUMNS
    rows = [row[:count] for row in map(_row, found)]
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 1, 0, 0))
    cut: OverflowMethod = "crop" if console.options.ascii_only else "ellipsis"
    for title, width in zip(_TITLES, _widths(rows, count, console.width), strict=False):
        table.add_column(title, width=width, overflow=cut, no_wrap=True)
    for row in rows:
        table.add_row(*map(Text, row), style="red" if row[_ERROR] else "")
    if rows:
        console.print(table)


def _widths(rows: list[tuple[str, ...]], count: int, width: int) -> list[int]:
    """Return the columns' widths in cells: the widest give way until all fit ``width``."""
    cells = [_TITLES[:count], *rows]
    widths = [max(map(cell_len, column)) for column in zip(*cells, strict=True)]
    while sum(widths) + count - 1 > width and max(widths[1:]) > 1:
        widest = max(range(1, count), key=widths.__getitem__)  # the time is shown in full
        widths[widest] -= 1
    return widths


def _row(hit: Hit) -> tuple[str, ...]:
    return table_row(hit.event)


def line(hit: Hit) -> str:
    """Return one event as a line of a table without borders."""
    return "\t".join(_row(hit))


def _records(found: Found, output: Path | None) -> None:
    _write_records((hit.event.data for hit in found), output)


def _ndjson(found: Found, output: Path | None) -> None:
    _write_lines((hit.event.data for hit in found), output)


def _csv(found: Found, output: Path | None) -> None:
    _write_csv((cells_of(hit.event.data, hit.event.derived) for hit in found), output)


def _parquet(found: Found, output: Path | None) -> None:
    _write_parquet((cells_of(hit.event.data, hit.event.derived) for hit in found), output)


def _write_records(records: Iterable[bytes], output: Path | None) -> None:
    """Write ``{"Records": […]}``, one record at a time."""
    with _opened(output) as file:
        before = b'{"Records":['
        for data in records:
            file.write(before + shown(in_utf8(data), file))
            before = b","
        file.write((before if before != b"," else b"") + b"]}\n")


def _write_lines(records: Iterable[bytes], output: Path | None) -> None:
    with _opened(output) as file:
        for data in records:
            file.write(shown(data, file) + b"\n")


def _write_csv(rows: Iterable[list[str]], output: Path | None) -> None:
    with _opened(output) as file:
        file.write(as_csv([HEADER]))
        for cells in rows:
            file.write(as_csv([cells]))


def _write_parquet(rows: Iterator[list[str]], output: Path | None) -> None:
    """Write a Parquet file: the columns of CSV as text, and the record. Raises: UsageError."""
    if output is None:
        raise UsageError("parquet is written to a file: add --output FILE.parquet")
    stream = parquet_stream(HEADER, PARQUET_ROWS)
    with _opened(output) as file:
        while some := list(islice(rows, PARQUET_ROWS_AT_ONCE)):
            file.write(stream.add(some))
        file.write(stream.end())


@contextmanager
def _opened(output: Path | None) -> Iterator[IO[bytes]]:
    """Yield where to write. Raises: UsageError: it cannot be written."""
    if output is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    try:
        file = output.open("wb")
    except OSError as error:
        raise UsageError(f"cannot write {output}: {error.strerror}") from error
    with file:
        yield file


def shown(data: bytes, file: IO[bytes] | IO[str]) -> bytes:
    """Return JSON as it is, or to a terminal with JSON's escapes for what it would act on."""
    if not file.isatty():
        return data
    return safe_json(data.decode("utf-8", "replace")).encode()


FORMS: dict[str, Callable[[Found, Path | None], None]] = {
    "table": _table,
    "json": _records,
    "records": _records,
    "ndjson": _ndjson,
    "csv": _csv,
    "parquet": _parquet,
}


def write_all(entries: Iterator[Entry], form: str, output: Path | None) -> None:
    """Write every record of a log, in its order, also those that are no events. Raises: UsageError."""
    if form in ("json", "records"):
        _write_records((entry.data for entry in entries), output)
    elif form in ("csv", "parquet"):
        write = _write_csv if form == "csv" else _write_parquet
        write((cells_of(entry.data, derive(entry.data)) for entry in entries), output)
    else:
        _write_lines((entry.data for entry in entries), output)
