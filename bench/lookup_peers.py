# SPDX-License-Identifier: Apache-2.0
"""Other stores that can find events: the same rows in each, set up as its own documents say.

DuckDB ("Indexing"): min-max indexes come by themselves, so rows go in by time; values that are
selective get an ART index. ClickHouse, as chdb ("Sparse primary indexes", "Data skipping indexes"):
the ordering key begins with what every question names, attributes get Bloom filters. SQLite ("Query
planning"): an index for each attribute that holds the order too, so it reads what it returns.
"""

import importlib
import site
import sqlite3
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Protocol

import duckdb
import pyarrow as pa
from pyarrow import parquet as arrow_parquet

from bench.importing import CHDB, installed
from bench.lookup_data import PAGE, Question
from bench.peers import VENV
from opentrail.eventlog.reader import SegmentReader
from opentrail.history.derive import derive

COLUMNS = {"EventName": "event_name", "Username": "username", "EventId": "event_id"}
"""The column of each attribute that is asked for."""
FAR_S = 1 << 40
"""Past every event."""
_INTEGERS = ("time_s", "position")
_TEXTS = ("account", "region", "category", *COLUMNS.values(), "record")


class Store(Protocol):
    """Something that finds events."""

    name: str

    def newest(self, question: Question) -> Sequence[bytes]:
        """Return the records of the newest page."""
        ...


def peers(made: Path, *, install: bool, duckdb_only: bool = False) -> Iterator[Store]:
    """Yield the peers that there are, filled with the events of the data directory ``made``."""
    folder = made / "peers"
    folder.mkdir(exist_ok=True)
    parquet = folder / "events.parquet"
    if not parquet.exists():
        _write_parquet(parquet, made / "log")
    yield DuckDb(folder / "events.duckdb", parquet)
    yield DuckDbParquet(parquet)
    if duckdb_only:
        return
    yield Sqlite(folder / "events.sqlite", made / "log")
    packages = VENV / "lib" / f"python3.{sys.version_info.minor}" / "site-packages"
    if (packages / "chdb").exists() or (install and installed(VENV / "bin" / "python")):
        site.addsitedir(str(packages))  # behind ours, which win
        yield Chdb(importlib.import_module("chdb.dbapi"), folder / "chdb", parquet)
    else:
        print(f"{CHDB} is not installed: its row is missing", file=sys.stderr)


def _rows(log: Path) -> Iterator[tuple[int | str, ...]]:
    """Yield what each store gets of each record of a log."""
    for entry in SegmentReader(log).entries(0):
        found = derive(entry.data)
        assert found is not None
        scope = (found.account, found.region, found.category)
        values = (found.event_name, found.username, found.event_id)
        yield (found.event_time_s, entry.position, *scope, *values, entry.data.decode())


def _write_parquet(path: Path, log: Path) -> None:
    fields = [(name, pa.int64()) for name in _INTEGERS]
    schema = pa.schema([*fields, *((name, pa.string()) for name in _TEXTS)])
    temporary, rows = path.with_suffix(".making"), _rows(log)
    with arrow_parquet.ParquetWriter(temporary, schema, compression="zstd") as writer:
        # As many rows as DuckDB puts into one group.
        while columns := list(zip(*islice(rows, 122_880), strict=True)):
            writer.write_table(pa.table(dict(zip(schema.names, columns, strict=True)), schema))
    temporary.rename(path)


def _wanted(question: Question) -> str:
    """Return the condition, with marks for account, region, value and the newest second."""
    value = f"{COLUMNS[question.attribute]} = ?"
    return f"account = ? AND region = ? AND category = 'Management' AND {value} AND time_s <= ?"


def _given(question: Question) -> tuple[str, str, str, int]:
    end_s = FAR_S if question.end_s is None else question.end_s
    return question.account, question.region, question.value, end_s


_NEWEST = f"ORDER BY time_s DESC, position DESC LIMIT {PAGE}"


class Sqlite:
    """A table with an index for each attribute."""

    name = "SQLite, indexes"

    def __init__(self, path: Path, log: Path) -> None:
        fresh = not path.exists()
        self._base = sqlite3.connect(path, isolation_level=None)
        if fresh:
            self._fill(_rows(log))

    def _fill(self, rows: Iterable[tuple[int | str, ...]]) -> None:
        columns = [f"{name} INTEGER" for name in _INTEGERS] + [f"{name} TEXT" for name in _TEXTS]
        self._base.execute("PRAGMA synchronous=OFF")  # it is not its writing that is measured
        self._base.execute("BEGIN")
        self._base.execute(f"CREATE TABLE events ({', '.join(columns)})")
        marks = ", ".join("?" * len(columns))
        self._base.executemany(f"INSERT INTO events VALUES ({marks})", rows)
        for column in COLUMNS.values():
            keys = f"account, region, category, {column}, time_s, position"
            self._base.execute(f"CREATE INDEX by_{column} ON events ({keys})")
        self._base.execute("ANALYZE")
        self._base.execute("COMMIT")

    def newest(self, question: Question) -> Sequence[bytes]:
        """See ``Store``."""
        wanted = f"SELECT record FROM events WHERE {_wanted(question)} {_NEWEST}"
        found = self._base.execute(wanted, _given(question))
        return [record.encode() for (record,) in found]


class DuckDb:
    """Its own table, rows by time, selective values indexed."""

    name = "DuckDB, its table"

    def __init__(self, path: Path, parquet: Path) -> None:
        fresh = not path.exists()
        self._base = duckdb.connect(str(path))
        if fresh:
            columns = ", ".join((*_INTEGERS, *_TEXTS))
            source = f"SELECT {columns} FROM '{parquet}' ORDER BY time_s, position"
            self._base.execute(f"CREATE TABLE events AS {source}")
            for column in COLUMNS.values():
                self._base.execute(f"CREATE INDEX by_{column} ON events ({column})")
            self._base.execute("CHECKPOINT")
        self._table = "events"

    def newest(self, question: Question) -> Sequence[bytes]:
        """See ``Store``."""
        wanted = f"SELECT record FROM {self._table} WHERE {_wanted(question)} {_NEWEST}"
        found = self._base.execute(wanted, _given(question))
        return [record.encode() for (record,) in found.fetchall()]


class DuckDbParquet(DuckDb):
    """The same over a Parquet file."""

    name = "DuckDB, Parquet"

    def __init__(self, parquet: Path) -> None:
        self._base = duckdb.connect()
        self._table = f"'{parquet}'"


class Chdb:
    """ClickHouse in process: a MergeTree by scope and time, a Bloom filter for each attribute."""

    name = "chdb"

    def __init__(self, chdb: ModuleType, path: Path, parquet: Path) -> None:
        fresh = not path.exists()
        self._base = chdb.connect(str(path))
        if fresh:
            self._fill(parquet)

    def _fill(self, parquet: Path) -> None:
        columns = [f"{name} Int64" for name in _INTEGERS] + [f"{name} String" for name in _TEXTS]
        skips = [f"INDEX by_{each} {each} TYPE bloom_filter" for each in COLUMNS.values()]
        run = self._base.cursor().execute
        run(
            f"CREATE TABLE events ({', '.join([*columns, *skips])}) ENGINE = MergeTree"
            " ORDER BY (account, region, category, time_s, position)"
        )
        names = ", ".join((*_INTEGERS, *_TEXTS))
        run(f"INSERT INTO events SELECT {names} FROM file('{parquet}', Parquet)")
        run("OPTIMIZE TABLE events FINAL")

    def newest(self, question: Question) -> Sequence[bytes]:
        """See ``Store``."""
        wanted = _wanted(question).replace("?", "'{}'")
        wanted = wanted.format(*_given(question))
        cursor = self._base.cursor()
        cursor.execute(f"SELECT record FROM events WHERE {wanted} {_NEWEST}")
        return [record.encode() for (record,) in cursor.fetchall()]
