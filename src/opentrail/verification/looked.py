# SPDX-License-Identifier: Apache-2.0
"""What is to be said of log files, in order, while others are looked at meanwhile."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from opentrail.trails.digestfile import LogFileEntry
from opentrail.verification.examine import Examiner, Judged
from opentrail.verification.verdict import Finding, Verdict
from opentrail.verification.workers import Later, Workers

WAITING_MAX = 4096
"""Findings that wait for a log file before them: their memory is bounded."""


@dataclass(frozen=True, slots=True)
class Check:
    """A log file that is to be looked at."""

    entry: LogFileEntry
    doubt: Judged | None = None
    """What is wrong with it even if it is as its entry says."""
    verdict: Verdict = Verdict.VALID
    """Of its digest: it can be no better."""
    kind: str = "Log file"

    def finding(self, judged: Judged) -> Finding:
        """Return what is to be said of the file."""
        verdict, reason = judged
        if verdict is Verdict.VALID and self.doubt is not None:
            verdict, reason = self.doubt
        elif verdict is Verdict.VALID and self.verdict is not Verdict.VALID:
            verdict, reason = self.verdict, "as its digest says, which cannot be verified"
        where = f"s3://{self.entry.s3_bucket}/{self.entry.s3_object}"
        return Finding(self.kind, where, verdict, reason)


def looked_at(workers: Workers, items: Iterable[Finding | Check]) -> Iterator[Finding]:
    """Yield what is to be said of all ``items``, in their order. Raises: Unavailable."""
    line = _Line(workers)
    for item in items:
        yield from line.add(item)
    yield from line.rest()


class _Line:
    """Findings, and log files in between that are being looked at."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self._waiting: deque[Finding | Check] = deque()
        self._gathered: list[LogFileEntry] = []
        """Of no task yet."""
        self._begun: deque[Later[Judged]] = deque()
        self._judged: deque[Judged] = deque()

    def add(self, item: Finding | Check) -> Iterator[Finding]:
        """Take an item; yield what can be said by now."""
        self._waiting.append(item)
        if isinstance(item, Check):
            self._gathered.append(item.entry)
            if len(self._gathered) >= self._workers.batch:
                self._begin()
        while self._waiting and self._is_due():
            yield self._next()

    def rest(self) -> Iterator[Finding]:
        """Yield what is left."""
        while self._waiting:
            yield self._next()

    def _is_due(self) -> bool:
        return (
            isinstance(self._waiting[0], Finding)
            or bool(self._judged)
            or len(self._begun) >= self._workers.tasks_max
            or len(self._waiting) > WAITING_MAX
        )

    def _begin(self) -> None:
        entries, self._gathered = self._gathered, []
        self._begun.append(self._workers.begin(Examiner.logs, entries))

    def _next(self) -> Finding:
        item = self._waiting.popleft()
        if isinstance(item, Finding):
            return item
        if not self._judged:
            if not self._begun:
                self._begin()
            self._judged.extend(self._begun.popleft()())
        return item.finding(self._judged.popleft())
