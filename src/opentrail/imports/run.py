# SPDX-License-Identifier: Apache-2.0
"""One import from its first file to its last: files are fetched ahead, and taken in one by one."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol, TypeVar

from opentrail.errors import ClientError, Unavailable
from opentrail.imports.importer import Importer, Quarantined, Source, shown

FETCHED_AHEAD = 8
"""Files read while one is taken in: hides the way to a bucket. Log files have a few MB at most."""
FETCH_THREADS = 4
AHEAD_BYTES_MAX = 16 * 1024 * 1024
"""A larger file is read only when its turn comes, so that memory does not grow with the files."""


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
    files_failed: int = 0
    """Could not be fetched."""
    bytes: int = 0
    """Read, as stored."""
    records: int = 0
    imported: int = 0
    duplicates: int = 0
    outside: int = 0
    quarantined: int = 0
    failures: list[Quarantined] = field(default_factory=list)
    """The first few of what was quarantined."""


FAILURES_SHOWN = 20


def import_all(
    files: Iterable[_File],
    importer: Importer,
    quarantine: Callable[[list[Quarantined]], None],
    told: Callable[[Summary, _File], None],
) -> Summary:
    """Import ``files``; call ``told`` after each. Raises: Unavailable: the log refuses. Corrupt."""
    summary = Summary()
    for file, reading in _fetched(_not_done(files, importer, summary)):
        try:
            data = reading.result() if reading is not None else file.read()
        except (ClientError, Unavailable, OSError) as error:
            summary.files_failed += 1
            _note(
                summary, quarantine, [Quarantined(shown(file.name), 0, f"cannot be read: {error}")]
            )
        else:
            done, unread = importer.take(file, data)
            summary.files += 1
            summary.bytes += len(data)
            summary.imported += done.imported
            summary.duplicates += done.duplicates
            summary.outside += done.outside
            summary.quarantined += done.quarantined
            summary.records += done.imported + done.duplicates + done.outside + done.quarantined
            _note(summary, quarantine, unread)
        told(summary, file)
    return summary


def _not_done(files: Iterable[_File], importer: Importer, summary: Summary) -> Iterator[_File]:
    for file in files:
        if importer.done(file) is None:
            yield file
        else:
            summary.files_before += 1


def _fetched(files: Iterator[_File]) -> Iterator[tuple[_File, "Future[bytes] | None"]]:
    """Yield each file with its bytes to come; None for one that is too large to be fetched ahead."""
    with ThreadPoolExecutor(FETCH_THREADS, "fetch") as pool:
        ahead: deque[tuple[_File, Future[bytes] | None]] = deque()
        while True:
            for file in islice(files, FETCHED_AHEAD - len(ahead)):
                small = file.size <= AHEAD_BYTES_MAX
                ahead.append((file, pool.submit(file.read) if small else None))
            if not ahead:
                return
            yield ahead.popleft()


def _note(
    summary: Summary, quarantine: Callable[[list[Quarantined]], None], unread: list[Quarantined]
) -> None:
    if unread:
        quarantine(unread)
        summary.failures += unread[: FAILURES_SHOWN - len(summary.failures)]
