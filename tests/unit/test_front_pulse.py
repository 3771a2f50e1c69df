# SPDX-License-Identifier: Apache-2.0
"""A back process that hangs is noticed, one that is slow is not, and one that is there again is."""

import asyncio
import logging
from collections.abc import Callable

import pytest

from opentrail.front.pulse import ASKED_EACH_S, SILENT_S_MAX, Pulse

TURNS_MAX = int(SILENT_S_MAX / ASKED_EACH_S)


class Asked:
    """A pulse whose turns are made by hand."""

    def __init__(self) -> None:
        self.questions = 0
        self.pulse = Pulse(self._ask)

    def _ask(self) -> None:
        self.questions += 1

    def turns(self, count: int) -> None:
        for _ in range(count):
            assert self.pulse._timer is not None
            self.pulse._timer.cancel()
            self.pulse._turn()


def begun(check: Callable[[Asked], None]) -> None:
    """Have ``check`` look at a pulse that has begun."""

    async def run() -> None:
        asked = Asked()
        asked.pulse.begin()
        check(asked)
        asked.pulse.end()

    asyncio.run(run())


def test_one_that_answers_is_asked_again_and_never_silent():
    def check(asked: Asked) -> None:
        for number in range(1, 10):
            assert asked.questions == number
            asked.pulse.heard()
            asked.turns(1)
            assert asked.pulse.silent_s == 0

    begun(check)


def test_one_that_is_slow_is_not_given_up_and_not_asked_twice(caplog: pytest.LogCaptureFixture):
    def check(asked: Asked) -> None:
        asked.turns(TURNS_MAX - 1)
        assert asked.pulse.silent_s == SILENT_S_MAX - ASKED_EACH_S
        assert not asked.pulse.is_lost
        assert asked.questions == 1
        asked.pulse.heard()
        assert asked.pulse.silent_s == 0

    with caplog.at_level(logging.ERROR):
        begun(check)
    assert not caplog.text


def test_one_that_hangs_is_told_once_and_so_is_its_return(caplog: pytest.LogCaptureFixture):
    def check(asked: Asked) -> None:
        asked.turns(TURNS_MAX + 5)
        assert asked.pulse.is_lost
        assert asked.questions == 1
        asked.pulse.heard()
        assert not asked.pulse.is_lost

    with caplog.at_level(logging.WARNING):
        begun(check)
    silent, again = caplog.messages
    assert f"has not answered for {SILENT_S_MAX} s" in silent
    assert "kill it" in silent
    assert "answers again" in again


def test_one_that_has_ended_is_asked_no_more_and_the_next_begins_anew():
    def check(asked: Asked) -> None:
        asked.turns(TURNS_MAX)
        asked.pulse.end()
        assert asked.pulse._timer is None
        assert not asked.pulse.is_lost
        asked.pulse.begin()
        asked.turns(TURNS_MAX - 1)
        assert asked.questions == 2
        assert not asked.pulse.is_lost

    begun(check)
