# SPDX-License-Identifier: Apache-2.0
"""Takes files into a sink, each record once, whatever is repeated or interrupted.

Records of many files go together: one append and one note in state serve them all.
"""

import hashlib
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import Protocol

import msgspec

from opentrail.errors import ClientError, Unavailable
from opentrail.history.derive import derive
from opentrail.imports.contents import found_in
from opentrail.imports.paths import Wanted
from opentrail.imports.split import NoRecord, Unread
from opentrail.imports.ungzip import NotReadable
from opentrail.imports.unpack import Found
from opentrail.state.base import Change, State
from opentrail.state.stored import read

BATCH_RECORDS = 4096
BATCH_BYTES = 6 * 1024 * 1024
"""Of one append: below what the log takes at once (8 MiB), so that a batch never has to be split."""
BATCH_FILES = 1000
"""That end in one batch: small ones, or without records. An interruption has them read again."""
READER = 5
"""Raise it whenever more can be read: files of which something could not are read again then."""
LISTED_MAX = 1000
"""Of what cannot be read in one file: a file that is something else may have millions of lines."""


class Source(Protocol):
    """A file to import."""

    @property
    def name(self) -> str:
        """Path or URL: what it is known by when it comes again."""
        ...

    @property
    def version(self) -> str:
        """Changes when the file does; "" if that cannot be known."""
        ...

    def pieces(self) -> Iterator[bytes]:
        """Yield the file, as it is stored. Raises: Unavailable. ClientError. OSError."""
        ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a batch: of the records that are not named here, each was taken in."""

    duplicates: frozenset[int] = frozenset()
    """Numbers of records that were there already."""
    refused: dict[int, str] = field(default_factory=dict)
    """Why a record was not taken in, by its number."""
    again: frozenset[int] = frozenset()
    """Those of them that may be taken in another time."""


class Sink(Protocol):
    """What takes records in; one batch after another, while the next is being prepared."""

    def prepare(self, records: list[bytes]) -> None:
        """Do what can be done for the next batch while the last one is on its way."""
        ...

    def finish(self) -> Outcome:
        """Return what came of the batch that was begun: durable. Raises: Unavailable. Corrupt."""
        ...

    def begin(self) -> None:
        """Begin to take in what was prepared. Raises: Unavailable. Corrupt."""
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
    """What came of a file. State: ``import/<log id>/<SHA-256 of its name>``."""

    file: str
    version: str
    imported: int = 0
    duplicates: int = 0
    outside: int = 0
    """Records that were not asked for, by account, region or time."""
    quarantined: int = 0
    beside: int = 0
    """What tools write beside records, and is none."""
    asked: str = ""
    """What was asked for: another question reads the file again."""
    reader: int = 0
    """``READER`` of then: a newer one may read what could not be read."""


@dataclass(slots=True, eq=False)
class _File:
    """A file that is being taken in."""

    source: Source
    imported: int = 0
    duplicates: int = 0
    outside: int = 0
    quarantined: int = 0
    beside: int = 0
    listed: list[Quarantined] = field(default_factory=list)
    failed: bool = False
    """Whether it could not be read to its end, so that it must be read again."""
    again: bool = False
    """Whether it must be read again for a record that may be taken in then."""

    def note(self, number: int, reason: str, position: int | None = None) -> None:
        """Note what cannot be read."""
        self.quarantined += 1
        if self.quarantined > LISTED_MAX:
            reason, position = f"not listed: it has more than {LISTED_MAX} such records", None
        if self.quarantined <= LISTED_MAX + 1:
            self.listed.append(Quarantined(shown(self.source.name), number, reason, position))

    def read(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """Yield the file. Raises: NotReadable."""
        try:
            yield from pieces
        except (ClientError, Unavailable, OSError) as error:
            self.failed = True
            raise NotReadable(f"cannot be read: {error}") from error

    def done(self, asked: str) -> Done:
        """Return what came of it."""
        return Done(
            file=shown(self.source.name),
            version=self.source.version,
            imported=self.imported,
            duplicates=self.duplicates,
            outside=self.outside,
            quarantined=self.quarantined,
            beside=self.beside,
            asked=asked,
            reader=READER,
        )


class _Batch:
    """Records of some files, and the files that end with them."""

    def __init__(self) -> None:
        self.records: list[bytes] = []
        self.size = 0
        self.starts: list[int] = []
        """Where in ``records`` a run of records begins that follow each other in a file."""
        self.runs: list[tuple[_File, int]] = []
        """Of each, the file, and the first one's number there."""
        self.ended: list[_File] = []

    def add(self, file: _File, number: int, records: Sequence[bytes], size: int) -> None:
        """Add records that follow each other in ``file`` from ``number`` on."""
        at = len(self.records)
        last = self.runs[-1] if self.runs else None
        if last is None or last[0] is not file or last[1] + at - self.starts[-1] != number:
            self.starts.append(at)
            self.runs.append((file, number))
        self.records.extend(records)
        self.size += size

    def room_for(self, records: Sequence[bytes]) -> tuple[int, int]:
        """Return how many of ``records`` fit, and how large those are; the first when there is nothing."""
        left = records[: BATCH_RECORDS - len(self.records)]
        ends = list(accumulate(map(len, left), initial=self.size))
        count = max(bisect_right(ends, BATCH_BYTES) - 1, 0 if self.records else 1)
        return count, ends[count] - self.size

    def settle(self, outcome: Outcome) -> None:
        """Count what came of the records for their files."""
        for (file, _), (start, end) in zip(
            self.runs, pairwise([*self.starts, len(self.records)]), strict=True
        ):
            file.imported += end - start
        for index in outcome.duplicates:
            file, _ = self._origin(index)
            file.imported -= 1
            file.duplicates += 1
        for index in sorted(outcome.refused):
            file, number = self._origin(index)
            file.imported -= 1
            file.note(number, outcome.refused[index])
            file.again |= index in outcome.again

    def _origin(self, index: int) -> tuple[_File, int]:
        run = bisect_right(self.starts, index) - 1
        file, first = self.runs[run]
        return file, first + index - self.starts[run]


@dataclass(frozen=True, slots=True)
class Taken:
    """A file that is done."""

    source: Source
    done: Done
    unread: list[Quarantined]
    """What of it could not be read; the first ``LISTED_MAX`` of it, and that there is more."""
    failed: bool
    """Whether it could not be read to its end, and is read again the next time."""


Told = Callable[[list[Taken]], None]
"""Called with files whose records are in the log, in their order, before state says that they are done:
what of them could not be read must be listed then, as they are not read again."""


class Importer:
    """Takes files in, one after another. One thread."""

    def __init__(
        self, sink: Sink, state: State, wanted: Wanted, told: Told, place: str = "import"
    ) -> None:
        """``place``: what the keys in ``state`` begin with; another one for each sink."""
        self._sink = sink
        self._state = state
        self._wanted = wanted
        self._told = told
        self._place = place
        self._asked = _asked(wanted)
        self._batch = _Batch()
        self._begun: _Batch | None = None

    def done(self, source: Source) -> Done | None:
        """Return what came of a file that was imported before and has not changed since."""
        entry = self._state.get(self._key(source))
        if entry is None:
            return None
        done = read(entry, Done)
        same = done.version == source.version and done.asked == self._asked
        complete = not done.quarantined or done.reader == READER
        return done if same and complete else None

    def take(self, source: Source, pieces: Iterator[bytes]) -> None:
        """Import what the file of the unpacked ``pieces`` holds.

            1. take the records in that are not there    (durable, a batch at a time)
            2. tell what could not be read
            3. note in state that the file is done
        All may happen with a later file, and with ``finish``. A crash before 3 has the file read
        again: every record of it is then a duplicate, and told twice is what could not be read.
        Raises: Unavailable. Corrupt. OSError: as telling does.
        """
        file = _File(source)
        found = found_in(file.read(pieces))
        if isinstance(found, list) and self._wanted == Wanted():
            self._add(file, 0, found)
        else:
            self._add_each(file, found)
        self._batch.ended.append(file)
        if len(self._batch.ended) == BATCH_FILES:
            self._turn()

    def finish(self) -> None:
        """Return once all that was taken is done. Raises: Unavailable. Corrupt."""
        self._turn()
        self._settle()

    def _takes(self, data: bytes) -> bool:
        """Whether a record is asked for, or is no event, which is found out later."""
        if self._wanted == Wanted():
            return True
        derived = derive(data)
        return derived is None or self._wanted.takes(
            derived.account, derived.region, derived.event_time_s
        )

    def _add_each(self, file: _File, found: Iterable[Found]) -> None:
        number = 0
        for each in found:
            if isinstance(each, NoRecord):
                file.beside += 1
                continue
            if isinstance(each, Unread):
                file.note(number, each.reason, each.position)
            elif self._takes(each):
                self._add(file, number, (each,))
            else:
                file.outside += 1
            number += 1

    def _add(self, file: _File, number: int, records: Sequence[bytes]) -> None:
        """Add records that follow each other in ``file`` from ``number`` on, to as many batches as it takes."""
        while records:
            count, size = self._batch.room_for(records)
            if not count:
                self._turn()
                continue
            self._batch.add(file, number, records[:count], size)
            number, records = number + count, records[count:]

    def _turn(self) -> None:
        """Begin to take in the batch that is full, when the one before it is done."""
        self._sink.prepare(self._batch.records)
        self._settle()
        self._sink.begin()
        self._begun, self._batch = self._batch, _Batch()

    def _settle(self) -> None:
        """Wait for what was begun, and note the files that are done with it."""
        if self._begun is None:
            return
        batch, self._begun = self._begun, None
        batch.settle(self._sink.finish())
        done = [(file, file.done(self._asked)) for file in batch.ended]
        notes = {
            self._key(file.source): msgspec.json.encode(what)
            for file, what in done
            if what.version and not (file.failed or file.again)
        }
        self._told([Taken(file.source, what, file.listed, file.failed) for file, what in done])
        if notes:
            self._state.commit([Change(key, value, None) for key, value in notes.items()])

    def _key(self, source: Source) -> str:
        name = source.name.encode("utf-8", "surrogateescape")
        return f"{self._place}/{hashlib.sha256(name).hexdigest()}"


def shown(name: str) -> str:
    """Return a file's name as text; bytes of it that are not UTF-8 as escapes."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _asked(wanted: Wanted) -> str:
    accounts, regions = sorted(wanted.accounts), sorted(wanted.regions)
    return f"{','.join(accounts)}|{','.join(regions)}|{wanted.start_s}|{wanted.end_s}"
