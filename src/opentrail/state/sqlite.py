# SPDX-License-Identifier: Apache-2.0
"""The embedded state store: one SQLite file.

After docs/format.md ('state.db'), SQLite's "Atomic Commit In SQLite" and its pragmas synchronous,
journal_mode and fullfsync.
"""

import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from itertools import takewhile
from pathlib import Path
from types import MappingProxyType
from typing import Self

from opentrail.durable import OS_FILES, TEMPORARY_SUFFIX, is_there, make_dir, publish
from opentrail.errors import Corrupt, Unavailable
from opentrail.state.base import Change, Conflict, Entry
from opentrail.state.stored import HINT

APPLICATION_ID = 0x4F54524C
"""``OTRL``: says in the file's header whose it is."""
VERSION = 1
BUSY_TIMEOUT_S = 5.0
"""Longer than whoever looks into the file beside us holds it; a commit takes milliseconds."""
_FREE = "free the file and its disk, then try again"
_RESTART = "restart OpenTrail: it then reads what the disk holds"
SEAM: Mapping[type[sqlite3.Error], str] = MappingProxyType(
    {
        sqlite3.OperationalError: _FREE,
        sqlite3.DatabaseError: _RESTART,
        sqlite3.DataError: _RESTART,
        sqlite3.IntegrityError: _RESTART,
        sqlite3.InterfaceError: _RESTART,
        sqlite3.InternalError: _RESTART,
        sqlite3.NotSupportedError: _RESTART,
        sqlite3.ProgrammingError: _RESTART,
    }
)
"""Every error of the driver -> how to go on. All are Unavailable, but for DAMAGE."""
DAMAGE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CONSTRAINT})
"""Result codes that are Corrupt: our statements violate no constraint of a sound file."""
_PRIMARY_CODE = 0xFF

_PRAGMAS = (
    # A rollback journal that is emptied, not a WAL: between commits the one file is all there is,
    # so that a copy of it is a backup. FULL syncs the emptying too.
    "PRAGMA journal_mode = TRUNCATE",
    "PRAGMA synchronous = FULL",
    "PRAGMA fullfsync = ON",
)
_TABLE = (
    "CREATE TABLE entry"
    " (version INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, value BLOB NOT NULL)"
)
_MAKE = f"""
    PRAGMA journal_mode = OFF;
    PRAGMA application_id = {APPLICATION_ID};
    PRAGMA user_version = {VERSION};
    {_TABLE};
"""
_SCHEMA = "SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = 'entry'"
_GET = "SELECT key, value, version FROM entry WHERE key = ?"
_SCAN = "SELECT key, value, version FROM entry WHERE key >= ? ORDER BY key"
_FIRST = "SELECT key, value, version FROM entry WHERE key >= ? AND key > ? ORDER BY key LIMIT 1"
_KEYS = "SELECT key FROM entry WHERE key >= ? ORDER BY key"
_DELETE = "DELETE FROM entry WHERE key = ?"
# Each row is a new one: AUTOINCREMENT gives no version twice, whatever was deleted.
_PUT = "INSERT INTO entry (key, value) VALUES (?, ?)"


class SqliteState:
    """A State in one file. Safe from any thread; one process writes."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        """See ``open``."""
        self._path = path
        self._connection = connection
        self._lock = threading.Lock()
        self._refusal = ""

    @property
    def refusal(self) -> str:
        """How to go on when it takes no changes until it is opened anew; "" while it takes them."""
        return self._refusal

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the file ``path``, made (0600) if it is not there; finish or undo a commit.

        Raises: Corrupt: it is damaged or not ours. Unavailable: it cannot be used.
        """
        with _seam(path):
            for each in (path, path.with_name(f"{path.name}-journal")):
                if each.is_fifo():  # SQLite would wait for ever
                    raise Corrupt("a pipe is in its place", str(each), HINT)
            there = is_there(path)
        if not there:
            _create(path)
        with _seam(path):
            state = cls(path, _connect(path))
        try:
            with _seam(path):
                state._prepare()
        except BaseException:
            state._connection.close()
            raise
        return state

    def _prepare(self) -> None:
        """Set what every commit relies on, and check the file. Raises: sqlite3.Error. Corrupt."""
        for pragma in _PRAGMAS:
            self._connection.execute(pragma).fetchall()
        if self._number("PRAGMA application_id") != APPLICATION_ID:
            raise Corrupt("not OpenTrail's state", str(self._path), HINT)
        version = self._number("PRAGMA user_version")
        if version != VERSION:
            message = f"version {version} is not known to this OpenTrail"
            raise Corrupt(message, str(self._path), "use the OpenTrail that wrote it, or a newer")
        (verdict,) = self._connection.execute("PRAGMA quick_check(1)").fetchone()
        if verdict == "ok" and self._connection.execute(_SCHEMA).fetchone() != (_TABLE,):
            verdict = "the table is not ours"
        if verdict != "ok":
            raise Corrupt(str(verdict), str(self._path), HINT)

    def _number(self, statement: str) -> int:
        (number,) = self._connection.execute(statement).fetchone()
        return int(number)

    def get(self, key: str) -> Entry | None:
        """See ``State``. Raises: Unavailable. Corrupt."""
        with self._lock, _seam(self._path):
            row = self._connection.execute(_GET, (key,)).fetchone()
        return None if row is None else Entry(*row)

    def scan(self, prefix: str) -> Iterator[Entry]:
        """See ``State``. Raises: Unavailable. Corrupt."""
        with self._lock, _seam(self._path):
            rows = self._connection.execute(_SCAN, (prefix,))
            found = [Entry(*row) for row in takewhile(lambda row: row[0].startswith(prefix), rows)]
            rows.close()
        return iter(found)

    def first(self, prefix: str, after: str = "") -> Entry | None:
        """See ``State``. Raises: Unavailable. Corrupt."""
        with self._lock, _seam(self._path):
            row = self._connection.execute(_FIRST, (prefix, after)).fetchone()
        return Entry(*row) if row is not None and row[0].startswith(prefix) else None

    def keys(self, prefix: str) -> Iterator[str]:
        """See ``State``. Raises: Unavailable. Corrupt."""
        with self._lock, _seam(self._path):
            rows = self._connection.execute(_KEYS, (prefix,))
            found = list(takewhile(lambda key: key.startswith(prefix), (key for (key,) in rows)))
            rows.close()
        return iter(found)

    def commit(self, changes: Sequence[Change]) -> None:
        """See ``State``.

            1. begin, so that nobody else writes
            2. check all versions
            3. change
            4. commit: sync the journal, write and sync the file, empty and sync the journal
        A crash before the journal is emptied: the next ``open`` undoes all of it. After: it holds.

        Raises: Conflict. Unavailable. Corrupt. ValueError: a key twice.
        """
        if len({change.key for change in changes}) < len(changes):
            raise ValueError("a key twice in one commit")
        with self._lock, _seam(self._path):
            if self._refusal:
                raise Unavailable("state takes no changes", self._refusal)
            try:
                with self._transaction():
                    self._check(changes)
                    self._change(changes)
            except sqlite3.OperationalError as error:
                if _code(error) == sqlite3.SQLITE_IOERR:
                    # The kernel may have dropped the pages and would report success the next time.
                    self._refusal = _RESTART
                raise

    def _check(self, changes: Sequence[Change]) -> None:
        for change in changes:
            if change.version is not None:
                row = self._connection.execute(_GET, (change.key,)).fetchone()
                version = 0 if row is None else row[2]
                if version != change.version:
                    message = f"{change.key} has version {version}, not {change.version}"
                    raise Conflict(message)

    def _change(self, changes: Sequence[Change]) -> None:
        for change in changes:
            self._connection.execute(_DELETE, (change.key,))
            if change.value is not None:
                self._connection.execute(_PUT, (change.key, change.value))

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Commit what the block does, or undo it if it raises."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        finally:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")

    def close(self) -> None:
        """Close the file; later calls are Unavailable. Raises: Unavailable."""
        with self._lock, _seam(self._path):
            self._connection.close()


def _create(path: Path) -> None:
    """Make the empty store, whole or not at all. Raises: Unavailable."""
    temporary = path.with_name(path.name + TEMPORARY_SUFFIX)
    try:
        make_dir(path.parent)
        OS_FILES.close(OS_FILES.create(temporary))
        with _seam(temporary), closing(_connect(temporary)) as connection:
            connection.executescript(_MAKE)
        publish(temporary, path)
    except OSError as error:
        raise Unavailable(f"{path} cannot be made: {error.strerror}", _FREE) from error


def _connect(path: Path) -> sqlite3.Connection:
    """Open ``path``, which is there. Raises: sqlite3.Error."""
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw",
        uri=True,
        timeout=BUSY_TIMEOUT_S,
        isolation_level=None,
        check_same_thread=False,
    )


@contextmanager
def _seam(path: Path) -> Iterator[None]:
    """Map the driver's errors."""
    try:
        yield
    except sqlite3.Error as error:
        if _code(error) in DAMAGE:
            raise Corrupt(str(error), str(path), HINT) from error
        raise Unavailable(f"{path}: {error}", SEAM.get(type(error), _RESTART)) from error
    except OSError as error:
        raise Unavailable(f"{path}: {error.strerror}", _FREE) from error


def _code(error: sqlite3.Error) -> int:
    """Return the result code without its extension; 0 when the error is not SQLite's own."""
    return int(getattr(error, "sqlite_errorcode", 0)) & _PRIMARY_CODE
