# SPDX-License-Identifier: Apache-2.0
"""Records into a log that this process has for itself, and into its index."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Self

from opentrail.eventlog.base import Draft, EventLog, Origin
from opentrail.history.index import History
from opentrail.history.terms import Batch
from opentrail.imports.importer import Outcome

TRAIN_RECORDS = 20_000
"""A dictionary made of so many takes a tenth of a second, and saves 2 us for each one to come."""
NO_EVENT = "not a CloudTrail event: no readable eventTime"


class LogSink:
    """An ``importer.Sink``. Compressing and writing go on in a thread of their own."""

    def __init__(
        self, log: EventLog, history: History, train: Callable[[], object] | None = None
    ) -> None:
        """``history`` is the index of ``log``; nobody else may append meanwhile.

        ``train`` is called once, when so many records were taken in that those to come had better
        be compressed by what they have in common; None: never.
        """
        self._log = log
        self._history = history
        self._train = train
        self._appended = 0
        self._records: list[bytes] = []
        self._rows = Batch()
        self._refused: dict[int, str] = {}
        self._outcome = Outcome()
        self._begun: tuple[Batch, Future[list[int]]] | None = None
        self._pool = ThreadPoolExecutor(1, "append")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()

    def prepare(self, records: list[bytes]) -> None:
        """See ``Sink``."""
        self._records = records
        self._rows = self._history.prepare(records)
        self._refused = {}
        if len(self._rows.positions) < len(records):
            events = set(self._rows.positions)
            none = (index for index in range(len(records)) if index not in events)
            self._refused = dict.fromkeys(none, NO_EVENT)

    def begin(self) -> None:
        """See ``Sink``: append what the log does not have. Raises: Corrupt."""
        records, rows = self._records, self._rows
        gone = set(self._refused)
        known: frozenset[int] = frozenset()
        if gone:
            kept = [index for index in range(len(records)) if index not in gone]
            records = [records[index] for index in kept]
            rows = self._history.prepare(records)
            known = frozenset(kept[index] for index in self._history.known(rows, records))
        else:
            known = frozenset(self._history.known(rows, records))
        if known:
            gone |= known
            records = _without(self._records, gone)
            rows = self._history.prepare(records)
        self._outcome = Outcome(known, self._refused)
        if records:
            drafts = [Draft(Origin.IMPORT, data) for data in records]
            self._begun = rows, self._pool.submit(self._log.append, drafts)

    def finish(self) -> Outcome:
        """See ``Sink``: show lookups what was appended. Raises: Unavailable. Corrupt."""
        if self._begun is not None:
            rows, appending = self._begun
            self._begun = None
            positions = appending.result()
            self._history.adopt(rows, positions, self._log.durable_end())
            self._appended += len(positions)
            if self._train is not None and self._appended >= TRAIN_RECORDS:
                self._train()
                self._train = None
        return self._outcome


def _without(records: Sequence[bytes], gone: set[int]) -> list[bytes]:
    return [data for index, data in enumerate(records) if index not in gone]
