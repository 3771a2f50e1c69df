# SPDX-License-Identifier: Apache-2.0
"""The data directory at start: made, writable, and without what a reset left half done."""

import os

import pytest

from opentrail.errors import UsageError
from opentrail.front.datadir import discard, prepare, set_aside


def test_it_is_made_for_its_owner_only(tmp_path):
    data = tmp_path / "a" / "b"
    prepare(data)
    prepare(data)
    assert list(data.iterdir()) == []
    assert data.stat().st_mode & 0o777 == 0o700


def test_a_file_is_no_directory(tmp_path):
    file = tmp_path / "file"
    file.write_text("kept")
    for data in (file, file / "data"):
        with pytest.raises(UsageError, match="choose another with --data"):
            prepare(data)
    assert file.read_text() == "kept"


def test_a_read_only_directory(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    data.chmod(0o555)
    if os.geteuid() == 0:  # who may write everywhere, but not here
        data = data.__class__("/proc/self")
    with pytest.raises(UsageError, match="cannot write to the data directory"):
        prepare(data)


def test_a_reset_sets_the_log_aside_and_the_next_start_deletes_it(tmp_path):
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "0.seg").write_text("old")
    (tmp_path / "credentials").write_text("kept")
    set_aside(tmp_path)
    assert not (tmp_path / "log").exists()
    assert (tmp_path / "log.discarded" / "0.seg").read_text() == "old"
    prepare(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["credentials"]


def test_nothing_set_aside_is_nothing_to_discard(tmp_path):
    (tmp_path / "log").mkdir()
    discard(tmp_path)
    assert (tmp_path / "log").exists()
