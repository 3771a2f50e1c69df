# SPDX-License-Identifier: Apache-2.0
"""What was learned survives a restart, without secrets, whatever a crash leaves of its file."""

import errno
from dataclasses import replace
from pathlib import Path

import pytest

from opentrail.access.key_table import KeyTable, Learned
from opentrail.access.keys import AccessKey, IdentityType, Session
from opentrail.durable import OsFiles
from opentrail.front.identity_file import FILE_BYTES_MAX, LINE_BYTES_MAX, IdentityFile

ACCOUNT = "123456789012"
NOW_MS = 1_700_000_000_000
EVE = f"arn:aws:sts::{ACCOUNT}:assumed-role/Role/eve"


def session(number: int, arn: str = "") -> AccessKey:
    return AccessKey(
        f"ASIA{number:016d}",
        "the-secret",
        IdentityType.ASSUMED_ROLE,
        ACCOUNT,
        arn=arn or f"arn:aws:sts::{ACCOUNT}:assumed-role/Role/s{number}",
        session_token="the-token",
        session=Session(NOW_MS, mfa=True, source_identity="ada"),
        expires_ms=NOW_MS + 1000 * (number + 1),
    )


def written(path: Path, *numbers: int) -> KeyTable:
    table = KeyTable()
    file = IdentityFile(path)
    file.load(table, NOW_MS)
    file.write(table.learned())
    for number in numbers:
        table.learn(session(number), NOW_MS)
        file.write(table.changes())
    return table


def loaded(path: Path, now_ms: int = NOW_MS) -> KeyTable:
    table = KeyTable()
    IdentityFile(path).load(table, now_ms)
    return table


def test_identities_come_back_without_their_secrets(tmp_path):
    path = tmp_path / "identities.jsonl"
    written(path, 1, 2)
    assert loaded(path).find(session(1).access_key_id) == replace(
        session(1), secret_access_key="", session_token=""
    )
    assert b"the-secret" not in path.read_bytes()
    assert b"the-token" not in path.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_is_over_does_not_come_back(tmp_path):
    path = tmp_path / "identities.jsonl"
    written(path, 1)
    end = session(1).expires_ms
    assert loaded(path, end - 1).find(session(1).access_key_id) is not None
    assert loaded(path, end).find(session(1).access_key_id) is None


def test_a_dispute_comes_back(tmp_path):
    path = tmp_path / "identities.jsonl"
    table = written(path, 1)
    assert table.learn(session(1, EVE), NOW_MS) is Learned.CONFLICT
    file = IdentityFile(path)
    file.write(table.learned())
    again = loaded(path)
    assert again.find(session(1).access_key_id) is None
    assert again.learn(session(1), NOW_MS) is Learned.CONFLICT


def test_a_session_that_came_back_takes_no_other_owner(tmp_path):
    path = tmp_path / "identities.jsonl"
    written(path, 1)
    table = loaded(path)
    assert table.learn(session(1), NOW_MS) is Learned.SAME
    assert table.find(session(1).access_key_id) == session(1)
    assert table.learn(session(1, EVE), NOW_MS) is Learned.CONFLICT


@pytest.mark.parametrize("cut", [1, 5, 50])
def test_a_line_that_a_crash_cut_is_left_out(tmp_path, cut):
    path = tmp_path / "identities.jsonl"
    written(path, 1, 2)
    path.write_bytes(path.read_bytes()[:-cut])
    table = loaded(path)
    assert table.find(session(1).access_key_id) is not None
    assert table.find(session(2).access_key_id) is None


@pytest.mark.parametrize(
    "line", [b"\xff\n", b"{}\n", b"[1]\n", b"x" * (2 * LINE_BYTES_MAX) + b"\n", b"\n"]
)
def test_damaged_lines_are_left_out(tmp_path, line):
    path = tmp_path / "identities.jsonl"
    written(path, 1)
    path.write_bytes(line + path.read_bytes())
    assert loaded(path).find(session(1).access_key_id) is not None


def test_no_line_makes_a_configured_key(tmp_path):
    path = tmp_path / "identities.jsonl"
    written(path, 1)
    path.write_bytes(path.read_bytes().replace(b'"configured":false', b'"configured":true'))
    assert loaded(path).find(session(1).access_key_id) is None


def needs_all(file: IdentityFile) -> bool:
    return file.whole


class FullDisk(OsFiles):
    """A disk that is full until it is not."""

    full = False

    def write(self, fd: int, data: bytes, offset: int) -> None:
        if self.full:
            super().write(fd, data[: len(data) // 2], offset)
            raise OSError(errno.ENOSPC, "No space left on device")
        super().write(fd, data, offset)


def test_a_full_disk_loses_nothing_once_there_is_room(tmp_path):
    path = tmp_path / "identities.jsonl"
    files = FullDisk()
    table, file = KeyTable(), IdentityFile(path, files)
    file.write(table.learned())
    table.learn(session(1), NOW_MS)
    files.full = True
    file.write(table.changes())
    assert needs_all(file)
    files.full = False
    table.learn(session(2), NOW_MS)
    table.changes()
    file.write(table.learned())
    assert not needs_all(file)
    again = loaded(path)
    assert again.find(session(1).access_key_id) is not None
    assert again.find(session(2).access_key_id) is not None


def test_a_file_that_has_grown_is_written_anew(tmp_path):
    path = tmp_path / "identities.jsonl"
    table, file = KeyTable(), IdentityFile(path)
    table.learn(session(1), NOW_MS)
    known = table.changes()
    file.write(known)
    size = path.stat().st_size
    file.write(known * (FILE_BYTES_MAX // size - 1))
    assert not needs_all(file)
    file.write(known)
    assert needs_all(file)
    file.write(table.learned())
    assert path.stat().st_size == size
