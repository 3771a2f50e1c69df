# SPDX-License-Identifier: Apache-2.0
"""What every EventLog must do, over every implementation in support.open_logs."""

import tempfile
import threading
import uuid
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.log_files import HandClock
from support.open_logs import OPENERS, Opener

from opentrail.event.caps import RECORD_BYTES_MAX
from opentrail.eventlog.base import Draft, Entry, Mark, MarkKind, Origin

CAPTURED = Origin.CAPTURE


@pytest.fixture(params=list(OPENERS))
def open_log(request) -> Opener:
    return OPENERS[request.param]


def drafts(*texts: str) -> list[Draft]:
    return [Draft(CAPTURED, text.encode()) for text in texts]


def test_a_new_log_is_empty_and_writable(open_log, tmp_path):
    with open_log(tmp_path, HandClock()) as log:
        assert log.first() == log.durable_end()
        assert list(log.entries(0)) == []
        assert list(log.entries(log.durable_end())) == []
        assert log.writable() == ""
        assert str(uuid.UUID(log.log_id)) == log.log_id


def test_nothing_appended_is_nothing_done(open_log, tmp_path):
    with open_log(tmp_path, HandClock()) as log:
        before = log.durable_end()
        assert log.append([]) == []
        assert log.append_marks([]) == []
        assert log.durable_end() == before


def test_what_was_appended_is_read_back(open_log, tmp_path):
    clock = HandClock()
    with open_log(tmp_path, clock) as log:
        positions = log.append(drafts("a", "b")) + log.append(drafts("c"))
        entries = list(log.entries(0))
        assert [entry.data for entry in entries] == [b"a", b"b", b"c"]
        assert [entry.position for entry in entries] == positions
        assert positions == sorted(set(positions))
        assert all(entry.append_ms == clock.ms for entry in entries)
        assert [log.read(position) for position in positions] == entries
        assert log.first() == positions[0]
        assert log.durable_end() > positions[-1]


@pytest.mark.parametrize("origin", list(Origin))
def test_the_origin_is_kept(open_log, tmp_path, origin):
    with open_log(tmp_path, HandClock()) as log:
        (position,) = log.append([Draft(origin, b"{}")])
        assert log.read(position).origin is origin


def test_reading_begins_and_ends_where_it_is_told(open_log, tmp_path):
    with open_log(tmp_path, HandClock()) as log:
        ends, positions = [], []
        for group in (("a", "b", "c"), ("d",), ("e", "f")):
            positions += log.append(drafts(*group))
            ends.append(log.durable_end())
        entries = list(log.entries(0))
        for index, position in enumerate(positions):
            assert list(log.entries(position)) == entries[index:]
            assert list(log.entries(0, position)) == entries[:index]
            assert list(log.entries(position, position)) == []
        assert [len(list(log.entries(end))) for end in ends] == [3, 2, 0]
        assert list(log.entries(positions[1], positions[4])) == entries[1:4]
        assert list(log.entries(0, ends[-1] + 1_000)) == entries


def test_only_positions_of_entries_can_be_read(open_log, tmp_path):
    with open_log(tmp_path, HandClock()) as log:
        positions = log.append(drafts("a", "b"))
        for position in range(log.durable_end() + 50):
            if position not in positions:
                with pytest.raises(KeyError):
                    log.read(position)
        with pytest.raises(KeyError):
            log.read(-1)


def test_several_records_are_read_together_in_any_order(open_log, tmp_path):
    """Near each other and far apart, short ones and one longer than what is read at once."""
    texts = [f"{number}" * (1 + 997 * (number % 7 == 0)) for number in range(60)]
    texts[30] = "".join(f"{number:x}" for number in range(60_000))
    texts[59] = texts[30][::-1]
    with open_log(tmp_path, HandClock()) as log:
        positions = [log.append(drafts(text))[0] for text in texts]
        whole = dict(zip(positions, (text.encode() for text in texts), strict=True))
        for asked in (positions, positions[::-1], positions[::9], [*positions[3:5], positions[0]]):
            assert log.data_at(asked) == [whole[position] for position in asked]
            assert [log.read(position).data for position in asked] == log.data_at(asked)
        assert log.data_at([]) == []
        twice = [positions[7], positions[7]]
        assert log.data_at(twice) == [whole[positions[7]]] * 2
        unknown = log.durable_end()
        assert log.data_at([positions[2], unknown]) == [whole[positions[2]], None]


def test_append_ms_never_goes_back(open_log, tmp_path):
    clock = HandClock()
    with open_log(tmp_path, clock) as log:
        first_ms = clock.ms
        log.append(drafts("a"))
        clock.ms -= 3_600_000
        log.append(drafts("b"))
    with open_log(tmp_path, clock) as log:
        log.append(drafts("c"))
        clock.ms = first_ms + 1
        log.append(drafts("d"))
        times = [entry.append_ms for entry in log.entries(0)]
    assert times == [first_ms, first_ms, first_ms, first_ms + 1]


def test_a_closed_log_is_the_same_when_it_is_opened_again(open_log, tmp_path):
    with open_log(tmp_path, HandClock()) as log:
        log_id = log.log_id
        log.append(drafts("a", "b"))
        before = list(log.entries(0))
        end = log.durable_end()
    with open_log(tmp_path, HandClock()) as log:
        assert log.log_id == log_id
        assert list(log.entries(0)) == before
        assert log.durable_end() == end
        (position,) = log.append(drafts("c"))
        assert position >= end


def test_the_longest_record_is_taken(open_log, tmp_path):
    longest = bytes(33 + index * 7 % 90 for index in range(RECORD_BYTES_MAX))
    with open_log(tmp_path, HandClock()) as log:
        (position,) = log.append([Draft(CAPTURED, longest)])
        assert log.read(position).data == longest
        assert next(log.entries(position)).data == longest


def test_marks_are_read_back_where_they_were_put(open_log, tmp_path):
    clock = HandClock()
    with open_log(tmp_path, clock) as log:
        one, two = log.append(drafts("a", "b"))
        cut, control = log.append_marks([(MarkKind.CUT, b"{}"), (MarkKind.CONTROL, b'{"a":1}')])
        clock.ms += 5
        (three,) = log.append(drafts("c"))
        (last,) = log.append_marks([(MarkKind.CUT, b'{"a":2}')])
        positions = [one, two, cut, control, three, last]
        assert positions == sorted(set(positions))
        assert log.durable_end() > last
        items = list(log.items(0))
        assert [item.position for item in items] == positions
        marks = [item for item in items if isinstance(item, Mark)]
        assert [item for item in items if isinstance(item, Entry)] == list(log.entries(0))
        assert marks == [
            Mark(cut, clock.ms - 5, MarkKind.CUT, b"{}"),
            Mark(control, clock.ms - 5, MarkKind.CONTROL, b'{"a":1}'),
            Mark(last, clock.ms, MarkKind.CUT, b'{"a":2}'),
        ]
        assert list(log.marks(0)) == marks
        assert [entry.data for entry in log.entries(0)] == [b"a", b"b", b"c"]
        for mark in marks:
            with pytest.raises(KeyError):
                log.read(mark.position)


def test_items_begin_and_end_at_records_and_marks(open_log, tmp_path):
    with open_log(tmp_path, HandClock()) as log:
        log.append(drafts("a", "b"))
        log.append_marks([(MarkKind.CUT, b"1"), (MarkKind.CONTROL, b"2")])
        log.append(drafts("c", "d", "e"))
        log.append_marks([(MarkKind.CUT, b"3")])
        items = list(log.items(0))
        assert len(items) == 8
        stops = [(item.position, index) for index, item in enumerate(items)]
        stops.append((log.durable_end(), len(items)))
        for start, first in stops:
            assert list(log.items(start)) == items[first:]
            for end, last in stops:
                between = items[first:last]
                assert list(log.items(start, end)) == between
                assert list(log.marks(start, end)) == [m for m in between if isinstance(m, Mark)]
                found = list(log.entries(start, end))
                assert found == [e for e in between if isinstance(e, Entry)]


def test_a_log_of_marks_only_has_no_record(open_log, tmp_path):
    with open_log(tmp_path, HandClock()) as log:
        log.append_marks([(MarkKind.CUT, b"{}")])
        assert log.first() == log.durable_end()
        assert list(log.entries(0)) == []
        before = list(log.marks(0))
    with open_log(tmp_path, HandClock()) as log:
        assert list(log.marks(0)) == before
        (position,) = log.append(drafts("a"))
        assert log.first() == position > before[0].position


def test_marks_do_not_take_the_clock_back(open_log, tmp_path):
    clock = HandClock()
    with open_log(tmp_path, clock) as log:
        log.append(drafts("a"))
        clock.ms -= 1_000
        log.append_marks([(MarkKind.CUT, b"{}")])
        log.append(drafts("b"))
        assert [item.append_ms for item in log.items(0)] == [clock.ms + 1_000] * 3


def test_a_long_mark_is_taken(open_log, tmp_path):
    payload = bytes(33 + index * 7 % 90 for index in range(3 * RECORD_BYTES_MAX))
    with open_log(tmp_path, HandClock()) as log:
        log.append_marks([(MarkKind.CONTROL, payload), (MarkKind.CUT, b"")])
        assert [mark.payload for mark in log.marks(0)] == [payload, b""]


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.lists(st.binary(max_size=300).filter(lambda data: b"\n" not in data), min_size=1),
        max_size=8,
    )
)
@pytest.mark.parametrize("name", list(OPENERS))
def test_any_bytes_come_back(name, groups):
    with tempfile.TemporaryDirectory() as folder, OPENERS[name](Path(folder), HandClock()) as log:
        for group in groups:
            log.append([Draft(CAPTURED, data) for data in group])
        expected = [data for group in groups for data in group]
        entries = list(log.entries(0))
        assert [entry.data for entry in entries] == expected
        assert [log.read(entry.position) for entry in entries] == entries


ANY_DATA = st.binary(max_size=300).filter(lambda data: b"\n" not in data)
ANY_MARKS = st.lists(st.tuples(st.sampled_from(MarkKind), ANY_DATA), min_size=1, max_size=3)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(ANY_DATA, min_size=1, max_size=4) | ANY_MARKS, max_size=8))
@pytest.mark.parametrize("name", list(OPENERS))
def test_records_and_marks_in_any_order_come_back(name, groups):
    expected: list[object] = []
    with tempfile.TemporaryDirectory() as folder, OPENERS[name](Path(folder), HandClock()) as log:
        for group in groups:
            if isinstance(group[0], bytes):
                log.append([Draft(CAPTURED, data) for data in group])
            else:
                log.append_marks(group)
            expected += group
        items = list(log.items(0))
    assert expected == [
        item.data if isinstance(item, Entry) else (item.kind, item.payload) for item in items
    ]


def test_threads_share_commits_and_lose_nothing(open_log, tmp_path):
    answers: dict[tuple[int, int], list[int]] = {}

    def work(log, worker: int) -> None:
        for turn in range(20):
            texts = [f"{worker}-{turn}-{index}" for index in range(1 + worker % 3)]
            answers[worker, turn] = log.append(drafts(*texts))

    with open_log(tmp_path, HandClock()) as log:
        threads = [threading.Thread(target=work, args=(log, worker)) for worker in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        entries = list(log.entries(0))
    at = {entry.position: index for index, entry in enumerate(entries)}
    assert len(entries) == sum(map(len, answers.values()))
    for (worker, turn), positions in answers.items():
        indexes = [at[position] for position in positions]
        assert indexes == list(range(indexes[0], indexes[0] + len(positions)))
        for index, number in enumerate(indexes):
            assert entries[number].data == f"{worker}-{turn}-{index}".encode()


def test_marks_of_one_append_stay_together_among_threads(open_log, tmp_path):
    pairs: list[list[int]] = []

    def work(log, worker: int) -> None:
        for turn in range(10):
            if worker % 2:
                log.append(drafts(f"{worker}-{turn}"))
            else:
                pairs.append(log.append_marks([(MarkKind.CUT, b"{}"), (MarkKind.CONTROL, b"{}")]))

    with open_log(tmp_path, HandClock()) as log:
        threads = [threading.Thread(target=work, args=(log, worker)) for worker in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        items = list(log.items(0))
    at = {item.position: index for index, item in enumerate(items)}
    assert len(items) == 3 * 10 + 3 * 10 * 2
    for cut, control in pairs:
        assert at[control] == at[cut] + 1
        assert [items[at[cut]].kind, items[at[control]].kind] == [MarkKind.CUT, MarkKind.CONTROL]
