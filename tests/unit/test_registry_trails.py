# SPDX-License-Identifier: Apache-2.0
"""The trail registry: what the log says, kept in state, whatever is lost on the way."""

import threading
from types import SimpleNamespace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.delivery_world import NOW_MS as JUMP_MS
from support.delivery_world import JumpingClock
from support.log_files import Fault
from support.memory_log import MemoryLog
from support.memory_state import MemoryState
from support.seeded_ids import SeededIds
from support.trail_rooms import NOW_MS, TrailRooms, newest_cut

from opentrail.errors import ClientError, Corrupt, Unavailable
from opentrail.eventlog.base import MarkKind
from opentrail.state.base import Change, Entry
from opentrail.trails.registry import APPLIED_KEY, CHANGING_WAIT_S, Registry
from opentrail.trails.status import DeliveryStatus, DigestStatus, delivery_status_key
from opentrail.trails.trail import Control, Cut, Trail, trail_key

ACCOUNT = "111122223333"
YEAR_MS = 365 * 86_400_000


@pytest.fixture
def rooms():
    return TrailRooms()


def a_trail(rooms, name="audit", **changes):
    usual = Trail(
        id=rooms.registry.new_id(),
        name=name,
        account=ACCOUNT,
        home_region="us-east-1",
        bucket="trail-logs",
    )
    return rooms.registry.change(msgspec.structs.replace(usual, **changes), "CreateTrail")


def marks(rooms):
    """Return the log's marks, read: (cut_ms,) of a cut, (change, trail) of a control."""
    read: list[tuple[int] | tuple[str, Trail]] = []
    for mark in rooms.log.marks(0):
        if mark.kind is MarkKind.CUT:
            read.append((msgspec.json.decode(mark.payload, type=Cut).cut_ms,))
        else:
            control = msgspec.json.decode(mark.payload, type=Control)
            read.append((control.change, control.trail))
    return read


def test_a_change_is_a_cut_and_a_control_next_to_each_other(rooms):
    rooms.log.append([b"{}"])
    trail = a_trail(rooms)
    assert marks(rooms) == [(NOW_MS,), ("CreateTrail", trail)]
    assert rooms.registry.trails() == [trail]
    assert newest_cut(rooms.registry) == Cut(NOW_MS)


def test_start_and_stop_are_idempotent(rooms):
    trail = a_trail(rooms)
    rooms.clock.ms += 5000
    started = rooms.registry.start(trail)
    assert (started.logging, started.started_ms) == (True, NOW_MS + 5000)
    rooms.clock.ms += 5000
    count = len(marks(rooms))
    assert rooms.registry.start(trail) == started
    assert len(marks(rooms)) == count
    stopped = rooms.registry.stop(started)
    assert (stopped.logging, stopped.stopped_ms) == (False, NOW_MS + 10_000)
    assert stopped.started_ms == started.started_ms
    count = len(marks(rooms))
    assert rooms.registry.stop(started) == stopped
    assert len(marks(rooms)) == count


def test_times_never_go_back(rooms):
    trail = a_trail(rooms)
    rooms.clock.ms -= 60_000
    assert rooms.registry.start(trail).started_ms == NOW_MS
    assert rooms.registry.cut() == Cut(NOW_MS)
    rooms.reopen()
    assert rooms.registry.stop(trail).stopped_ms == NOW_MS
    assert [read[0] for read in marks(rooms) if len(read) == 1] == [NOW_MS] * 4


def test_the_time_of_cuts_goes_on_after_a_clock_that_was_ahead():
    """Else a clock that was a year ahead, once, would leave files unsigned for a year."""
    clock = JumpingClock()
    log, state = MemoryLog(), MemoryState()
    registry = Registry.open(log, state, clock, SeededIds(1))
    rooms = SimpleNamespace(registry=registry)
    registry.start(a_trail(rooms))
    clock.ms += YEAR_MS
    ahead_ms = JUMP_MS + YEAR_MS
    assert registry.cut() == Cut(ahead_ms)
    clock.ms -= YEAR_MS
    for _ in range(2):
        clock.ms += 3_600_000
        clock.seconds += 3600
        registry.cut()
    assert newest_cut(registry) == Cut(ahead_ms + 3_600_000)
    registry = Registry.open(log, state, clock, SeededIds(2))
    clock.seconds += 3600
    assert registry.cut() == Cut(ahead_ms + 3_600_000 + 1_800_000)
    clock.ms += 2 * YEAR_MS
    assert registry.cut() == Cut(clock.ms)


def test_cuts_are_made_only_while_a_trail_logs(rooms):
    assert rooms.registry.cut() is None
    trail = a_trail(rooms)
    assert rooms.registry.cut() is None
    rooms.registry.start(trail)
    rooms.clock.ms += 300_000
    assert rooms.registry.cut() == Cut(NOW_MS + 300_000)
    assert marks(rooms)[-1] == (NOW_MS + 300_000,)
    rooms.registry.stop(trail)
    assert rooms.registry.cut() is None


def test_a_deleted_trail_is_gone_and_its_name_is_free(rooms):
    trail = rooms.registry.start(a_trail(rooms))
    rooms.registry.put_tags(trail.id, {"team": "ml"})
    gone = rooms.registry.delete(trail)
    assert (gone.deleted, gone.logging, gone.stopped_ms) == (True, False, NOW_MS)
    assert rooms.registry.trails() == []
    assert rooms.state.get(trail_key(trail)) is None
    assert rooms.registry.tags(trail.id) == {}
    again = a_trail(rooms)
    assert again.id != trail.id
    assert rooms.reopen().trails() == [again]


def test_find_knows_names_of_the_region_and_arns_that_are_visible(rooms):
    here = a_trail(rooms)
    there = a_trail(rooms, "there", home_region="eu-west-1")
    shadow = a_trail(rooms, "shadow", home_region="eu-west-1", is_multi_region=True)
    other = a_trail(rooms, "other", account="444455556666")
    find = rooms.registry.find
    assert find(ACCOUNT, "us-east-1", "audit") == find(ACCOUNT, "us-east-1", here.arn) == here
    assert find(ACCOUNT, "us-east-1", "shadow") is None
    assert find(ACCOUNT, "us-east-1", shadow.arn) == shadow
    assert find(ACCOUNT, "eu-west-1", "shadow") == shadow
    assert find(ACCOUNT, "us-east-1", there.arn) is None
    assert find(ACCOUNT, "us-east-1", other.arn) is None
    assert rooms.registry.visible(ACCOUNT, "us-east-1") == [here, shadow]
    assert rooms.registry.visible(ACCOUNT, "eu-west-1") == [shadow, there]


def test_an_old_state_is_brought_up_from_the_log(rooms):
    kept = a_trail(rooms)
    backup = rooms.state.copy()
    gone = a_trail(rooms, "gone")
    rooms.registry.delete(gone)
    kept = rooms.registry.start(kept)
    newest = newest_cut(rooms.registry)
    for restored in (backup, dict[str, Entry]()):
        rooms.state.restore(restored)
        assert rooms.reopen().trails() == [kept]
        assert newest_cut(rooms.registry) == newest


@pytest.mark.parametrize("where", ["log", "state"])
@pytest.mark.parametrize("fault", [Fault.LOST, Fault.KEPT])
def test_a_change_that_does_not_say_how_it_ended(rooms, where, fault):
    trail = a_trail(rooms)
    getattr(rooms, where).fault = fault
    with pytest.raises(Unavailable):
        rooms.registry.start(trail)
    # What the log has is what holds, for this registry and for the next.
    happened = where == "state" or fault is Fault.KEPT
    assert [each.logging for each in rooms.registry.trails()] == [happened]
    assert [each.logging for each in rooms.reopen().trails()] == [happened]
    assert rooms.registry.start(trail).logging


@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from(Fault), st.sampled_from(Fault))))
def test_log_and_registry_agree_whatever_fails(steps):
    rooms = TrailRooms()
    trails = [a_trail(rooms, f"trail-{number}") for number in range(2)]
    for action, log_fault, state_fault in steps:
        rooms.log.fault, rooms.state.fault = log_fault, state_fault
        trail = trails[action % 2]
        try:
            (rooms.registry.start, rooms.registry.stop, lambda _: rooms.registry.cut())[
                action // 2
            ](trail)
        except Unavailable:
            pass
        rooms.log.fault = rooms.state.fault = Fault.NONE
        newest = {read[1].id: read[1] for read in marks(rooms) if len(read) == 2}
        assert {each.id: each for each in rooms.registry.trails()} == newest
        again = Registry.open(rooms.log, rooms.state, rooms.clock, rooms.ids)
        assert {each.id: each for each in again.trails()} == newest
        assert newest_cut(again) == newest_cut(rooms.registry)
        rooms.registry = again


def test_another_process_that_changes_trails_is_seen(rooms):
    trail = a_trail(rooms)
    other = Registry.open(rooms.log, rooms.state, rooms.clock, rooms.ids)
    started = other.start(trail)
    with pytest.raises(Unavailable, match="another process"):
        rooms.registry.stop(trail)
    assert rooms.registry.trails() == [started]
    assert not rooms.registry.stop(trail).logging


def test_state_of_another_log_is_refused(rooms):
    a_trail(rooms)
    with pytest.raises(Corrupt, match="another log"):
        Registry.open(MemoryLog("another"), rooms.state, rooms.clock, rooms.ids)


def test_unreadable_marks_and_state_are_corrupt(rooms):
    rooms.log.append_marks([(MarkKind.CONTROL, b"{}")])
    with pytest.raises(Corrupt, match="control mark"):
        Registry.open(rooms.log, MemoryState(), rooms.clock, rooms.ids)
    rooms.state.commit([Change(APPLIED_KEY, b"?", None)])
    with pytest.raises(Corrupt, match="trails/applied"):
        rooms.reopen()


def test_what_holds_no_mark_is_looked_through_once(rooms):
    rooms.log.append([b"{}"] * 3)
    rooms.registry.cut()
    entry = rooms.state.get(APPLIED_KEY)
    assert entry is not None
    assert msgspec.json.decode(entry.value)["position"] == rooms.log.durable_end()


def test_status_is_what_deliveries_wrote(rooms):
    trail = a_trail(rooms)
    assert rooms.registry.status(trail.id).delivery == DeliveryStatus()
    written = DeliveryStatus(delivered_ms=1, attempted_ms=2, error="AccessDenied")
    key = delivery_status_key(trail.id)
    rooms.state.commit([Change(key, msgspec.json.encode(written), None)])
    status = rooms.registry.status(trail.id)
    assert (status.delivery, status.digest) == (written, DigestStatus())


def test_operations_come_one_at_a_time(rooms):
    inside = threading.Event()
    leave = threading.Event()

    def hold():
        with rooms.registry.changing():
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    inside.wait(10)
    with pytest.raises(ClientError) as raised, rooms.registry.changing(wait_s=0.01):
        pass
    assert raised.value.code == "ConflictException"
    leave.set()
    thread.join()
    with rooms.registry.changing():
        pass
    assert CHANGING_WAIT_S < 60, "boto3 waits so long for an answer"
