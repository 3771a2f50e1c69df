# SPDX-License-Identifier: Apache-2.0
"""Takes log files into a log, once each, whatever is repeated or interrupted."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from opentrail.eventlog.base import Draft, EventLog, Origin
from opentrail.history.derive import derive
from opentrail.history.index import History
from opentrail.imports.paths import Wanted
from opentrail.imports.unpack import NotReadable, Unread, inflate, records_of
from opentrail.state.base import Change, State

BATCH_RECORDS = 4096
BATCH_BYTES = 6 * 1024 * 1024
"""Of one append: below what the log takes at once (8 MiB), so that a batch never has to be split."""
NO_EVENT = "not a CloudTrail event: no readable eventTime"


_Numbered = tuple[int, bytes]
"""A record and its number in the file."""


class Source(Protocol):
    """A file to import."""

    @property
    def name(self) -> str:
        """Path or URL: what it is known by when it comes again."""
        ...

    @property
    def version(self) -> str:
        """Changes when the file does."""
        ...

    def read(self) -> bytes:
        """Return the whole file. Raises: Unavailable. ClientError. OSError."""
        ...


class Quarantined(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something that could not be read. One line of ``quarantine.ndjson``."""

    file: str
    record: int
    """Its number in the file, from 0."""
    reason: str
    position: int | None = None
    """Where it begins, in bytes of the unpacked file; None where the number says it all."""


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a file. State: ``import/<SHA-256 of its name>``."""

    file: str
    version: str
    imported: int = 0
    duplicates: int = 0
    outside: int = 0
    """Records that were not asked for, by account, region or time."""
    quarantined: int = 0
    asked: str = ""
    """What was asked for: another question reads the file again."""


@dataclass(slots=True)
class _Tally:
    imported: int = 0
    duplicates: int = 0
    outside: int = 0
    unread: list[Quarantined] = field(default_factory=list)


class Importer:
    """Takes files in, one after another. One thread."""

    def __init__(self, log: EventLog, history: History, state: State, wanted: Wanted) -> None:
        """``history`` is the index of ``log``; nobody else may append meanwhile."""
        self._log = log
        self._history = history
        self._state = state
        self._wanted = wanted
        self._asked = _asked(wanted)

    def done(self, source: Source) -> Done | None:
        """Return what came of a file that was imported before and has not changed since."""
        entry = self._state.get(_key(source))
        if entry is None:
            return None
        done = msgspec.json.decode(entry.value, type=Done)
        same = done.version == source.version and done.asked == self._asked
        return done if same else None

    def take(self, source: Source, data: bytes) -> tuple[Done, list[Quarantined]]:
        """Import what the file holds, and what of it could not be read.

            1. append the records that the log does not have    (durable, a batch at a time)
            2. note in state that the file is done
        A crash before 2 has the file read again, and every record of it is then a duplicate.
        Raises: Unavailable. Corrupt.
        """
        tally = _Tally()
        try:
            for batch in _batches(self._wanted_of(source, inflate(data), tally)):
                self._append(source, batch, tally)
        except NotReadable as error:
            tally.unread.append(Quarantined(shown(source.name), 0, str(error)))
        done = Done(
            file=shown(source.name),
            version=source.version,
            imported=tally.imported,
            duplicates=tally.duplicates,
            outside=tally.outside,
            quarantined=len(tally.unread),
            asked=self._asked,
        )
        self._state.commit([Change(_key(source), msgspec.json.encode(done), None)])
        return done, tally.unread

    def _wanted_of(self, source: Source, data: bytes, tally: _Tally) -> Iterator[_Numbered]:
        """Yield the records that are asked for; count the others."""
        everything = self._wanted == Wanted()
        for number, found in enumerate(records_of(data)):
            if isinstance(found, Unread):
                unread = Quarantined(shown(source.name), number, found.reason, found.position)
                tally.unread.append(unread)
            elif everything or self._takes(found):
                yield number, found
            else:
                tally.outside += 1

    def _takes(self, data: bytes) -> bool:
        """Whether a record is asked for, or is no event, which is found out later."""
        derived = derive(data)
        return derived is None or self._wanted.takes(
            derived.account, derived.region, derived.event_time_s
        )

    def _append(self, source: Source, batch: Sequence[_Numbered], tally: _Tally) -> None:
        """Append what is new of ``batch``. Raises: Unavailable. Corrupt."""
        records = [data for _, data in batch]
        rows = self._history.prepare(records)
        if len(rows.positions) < len(records):
            events = set(rows.positions)
            for index, (number, _) in enumerate(batch):
                if index not in events:
                    tally.unread.append(Quarantined(shown(source.name), number, NO_EVENT))
            records = [records[index] for index in sorted(events)]
            rows = self._history.prepare(records)
        if known := self._history.known(rows, records):
            tally.duplicates += len(known)
            records = [data for index, data in enumerate(records) if index not in known]
            rows = self._history.prepare(records)
        if records:
            positions = self._log.append([Draft(Origin.IMPORT, data) for data in records])
            self._history.adopt(rows, positions, self._log.durable_end())
            tally.imported += len(records)


def _batches(records: Iterator[_Numbered]) -> Iterator[list[_Numbered]]:
    batch: list[_Numbered] = []
    size = 0
    for each in records:
        if batch and (len(batch) == BATCH_RECORDS or size + len(each[1]) > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(each)
        size += len(each[1])
    if batch:
        yield batch


def _key(source: Source) -> str:
    return f"import/{hashlib.sha256(source.name.encode('utf-8', 'surrogateescape')).hexdigest()}"


def shown(name: str) -> str:
    """Return a file's name as text; bytes of it that are not UTF-8 as escapes."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _asked(wanted: Wanted) -> str:
    accounts, regions = sorted(wanted.accounts), sorted(wanted.regions)
    return f"{','.join(accounts)}|{','.join(regions)}|{wanted.start_s}|{wanted.end_s}"
