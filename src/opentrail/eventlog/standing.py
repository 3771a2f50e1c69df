# SPDX-License-Identifier: Apache-2.0
"""What becomes of a room of back that cannot go on: front is told, and later the process begins anew."""

import contextlib
import logging
import os
import threading
from collections.abc import Callable

from opentrail.clock import Clock
from opentrail.errors import Unavailable
from opentrail.eventlog.link import Kind

STILL_S = 300.0
"""Then it is looked at again: a disk that failed may work, and what was damaged may have been put back.
Until then the other rooms have the process; a start takes a second of theirs."""

RETRY_S = 1.0
"""What waits for a disk or another process is tried again after this."""
TOLD_AGAIN_S = 3600.0
"""How often the same reason is told: a disk that is full for a day is tried 86,400 times, and the server's
own log may lie on it."""
REASONS_MAX = 16
"""Kept to tell by: a room has two or three."""

NOT_STARTED = 1
"""The number of a STILL frame about all of back, which holds until one has started."""

_log = logging.getLogger("opentrail.back")

Send = Callable[[Kind, int, bytes], None]
End = Callable[[int], object]


def run_or_end(loop: Callable[[], None], end: End = os._exit) -> None:
    """Run a room's loop; an error that it does not know ends the process.

    Front then starts another. A room that stood still in a process that lives on would be missed
    by nobody.
    """
    returned = False
    try:
        loop()
        returned = True
    finally:
        if not returned:
            _log.critical("back ends: a loop failed", exc_info=True)
            end(1)


class Waiting:
    """A room's waits for what will pass, told in the server's own log."""

    def __init__(self, what: str, stopping: threading.Event, clock: Clock) -> None:
        """Say with ``what`` who waits ("trails wait"); nobody does in a process that is ``stopping``."""
        self._what = what
        self._stopping = stopping
        self._clock = clock
        self._told_s: dict[str, float] = {}

    def wait(self, error: Unavailable) -> None:
        """Tell why, unless that was told within TOLD_AGAIN_S, and return after RETRY_S."""
        now_s, why = self._clock.monotonic(), error.message
        told_s = self._told_s.get(why)
        if not self._stopping.is_set() and (told_s is None or now_s - told_s >= TOLD_AGAIN_S):
            _log.error("%s, tried again until it can be done: %s", self._what, error)
            if len(self._told_s) >= REASONS_MAX:
                self._told_s.clear()
            self._told_s[why] = now_s
        self._stopping.wait(RETRY_S)


def stand_still(
    what: str, why: object, send: Send, stopping: threading.Event, end: End = os._exit
) -> None:
    """Have front told ``what`` it is that stands still, and end the process after STILL_S.

    A room goes on in a new process only: what it had read by half is then read anew. Returns at once
    when the process is ``stopping``.
    """
    _log.critical("%s: %s", what, why)
    try:
        send(Kind.STILL, 0, f"{what}: {why}".encode())
    except Unavailable:
        return  # front is gone
    if not stopping.wait(STILL_S):
        _log.critical("back ends, to look again at what stands still")
        end(1)


def cannot_start(why: object, send: Send) -> None:
    """Have front told why there is nothing yet; it tries again."""
    text = f"CloudTrail's own API and trails cannot start: {why}"
    _log.critical(text)
    with contextlib.suppress(Unavailable):  # front is gone
        send(Kind.STILL, NOT_STARTED, text.encode())
