# SPDX-License-Identifier: Apache-2.0
"""A room of back that fails in a way it does not know ends the process, and says why."""

import pytest

from opentrail.back import run_or_end


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
