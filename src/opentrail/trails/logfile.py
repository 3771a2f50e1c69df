# SPDX-License-Identifier: Apache-2.0
"""A log file: its bytes and its key. The same records at the same place give the same of both.

Source: CloudTrail User Guide, "CloudTrail log file name format" and "CloudTrail log file examples".
"""

import datetime as dt
import hashlib
import string
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from opentrail.eventlog.base import Entry
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
_COMMA = b","
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
        self._waiting_bytes = len(_HEAD) - len(_COMMA)
        """As if each record had a comma before it, which the first has not."""
        self._before = _HEAD
        self._oldest_ms = self._newest_ms = -1
        self.records = 0
        self.size = len(_HEAD) + len(_TAIL)
        """Uncompressed bytes, were it finished now; a comma more for a record that follows."""

    def fits(self, entries: Sequence[Entry], bytes_max: int) -> int:
        """Return how many of ``entries`` there is room for; in an empty file for one at least."""
        size, records = self.size, self.records
        if size + sum(len(each.data) for each in entries) + len(entries) < bytes_max:
            return len(entries)
        for count, entry in enumerate(entries):
            if size + len(entry.data) >= bytes_max and records:
                return count
            size += len(entry.data) + (len(_COMMA) if records else 0)
            records += 1
        return len(entries)

    def add(self, entries: Sequence[Entry], event_times: Sequence[str]) -> None:
        """Append records' own bytes. A time that is none counts as when its record was appended.

        Raises: OSError: the spool's disk is full.
        """
        begin, waiting = 0, self._waiting_bytes
        records = [entry.data for entry in entries]
        self.size += sum(map(len, records)) + len(records) - (0 if self.records else len(_COMMA))
        self.records += len(records)
        self._see(entries, event_times)
        for end, data in enumerate(records, 1):
            waiting += len(data) + len(_COMMA)
            if waiting >= CHUNK_BYTES:
                self._waiting += records[begin:end]
                self._pack(b"")
                begin, waiting = end, 0
        self._waiting += records[begin:]
        self._waiting_bytes = waiting

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
        chunk = b"".join((before, _COMMA.join(self._waiting), after))
        self._sha256.update(chunk)
        self._spool.write(self._gzip.add(chunk))
        self._waiting.clear()
        self._before = _COMMA

    def _see(self, entries: Sequence[Entry], event_times: Sequence[str]) -> None:
        known = {time: _milliseconds(time) for time in set(event_times)}
        seen = [event_ms for event_ms in known.values() if event_ms is not None]
        if len(seen) < len(known):
            both = zip(entries, event_times, strict=True)
            seen += [each.append_ms // 1000 * 1000 for each, time in both if known[time] is None]
        if self._oldest_ms >= 0:
            seen += self._oldest_ms, self._newest_ms
        self._oldest_ms, self._newest_ms = min(seen), max(seen)


def folder_of(category: str) -> str:
    """Return the folder that the files of a category's records lie in."""
    return _FOLDERS.get(category, FOLDER)


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
