# SPDX-License-Identifier: Apache-2.0
"""A room of back that fails in a way it does not know ends the process, and says why."""

import json
import socket
import subprocess
import sys
import threading
from contextlib import closing

import msgspec
import pytest
from support.log_files import HandClock
from support.trail_rooms import BUCKET, SilentBucket, TrailRooms
from support.wire_server import SmallHistory, api, request

from opentrail.back import API_THREADS, CHANGE_THREADS, Back
from opentrail.config import load
from opentrail.config.ownlog import JSON, TEXT
from opentrail.errors import Corrupt, Unavailable
from opentrail.eventlog import link, standing
from opentrail.eventlog.answering import Answering
from opentrail.eventlog.link import HEAD_BYTES, Kind, Link, parse_head
from opentrail.eventlog.standing import REASONS_MAX, Waiting, run_or_end, stand_still
from opentrail.front.hello import hello_of
from opentrail.front.keys import credentials_file
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


@pytest.mark.parametrize(("tries", "times"), [(3600, 1), (3601, 2)])
def test_what_waits_says_each_reason_once_an_hour(tries, times, monkeypatch, caplog):
    """A disk that is full for long is tried each second, and the server's own log may lie on it."""
    monkeypatch.setattr(standing, "RETRY_S", 0.0)
    clock = HandClock()
    clock.step_s = 0.5  # each of the two reasons looks at it
    waiting = Waiting("trails wait", threading.Event(), clock)
    full, gone = Unavailable("the log refuses", "make room"), Unavailable("state.db is locked")
    for _ in range(tries):
        waiting.wait(full)
        waiting.wait(gone)
    said = [f"trails wait, tried again until it can be done: {each}" for each in (full, gone)]
    assert caplog.messages == said * times


def test_what_waits_in_a_process_that_stops_says_nothing(caplog):
    stopping = threading.Event()
    stopping.set()
    Waiting("trails wait", stopping, HandClock()).wait(Unavailable("front is gone"))
    assert caplog.messages == []


def test_more_reasons_than_are_kept_are_told_again(monkeypatch, caplog):
    monkeypatch.setattr(standing, "RETRY_S", 0.0)
    waiting = Waiting("trails wait", threading.Event(), HandClock())
    for number in (*range(REASONS_MAX), *range(REASONS_MAX)):
        waiting.wait(Unavailable(f"reason {number}"))
    assert len(caplog.messages) == REASONS_MAX
    waiting.wait(Unavailable(f"reason {REASONS_MAX}"))
    waiting.wait(Unavailable("reason 0"))
    assert len(caplog.messages) == REASONS_MAX + 2


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


def test_changes_that_wait_for_a_silent_bucket_hold_up_nobody_else():
    """Neither lookups nor the pulse by which front sees that back answers."""
    rooms = TrailRooms()
    bucket = rooms.buckets[BUCKET] = SilentBucket(BUCKET)
    create = json.dumps({"Name": "audit", "S3BucketName": BUCKET}).encode()
    back = Back.__new__(Back)
    ours, theirs = socket.socketpair()
    back._api, back._link = api(SmallHistory(), rooms), Link(ours)
    back._calls, back._changes = Answering(API_THREADS, "api"), Answering(CHANGE_THREADS, "changes")
    with ours, theirs:
        theirs.settimeout(10)
        for number in range(CHANGE_THREADS + 1):
            back._take(Kind.CALL, number, msgspec.msgpack.encode(request("CreateTrail", create)))
        back._take(Kind.CALL, 100, msgspec.msgpack.encode(request("LookupEvents")))
        back._take(Kind.BEAT, 101, b"")
        answered = {frame(theirs) for _ in range(2)}
        assert answered == {(Kind.REPLY, 100), (Kind.BEAT, 101)}
        bucket.answers.set()
        assert len({frame(theirs) for _ in range(CHANGE_THREADS + 1)}) == CHANGE_THREADS + 1
        back._calls.close()
        back._changes.close()


def frame(connection: socket.socket) -> tuple[Kind, int]:
    """Return kind and number of the next frame."""
    kind, number, length = parse_head(connection.recv(HEAD_BYTES, socket.MSG_WAITALL))
    if length:
        connection.recv(length, socket.MSG_WAITALL)
    return kind, number


@pytest.mark.parametrize("form", [TEXT, JSON])
def test_back_writes_the_servers_own_log_in_the_form_of_front(tmp_path, form):
    settings = load(None, {}, {"data": str(tmp_path)})
    key = "[default]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = x\n"
    credentials_file(settings).write_text(key)
    (tmp_path / "log").mkdir()
    hello = msgspec.msgpack.encode(hello_of(settings, b"", form))
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(link.frame(Kind.HELLO, 0, hello))
        fd = theirs.fileno()
        command = [sys.executable, "-m", "opentrail.back", str(fd)]
        done = subprocess.run(
            command, pass_fds=(fd,), capture_output=True, text=True, timeout=60, check=False
        )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    said = f"CloudTrail's own API and trails cannot start: there is no log in {tmp_path / 'log'}"
    if form == JSON:
        told = json.loads(line)
        assert (told["level"], told["logger"]) == ("critical", "opentrail.back")
        assert told["message"].startswith(said)
    else:
        assert f" CRITICAL opentrail.back: {said}" in line
