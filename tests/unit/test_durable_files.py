# SPDX-License-Identifier: Apache-2.0
"""Replacing a file: the old content or the new, whatever fails, and never a mix."""

import errno
import random
from pathlib import Path

import pytest
from support.log_files import Fault, FaultFiles, ForgetfulFiles, PowerCut

from opentrail.durable import (
    TEMPORARY_SUFFIX,
    OsFiles,
    boot_id,
    is_there,
    make_dir,
    publish,
    read_file,
    replace_file,
)

OPEN_FILES = Path("/dev/fd")


def test_a_file_is_replaced_and_no_temporary_is_left(tmp_path):
    path = tmp_path / "file"
    replace_file(path, b"old")
    replace_file(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]
    assert path.stat().st_mode & 0o777 == 0o600


def test_whether_a_file_is_there_is_not_guessed(tmp_path):
    (tmp_path / "file").touch()
    assert is_there(tmp_path / "file")
    assert not is_there(tmp_path / "none")
    assert not is_there(tmp_path / "file" / "none")
    (tmp_path / "link").symlink_to("none")
    assert not is_there(tmp_path / "link")
    with pytest.raises(OSError, match="too long"):
        is_there(tmp_path / ("x" * 300))


def test_the_bytes_are_synced_before_the_name_and_the_name_before_the_end(tmp_path):
    files = FaultFiles()
    replace_file(tmp_path / "file", b"data", files)
    assert files.calls == ["create", "write", "sync", "rename", "sync_dir"]


@pytest.mark.parametrize("operation", ["create", "write", "sync", "rename", "sync_dir"])
@pytest.mark.parametrize("fault", [Fault.LOST, Fault.KEPT])
def test_a_failure_leaves_the_old_or_the_new_content(tmp_path, operation, fault):
    path = tmp_path / "file"
    replace_file(path, b"old")
    files = FaultFiles()
    files.fail(operation, fault, errno.EIO)
    with pytest.raises(OSError, match="injected"):
        replace_file(path, b"new", files)
    renamed = operation == "sync_dir" or (operation == "rename" and fault is Fault.KEPT)
    assert path.read_bytes() == (b"new" if renamed else b"old")
    replace_file(path, b"newer")
    assert path.read_bytes() == b"newer"


@pytest.mark.parametrize("steps", range(8))
def test_a_power_loss_leaves_the_old_or_the_new_content(tmp_path, steps):
    for seed in range(20):
        root = tmp_path / f"{seed}"
        root.mkdir()
        replace_file(root / "file", b"old" * 100)
        files = ForgetfulFiles(root)
        files.steps = steps
        finished = True
        try:
            replace_file(root / "file", b"new" * 100, files)
        except PowerCut:
            finished = False
        left = tmp_path / f"{seed}-left"
        files.lose_power(random.Random(seed), left)
        content = (left / "file").read_bytes()
        assert content == b"new" * 100 if finished else content in {b"old" * 100, b"new" * 100}


def test_a_finished_file_is_published(tmp_path):
    temporary = tmp_path / ("run" + TEMPORARY_SUFFIX)
    temporary.write_bytes(b"rows")
    publish(temporary, tmp_path / "run")
    assert (tmp_path / "run").read_bytes() == b"rows"
    assert not temporary.exists()


def test_directories_are_made_and_their_names_synced(tmp_path):
    files = FaultFiles()
    make_dir(tmp_path / "a/b/c", files)
    assert (tmp_path / "a/b/c").stat().st_mode & 0o777 == 0o700
    assert files.calls == ["sync_dir"] * 3
    make_dir(tmp_path / "a/b/c", files)
    assert files.calls == ["sync_dir"] * 3


def test_the_operating_systems_files_write_cut_and_say_what_is_free(tmp_path):
    files = OsFiles()
    fd = files.create(tmp_path / "file")
    files.write(fd, b"0123456789", 5)
    files.truncate(fd, 8)
    files.sync(fd)
    files.close(fd)
    assert (tmp_path / "file").read_bytes() == bytes(5) + b"012"
    assert files.free_bytes(tmp_path) > 0
    files.unlink(tmp_path / "file")
    files.unlink(tmp_path / "file")


def test_the_boot_id_stays_the_same():
    assert len(boot_id()) == 16
    assert boot_id() == boot_id()


def test_a_directory_in_the_place_of_a_file_leaves_nothing_open(tmp_path):
    before = len(list(OPEN_FILES.iterdir()))
    with pytest.raises(IsADirectoryError):
        read_file(tmp_path)
    assert len(list(OPEN_FILES.iterdir())) == before
