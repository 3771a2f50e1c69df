# SPDX-License-Identifier: Apache-2.0
"""Work that comes over a link is done in order, whatever one piece of it raises."""

import threading
from functools import partial

import pytest

from opentrail.eventlog.answering import Answering


def test_work_is_done_in_order_by_one_thread():
    done: list[int] = []
    finished = threading.Event()
    answering = Answering(1, "one")
    for number in range(100):
        answering.give(partial(done.append, number))
    answering.give(finished.set)
    assert finished.wait(10)
    assert done == list(range(100))
    answering.close()


def test_as_many_at_once_as_there_are_threads():
    together = threading.Barrier(5, timeout=10)
    answering = Answering(4, "some")
    for _ in range(4):
        answering.give(together.wait)
    together.wait()
    answering.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_what_one_piece_raises_stops_no_other():
    finished = threading.Event()
    answering = Answering(1, "one")
    answering.give(lambda: 1 // 0)
    answering.give(finished.set)
    assert finished.wait(10)
    answering.close()


def test_closing_waits_for_what_is_under_way_and_begins_nothing_more():
    begun, may_end = threading.Event(), threading.Event()
    done: list[str] = []

    def slow() -> None:
        begun.set()
        may_end.wait(10)
        done.append("slow")

    answering = Answering(1, "one")
    answering.give(slow)
    answering.give(lambda: done.append("never"))
    assert begun.wait(10)
    closing = threading.Thread(target=answering.close)
    closing.start()
    may_end.set()
    closing.join(10)
    assert not closing.is_alive()
    assert done in (["slow"], ["slow", "never"])
