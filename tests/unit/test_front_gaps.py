# SPDX-License-Identifier: Apache-2.0
"""Calls that passed unrecorded are told of once, wherever the process dies."""

import asyncio
import json
import mmap
from contextlib import closing

import pytest
from support.log_files import HandClock
from support.opened_log import Opened

from opentrail.eventlog.base import Draft
from opentrail.eventlog.unrecorded import UnrecordedCalls
from opentrail.front.gaps import Gaps


class Killed(BaseException):
    """The process dies here."""


class World:
    """A log, and the cells of a process that can be killed."""

    def __init__(self, tmp_path) -> None:
        self.opened = Opened(tmp_path)
        self.table = mmap.mmap(-1, 4096)
        self.start()

    def start(self) -> None:
        self.calls = UnrecordedCalls(self.table)
        self.gaps = Gaps(self.calls, "log", "123456789012", "us-east-1", HandClock())

    def passes(self, *times_ms: int) -> None:
        for now_ms in times_ms:
            self.calls.add(now_ms, self.opened.log.durable_end())

    def step(self, *, passing: tuple[int, ...] = (), killed: str = "") -> None:
        """Have the log told; meanwhile it fails again and calls pass, and the process may die."""

        async def append(draft: Draft) -> int:
            if killed == "before":
                raise Killed
            (position,) = self.opened.log.append([draft])
            self.passes(*passing)
            if killed:
                raise Killed
            return position

        asyncio.run(self._step(append))

    async def _step(self, append) -> None:
        await self.gaps.step(append)

    def recover(self) -> None:
        """Do what the next process does at its start."""
        self.start()
        event = self.gaps.leftover(self.opened.log)
        if event is not None:
            self.opened.log.append([event])
        self.gaps.forget()

    def told(self) -> list[int]:
        events = [json.loads(text) for text in self.opened.texts()]
        assert len({event["eventID"] for event in events}) == len(events)
        return [event["serviceEventDetails"]["calls"] for event in events]


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path)
    with closing(world.table):
        yield world


def test_calls_that_pass_while_the_log_is_told_are_in_the_next_event(world):
    world.passes(10, 10)
    world.step(passing=(10,))
    world.step()
    world.passes(10)
    world.step()
    assert world.told() == [2, 1, 1]
    assert world.calls.now is None


@pytest.mark.parametrize("passing", [(), (20,), (10, 30, 30)])
def test_an_event_that_was_not_crossed_off_is_not_told_again(world, passing):
    world.passes(10, 10)
    with pytest.raises(Killed):
        world.step(passing=passing, killed="after")
    world.recover()
    world.recover()
    assert world.told() == [2, *([len(passing)] if passing else [])]
    world.passes(10)
    world.recover()
    assert world.told()[-1] == 1


def test_calls_that_pass_while_the_log_begins_anew_are_told_of_once(world, tmp_path):
    world.opened.put(b"{}" * 50)
    world.passes(10, 20)
    world.opened = Opened(tmp_path / "anew")
    world.opened.put(b"{}", b"{}" * 90)
    with pytest.raises(Killed):
        world.step(killed="after")  # the process died before it noted that the log is another
    world.recover()
    assert told_by(world) == [2]
    world.passes(30)
    world.calls.begin_anew()
    with pytest.raises(Killed):
        world.step(killed="after")
    world.recover()
    assert told_by(world) == [2, 1]


def told_by(world: World) -> list[int]:
    """Return of how many calls the gap events tell, whatever else is in the log."""
    events = [json.loads(text) for text in world.opened.texts() if b"RecordingGap" in text]
    return [event["serviceEventDetails"]["calls"] for event in events]


def test_an_event_that_was_not_appended_is_told_with_what_came_since(world):
    world.passes(10, 10)
    with pytest.raises(Killed):
        world.step(killed="before")
    world.passes(30)
    world.recover()
    assert world.told() == [3]
    assert world.calls.now is None
