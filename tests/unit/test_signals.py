# SPDX-License-Identifier: Apache-2.0
"""Signals that come while a process begins."""

import signal

import pytest

from opentrail.signals import unbroken


@pytest.fixture(autouse=True)
def _handler():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def interrupted_at_the_beginning(done: list[str]) -> None:
    with unbroken():
        signal.raise_signal(signal.SIGINT)
        done.append("begun")


def test_one_waits_until_what_begins_can_be_ended():
    done: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        interrupted_at_the_beginning(done)
    assert done == ["begun"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_one_that_is_ignored_stays_so():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    interrupted_at_the_beginning([])
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_one_is_not_forgotten_when_nothing_can_begin():
    def nothing_begins() -> None:
        with unbroken():
            signal.raise_signal(signal.SIGINT)
            raise OSError

    with pytest.raises(KeyboardInterrupt):
        nothing_begins()
