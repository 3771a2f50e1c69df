# SPDX-License-Identifier: Apache-2.0
"""The file of the keys that ``opentrail access-keys`` manages, and a running server takes up.

docs/format.md, "access-keys.json", has its form. Written whole, durably, 0600; writers take turns
by a lock beside it.
"""

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from opentrail.config import AccessKeySetting
from opentrail.durable import make_dir, read_file, replace_file
from opentrail.errors import UsageError

KEYS_MAX = 10_000
"""Keys in the file: each is 0.5 KB of the gateway's memory; more people than that have a directory
of their own, and their sessions are learned."""
FILE_BYTES_MAX = 32 * 1024 * 1024
"""Ten thousand keys, with 2 KB session tokens."""

Keys = dict[str, AccessKeySetting]


class _File(msgspec.Struct, frozen=True):
    version: int
    keys: Keys


def read_key_file(path: Path) -> Keys:
    """Return the keys by id; none where there is no file.

    Raises: UsageError, which never repeats what the file holds.
    """
    try:
        data = read_file(path) if path.stat().st_size <= FILE_BYTES_MAX else b""
        file = msgspec.json.decode(data, type=_File)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise UsageError(f"{path} is damaged: restore it, or remove it and add its keys") from None
    if file.version != 1:
        raise UsageError(f"{path} was written by a newer OpenTrail")
    return file.keys


def change_key_file(path: Path, change: Callable[[Keys], None]) -> None:
    """Read the keys, have them changed, and write them: durable when it returns.

    A crash leaves the old keys or the new. Raises: UsageError; what ``change`` raises.
    """
    try:
        make_dir(path.parent)
        with _turn(path.with_suffix(".lock")):
            keys = read_key_file(path)
            change(keys)
            if len(keys) > KEYS_MAX:
                raise UsageError(f"{path} holds {KEYS_MAX} keys at most")
            data = msgspec.json.format(msgspec.json.encode(_File(1, dict(sorted(keys.items())))))
            replace_file(path, data)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from error


@contextlib.contextmanager
def _turn(lock: Path) -> Iterator[None]:
    fd = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def state_of(path: Path) -> tuple[int, int, int] | None:
    """Return what changes whenever the file does; None where there is none."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_ino, stat.st_size
