# SPDX-License-Identifier: Apache-2.0
"""The loops of the front process outlive what fails in one of their turns."""

import asyncio
import errno
import logging
import resource
import socket
from collections.abc import Callable

import pytest
import uvloop
from support.log_files import HandClock
from support.seeded_ids import SeededIds

from opentrail import config
from opentrail.capture.channel import NoAnswer
from opentrail.errors import Unavailable
from opentrail.eventlog import dictionary
from opentrail.eventlog.base import Draft, Origin
from opentrail.eventlog.segment import list_firsts
from opentrail.front.backend import RESTART_DELAYS_S, Backend
from opentrail.front.commit import GroupCommit
from opentrail.front.process import Front
from opentrail.front.retention import keep_up
from opentrail.wire.app import Principal


class FullDisk(GroupCommit):
    """Its work is given up half way: the disk has no room."""

    async def run(self, work: Callable[[], object]) -> None:
        raise Unavailable(f"{work}: {errno.errorcode[errno.ENOSPC]}")


def test_retention_that_fails_is_tried_again(tmp_path, caplog: pytest.LogCaptureFixture):
    settings = config.load(None, {}, {"data": str(tmp_path / "data")})
    front = Front(settings, "127.0.0.1:0", HandClock(), SeededIds())

    async def turn() -> None:
        commit = FullDisk(front.log)
        await keep_up(front.log, settings, HandClock(), commit, 0)
        commit.close()

    with caplog.at_level(logging.ERROR):
        asyncio.run(turn())
    front.close()
    assert "ENOSPC; it is tried again in" in caplog.text


def test_a_dictionary_that_back_made_is_taken_up(tmp_path):
    settings = config.load(None, {}, {"data": str(tmp_path / "data")})
    front = Front(settings, "127.0.0.1:0", HandClock(), SeededIds())
    front.log.append([Draft(Origin.CAPTURE, b"before")])
    dictionary.store(tmp_path / "data" / "log", b"of our own records" * 20)

    async def turn() -> None:
        commit = GroupCommit(front.log)
        await keep_up(front.log, settings, HandClock(), commit, 0)
        await commit.append_one(Draft(Origin.CAPTURE, b"after"))
        commit.close()

    asyncio.run(turn())
    assert len(list_firsts(tmp_path / "data" / "log")) == 2
    assert [entry.data for entry in front.log.entries(0)] == [b"before", b"after"]
    front.close()


def no_principal(_call: object, _credential: object) -> Principal:
    raise AssertionError("nobody asks")


class NoAppends:
    async def append(self, drafts: object) -> list[int]:
        raise AssertionError(f"nothing is appended: {drafts}")

    async def append_marks(self, marks: object) -> list[int]:
        raise AssertionError(f"nothing is appended: {marks}")


def test_a_back_that_cannot_be_started_is_tried_again(caplog: pytest.LogCaptureFixture):
    async def starve() -> bool:
        backend = Backend(b"", no_principal, NoAppends(), lambda: 0)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        running = asyncio.create_task(backend.run())
        try:
            await asyncio.sleep(RESTART_DELAYS_S[0] * 2)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        ended = running.done()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert backend.restarts >= 1
        return ended

    with caplog.at_level(logging.ERROR):
        assert asyncio.run(starve()) is False
    assert "back cannot be started: Too many open files" in caplog.text


def test_who_asks_a_back_that_was_killed_this_moment_is_told_so():
    """The socket is closed, and nobody has seen that yet."""

    async def ask() -> None:
        backend = Backend(b"", no_principal, NoAppends(), lambda: 0)
        ours, theirs = socket.socketpair()
        with theirs:
            _, backend._writer = await asyncio.open_connection(sock=ours)
            backend.ready.set()
            backend._writer.transport.abort()
            asking = asyncio.create_task(backend.known([b"{}"], 0))
            await asyncio.sleep(0)
            await backend._gone()
            with pytest.raises(NoAnswer, match="try again"):
                await asking

    uvloop.run(ask())
