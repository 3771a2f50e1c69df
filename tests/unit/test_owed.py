# SPDX-License-Identifier: Apache-2.0
"""Records that the log had no room for when they were made."""

import asyncio
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from opentrail.capture.owed import OWED_BYTES_MAX, OwedRecords
from opentrail.errors import Unavailable
from opentrail.eventlog.base import Draft, Origin
from opentrail.eventlog.inflight import InFlight


class World:
    """A log in memory, with a record that it never takes, and a table of calls in flight."""

    def __init__(self, inflight: InFlight) -> None:
        self.inflight = inflight
        self.owed = OwedRecords(inflight)
        self.bad = b""
        self.taken: list[bytes] = []

    def owe(self, *records: bytes) -> None:
        slot = self.inflight.claim(bytes(16), 0, b"")
        self.owed.add([Draft(Origin.CAPTURE, each) for each in records], slot)

    async def append(self, drafts: Sequence[Draft]) -> Sequence[int]:
        if self.bad in [draft.data for draft in drafts]:
            raise Unavailable("not this one")
        self.taken += [draft.data for draft in drafts]
        return range(len(drafts))

    def step(self) -> None:
        asyncio.run(self.owed.step(self.append))


@pytest.fixture
def world(tmp_path: Path):
    inflight, _, _ = InFlight.open(tmp_path / "inflight", bytes(16))
    with closing(inflight):
        yield World(inflight)


def test_they_follow_in_order_and_their_slots_are_free(world: World):
    world.owe(b"a", b"its copy for another account")
    world.owe(b"b")
    world.step()
    assert world.taken == [b"a", b"its copy for another account", b"b"]
    assert world.inflight.claimed() == 0


def test_one_that_the_log_never_takes_holds_up_no_other(world: World):
    for record in (b"bad", b"a", b"b"):
        world.owe(record)
    world.bad = b"bad"
    for _ in range(3):
        with pytest.raises(Unavailable):
            world.step()
    assert world.taken == [b"a", b"b"]
    assert world.inflight.claimed() == 1


def test_two_that_settle_at_once_append_nothing_twice(world: World):
    for record in (b"a", b"b", b"c"):
        world.owe(record)

    async def append(drafts: Sequence[Draft]) -> Sequence[int]:
        await asyncio.sleep(0)
        return await world.append(drafts)

    async def both() -> None:
        await asyncio.gather(world.owed.step(append), world.owed.step(append))

    asyncio.run(both())
    assert sorted(world.taken) == [b"a", b"b", b"c"]
    assert world.inflight.claimed() == 0


def test_what_is_too_much_for_memory_keeps_its_slot_for_the_next_start(world: World):
    world.owe(b"x" * (OWED_BYTES_MAX - 1))
    world.owe(b"yy")
    world.owe(b"z")
    world.step()
    assert [each[:1] for each in world.taken] == [b"x", b"z"]
    assert world.inflight.claimed() == 1
    world.owe(b"x" * OWED_BYTES_MAX)
    world.step()
    assert len(world.taken) == 3
