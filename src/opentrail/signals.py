# SPDX-License-Identifier: Apache-2.0
"""Signals that end a program, held back for a moment."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def unbroken() -> Iterator[None]:
    """Have signals that end this program wait for the end of the ``with``, whatever ends that.

    One that came while a process begins would leave it running: nobody holds it yet.
    """
    come: list[int] = []
    before = {number: signal.getsignal(number) for number in _ENDING}
    # Others end the program without a word, or do not: so they do for the process that begins.
    ours = [number for number, handler in before.items() if callable(handler)]
    if threading.current_thread() is not threading.main_thread():
        ours = []
    for number in ours:
        signal.signal(number, lambda number, _: come.append(number))
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, before[number])
        for ending in come:
            signal.raise_signal(ending)
