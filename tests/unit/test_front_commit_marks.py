# SPDX-License-Identifier: Apache-2.0
"""Marks in front's group commit: in their turn, in a commit of their own, all or none."""

import asyncio

import pytest
from support.log_files import Fault, FaultFiles, HandClock
from support.seeded_ids import SeededIds

from opentrail.errors import Unavailable
from opentrail.eventlog.base import Draft, Entry, MarkKind, Origin
from opentrail.eventlog.frame import MARKS_MAX
from opentrail.eventlog.options import LogOptions
from opentrail.eventlog.segments import Segments
from opentrail.front.commit import GroupCommit

OPTIONS = LogOptions(disk_reserve_bytes=0, dictionary=b"")
WAIT_S_MAX = 10.0
PAIR = ((MarkKind.CUT, b"cut"), (MarkKind.CONTROL, b"control"))


class Committed:
    """A log with a group commit in front, inside a running loop."""

    def __init__(self, data) -> None:
        self.files = FaultFiles()
        self.log = Segments.open(data, HandClock(), SeededIds(1), OPTIONS, self.files)
        self.commit = GroupCommit(self.log)
        self.ends: list[int] = []
        self.commit.on_durable(lambda: self.ends.append(self.log.durable_end()))

    def put(self, text: bytes) -> asyncio.Future[list[int]]:
        return self.commit.append([Draft(Origin.CAPTURE, text)])

    def shown(self) -> list[bytes]:
        return [
            item.data if isinstance(item, Entry) else item.payload for item in self.log.items(0)
        ]


def run(data, scenario) -> None:
    async def whole() -> None:
        committed = Committed(data)
        committed.files.calls.clear()
        try:
            async with asyncio.timeout(WAIT_S_MAX):
                await scenario(committed)
        finally:
            committed.commit.close()
            committed.log.close()

    asyncio.run(whole())


async def failure(waiting: asyncio.Future[list[int]]) -> str:
    with pytest.raises(Unavailable) as caught:
        await waiting
    return str(caught.value)


def test_records_and_marks_keep_their_order(tmp_path):
    async def scenario(log: Committed) -> None:
        waiting = [log.put(b"a"), log.put(b"b"), log.commit.append_marks(PAIR), log.put(b"c")]
        positions = [at for each in await asyncio.gather(*waiting) for at in each]
        assert positions == [item.position for item in log.log.items(0)]
        assert log.shown() == [b"a", b"b", b"cut", b"control", b"c"]
        # One for both records before, one for each mark, one for the record after.
        assert log.files.calls == ["write", "sync"] * 4

    run(tmp_path, scenario)


def test_both_marks_are_shown_at_once(tmp_path):
    async def scenario(log: Committed) -> None:
        await log.commit.append_marks(PAIR)
        await log.commit.append_marks(PAIR[:1])
        assert len(log.ends) == 2
        assert [len(list(log.log.marks(0, end))) for end in log.ends] == [2, 3]

    run(tmp_path, scenario)


def test_no_marks_are_no_commit(tmp_path):
    async def scenario(log: Committed) -> None:
        assert await log.commit.append_marks([]) == []
        assert log.files.calls == []

    run(tmp_path, scenario)


@pytest.mark.parametrize("fault", [Fault.LOST, Fault.KEPT])
@pytest.mark.parametrize("operation", ["write", "sync"])
def test_a_fault_refuses_the_marks_and_what_comes_after(tmp_path, operation, fault):
    async def scenario(log: Committed) -> None:
        await log.put(b"a")
        log.files.fail(operation, fault)
        waiting, after = log.commit.append_marks(PAIR), log.put(b"b")
        assert "the log cannot be written" in await failure(waiting)
        assert "restart" in await failure(after)
        assert "restart" in await failure(log.commit.append_marks(PAIR))
        assert log.shown() == [b"a"]

    run(tmp_path, scenario)


def test_too_many_marks_fail_alone(tmp_path):
    async def scenario(log: Committed) -> None:
        good, bad = log.put(b"a"), log.commit.append_marks(PAIR[:1] * (MARKS_MAX + 1))
        more = log.put(b"b")
        assert "too many" in await failure(bad)
        await asyncio.gather(good, more)
        assert log.shown() == [b"a", b"b"]
        assert len(await log.commit.append_marks(PAIR[:1] * MARKS_MAX)) == MARKS_MAX

    run(tmp_path, scenario)


def test_marks_that_wait_at_the_end_are_refused(tmp_path):
    async def scenario(log: Committed) -> None:
        waiting = log.commit.append_marks(PAIR)
        log.commit.close()
        assert "closed" in await failure(waiting)

    run(tmp_path, scenario)
