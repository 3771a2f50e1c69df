# SPDX-License-Identifier: Apache-2.0
"""The embedded log over disks that are full or fail, and the order in which it syncs."""

import errno
import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from support.log_files import Fault, FaultFiles
from support.opened_log import SMALL, Opened, incompressible

from opentrail.errors import Corrupt, Unavailable, UsageError
from opentrail.eventlog import room
from opentrail.eventlog.check import LogCheck
from opentrail.eventlog.options import DISK_CHECK_INTERVAL_S
from opentrail.eventlog.reader import SegmentReader
from opentrail.eventlog.segment import list_firsts

DAY_MS = 24 * 3600 * 1000


@pytest.fixture
def opened(tmp_path):
    return Opened(tmp_path)


def test_below_the_disk_reserve_it_refuses_and_recovers(opened):
    reserve = SMALL.disk_reserve_bytes
    opened.files.free = reserve
    opened.put(b"a")
    opened.files.free = reserve - 1
    assert "fewer than the reserve" in opened.log.writable()
    with pytest.raises(Unavailable, match="reserve"):
        opened.put(b"b")
    opened.files.free = reserve
    opened.put(b"c")
    assert opened.texts() == [b"a", b"c"]


def test_free_space_is_not_asked_for_at_each_append(opened):
    opened.put(b"a")
    opened.files.free = 0
    opened.clock.step_s = DISK_CHECK_INTERVAL_S * 0.49
    opened.put(b"b")
    opened.put(b"c")
    assert opened.log.writable() != ""


def test_a_disk_that_does_not_show_the_segment_is_a_refusal_and_no_error(opened, monkeypatch):
    """Whether calls may pass is asked before each, and health asks it."""
    opened.put(b"a")

    def no_answer(path: Path) -> bool:
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))

    with monkeypatch.context() as patch:
        patch.setattr(room, "is_there", no_answer)
        assert "does not answer: Input/output error" in opened.log.writable()
        with pytest.raises(Unavailable, match="does not answer"):
            opened.put(b"b")
    opened.put(b"c")
    assert opened.texts() == [b"a", b"c"]


def test_what_the_disk_does_not_give_is_not_to_be_moved_away(opened, monkeypatch):
    opened.put(b"a")

    def no_bytes(*_: object) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with closing(SegmentReader(opened.data / "log")) as reader:
        list(reader.entries(0))
        with monkeypatch.context() as patch:
            patch.setattr(os, "pread", no_bytes)
            with pytest.raises(Corrupt, match="Input/output error") as caught:
                list(reader.entries(0))
        assert "look at the disk" in caught.value.hint
        assert "move log/ away" not in caught.value.hint
        assert [entry.data for entry in reader.entries(0)] == [b"a"]


def listing_fails(path: Path) -> Iterator[Path]:
    raise OSError(errno.EMFILE, os.strerror(errno.EMFILE), str(path))


def test_a_directory_that_cannot_be_listed_has_not_lost_its_segments(opened, monkeypatch):
    """``Path.glob`` takes it for an empty one, from Python 3.12 on whatever the reason is."""
    opened.put(b"a")
    with closing(SegmentReader(opened.data / "log")) as reader:
        with monkeypatch.context() as patch:
            patch.setattr(Path, "iterdir", listing_fails)
            with pytest.raises(OSError, match="Too many open files"):
                list_firsts(opened.data / "log")
            with pytest.raises(OSError, match="Too many open files"):
                list(reader.entries(0))
            with pytest.raises(OSError, match="Too many open files"):
                list(LogCheck(opened.data / "log").findings())
            with pytest.raises(UsageError, match="cannot be used: Too many open files"):
                opened.again()
        assert [entry.data for entry in reader.entries(0)] == [b"a"]


@pytest.mark.parametrize("fault", [Fault.LOST, Fault.KEPT])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_refuses_one_append_only(opened, fault, code):
    opened.put(b"a")
    opened.files.fail("write", fault, code)
    with pytest.raises(Unavailable, match="make room"):
        opened.put(b"b", b"b")
    assert opened.texts() == [b"a"]
    assert opened.log.writable() == ""
    opened.put(b"c")
    assert opened.texts() == [b"a", b"c"]
    assert opened.again().texts() == [b"a", b"c"]


@pytest.mark.parametrize("fault", [Fault.LOST, Fault.KEPT])
@pytest.mark.parametrize("operation", ["write", "sync"])
def test_a_failed_write_or_sync_is_not_tried_again(opened, operation, fault):
    opened.put(b"a")
    opened.files.fail(operation, fault, errno.EIO if operation == "write" else errno.ENOSPC)
    with pytest.raises(Unavailable, match="restart"):
        opened.put(b"b")
    calls = len(opened.files.calls)
    assert "restart" in opened.log.writable()
    with pytest.raises(Unavailable, match="restart"):
        opened.put(b"c")
    assert len(opened.files.calls) == calls
    assert opened.texts() == [b"a"]
    again = opened.again()
    again.put(b"d")
    assert again.texts() == [b"a", b"d"]


@pytest.mark.parametrize("fault", [Fault.LOST, Fault.KEPT])
@pytest.mark.parametrize("operation", ["create", "write", "sync", "rename", "sync_dir"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_a_segment_that_could_not_be_made(opened, operation, fault, code):
    opened.put(incompressible(800))
    opened.files.fail(operation, fault, code)
    with pytest.raises(Unavailable):
        opened.put(incompressible(200))
    assert (opened.log.writable() == "") == (code == errno.ENOSPC)
    if code == errno.ENOSPC:
        # A short record would fit into the old segment, but the new one may be there.
        opened.put(b"b")
        assert opened.texts()[1:] == [b"b"]
    before = opened.texts()
    again = opened.again()
    assert again.log.damage is None
    assert again.texts() == before


@pytest.mark.parametrize("fault", [Fault.LOST, Fault.KEPT])
@pytest.mark.parametrize("operation", ["sync", "unlink", "sync_dir"])
def test_retention_that_fails_half_way(opened, operation, fault):
    for _ in range(4):
        opened.put(incompressible(600))
    opened.clock.ms += DAY_MS
    opened.put(b"new")
    opened.files.fail(operation, fault)
    with pytest.raises(Unavailable, match="retention"):
        opened.log.expire(opened.clock.ms, opened.log.durable_end())
    texts = opened.texts()
    assert texts[-1] == b"new"
    again = opened.again()
    assert again.log.damage is None
    assert again.texts() == texts


def test_a_file_that_cannot_be_cut_back_stops_the_log(opened):
    opened.put(b"a")
    opened.files.fail("write", Fault.KEPT, errno.ENOSPC)
    opened.files.fail("truncate", Fault.LOST)
    with pytest.raises(Unavailable, match="restart"):
        opened.put(b"b")
    assert "restart" in opened.log.writable()


def test_a_directory_that_cannot_be_written_is_the_operators_mistake(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UsageError, match="--data"):
        Opened(tmp_path / "file")
    files = FaultFiles()
    files.fail("create", Fault.LOST, errno.EROFS)
    with pytest.raises(UsageError, match="--data"):
        Opened(tmp_path / "full", files=files)
    Opened(tmp_path / "full").log.close()


def test_durable_means_that_the_sync_came_before_the_end(opened):
    """The order of system calls: write, sync, and only then is the end published."""
    seen: list[tuple[str, int]] = []
    opened.files.watch = lambda operation: seen.append((operation, opened.log.durable_end()))
    before = opened.log.durable_end()
    opened.put(b"a")
    assert seen == [("write", before), ("sync", before)]
    assert opened.log.durable_end() > before


def test_each_mark_is_durable_before_the_next_is_written(opened):
    seen: list[tuple[str, int]] = []
    opened.files.watch = lambda operation: seen.append((operation, opened.log.durable_end()))
    before = opened.log.durable_end()
    opened.mark(b"a", b"b")
    assert seen == [("write", before), ("sync", before)] * 2
    assert len(list(opened.log.marks(0))) == 2


@pytest.mark.parametrize("fault", [Fault.LOST, Fault.KEPT])
@pytest.mark.parametrize("call", range(4))
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_marks_that_fail_half_way_are_not_shown(opened, call, fault, code):
    opened.put(b"a")
    calls = 0

    def watch(operation: str) -> None:
        nonlocal calls
        if calls == call:
            opened.files.fail(operation, fault, code)
        calls += operation != "truncate"

    opened.files.watch = watch
    with pytest.raises(Unavailable):
        opened.mark(b"b", b"c")
    opened.files.watch = lambda _: None
    # The first write to a full disk did no harm; past that nothing may be tried again.
    assert (opened.log.writable() == "") == (call == 0 and code == errno.ENOSPC)
    assert list(opened.log.marks(0)) == []
    again = opened.again()
    assert again.log.damage is None
    assert list(again.log.marks(0)) == []
    again.mark(b"d", b"e")
    assert [mark.payload for mark in again.log.marks(0)] == [b"d", b"e"]
    assert again.texts() == [b"a"]


def test_below_the_disk_reserve_marks_are_refused_too(opened):
    opened.files.free = SMALL.disk_reserve_bytes - 1
    with pytest.raises(Unavailable, match="reserve"):
        opened.mark(b"a")
    opened.files.free = SMALL.disk_reserve_bytes
    opened.mark(b"a")


class FullFiles(FaultFiles):
    """A disk whose free bytes say nothing: a quota stops every write."""

    full = False

    def write(self, fd: int, data: bytes, offset: int) -> None:
        if self.full:
            raise OSError(errno.EDQUOT, "Disk quota exceeded")
        super().write(fd, data, offset)


def test_a_full_disk_is_refused_until_it_takes_bytes_again(tmp_path):
    files = FullFiles()
    opened = Opened(tmp_path, files=files)
    opened.put(b"a")
    files.full = True
    with pytest.raises(Unavailable, match="quota"):
        opened.put(b"b")
    opened.clock.step_s = DISK_CHECK_INTERVAL_S
    for _ in range(3):
        assert "quota" in opened.log.writable()
    files.full = False
    assert opened.log.writable() == ""
    opened.put(b"c")
    assert opened.texts() == [b"a", b"c"]
    assert [path.name for path in (tmp_path / "log").glob("*.tmp")] == []


def test_a_segment_that_is_removed_beneath_us_takes_nothing(opened):
    opened.put(b"a")
    path = next((opened.data / "log").glob("*.seg"))
    aside = path.with_name("aside")
    path.rename(aside)
    assert "was removed" in opened.log.writable()
    with pytest.raises(Unavailable, match="was removed"):
        opened.put(b"b")
    aside.rename(path)
    opened.put(b"c")
    assert opened.again().texts() == [b"a", b"c"]
