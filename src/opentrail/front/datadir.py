# SPDX-License-Identifier: Apache-2.0
"""The data directory: made at first start, and emptied by a reset."""

import shutil
from pathlib import Path

from opentrail.durable import OS_FILES, make_dir
from opentrail.errors import UsageError

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
