# SPDX-License-Identifier: Apache-2.0
"""Group commit in the event loop: who shares a sync, who learns what, and what a fault leaves."""

import asyncio
import errno
import threading

import pytest
from support.log_files import Fault, FaultFiles, HandClock
from support.seeded_ids import SeededIds

from opentrail.errors import Unavailable
from opentrail.event.caps import RECORD_BYTES_MAX
from opentrail.eventlog.base import Draft, Origin
from opentrail.eventlog.frame import FRAMES_BYTES_MAX, RECORDS_MAX
from opentrail.eventlog.options import LogOptions
from opentrail.eventlog.segments import Segments
from opentrail.front.commit import GroupCommit

WAIT_S_MAX = 10.0
"""Until a sync that is held has begun."""
OPTIONS = LogOptions(disk_reserve_bytes=0, dictionary=b"")


class HeldFiles(FaultFiles):
    """Files whose next sync can be held until the test lets it go."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = threading.Event()
        self._go = threading.Event()
        self._go.set()

    def hold(self) -> None:
        self.begun.clear()
        self._go.clear()

    def let_go(self) -> None:
        self._go.set()

    def sync(self, fd: int) -> None:
        self.begun.set()
        assert self._go.wait(WAIT_S_MAX)
        super().sync(fd)


class Committed:
    """A log with a group commit in front, inside a running loop."""

    def __init__(self, data) -> None:
        self.data = data
        self.files = HeldFiles()
        self.log = Segments.open(data, HandClock(), SeededIds(1), OPTIONS, self.files)
        self.commit = GroupCommit(self.log)
        self.told = 0
        self.commit.on_durable(self._count)

    def _count(self) -> None:
        self.told += 1

    def put(self, *texts: bytes) -> asyncio.Future[list[int]]:
        return self.commit.append([draft(text) for text in texts])

    async def held(self, *texts: bytes) -> asyncio.Future[list[int]]:
        """Append, and return while the disk is still at it."""
        self.files.hold()
        waiting = self.put(*texts)
        await asyncio.to_thread(self.files.begun.wait, WAIT_S_MAX)
        return waiting

    def frames(self) -> int:
        return self.files.calls.count("write")

    def texts(self) -> list[bytes]:
        return [entry.data for entry in self.log.entries(0)]

    def end(self) -> None:
        self.files.let_go()
        self.commit.close()
        self.log.close()


def draft(text: bytes) -> Draft:
    return Draft(Origin.CAPTURE, text)


def run(data, scenario) -> Committed:
    """Run ``scenario`` in a loop over a log in ``data``; return what it leaves."""

    async def whole() -> Committed:
        committed = Committed(data)
        committed.files.calls.clear()
        try:
            async with asyncio.timeout(WAIT_S_MAX):
                await scenario(committed)
        finally:
            committed.end()
        return committed

    return asyncio.run(whole())


def again(data) -> list[bytes]:
    """Return what the next start finds."""
    log = Segments.open(data, HandClock(), SeededIds(2), OPTIONS)
    try:
        assert log.writable() == ""
        return [entry.data for entry in log.entries(0)]
    finally:
        log.close()


async def failure(waiting: asyncio.Future[list[int]]) -> str:
    with pytest.raises(Unavailable) as caught:
        await waiting
    return str(caught.value)


def test_all_of_one_turn_of_the_loop_share_a_commit(tmp_path):
    async def scenario(log: Committed) -> None:
        positions = await asyncio.gather(log.put(b"a"), log.put(b"b", b"c"), log.put(b"d"))
        assert [len(each) for each in positions] == [1, 2, 1]
        assert log.frames() == log.told == 1

    assert again(run(tmp_path, scenario).data) == [b"a", b"b", b"c", b"d"]


def test_those_that_wait_during_a_sync_share_the_next(tmp_path):
    async def scenario(log: Committed) -> None:
        first = await log.held(b"first")
        rest = []
        for number in range(5):
            rest.append(log.put(b"%d" % number))
            await asyncio.sleep(0)
        assert not first.done()
        assert log.texts() == []
        log.files.let_go()
        await asyncio.gather(first, *rest)
        assert log.frames() == 2
        assert log.told == 2

    assert again(run(tmp_path, scenario).data) == [b"first", *(b"%d" % n for n in range(5))]


def test_every_caller_learns_its_own_positions(tmp_path):
    async def scenario(log: Committed) -> None:
        wanted = [[b"%d-%d" % (n, at) for at in range(n % 4)] for n in range(40)]
        found = await asyncio.gather(*(log.put(*texts) for texts in wanted))
        for texts, positions in zip(wanted, found, strict=True):
            assert [log.log.read(position).data for position in positions] == texts
        one = await log.commit.append_one(draft(b"one"))
        assert log.log.read(one).data == b"one"

    run(tmp_path, scenario)


def test_nothing_to_append_is_done_at_once(tmp_path):
    async def scenario(log: Committed) -> None:
        assert log.put().result() == []

    assert run(tmp_path, scenario).files.calls.count("write") == 0


@pytest.mark.parametrize("operation", ["write", "sync"])
@pytest.mark.parametrize("fault", [Fault.LOST, Fault.KEPT])
def test_a_fault_fails_all_that_shared_it_and_refuses_from_then_on(tmp_path, operation, fault):
    async def scenario(log: Committed) -> None:
        await log.put(b"before")
        told = log.told
        log.files.fail(operation, fault)
        waiting = [log.put(b"a"), log.put(b"b", b"c")]
        for each in waiting:
            assert "the log cannot be written" in await failure(each)
        assert log.texts() == [b"before"]
        assert log.told == told
        assert "restart" in log.log.writable()
        assert "restart" in await failure(log.put(b"after"))
        with pytest.raises(Unavailable, match="restart"):
            await log.commit.append_one(draft(b"after"))

    run(tmp_path, scenario)
    found = again(tmp_path)
    assert found in ([b"before"], [b"before", b"a", b"b", b"c"])


@pytest.mark.parametrize("fault", [Fault.LOST, Fault.KEPT])
def test_a_full_disk_is_tried_again(tmp_path, fault):
    async def scenario(log: Committed) -> None:
        log.files.fail("write", fault, errno.ENOSPC)
        first, second = log.put(b"a"), log.put(b"b")
        assert "make room" in await failure(first)
        assert "make room" in await failure(second)
        assert log.texts() == []
        await log.put(b"c")

    run(tmp_path, scenario)
    assert again(tmp_path) == [b"c"]


def test_those_that_come_during_a_failing_sync_are_refused_too(tmp_path):
    async def scenario(log: Committed) -> None:
        first = await log.held(b"a")
        log.files.fail("sync", Fault.LOST)
        second = log.put(b"b")
        log.files.let_go()
        await failure(first)
        assert "restart" in await failure(second)

    run(tmp_path, scenario)


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (b"x" * (RECORD_BYTES_MAX + 1), "262144 at most"),
        (b"{\n}", "newline"),
    ],
)
def test_a_record_that_the_log_does_not_take_fails_alone(tmp_path, bad, says):
    async def scenario(log: Committed) -> None:
        good = [log.put(b"a"), log.put(b"b")]
        wrong = log.put(b"c", bad)
        good.append(log.put(b"d"))
        assert says in await failure(wrong)
        await asyncio.gather(*good)
        await asyncio.gather(log.put(b"e"), log.put(b"f"))
        assert log.frames() == 4

    run(tmp_path, scenario)
    assert again(tmp_path) == [b"a", b"b", b"d", b"e", b"f"]


def test_a_commit_has_as_many_bytes_as_a_frame(tmp_path):
    record = b"x" * RECORD_BYTES_MAX
    most = FRAMES_BYTES_MAX // RECORD_BYTES_MAX

    async def scenario(log: Committed) -> None:
        await asyncio.gather(*(log.put(record) for _ in range(most)))
        assert log.frames() == 1
        await asyncio.gather(*(log.put(record) for _ in range(most)), log.put(b"more"))
        assert log.frames() == 3

    run(tmp_path, scenario)
    assert again(tmp_path) == [record] * (2 * most) + [b"more"]


def test_a_commit_has_as_many_records_as_a_frame(tmp_path):
    async def scenario(log: Committed) -> None:
        half = [b"x"] * (RECORDS_MAX // 2)
        await asyncio.gather(log.put(*half), log.put(*half))
        assert log.frames() == 1
        await asyncio.gather(log.put(*half), log.put(*half), log.put(b"x"))
        assert log.frames() == 3

    assert len(run(tmp_path, scenario).files.calls) >= 6


def test_work_runs_between_two_commits(tmp_path):
    async def scenario(log: Committed) -> None:
        first = await log.held(b"a")
        seen: list[tuple[list[bytes], str]] = []

        def work() -> None:
            seen.append((log.texts(), threading.current_thread().name))

        running = asyncio.create_task(log.commit.run(work))
        await asyncio.sleep(0)
        second = log.put(b"b")
        assert seen == []
        log.files.let_go()
        await asyncio.gather(first, running, second)
        assert seen[0][0] == [b"a"]
        assert seen[0][1] != threading.main_thread().name

    run(tmp_path, scenario)


@pytest.mark.parametrize("error", [Unavailable("no"), OSError(5, "no"), ValueError("no")])
def test_what_work_raises_reaches_its_caller_and_nobody_else(tmp_path, error):
    async def scenario(log: Committed) -> None:
        def work() -> None:
            raise error

        with pytest.raises(type(error), match="no"):
            await log.commit.run(work)
        await log.put(b"a")

    run(tmp_path, scenario)
    assert again(tmp_path) == [b"a"]


def test_another_log_can_be_used(tmp_path):
    async def scenario(log: Committed) -> None:
        await log.put(b"a")
        log.log.close()
        log.log = Segments.open(tmp_path / "new", HandClock(), SeededIds(3), OPTIONS)
        log.commit.use(log.log)
        await log.put(b"b")

    run(tmp_path / "old", scenario)
    assert again(tmp_path / "old") == [b"a"]
    assert again(tmp_path / "new") == [b"b"]


def test_a_caller_that_goes_away_harms_nobody(tmp_path):
    """Its record is kept: the call was made."""

    async def scenario(log: Committed) -> None:
        first = await log.held(b"a")
        second, third = log.put(b"b"), log.put(b"c")
        first.cancel()
        second.cancel()
        log.files.let_go()
        (position,) = await third
        assert log.log.read(position).data == b"c"

    run(tmp_path, scenario)
    assert again(tmp_path) == [b"a", b"b", b"c"]


def test_a_caller_that_goes_away_before_the_fault(tmp_path):
    async def scenario(log: Committed) -> None:
        first = await log.held(b"a")
        log.files.fail("sync", Fault.LOST)
        first.cancel()
        log.files.let_go()
        assert "restart" in await failure(log.put(b"b"))

    run(tmp_path, scenario)


def test_work_whose_caller_went_away_is_done_all_the_same(tmp_path):
    async def scenario(log: Committed) -> None:
        first = await log.held(b"a")
        done = threading.Event()
        running = asyncio.create_task(log.commit.run(done.set))
        await asyncio.sleep(0)
        running.cancel()
        log.files.let_go()
        await first
        await log.put(b"b")
        assert done.is_set()

    run(tmp_path, scenario)


def test_an_end_during_a_sync_acknowledges_it_and_refuses_the_rest(tmp_path):
    async def scenario(log: Committed) -> None:
        first = await log.held(b"a")
        second = log.put(b"b")
        work = asyncio.create_task(log.commit.run(list))
        await asyncio.sleep(0)
        log.files.let_go()
        log.commit.close()
        log.log.close()
        assert len(await first) == 1
        assert "closed" in await failure(second)
        with pytest.raises(Unavailable, match="closed"):
            await work
        assert "closed" in await failure(log.put(b"c"))

    run(tmp_path, scenario)
    assert again(tmp_path) == [b"a"]
