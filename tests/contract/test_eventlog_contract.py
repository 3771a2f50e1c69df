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

from opentrail.eventlog.base import RECORD_BYTES_MAX, Draft, Origin

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
