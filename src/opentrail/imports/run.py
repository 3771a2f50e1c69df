# SPDX-License-Identifier: Apache-2.0
"""One import from its first file to its last: files are fetched ahead, and taken in one by one."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol, TypeVar, cast

from opentrail.errors import ClientError, Unavailable
from opentrail.imports.contents import begun
from opentrail.imports.importer import (
    BATCH_FILES,
    Importer,
    Quarantined,
    Source,
    Taken,
    Told,
    shown,
)

FETCHED_AHEAD = 8
"""Files read while one is taken in: hides the way to a bucket. Log files have a few MB at most."""
FETCH_THREADS = 4
AHEAD_BYTES_MAX = 8 * 1024 * 1024
"""A larger file is read only when its turn comes, so that memory does not grow with the files."""

NAMED_MAX = 3 * BATCH_FILES
"""Files that may not be noted as done yet, as of overlapping paths: two batches and those that are fetched ahead."""


class Sized(Source, Protocol):
    """A source whose size is known."""

    @property
    def size(self) -> int:
        """Bytes, as stored."""
        ...


_File = TypeVar("_File", bound=Sized)


@dataclass(slots=True)
class Summary:
    """What came of an import. Records: all = imported + duplicates + outside + quarantined."""

    files: int = 0
    """Read now."""
    files_before: int = 0
    """Imported before and unchanged: not read again."""
    files_left: int = 0
    """Not done: the import was ended before."""
    files_failed: int = 0
    """Could not be fetched."""
    bytes: int = 0
    """Read, as stored."""
    records: int = 0
    imported: int = 0
    duplicates: int = 0
    outside: int = 0
    quarantined: int = 0
    quarantined_before: int = 0
    """Lines that earlier imports left in the list of what could not be read."""
    beside: int = 0
    """What tools write beside records: counted here, and not in ``records``."""
    failures: list[Quarantined] = field(default_factory=list)
    """The first few of what was quarantined."""

    def count(self, taken: Taken, size: int) -> None:
        """Count a file of ``size`` bytes."""
        done = taken.done
        self.files_failed += taken.failed
        self.files += not taken.failed
        self.bytes += size
        self.imported += done.imported
        self.duplicates += done.duplicates
        self.outside += done.outside
        self.quarantined += done.quarantined
        self.beside += done.beside
        self.records += done.imported + done.duplicates + done.outside + done.quarantined


FAILURES_SHOWN = 20


def import_all(
    files: Iterable[_File],
    importer: Callable[[Told], Importer],
    quarantine: Callable[[list[Quarantined]], None],
    told: Callable[[_File], None],
    summary: Summary,
) -> None:
    """Import ``files`` by the ``importer``; call ``told`` when each is done, and counted in ``summary``.

    Raises: Unavailable: the sink refuses. Corrupt. OSError: ``quarantine`` does. What is counted then is done.
    """

    def note(taken: list[Taken]) -> None:
        _note(summary, quarantine, [unread for each in taken for unread in each.unread])
        for each in taken:
            file = cast("_File", each.source)
            summary.count(each, file.size)
            told(file)

    into = importer(note)
    for file, reading in _fetched(_not_done(files, into, summary)):
        try:
            pieces = begun(file.pieces()) if reading is None else reading.result()
        except (ClientError, Unavailable, OSError) as error:
            unread = [Quarantined(shown(file.name), 0, f"cannot be read: {error}")]
            summary.files_failed += 1
            _note(summary, quarantine, unread)
            told(file)
        else:
            into.take(file, pieces)
    into.finish()


def _not_done(files: Iterable[_File], importer: Importer, summary: Summary) -> Iterator[_File]:
    named: dict[str, None] = {}
    for file in files:
        if file.name in named or importer.done(file) is not None:
            summary.files_before += 1
        else:
            named[file.name] = None
            if len(named) > NAMED_MAX:
                del named[next(iter(named))]
            yield file


_Reading = Future[Iterator[bytes]]


def _fetched(files: Iterator[_File]) -> Iterator[tuple[_File, _Reading | None]]:
    """Yield each file with its pieces to come; None for one that is too large to be fetched ahead."""
    with ThreadPoolExecutor(FETCH_THREADS, "fetch") as pool:
        ahead: deque[tuple[_File, _Reading | None]] = deque()
        while True:
            for file in islice(files, FETCHED_AHEAD - len(ahead)):
                # A pipe is waited for here: Ctrl-C ends that, and does not end a thread's.
                small = file.version and file.size <= AHEAD_BYTES_MAX
                reading = pool.submit(begun, file.pieces()) if small else None
                ahead.append((file, reading))
            if not ahead:
                return
            yield ahead.popleft()


def _note(
    summary: Summary, quarantine: Callable[[list[Quarantined]], None], unread: list[Quarantined]
) -> None:
    if unread:
        quarantine(unread)
        summary.failures += unread[: FAILURES_SHOWN - len(summary.failures)]
