# SPDX-License-Identifier: Apache-2.0
"""The embedded store beyond the contract: its file, its errors, a full disk, kills, damage."""

import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

import opentrail
from opentrail.errors import Corrupt, Unavailable
from opentrail.state import sqlite as module
from opentrail.state.base import Change
from opentrail.state.sqlite import SqliteState

WRITER = Path(__file__).parents[1] / "support" / "state_writer.py"
KILLS = 6
COMMITS_PER_RUN = 25


def put(state: SqliteState, key: str, value: bytes) -> None:
    state.commit([Change(key, value, None)])


def filled(path: Path, count: int = 50) -> None:
    with closing(SqliteState.open(path)) as state:
        state.commit([Change(f"key/{index:03}", b"v" * 200, None) for index in range(count)])


def every_error(root: type[sqlite3.Error]) -> set[type[sqlite3.Error]]:
    return {root}.union(*(every_error(each) for each in root.__subclasses__()))


def test_every_error_of_the_driver_is_mapped():
    assert set(module.SEAM) == every_error(sqlite3.Error) - {sqlite3.Error}


@pytest.mark.parametrize("error", list(module.SEAM))
def test_an_error_of_the_driver_is_unavailable_with_a_hint(tmp_path, error):
    with (
        pytest.raises(Unavailable, match="it broke") as caught,
        module._seam(tmp_path / "state.db"),
    ):
        raise error("it broke")
    assert caught.value.hint == module.SEAM[error]
    assert "state.db" in caught.value.message


@pytest.mark.parametrize("code", sorted(module.DAMAGE))
def test_damage_that_sqlite_sees_is_corrupt(tmp_path, code):
    error = sqlite3.DatabaseError("it broke")
    error.sqlite_errorcode = code | 1 << 8
    with pytest.raises(Corrupt, match="backup") as caught, module._seam(tmp_path / "state.db"):
        raise error
    assert caught.value.where.endswith("state.db")


def test_the_file_is_the_owners_and_made_whole(tmp_path):
    path = tmp_path / "new" / "state.db"
    filled(path)
    assert {each.stat().st_mode & 0o777 for each in path.parent.iterdir()} == {0o600}
    assert {each.name for each in path.parent.iterdir()} <= {"state.db", "state.db-journal"}


def test_a_making_that_was_interrupted_is_begun_anew(tmp_path):
    path = tmp_path / "state.db"
    (tmp_path / "state.db.tmp").write_bytes(b"half a file" * 1000)
    filled(path)
    assert not (tmp_path / "state.db.tmp").exists()


def test_what_durability_rests_on_is_set(tmp_path):
    with closing(SqliteState.open(tmp_path / "state.db")) as state:
        asked = {
            name: state._connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("journal_mode", "synchronous", "fullfsync")
        }
    assert asked == {"journal_mode": "truncate", "synchronous": 2, "fullfsync": 1}


def test_a_copy_of_the_file_is_a_backup(tmp_path):
    path = tmp_path / "state.db"
    with closing(SqliteState.open(path)) as state:
        put(state, "a", b"old")
        shutil.copy(path, tmp_path / "backup")
        put(state, "a", b"new")
    shutil.copy(tmp_path / "backup", path)
    (tmp_path / "state.db-journal").unlink(missing_ok=True)
    with closing(SqliteState.open(path)) as state:
        found = state.get("a")
        assert found is not None
        assert found.value == b"old"


def test_damage_is_corrupt_with_a_hint_or_harmless(tmp_path):
    """A byte of each part of the file: it is seen when it is opened, or all is as it was."""
    path = tmp_path / "state.db"
    filled(path)
    with closing(SqliteState.open(path)) as state:
        wanted = [entry.key for entry in state.scan("")]
    good = path.read_bytes()
    seen: list[Corrupt] = []
    for at in range(0, len(good), 37):
        bad = bytearray(good)
        bad[at] ^= 0x55
        path.write_bytes(bad)
        try:
            with closing(SqliteState.open(path)) as state:
                assert len(list(state.scan(""))) == len(wanted)
        except Corrupt as damage:
            seen.append(damage)
        (tmp_path / "state.db-journal").unlink(missing_ok=True)
    assert len(seen) >= 10
    assert all(damage.hint and str(path) in damage.where for damage in seen)


@pytest.mark.parametrize("size", [0, 50, 4096, 8000])
def test_a_file_that_is_cut_short_is_not_a_new_one(tmp_path, size):
    path = tmp_path / "state.db"
    filled(path)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(Corrupt, match="backup"):
        SqliteState.open(path)
    assert path.stat().st_size == size


def test_another_programs_database_is_not_touched(tmp_path):
    path = tmp_path / "state.db"
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE entry (a)")
    before = path.read_bytes()
    with pytest.raises(Corrupt, match="not OpenTrail"):
        SqliteState.open(path)
    assert path.read_bytes() == before


def test_a_later_version_says_so(tmp_path):
    path = tmp_path / "state.db"
    filled(path)
    with closing(sqlite3.connect(path)) as other:
        other.execute(f"PRAGMA user_version = {module.VERSION + 1}")
    with pytest.raises(Corrupt, match=f"version {module.VERSION + 1} is not known"):
        SqliteState.open(path)


def test_a_directory_that_cannot_be_used_is_unavailable(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(Unavailable, match="cannot be made"):
        SqliteState.open(tmp_path / "file" / "state.db")
    (tmp_path / "state.db").mkdir()
    with pytest.raises(Unavailable, match="unable to open"):
        SqliteState.open(tmp_path / "state.db")


def test_a_closed_store_is_unavailable(tmp_path):
    state = SqliteState.open(tmp_path / "state.db")
    state.close()
    for use in (lambda: state.get("a"), lambda: state.scan(""), lambda: put(state, "a", b"")):
        with pytest.raises(Unavailable, match="closed"):
            use()


def test_whoever_looks_into_the_file_delays_a_commit_and_no_more(tmp_path, request):
    path = tmp_path / "state.db"
    filled(path)
    other = sqlite3.connect(path, check_same_thread=False)
    request.addfinalizer(other.close)
    with closing(SqliteState.open(path)) as state:
        other.execute("BEGIN")
        other.execute("SELECT * FROM entry").fetchone()
        timer = threading.Timer(0.3, other.rollback)
        timer.start()
        put(state, "a", b"1")
        timer.join()
        state._connection.execute("PRAGMA busy_timeout = 1")
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable, match="locked"):
            put(state, "a", b"2")
        other.rollback()
        other.execute("BEGIN")
        other.execute("SELECT * FROM entry").fetchone()
        with pytest.raises(Unavailable, match="locked"):
            put(state, "a", b"3")
        other.rollback()
        found = state.get("a")
        assert found is not None
        assert found.value == b"1"
        put(state, "a", b"4")


def test_a_full_disk_refuses_one_commit_only(tmp_path):
    with closing(SqliteState.open(tmp_path / "state.db")) as state:
        put(state, "a", b"1")
        pages = state._number("PRAGMA page_count")
        state._connection.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(Unavailable, match="full"):
            state.commit([Change("a", b"2", None), Change("b", b"x" * 100_000, None)])
        assert [entry.value for entry in state.scan("")] == [b"1"]
        put(state, "a", b"3")
        assert [entry.value for entry in state.scan("")] == [b"3"]


def test_after_a_failed_write_changes_are_refused_until_a_restart(tmp_path):
    """A file that may not grow fails as a broken disk does; what is there can still be read."""
    path = tmp_path / "state.db"
    filled(path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with closing(SqliteState.open(path)) as state:
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size, hard))
            with pytest.raises(Unavailable):
                put(state, "big", b"x" * 1_000_000)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            signal.signal(signal.SIGXFSZ, ignored)
        with pytest.raises(Unavailable, match="restart"):
            put(state, "a", b"1")
        assert "restart" in state.refusal
        assert len(list(state.scan("key/"))) == 50
    with closing(SqliteState.open(path)) as state:
        assert state.refusal == ""
        assert state.get("big") is None
        put(state, "a", b"1")


def test_killed_writers_lose_nothing_that_was_committed(tmp_path):
    source = str(Path(opentrail.__file__).parents[1])
    newest = 0
    for _ in range(KILLS):
        process = subprocess.Popen(
            [sys.executable, str(WRITER), str(tmp_path / "state.db")],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": source},
        )
        assert process.stdout is not None
        for _ in range(COMMITS_PER_RUN):
            newest = int(process.stdout.readline())
        process.kill()
        process.wait()
        lines = [line for line in process.stdout if line.endswith(b"\n")]
        newest = int(lines[-1]) if lines else newest
        process.stdout.close()
        with closing(SqliteState.open(tmp_path / "state.db")) as state:
            counts = {int(entry.value) for entry in state.scan("count/")}
            assert len(counts) == 1, "a commit is there whole or not at all"
            assert counts <= {newest, newest + 1}
            newest = counts.pop()
