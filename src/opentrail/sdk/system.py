# SPDX-License-Identifier: Apache-2.0
"""Time, randomness and files of the program that the SDK runs in; they enter here alone."""

import fcntl
import functools
import os
import sys
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

TEMPORARY_SUFFIX = ".tmp"
"""Files that end so were never finished."""
POOL_BYTES = 4096
"""Randomness fetched at once."""
SECONDS_CACHED = 8
"""Texts of the last few seconds: calls come many to a second."""


def now_s() -> float:
    """Return seconds since 1970, UTC. The clock may jump, both ways."""
    return time.time()


def monotonic_s() -> float:
    """Return seconds that never go back; only differences mean anything."""
    return time.monotonic()


@functools.lru_cache(maxsize=SECONDS_CACHED)
def iso_seconds(epoch_s: int) -> str:
    """Return ``epoch_s`` as records write times: ``2023-07-10T12:27:45Z``."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(epoch_s))


def amz_date(epoch_s: float) -> str:
    """Return ``epoch_s`` as signatures write times: ``20230710T122745Z``."""
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(epoch_s))


class _Pool:
    """Randomness, fetched in blocks: a system call a few hundred ids, not one each."""

    def __init__(self) -> None:
        self._texts: deque[str] = deque()
        os.register_at_fork(after_in_child=self._texts.clear)

    def take(self) -> str:
        """Return 32 hexadecimal digits that nobody else has had; safe from any thread."""
        while True:
            try:
                return self._texts.popleft()
            except IndexError:
                text = os.urandom(POOL_BYTES).hex()
                self._texts.extend(text[at : at + 32] for at in range(0, len(text), 32))


_pool = _Pool()
_VARIANTS = dict(zip("0123456789abcdef", "89ab" * 4, strict=True))


def new_id() -> str:
    """Return a random UUID (version 4, RFC 9562). Also right in a process that was forked."""
    text = _pool.take()
    variant = _VARIANTS[text[16]]
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{variant}{text[17:20]}-{text[20:]}"


def at_worker_end(call: Callable[..., None], *args: object) -> None:
    """Have ``call`` called at the end of this process, if it is one of multiprocessing's, or of Celery's.

    Forked ones end without what ``atexit`` knows. Must be called in the worker itself.
    """
    process = sys.modules.get("multiprocessing.process")
    util = sys.modules.get("multiprocessing.util")
    if process is not None and util is not None and process.parent_process() is not None:
        util.Finalize(None, call, args, exitpriority=0)  # after those of the program itself
    celery = sys.modules.get("celery.signals")
    if celery is not None:
        celery.worker_process_shutdown.connect(lambda **_: call(*args), weak=False)


def write_file(path: Path, data: bytes) -> None:
    """Make a new file with all of ``data``, on disk, or none. Raises: OSError."""
    temporary = path.with_name(path.name + TEMPORARY_SUFFIX)
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def take_lock(path: Path) -> int | None:
    """Return a descriptor that holds the lock file ``path``; None when a living process has it.

    The system lets go of it when the process ends, however it ends. Raises: OSError.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    return fd
