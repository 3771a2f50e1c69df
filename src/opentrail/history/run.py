# SPDX-License-Identifier: Apache-2.0
"""A run: a file of index rows that does not change any more, mapped into memory.

The format is in docs/format.md, "Event history".
"""

import mmap
from collections.abc import Container, Iterator, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray
from xxhash import xxh3_64_intdigest

from opentrail.durable import OS_FILES, TEMPORARY_SUFFIX, Files, publish
from opentrail.errors import Corrupt
from opentrail.history.memtable import Times
from opentrail.history.table import TIME_MAX_S, Bounds, Row, Tally
from opentrail.history.terms import COLUMNS, Rows, Terms

MAGIC = b"OTRLRUN\0"
FORMAT_VERSION = 1
_WIDTHS = {"times": 8, "positions": 8, "terms": 8, "starts": 4, "ranks": 4}
"""Bytes of an element, by the last word of the section's name."""
_TAIL_BYTES = 20
"""Footer length (4), checksum of the footer (8), magic (8)."""

CHUNK_ROWS = 64
"""Rows first read of a match: a page and a few more. Each next chunk is four times as large."""
CHUNK_ROWS_MAX = 1 << 16

REBUILD_HINT = "stop the server, delete the history directory and start again: it is rebuilt"


class Section(msgspec.Struct, frozen=True):
    """One array of the file, little-endian."""

    name: str
    """"times", "positions", and per column "Column.terms", "Column.starts", "Column.ranks"."""
    offset: int
    """Bytes from the start of the file; a multiple of 8."""
    count: int
    """Elements."""
    checksum: int
    """xxh3_64 of its bytes."""


class Footer(msgspec.Struct, frozen=True):
    """What the file holds. JSON, at its end."""

    version: int
    rows: int
    sections: list[Section]


class Source(Protocol):
    """Rows to be written into a run."""

    def rows(self) -> tuple[Times, Times]:
        """Return eventTimes and positions; rows of equal eventTime are in order of position."""
        ...

    def column(self, column: int) -> tuple[Terms, Rows]:
        """Return the column's terms, and for each the row that has it."""
        ...


def write_run(path: Path, source: Source, files: Files = OS_FILES) -> Iterator[None]:
    """Write ``source`` as the run ``path``; each step of the iterator is a part of the work.

        1. the sections, one column a step, under a temporary name
        2. the footer
        3. sync, rename, sync the directory
    A crash before 3 leaves a temporary file, after it a run that no manifest names: both are
    deleted when the index is opened. Raises: OSError.
    """
    temporary = path.with_name(path.name + TEMPORARY_SUFFIX)
    fd = files.create(temporary)
    try:
        writer = _Writer(fd, files)
        times, positions = source.rows()
        order = np.argsort(times, kind="stable")
        rank_of = np.empty(len(order), np.uint32)
        rank_of[order] = np.arange(len(order), dtype=np.uint32)
        writer.add("times", times[order])
        writer.add("positions", positions[order])
        for column, name in enumerate(COLUMNS):
            yield
            _write_column(writer, name, *source.column(column), rank_of)
        writer.finish(len(times))
    finally:
        files.close(fd)
    yield
    publish(temporary, path, files)


def _write_column(writer: "_Writer", name: str, terms: Terms, rows: Rows, rank_of: Rows) -> None:
    """Group the ranks of the rows by term: unique terms, where each one's ranks start, ranks."""
    ranks = rank_of[rows]
    order = np.lexsort((ranks, terms))
    terms = terms[order]
    first = np.ones(len(terms), np.bool_)
    first[1:] = terms[1:] != terms[:-1]
    starts = np.flatnonzero(first)
    writer.add(f"{name}.terms", terms[starts])
    writer.add(f"{name}.starts", np.append(starts, len(terms)).astype(np.uint32))
    writer.add(f"{name}.ranks", ranks[order])


class _Writer:
    def __init__(self, fd: int, files: Files) -> None:
        self._fd = fd
        self._files = files
        self._offset = 0
        self._sections: list[Section] = []

    def add(self, name: str, numbers: NDArray[np.generic]) -> None:
        """Append an array, padded to 8 bytes so that the next one is aligned."""
        data = numbers.astype(numbers.dtype.newbyteorder("<"), copy=False).tobytes()
        checksum = xxh3_64_intdigest(data)
        self._sections.append(Section(name, self._offset, len(numbers), checksum))
        self._append(data + bytes(-len(data) % 8))

    def finish(self, rows: int) -> None:
        footer = msgspec.json.encode(Footer(FORMAT_VERSION, rows, self._sections))
        tail = len(footer).to_bytes(4, "little") + xxh3_64_intdigest(footer).to_bytes(8, "little")
        self._append(footer + tail + MAGIC)

    def _append(self, data: bytes) -> None:
        self._files.write(self._fd, data, self._offset)
        self._offset += len(data)


_Number = TypeVar("_Number", np.int64, np.uint64, np.uint32)


class Run:
    """A run, mapped: a ``table.Table``. The map stays good after the file is deleted."""

    def __init__(self, path: Path) -> None:
        """Map the run ``path``. Raises: Corrupt: it is not a whole run. OSError."""
        self.path = path
        if path.exists() and not path.is_file():
            raise Corrupt("it is no file", str(path), REBUILD_HINT)
        with path.open("rb") as file:
            try:
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            except ValueError as error:
                raise Corrupt("an empty file cannot be a run", str(path), REBUILD_HINT) from error
        self._footer = _read_footer(self._map, path)
        self.times = self._array("times", np.int64)
        self.positions = self._array("positions", np.int64)
        self._columns = tuple(
            (
                self._array(f"{name}.terms", np.uint64),
                self._array(f"{name}.starts", np.uint32),
                self._array(f"{name}.ranks", np.uint32),
            )
            for name in COLUMNS
        )
        self.newest_s = int(self.times[-1])
        events = len(self._columns[0][2])
        self.oldest_s = int(self.times[len(self.times) - events]) if events else TIME_MAX_S
        self.newest_position = int(self.positions.max())
        self.oldest_position = int(self.positions.min())
        self._tally = self.oldest_position, Tally(events, len(self.times) - events)
        """Of the rows at or past a position; retention's floor only rises."""

    def newest_first(self, column: int, term: int, bounds: Bounds) -> Iterator[Sequence[Row]]:
        """See ``table.Table``. Raises: Corrupt."""
        ranks = self._ranks(column, term)
        if not len(ranks):
            return
        first, stop = 0, len(ranks)
        if self.oldest_s < bounds.start_s:
            low = self.times.searchsorted(bounds.start_s)
            first = int(ranks.searchsorted(np.uint32(low)))
        if bounds.before[0] <= self.newest_s:
            stop = int(ranks.searchsorted(np.uint32(self._rank_of(bounds.before))))
        size = CHUNK_ROWS
        while stop > first:
            chunk = ranks[max(first, stop - size) : stop][::-1]
            stop, size = stop - size, min(4 * size, CHUNK_ROWS_MAX)
            yield self._rows_at(chunk, bounds.floor)

    def count(self, column: int, term: int) -> int:
        """See ``table.Table``."""
        return len(self._ranks(column, term))

    def scopes(self, floor: int, known: Container[int]) -> Iterator[tuple[int, int]]:
        """See ``table.Table``."""
        terms, starts, ranks = self._columns[0]
        for index, number in enumerate(terms.tolist()):
            if number not in known:
                positions = self.positions[ranks[starts[index] : starts[index + 1]]]
                newest = int(positions.max())
                if newest >= floor:
                    yield number, newest

    def tally(self, floor: int) -> Tally:
        """See ``table.Table``."""
        known_floor, tally = self._tally
        if floor <= known_floor:
            return tally
        ranks = self._columns[0][2]
        events = int(np.count_nonzero(self.positions[ranks] >= floor))
        tally = Tally(events, int(np.count_nonzero(self.positions >= floor)) - events)
        self._tally = floor, tally
        return tally

    def has(self, column: int, terms: Terms) -> NDArray[np.bool_]:
        """See ``table.Table``."""
        there = self._columns[column][0]
        if not len(there):
            return np.zeros(len(terms), np.bool_)
        index = np.minimum(np.searchsorted(there, terms), len(there) - 1)
        return np.asarray(there[index] == terms)

    def rows(self) -> tuple[Times, Times]:
        """See ``Source``."""
        return self.times, self.positions

    def column(self, column: int) -> tuple[Terms, Rows]:
        """See ``Source``."""
        terms, starts, ranks = self._columns[column]
        return np.repeat(terms, np.diff(starts)), ranks

    def damaged(self, parts: Container[str] | None = None) -> list[str]:
        """Return the names of the sections whose bytes are not those that were written.

        ``parts``: "times", "positions", names of columns; None: all sections.
        """
        return [
            each.name
            for each in self._footer.sections
            if (parts is None or each.name.partition(".")[0] in parts) and not self._intact(each)
        ]

    def _ranks(self, column: int, term: int) -> Rows:
        terms, starts, ranks = self._columns[column]
        # A Python int would make numpy convert the whole map.
        index = int(terms.searchsorted(np.uint64(term)))
        if index == len(terms) or terms.item(index) != term:
            return ranks[:0]
        return ranks[starts.item(index) : starts.item(index + 1)]

    def _rank_of(self, before: tuple[int, int]) -> int:
        """Return how many rows lie under (eventTime, position) ``before``."""
        time_s, position = before
        first = int(np.searchsorted(self.times, time_s, "left"))
        stop = int(np.searchsorted(self.times, time_s, "right"))
        return first + int(np.searchsorted(self.positions[first:stop], position))

    def _rows_at(self, ranks: Rows, floor: int) -> Sequence[Row]:
        try:
            times, positions = self.times[ranks].tolist(), self.positions[ranks].tolist()
        except IndexError as error:
            raise Corrupt("a rank past the last row", str(self.path), REBUILD_HINT) from error
        rows = list(zip(times, positions, strict=True))
        if min(positions) < floor:
            return [row for row in rows if row[1] >= floor]
        return rows

    def _array(self, name: str, kind: type[_Number]) -> NDArray[_Number]:
        """Return the section ``name`` as it lies in the map."""
        where = next((each for each in self._footer.sections if each.name == name), None)
        if where is None or where.offset + where.count * np.dtype(kind).itemsize > len(self._map):
            raise Corrupt(f"section {name} is missing", str(self.path), REBUILD_HINT)
        little_endian = np.dtype(kind).newbyteorder("<")
        return np.frombuffer(self._map, little_endian, where.count, where.offset)

    def _intact(self, section: Section) -> bool:
        width = _WIDTHS.get(section.name.rpartition(".")[2], 0)
        with memoryview(self._map) as view:
            data = view[section.offset : section.offset + section.count * width]
            return xxh3_64_intdigest(data) == section.checksum


class Merged:
    """Several runs, whose positions follow each other, as one: a ``Source``."""

    def __init__(self, runs: Sequence[Run]) -> None:
        self._runs = runs

    def rows(self) -> tuple[Times, Times]:
        """See ``Source``: positions ascend from run to run, so equal times stay in order."""
        parts = [run.rows() for run in self._runs]
        return np.concatenate([t for t, _ in parts]), np.concatenate([p for _, p in parts])

    def column(self, column: int) -> tuple[Terms, Rows]:
        """See ``Source``."""
        parts = [run.column(column) for run in self._runs]
        offsets = np.cumsum([0, *(len(run.times) for run in self._runs)], dtype=np.uint32)
        rows = [part + offset for (_, part), offset in zip(parts, offsets[:-1], strict=True)]
        return np.concatenate([terms for terms, _ in parts]), np.concatenate(rows)


def _read_footer(data: mmap.mmap, path: Path) -> Footer:
    tail = data[-_TAIL_BYTES:]
    length, checksum = int.from_bytes(tail[:4], "little"), int.from_bytes(tail[4:12], "little")
    text = data[-_TAIL_BYTES - length : -_TAIL_BYTES]
    if tail[12:] != MAGIC or len(text) != length or xxh3_64_intdigest(text) != checksum:
        raise Corrupt("not a whole run", str(path), REBUILD_HINT)
    footer = msgspec.json.decode(text, type=Footer)
    if footer.version != FORMAT_VERSION or not footer.rows:
        raise Corrupt(f"run format {footer.version} is not known", str(path), REBUILD_HINT)
    return footer
