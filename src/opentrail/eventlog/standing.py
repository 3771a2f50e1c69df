# SPDX-License-Identifier: Apache-2.0
"""What becomes of a room of back that cannot go on: front is told, and later the process begins anew."""

import contextlib
import logging
import os
import threading
from collections.abc import Callable

from opentrail.errors import Unavailable
from opentrail.eventlog.link import Kind

STILL_S = 300.0
"""Then it is looked at again: a disk that failed may work, and what was damaged may have been put back.
Until then the other rooms have the process; a start takes a second of theirs."""

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
