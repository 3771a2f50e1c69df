# SPDX-License-Identifier: Apache-2.0
"""One writer for one index: flock on ``<history>/lock``.

A back process whose front was killed ends by itself, after the step that it is at; whoever comes
next waits for that.
"""

import fcntl
import logging
from io import FileIO
from pathlib import Path

from opentrail.durable import make_dir

_log = logging.getLogger("opentrail.history")


def hold(directory: Path) -> FileIO:
    """Return the held lock, once nobody else writes there; closing it lets go."""
    make_dir(directory)
    lock = FileIO(directory / "lock", "a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        _log.warning("event history waits for the back process of a killed server to end")
        fcntl.flock(lock, fcntl.LOCK_EX)
    return lock
