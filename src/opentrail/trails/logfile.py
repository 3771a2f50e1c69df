# SPDX-License-Identifier: Apache-2.0
"""A log file: its bytes and its key. The same records at the same place give the same of both.

Source: CloudTrail User Guide, "CloudTrail log file name format" and "CloudTrail log file examples".
"""

import datetime as dt
import hashlib
import string
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from opentrail.event.place import category_of
from opentrail.event.record import Record
from opentrail.trails.gzipped import GzipMember
from opentrail.trails.spool import Spool
from opentrail.trails.trail import Trail

FILE_BYTES_MAX = 50 * 1024 * 1024
"""CloudTrail's cap on a log file, before compression. Not a setting: parts are named by number, so
another size would deliver a repeated range twice."""
CHUNK_BYTES = 64 * 1024
"""Hashed and compressed at once: less overhead a record, and the fixed split that makes the
compressed bytes repeatable."""
TIMES_KNOWN = 4096
"""eventTimes that need not be read again: records of a second come together, to several trails."""
UNIQUE_LETTERS = 16
"""Length of the unique string in a log file's name."""

FOLDER = "CloudTrail"
_FOLDERS = {"Insight": "CloudTrail-Insight", "NetworkActivity": "CloudTrail-NetworkActivity"}
"""eventCategory -> folder, where it is not ``FOLDER``."""

_HEAD = b'{"Records":['
_TAIL = b"]}"
_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_SECOND = dt.timedelta(seconds=1)


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """What all records of one file have in common."""

    account: str
    region: str
    folder: str


@dataclass(frozen=True, slots=True)
class FileName:
    """All that a log file's key follows from, beside its trail."""

    log_id: str
    cut_position: int
    cut_ms: int
    place: Place
    part: int
    """0, 1 …: files of one place and one cut."""


@dataclass(frozen=True, slots=True)
class Packed:
    """A finished log file, in a spool. ``close`` it when it is put."""

    spool: Spool
    sha256: str
    """Hex, of the uncompressed bytes."""
    oldest_ms: int
    newest_ms: int
    """eventTime of the records, milliseconds (whole seconds)."""
    records: int

    @property
    def size(self) -> int:
        """Compressed bytes."""
        return self.spool.size

    @property
    def data(self) -> bytes:
        """One gzip member, read anew each time. Raises: OSError."""
        return self.spool.read()

    def close(self) -> None:
        """Let go of the bytes."""
        self.spool.close()


class LogFile:
    """A log file in the making: bounded memory, whatever its size. ``finish`` or ``close`` it."""

    def __init__(self, spool_dir: Path | None = None) -> None:
        """Begin a file whose compressed bytes may wait in ``spool_dir`` (None: the system's)."""
        self._spool = Spool(spool_dir)
        self._gzip = GzipMember()
        self._sha256 = hashlib.sha256()
        self._waiting: list[bytes] = []
        self._waiting_bytes = len(_HEAD)
        self._before = _HEAD
        self._last_time: str | None = None
        self._oldest_ms = self._newest_ms = -1
        self.records = 0
        self.size = len(_HEAD) + len(_TAIL)
        """Uncompressed bytes, were it finished now; a comma more for a record that follows."""

    def add(self, data: bytes, event_time: str, append_ms: int) -> None:
        """Append a record's own bytes. A time that is none counts as when it was appended.

        Raises: OSError: the spool's disk is full.
        """
        self._waiting.append(data)
        grown = len(data) + (1 if self.records else 0)
        self.size += grown
        self._waiting_bytes += grown
        self.records += 1
        if event_time != self._last_time:
            self._see(event_time, append_ms)
        if self._waiting_bytes >= CHUNK_BYTES:
            self._pack(b"")

    def finish(self) -> Packed:
        """Return the file; nothing may be added to it any more. Raises: OSError."""
        self._pack(_TAIL)
        self._spool.write(self._gzip.finish())
        digest = self._sha256.hexdigest()
        return Packed(self._spool, digest, self._oldest_ms, self._newest_ms, self.records)

    def close(self) -> None:
        """Let go of an unfinished file. Its spool has no name that could be left behind."""
        self._spool.close()

    def _pack(self, after: bytes) -> None:
        before = self._before if self._waiting or not self.records else b""
        chunk = b"".join((before, b",".join(self._waiting), after))
        self._sha256.update(chunk)
        self._spool.write(self._gzip.add(chunk))
        self._waiting.clear()
        self._waiting_bytes = 0
        self._before = b","

    def _see(self, event_time: str, append_ms: int) -> None:
        event_ms = _milliseconds(event_time)
        if event_ms is None:
            event_ms = append_ms // 1000 * 1000
        else:
            self._last_time = event_time
        if self._oldest_ms < 0 or event_ms < self._oldest_ms:
            self._oldest_ms = event_ms
        self._newest_ms = max(self._newest_ms, event_ms)


def folder_of(record: Record) -> str:
    """Return the folder that a record's file lies in."""
    return _FOLDERS.get(category_of(record), FOLDER)


def log_file_key(trail: Trail, name: FileName) -> str:
    """Return the key of a log file: its minute is its cut's, its 16 letters tell it from all others.

    >>> [prefix/]AWSLogs/[o-id/]<acct>/CloudTrail/<region>/YYYY/MM/DD/
    ...     <acct>_CloudTrail_<region>_YYYYMMDDTHHmmZ_<16 letters and digits>.json.gz
    """
    place = name.place
    moment = dt.datetime.fromtimestamp(name.cut_ms // 1000, tz=dt.UTC)
    return (
        f"{key_root(trail)}{place.account}/{place.folder}/{place.region}/{moment:%Y/%m/%d}/"
        f"{place.account}_{place.folder}_{place.region}_{moment:%Y%m%dT%H%MZ}_"
        f"{_unique(trail.id, name)}.json.gz"
    )


def key_root(trail: Trail) -> str:
    """Return what stands before the account in the keys of a trail.

    All accounts of an organization trail lie below the organization, its own one too.
    """
    prefix = f"{trail.prefix}/" if trail.prefix else ""
    organization = f"{trail.organization_id}/" if trail.is_organization else ""
    return f"{prefix}AWSLogs/{organization}"


def _unique(trail_id: str, name: FileName) -> str:
    place = name.place
    parts = (name.log_id, trail_id, str(name.cut_position), place.account, place.region)
    cause = "\n".join((*parts, place.folder, str(name.part)))
    number = int.from_bytes(hashlib.sha256(cause.encode()).digest(), "big")
    letters: list[str] = []
    for _ in range(UNIQUE_LETTERS):
        number, rest = divmod(number, len(_ALPHABET))
        letters.append(_ALPHABET[rest])
    return "".join(letters)


@lru_cache(TIMES_KNOWN)
def _milliseconds(event_time: str) -> int | None:
    """Return an eventTime as milliseconds since 1970; None when it is no time with a zone."""
    try:
        seconds = (dt.datetime.fromisoformat(event_time) - _EPOCH) // _SECOND
    except (ValueError, TypeError):  # no time; no zone
        return None
    return max(seconds, 0) * 1000
