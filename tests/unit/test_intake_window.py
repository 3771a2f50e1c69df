# SPDX-License-Identifier: Apache-2.0
"""A record that is sent again is known; another one with its eventID is kept; nobody is guessed."""

import json
import random
from collections import Counter

import pytest
from support.sent_records import NOW_S, record

from opentrail.capture import intake_window
from opentrail.capture.intake import MESSAGE_CHARS_MAX, PLACED_AT_ONCE, Batch, Intake, answer_of
from opentrail.capture.intake_body import read
from opentrail.capture.intake_window import WINDOW_MS, Window
from opentrail.errors import Corrupt
from opentrail.eventlog.base import Entry, Origin

NOW_MS = NOW_S * 1000
MINE = "123456789012"


def key(number: int) -> int:
    """Return a key as the hash of an eventID would be."""
    return number * 0x9E3779B97F4A7C15 & intake_window.KEY_BITS


class World:
    """An intake over a log that is a list; positions are its indexes."""

    def __init__(self) -> None:
        self.log: list[bytes | None] = []
        self.counts: Counter[str] = Counter()
        self.turns = 0
        """How often it let others have their turn."""
        self.intake_room = Intake(Window(self.log.__getitem__), self)

    def intake(self, verdict: str, count: int) -> None:
        self.counts[verdict] += count

    def take(self, *records: dict[str, object]) -> Batch:
        body = json.dumps(records).encode()
        batch = Batch()
        for _ in self.intake_room.take(batch, read(body), MINE.__eq__, NOW_MS):
            self.turns += 1
        return batch

    def settle(self, batch: Batch, now_ms: int = NOW_MS) -> None:
        first = len(self.log)
        self.log += [draft.data for draft in batch.drafts]
        self.intake_room.settle(batch, range(first, len(self.log)), now_ms)

    def send(self, *records: dict[str, object]) -> list[str]:
        batch = self.take(*records)
        self.settle(batch)
        return [each.verdict for each in batch.verdicts]


def test_each_record_has_its_verdict_in_its_place():
    world = World()
    other = record(recipientAccountId="210987654321", eventID="3")
    nobody = record(recipientAccountId="", userIdentity={}, eventID="4")
    bad = record(eventID="x" * 128, eventTime="now " + "x" * 2000)
    batch = world.take(record(), other, record(), nobody, bad)
    world.settle(batch)
    answer = json.loads(answer_of(batch))
    assert [each["index"] for each in answer["records"]] == [0, 1, 2, 3, 4]
    assert [each["verdict"] for each in answer["records"]] == [
        "accepted",
        "rejected",
        "duplicate",
        "rejected",
        "rejected",
    ]
    codes = [each.get("errorCode") for each in answer["records"]]
    assert codes == [None, "AccountNotAllowed", None, "InvalidField", "InvalidField"]
    assert all(len(each.get("errorMessage", "")) <= MESSAGE_CHARS_MAX for each in answer["records"])
    assert (answer["accepted"], answer["duplicates"], answer["rejected"]) == (1, 1, 3)
    assert world.counts == Counter(accepted=1, duplicate=1, rejected=3)


def test_the_same_again_is_a_duplicate_and_another_body_is_kept():
    world = World()
    assert world.send(record()) == ["accepted"]
    assert world.send(record()) == ["duplicate"]
    batch = world.take(record(note=1))
    world.settle(batch)
    assert batch.verdicts[0].conflict
    assert world.send(record(note=1), record(), record(note=2), record(note=2)) == [
        "duplicate",
        "duplicate",
        "accepted",
        "duplicate",
    ]
    assert world.counts["conflict"] == 2
    assert len(world.log) == 3


def test_a_duplicate_of_what_is_under_way_relies_on_it():
    world = World()
    first = world.take(record())
    second = world.take(record(), record(eventID="2"))
    assert second.relies_on == {first}
    assert len(second.drafts) == 1
    world.intake_room.give_up(first)
    world.settle(second)
    assert world.send(record(), record(eventID="2")) == ["accepted", "duplicate"]
    assert world.counts["failed"] == 1


@pytest.mark.parametrize("odd", [{"unknown": 1}, {}], ids=["unknown field", "known eventID"])
def test_many_records_are_placed_in_turns_with_other_requests(odd):
    world = World()
    world.send(record(eventID="1", note="another"))
    count = 3 * PLACED_AT_ONCE
    batch = world.take(*(record(eventID="1", userAgent=str(n), **odd) for n in range(count)))
    assert world.turns == 2
    assert [each.index for each in batch.verdicts] == list(range(count))
    assert {each.conflict for each in batch.verdicts} == {True}
    world.settle(batch)
    assert world.counts["accepted"] == 1 + count


def test_what_ends_between_two_turns_leaves_nothing_under_way():
    world = World()
    batch = Batch()
    records = [record(eventID=str(n), unknown=1) for n in range(PLACED_AT_ONCE + 1)]
    taking = world.intake_room.take(batch, read(json.dumps(records).encode()), MINE.__eq__, NOW_MS)
    next(taking)
    assert world.take(record(eventID="0", unknown=1)).relies_on == {batch}
    del taking
    assert world.send(records[0]) == ["accepted"]


def test_a_log_that_cannot_be_read_leaves_nothing_under_way():
    world = World()
    world.send(record())

    def damaged(position):
        raise Corrupt("damaged", str(position), "fsck")

    world.intake_room.window._read = damaged
    with pytest.raises(Corrupt):
        world.take(record(eventID="new"), record())
    world.intake_room.window._read = world.log.__getitem__
    assert world.send(record(eventID="new")) == ["accepted"]


def test_what_retention_deleted_is_new_again():
    world = World()
    world.send(record())
    world.log[0] = None
    assert world.send(record()) == ["accepted"]
    assert world.send(record()) == ["duplicate"]


def test_it_is_known_again_after_a_start():
    world = World()
    world.send(record(), record(eventID="2"), record(note=1))
    later = World()
    later.log += world.log
    entries = [Entry(at, NOW_MS, Origin.INTAKE, data) for at, data in enumerate(world.log) if data]
    seen = Entry(3, NOW_MS, Origin.CAPTURE, json.dumps(record(eventID="9")).encode())
    later.intake_room.window.load([*entries, seen])
    sent = (record(), record(eventID="2"), record(note=1), record(eventID="9"))
    assert later.send(*sent) == ["duplicate", "duplicate", "duplicate", "accepted"]


def test_a_day_is_remembered_and_little_more(monkeypatch):
    window = Window(lambda _: b"")
    monkeypatch.setattr(intake_window, "TABLE_RECORDS_MIN", 4)
    for hour in range(24 * 4):
        window.note((hour + 1,), (hour,), NOW_MS + hour * WINDOW_MS // 24)
        known = [window.has(at + 1) for at in range(hour + 1)]
        assert all(known[-25:])
    assert not window.has(1)
    assert len(window) <= 24 * 2 + 4 * 4


def test_the_oldest_are_forgotten_when_there_are_too_many(monkeypatch):
    monkeypatch.setattr(intake_window, "TABLE_RECORDS_MIN", 4)
    monkeypatch.setattr(intake_window, "TABLE_RECORDS_MAX", 16)
    monkeypatch.setattr(intake_window, "WINDOW_RECORDS_MAX", 64)
    window = Window(lambda _: b"")
    keys = [key(number) for number in range(1002)]
    window.note(keys[1:1001], range(1000), NOW_MS)
    assert 32 <= len(window) <= 64
    assert all(map(window.has, keys[1000 - 31 : 1001]))
    assert not window.has(keys[1])
    assert window.has_any([keys[1], keys[2], keys[1000]])
    assert not window.has_any([keys[1], keys[2], keys[1001]])
    window.clear()
    assert (len(window), window.since_ms()) == (0, 0)


def test_tables_beyond_all_stamps_are_told_apart(monkeypatch):
    monkeypatch.setattr(intake_window, "TABLE_RECORDS_MIN", 4)
    monkeypatch.setattr(intake_window, "TABLE_RECORDS_MAX", 16)
    monkeypatch.setattr(intake_window, "WINDOW_RECORDS_MAX", 64)
    monkeypatch.setattr(intake_window, "MARKS_MIN", 32)
    monkeypatch.setattr(intake_window, "MARKS_MAX", 1024)
    window = Window(lambda _: b"")
    keys = [key(number) for number in range(16 * 3 * intake_window.STAMPS_MAX)]
    wrong = 0
    for number, each in enumerate(keys):
        wrong += window.has(each)
        window.note((each,), (number,), NOW_MS)
        assert window.has(each)
        if number % 97 == 0 and number > 200:
            assert all(map(window.has, keys[number - 31 : number + 1]))
            wrong += window.has_any(keys[number - 200 : number - 100])
    assert wrong <= 3


def test_records_that_look_alike_are_told_apart(monkeypatch):
    # Every key looks like every other then, wherever one lies beside it.
    monkeypatch.setattr(intake_window, "PRINT_SHIFT", 63)
    monkeypatch.setattr(intake_window, "MARKS_MIN", 2)
    monkeypatch.setattr(intake_window, "MARKS_MAX", 2)
    monkeypatch.setattr(intake_window, "TABLE_RECORDS_MIN", 64)
    source = random.Random(5)
    world = World()
    known: dict[str, set[int]] = {}
    for _ in range(40):
        sent = [(str(source.randrange(150)), source.randrange(3)) for _ in range(20)]
        batch = world.take(*(record(eventID=name, note=note) for name, note in sent))
        world.settle(batch)
        for (name, note), verdict in zip(sent, batch.verdicts, strict=True):
            bodies = known.setdefault(name, set())
            assert (verdict.verdict == "duplicate") == (note in bodies)
            assert verdict.conflict == bool(bodies and note not in bodies)
            bodies.add(note)
        again = World()
        again.log += world.log
        entries = enumerate(world.log)
        again.intake_room.window.load(
            Entry(at, NOW_MS, Origin.INTAKE, data) for at, data in entries if data
        )
        world = again
