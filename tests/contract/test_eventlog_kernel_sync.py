# SPDX-License-Identifier: Apache-2.0
"""The kernel's own fdatasync: what it says of failures, and what the log makes of them."""

import asyncio
import errno
import os
import select
import sys

import pytest
from support.log_files import HandClock
from support.seeded_ids import SeededIds

from opentrail.errors import Unavailable
from opentrail.eventlog.base import Draft, Origin
from opentrail.eventlog.kernel_sync import KernelSync
from opentrail.eventlog.options import LogOptions
from opentrail.eventlog.segments import Segments
from opentrail.front.commit import QUICK_SYNC_AGAIN_S, QUICK_SYNC_S_MAX, GroupCommit

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux's asynchronous I/O")
DRAFT = Draft(Origin.CAPTURE, b'{"eventID":"1"}')


@pytest.fixture
def kernel():
    found = KernelSync.open()
    assert found is not None
    yield found
    found.close()


@pytest.fixture
def pipe():
    """A file that cannot be synced."""
    ends = os.pipe()
    yield ends[1]
    for end in ends:
        os.close(end)


def test_it_tells_when_it_is_done(kernel, tmp_path):
    with (tmp_path / "file").open("wb", buffering=0) as file:
        for _ in range(3):
            file.write(b"x" * 100)
            assert not select.select([kernel], [], [], 0)[0]
            kernel.begin(file.fileno())
            assert select.select([kernel], [], [], 10)[0]
            kernel.finish()


def test_what_is_not_open_is_not_begun(kernel):
    with pytest.raises(OSError, match="Bad file descriptor"):
        kernel.begin(1 << 20)


def test_what_cannot_be_synced_fails(kernel, pipe):
    def sync():
        kernel.begin(pipe)
        kernel.finish()

    with pytest.raises(OSError, match="Invalid argument") as error:
        sync()
    assert error.value.errno == errno.EINVAL


class Unsyncable(Segments):
    """A log whose file cannot be synced, once ``fd`` is set."""

    fd = -1
    kernel_syncs = 0

    def sync_elsewhere(self, written):
        self.kernel_syncs += 1
        return super().sync_elsewhere(written) if self.fd < 0 else self.fd


@pytest.fixture
def log(tmp_path):
    found = Unsyncable.open(tmp_path, HandClock(), SeededIds(1), LogOptions(disk_reserve_bytes=0))
    yield found
    found.close()


def committed(log, work):
    """Return what ``work`` returns, given a group commit over ``log``."""

    async def run():
        commit = GroupCommit(log)
        try:
            return await work(commit)
        finally:
            commit.close()

    return asyncio.run(run())


def test_appends_are_synced_by_the_kernel(log):
    async def many(commit):
        return await asyncio.gather(*(commit.append([DRAFT]) for _ in range(20)))

    assert len(committed(log, many)) == 20
    assert log.kernel_syncs == 1
    assert len(list(log.entries(0))) == 20


def test_a_failed_sync_of_the_kernel_acknowledges_nothing(log, pipe, monkeypatch):
    """The kernel takes no pipe; a disk that fails says so only when it has tried."""
    monkeypatch.setattr(KernelSync, "begin", lambda _self, _fd: None)

    def failed(_self):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(KernelSync, "finish", failed)
    log.fd = pipe

    async def one(commit):
        append = commit.append([DRAFT])
        await asyncio.sleep(0.01)
        commit._kernel_has_synced()
        with pytest.raises(Unavailable, match="Input/output error"):
            await append
        with pytest.raises(Unavailable, match="refuses"):
            await commit.append([DRAFT])

    committed(log, one)
    assert list(log.entries(0)) == []


def test_the_thread_helps_out_where_the_kernel_does_not(log, monkeypatch):
    log.fd = 1 << 20

    async def one(commit):
        return await commit.append([DRAFT])

    assert len(committed(log, one)) == 1
    monkeypatch.setattr(KernelSync, "open", lambda: None)
    assert len(committed(log, one)) == 1


def test_an_end_waits_for_the_kernel(log):
    async def one(commit):
        append = commit.append([DRAFT])
        await asyncio.sleep(0)
        commit.close()
        return await append

    async def run():
        return await one(GroupCommit(log))

    assert len(asyncio.run(run())) == 1


@pytest.mark.parametrize(
    ("took_s", "ago_s", "in_the_loop"),
    [
        (QUICK_SYNC_S_MAX, 0, True),
        (QUICK_SYNC_S_MAX * 1.1, QUICK_SYNC_AGAIN_S / 2, False),
        (QUICK_SYNC_S_MAX * 1.1, QUICK_SYNC_AGAIN_S * 2, True),
    ],
)
def test_only_a_quick_disk_is_waited_for_in_the_loop(log, took_s, ago_s, *, in_the_loop):
    """And a slow one now and then: it may have become quick again."""

    async def run():
        commit = GroupCommit(log, lambda: True)
        commit._sync_s = took_s
        commit._measured_s -= ago_s
        await commit.append([DRAFT])
        commit.close()

    asyncio.run(run())
    assert log.kernel_syncs == (0 if in_the_loop else 1)


@pytest.mark.parametrize(("took_s", "quick"), [(0.004, True), (0.02, False)])
def test_one_late_sync_is_no_slow_disk(log, took_s, *, quick):
    async def run():
        commit = GroupCommit(log)
        commit._note_sync(0.0002)
        commit._note_sync(took_s)
        found = commit._is_quick()
        for _ in range(20):
            commit._note_sync(took_s)
        commit.close()
        return found, commit._is_quick()

    assert asyncio.run(run()) == (quick, False)
