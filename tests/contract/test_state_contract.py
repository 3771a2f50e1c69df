# SPDX-License-Identifier: Apache-2.0
"""What every State must do, over every implementation in support.open_states."""

import tempfile
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.open_states import OPENERS, Opener

from opentrail.state.base import Change, Conflict, Entry


@pytest.fixture(params=list(OPENERS))
def open_state(request) -> Opener:
    return OPENERS[request.param]


def values(state, prefix: str = "") -> dict[str, bytes]:
    return {entry.key: entry.value for entry in state.scan(prefix)}


def version(state, key: str) -> int:
    entry = state.get(key)
    return 0 if entry is None else entry.version


def test_a_new_store_is_empty(open_state, tmp_path):
    with open_state(tmp_path) as state:
        assert state.get("a") is None
        assert values(state) == {}
        state.commit([])
        assert values(state) == {}


def test_what_was_committed_is_there_also_after_it_is_opened_again(open_state, tmp_path):
    with open_state(tmp_path) as state:
        state.commit([Change("a", b"1", None), Change("b", b"", None), Change("c", b"\0\xff", 0)])
        before = list(state.scan(""))
        assert [entry.value for entry in before] == [b"1", b"", b"\0\xff"]
        assert [state.get(entry.key) for entry in before] == before
    with open_state(tmp_path) as state:
        assert list(state.scan("")) == before


def test_versions_grow_and_are_never_given_again(open_state, tmp_path):
    seen: list[int] = []
    for _ in range(3):
        with open_state(tmp_path) as state:
            for value in (b"1", b"1", None, b"2", None):
                state.commit([Change("a", value, None)])
                if value is not None:
                    seen.append(version(state, "a"))
    assert seen == sorted(set(seen))
    assert seen[0] > 0


def test_a_version_that_is_there_lets_the_change_through(open_state, tmp_path):
    with open_state(tmp_path) as state:
        state.commit([Change("a", b"1", 0)])
        state.commit([Change("a", b"2", version(state, "a"))])
        state.commit([Change("a", None, version(state, "a")), Change("absent", None, 0)])
        assert values(state) == {}
        state.commit([Change("absent", None, None)])


@pytest.mark.parametrize("off_by", [-1, 1])
def test_another_version_is_a_conflict_and_nothing_is_changed(open_state, tmp_path, off_by):
    with open_state(tmp_path) as state:
        state.commit([Change("a", b"1", None), Change("b", b"1", None)])
        before = list(state.scan(""))
        wrong = version(state, "b") + off_by
        with pytest.raises(Conflict, match="b has version"):
            state.commit([Change("a", b"2", None), Change("b", b"2", wrong), Change("c", b"2", 0)])
        with pytest.raises(Conflict):
            state.commit([Change("a", None, None), Change("b", None, wrong)])
        assert list(state.scan("")) == before


def test_absent_and_present_are_told_apart(open_state, tmp_path):
    with open_state(tmp_path) as state:
        with pytest.raises(Conflict):
            state.commit([Change("a", b"1", 7)])
        state.commit([Change("a", b"1", 0)])
        with pytest.raises(Conflict):
            state.commit([Change("a", b"2", 0)])
        old = version(state, "a")
        state.commit([Change("a", None, None)])
        state.commit([Change("a", b"3", 0)])
        with pytest.raises(Conflict):
            state.commit([Change("a", b"4", old)])
        assert values(state) == {"a": b"3"}


def test_a_key_is_changed_once_in_a_commit(open_state, tmp_path):
    with open_state(tmp_path) as state:
        with pytest.raises(ValueError, match="twice"):
            state.commit([Change("a", b"1", None), Change("a", b"2", None)])
        assert values(state) == {}


def test_the_first_behind_a_key_and_keys_alone(open_state, tmp_path):
    with open_state(tmp_path) as state:
        keys = ["a", "k", "k-b/1", "k/", "k/1", "k/2", "k0", "k0/1", "l"]
        state.commit([Change(key, key.encode(), None) for key in reversed(keys)])
        assert list(state.keys("k")) == keys[1:-1]
        assert list(state.keys("")) == keys
        assert list(state.keys("m")) == []
        found, after = [], ""
        while (entry := state.first("k", after)) is not None:
            assert entry == state.get(entry.key)
            found.append(entry.key)
            after = entry.key
        assert found == keys[1:-1]
        assert state.first("k/1") == state.get("k/1")
        assert state.first("k", "a") == state.get("k")
        assert state.first("k", "k/9") == state.get("k0")
        assert state.first("k", "l") is state.first("m") is None


def test_a_scan_shows_one_moment(open_state, tmp_path):
    with open_state(tmp_path) as state:
        state.commit([Change(f"k/{index}", b"old", None) for index in range(9)])
        scan = state.scan("k/")
        first = next(scan)
        state.commit([Change(f"k/{index}", b"new", None) for index in range(1, 12)])
        assert [entry.value for entry in [first, *scan]] == [b"old"] * 9


KEYS = st.text(st.sampled_from("ab/%_\0Zé\ud7ff\ue000\U0001f600\U0010ffff"), max_size=4)


@settings(max_examples=60, deadline=None)
@given(st.sets(KEYS), st.lists(KEYS))
@pytest.mark.parametrize("name", list(OPENERS))
def test_scans_are_by_prefix_and_in_order(name, keys, prefixes):
    with tempfile.TemporaryDirectory() as folder, OPENERS[name](Path(folder)) as state:
        state.commit([Change(key, key.encode(), None) for key in keys])
        for prefix in ["", *prefixes]:
            wanted = sorted(key for key in keys if key.startswith(prefix))
            assert [entry.key for entry in state.scan(prefix)] == wanted
        assert all(state.get(key) is not None for key in keys)


STEPS = st.lists(
    st.lists(
        st.tuples(
            st.sampled_from("abc"),
            st.none() | st.binary(max_size=3),
            st.sampled_from(["any", "right", "wrong", "absent"]),
        ),
        max_size=3,
        unique_by=lambda change: change[0],
    ),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(STEPS)
@pytest.mark.parametrize("name", list(OPENERS))
def test_any_commits_do_what_a_dictionary_does(name, steps):
    wanted: dict[str, Entry] = {}
    newest = 0
    with tempfile.TemporaryDirectory() as folder, OPENERS[name](Path(folder)) as state:
        for step in steps:
            there = {key: version(state, key) for key, _, _ in step}
            told = {
                key: {"any": None, "right": there[key], "wrong": there[key] + 1, "absent": 0}[how]
                for key, _, how in step
            }
            changes = [Change(key, value, told[key]) for key, value, _ in step]
            if any(told[key] not in (None, there[key]) for key in told):
                with pytest.raises(Conflict):
                    state.commit(changes)
                continue
            state.commit(changes)
            for key, value, _ in step:
                wanted.pop(key, None)
                if value is not None:
                    wanted[key] = Entry(key, value, version(state, key))
                    assert wanted[key].version > newest
            newest = max([newest, *(entry.version for entry in wanted.values())])
            assert {entry.key: entry for entry in state.scan("")} == wanted


def test_of_many_threads_that_compare_and_swap_one_wins_each_time(open_state, tmp_path):
    def count(state) -> None:
        done = 0
        while done < 20:
            entry = state.get("n")
            try:
                state.commit([Change("n", b"%d" % (int(entry.value) + 1), entry.version)])
            except Conflict:
                continue
            done += 1

    with open_state(tmp_path) as state:
        state.commit([Change("n", b"0", 0)])
        threads = [threading.Thread(target=count, args=(state,)) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert values(state) == {"n": b"100"}
