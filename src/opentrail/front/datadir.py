# SPDX-License-Identifier: Apache-2.0
"""The data directory: made at first start, held against itself, and emptied by a reset."""

import shutil
from contextlib import closing
from pathlib import Path

from opentrail.durable import OS_FILES, make_dir
from opentrail.errors import Corrupt, Unavailable, UsageError
from opentrail.eventlog.segments import Segments
from opentrail.state.sqlite import SqliteState
from opentrail.trails.followed import lost

_SET_ASIDE = "log.discarded"


def prepare(data: Path) -> None:
    """Make the data directory, writable, with nothing half removed in it. Raises: UsageError."""
    try:
        make_dir(data)
        discard(data)
        probe = data / "writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UsageError(
            f"cannot write to the data directory {data}: {error.strerror};"
            " choose another with --data, or mend its permissions"
        ) from error


def whole(log: Segments, data: Path) -> Segments:
    """Return ``log``, unless the state of ``data`` has followed more of it. Raises: Corrupt."""
    path = data / "state.db"
    if log.damage is not None or not path.exists():
        return log
    try:
        with closing(SqliteState.open(path)) as state:
            found = lost(state, log)
    except (Corrupt, Unavailable):
        return log  # who needs what is damaged there says so
    if found is not None:
        log.close()
        raise found
    return log


def set_aside(data: Path) -> None:
    """Take the log out of use, by one rename; then the trails, which mean nothing without it."""
    OS_FILES.rename(data / "log", data / _SET_ASIDE)
    OS_FILES.sync_dir(data)
    _forget_trails(data)


def discard(data: Path) -> None:
    """Delete the log that was set aside, if there is one."""
    if (data / _SET_ASIDE).exists():
        _forget_trails(data)
        shutil.rmtree(data / _SET_ASIDE)


def _forget_trails(data: Path) -> None:
    for name in ("state.db", "state.db-journal"):
        (data / name).unlink(missing_ok=True)
