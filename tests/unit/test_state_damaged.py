# SPDX-License-Identifier: Apache-2.0
"""A value in state that nobody can read: each command says which, and how to go on."""

import os

import pytest
from click.testing import CliRunner
from support.aws_clients import without_aws
from support.open_buckets import SettableClock
from support.signed_bucket import START, TRAIL, SignedBucket, Signer
from support.signed_state import write_state

from opentrail.cli.main import cli
from opentrail.errors import Corrupt
from opentrail.objects.localdir import LocalDir
from opentrail.state.base import Change, Entry
from opentrail.state.sqlite import SqliteState
from opentrail.state.stored import read

SIGNER = Signer()
COMMANDS: dict[str, list[tuple[str, ...]]] = {
    "trail/": [("verify", TRAIL), ("receipt", "export", TRAIL)],
    "public-key/": [("verify", TRAIL), ("public-keys", "export")],
    "digest/head/": [("verify", TRAIL), ("receipt", "export", TRAIL)],
    "trails/applied": [("receipt", "export", TRAIL)],
}


@pytest.fixture
def data(tmp_path, monkeypatch):
    without_aws(monkeypatch)
    return tmp_path / "data"


@pytest.mark.parametrize("prefix", COMMANDS)
@pytest.mark.parametrize("harm", ["half", "control", "list"])
def test_a_damaged_value_is_corrupt_wherever_it_is_read(data, prefix, harm):
    bucket = LocalDir(data / "buckets" / "logs", "logs", SettableClock())
    trail = SignedBucket(bucket, SIGNER)
    trail.chain(START, 2)
    state = write_state(data, trail)
    (entry, *_) = state.scan(prefix)
    half = entry.value[: len(entry.value) // 2]
    value = {"half": half, "control": half + b"\x01" + entry.value[len(half) + 1 :], "list": b"[]"}
    state.commit([Change(entry.key, value[harm], None)])
    state.close()
    for command in COMMANDS[prefix]:
        result = CliRunner().invoke(cli, [*command, "--data", str(data)])
        assert isinstance(result.exception, Corrupt)
        assert entry.key in result.exception.message
        assert "backup" in result.exception.hint


@pytest.mark.parametrize("value", [b"", b"x", b'"7"', b"[" * 100_000, b"7.5", b"null"])
def test_what_is_no_number_is_none(value):
    with pytest.raises(Corrupt, match="cursor/x cannot be read"):
        read(Entry("cursor/x", value, 1), int)
    assert read(Entry("cursor/x", b"7", 1), int) == 7


@pytest.mark.parametrize("name", ["state.db", "state.db-journal"])
def test_a_pipe_is_not_waited_for(data, name):
    SqliteState.open(data / "state.db").close()
    (data / name).unlink(missing_ok=True)
    os.mkfifo(data / name)
    with pytest.raises(Corrupt, match=f"{name}: a pipe"):
        SqliteState.open(data / "state.db")
