# SPDX-License-Identifier: Apache-2.0
"""A room of back that fails in a way it does not know ends the process, and says why."""

import socket
import threading
from contextlib import closing

import pytest

from opentrail.back import Back
from opentrail.errors import Corrupt, Unavailable
from opentrail.eventlog import standing
from opentrail.eventlog.link import HEAD_BYTES, Kind, Link, parse_head
from opentrail.eventlog.standing import run_or_end, stand_still
from opentrail.state.sqlite import SqliteState

DAMAGE = Corrupt("it does not check out", "state.db, cursor/x", "put it back")


def test_a_loop_that_returns_ends_nothing():
    ended: list[int] = []
    run_or_end(lambda: None, ended.append)
    assert ended == []


def test_a_loop_that_fails_ends_the_process(caplog):
    ended: list[int] = []

    def loop() -> None:
        raise KeyError("what nobody expected")

    with pytest.raises(KeyError):
        run_or_end(loop, ended.append)
    assert ended == [1]
    assert "what nobody expected" in caplog.text


def test_what_stands_still_is_told_and_looked_at_again_in_a_new_process(monkeypatch):
    monkeypatch.setattr(standing, "STILL_S", 0.01)
    sent: list[tuple[Kind, int, bytes]] = []
    ended: list[int] = []
    stand_still(
        "trails stand still",
        DAMAGE,
        lambda *each: sent.append(each),
        threading.Event(),
        ended.append,
    )
    ((kind, _, said),) = sent
    assert kind is Kind.STILL
    assert said.decode() == f"trails stand still: {DAMAGE}"
    assert ended == [1]


def test_what_stands_still_holds_up_no_process_that_is_stopping():
    ended: list[int] = []
    stopping = threading.Event()
    stopping.set()
    stand_still("trails stand still", DAMAGE, lambda *_: None, stopping, ended.append)

    def gone(*_: object) -> None:
        raise Unavailable("front is gone")

    stand_still("trails stand still", DAMAGE, gone, threading.Event(), ended.append)
    assert ended == []


def test_trails_stand_still_once_the_state_takes_no_more_changes(tmp_path):
    """A new process reads what the disk holds; until then health says so."""
    back = Back.__new__(Back)
    back._stopping = threading.Event()
    ours, theirs = socket.socketpair()
    with theirs, closing(SqliteState.open(tmp_path / "state.db")) as state:
        back._state, back._link = state, Link(ours)
        state._refusal = "restart OpenTrail"
        loop = threading.Thread(target=back._deliver)
        loop.start()
        kind, _, length = parse_head(theirs.recv(HEAD_BYTES))
        said = theirs.recv(length)
        back._stopping.set()
        loop.join()
        ours.close()
    assert kind is Kind.STILL
    assert said == b"trails stand still: state.db could not be written"
