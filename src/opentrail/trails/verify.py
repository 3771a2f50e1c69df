# SPDX-License-Identifier: Apache-2.0
"""Checks the digests and log files in a bucket, with public keys and nothing else of a server.

Source: CloudTrail User Guide, "Custom implementations of CloudTrail log file integrity validation".
Single files are judged in ``examine``, what digests say of each other in ``chain``, what no digest
lists in ``uncovered``; here they are put together, place by place.
"""

import statistics
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from opentrail.trails.bucketkeys import ChainName, DigestName, LogName, Place, digest_name, log_name
from opentrail.trails.chain import NO_DIGESTS, WINDOW_S, Chain, Hole, Link, LogFiles, span_of
from opentrail.trails.digestfile import LogFileEntry
from opentrail.trails.examine import Examiner, Judged
from opentrail.trails.survey import END_ANY, Asked, Survey, log_names
from opentrail.trails.uncovered import (
    MINUTE_S,
    PATIENCE_WINDOWS,
    UNKNOWN_YET,
    Coverage,
    Known,
    Span,
    joined,
    misnamed,
    uncovered,
    undigested_files,
)
from opentrail.trails.verdict import COVERED, NOTE, Finding, Verdict
from opentrail.trails.workers import BATCH, Later, Workers, examined


@dataclass(frozen=True, slots=True)
class Expected:
    """What must be there, as somebody says whom we believe."""

    ends: Sequence[Link] = ()
    """Digests that must be there: the newest of each chain."""
    until_s: int = 0
    """Up to then there are no others of ``trail``, seconds since 1970 UTC; 0: nobody says."""
    trail: tuple[str, str] = ("", "")
    """Its name and home region."""
    waiting: Sequence[LogFileEntry] = ()
    """Log files that were delivered and are in no digest yet."""
    others: frozenset[int] = frozenset()
    """``hash`` of the keys of such files of other trails."""
    known: Known = UNKNOWN_YET
    """When all that was delivered is in a digest or among those."""
    derived: frozenset[int] | None = None
    """``hash`` of the keys of all files that the log gives; None: the log was not asked."""
    derived_since_s: int = 0
    """Seconds since 1970 UTC: what was delivered before, the log no longer gives."""

    def vouched_s(self, name: ChainName) -> int:
        """Return up to which time it is said which digests of a chain's trail there are.

        Of accounts that no end is of nothing is said: another trail there may have the same name.
        """
        named = (digest_name(link.key) for link in self.ends)
        accounts = {end.chain.place.account for end in named if end is not None}
        is_its = (name.trail, name.home_region) == self.trail and name.place.account in accounts
        return self.until_s if is_its else 0


@dataclass(frozen=True, slots=True)
class Files:
    """A bucket, and who looks at the files in it."""

    examiner: Examiner
    workers: Workers
    found: Survey


def verify(
    files: Files, expected: Expected, asked: Asked, now_s: int, *, unlisted: bool = True
) -> Iterator[Finding]:
    """Check all chains that are asked for, place by place.

    ``now_s``: seconds since 1970 UTC. ``unlisted``: files in no digest are looked for.
    Raises: ClientError: NoSuchBucket. Unavailable.
    """
    yield from _Run(files, expected, asked, now_s).findings(unlisted=unlisted)


class _Run:
    """One verification."""

    def __init__(self, files: Files, expected: Expected, asked: Asked, now_s: int) -> None:
        self._files = files
        self._expected = expected
        self._asked = asked
        self._now_s = now_s
        self._ends: dict[ChainName, list[Link]] = defaultdict(list)
        for link in expected.ends:
            name = digest_name(link.key)
            if name is not None:
                self._ends[name.chain].append(link)
        self._chains = sorted({*files.found.digests, *self._ends})
        self._windows: list[int] = []
        """The lengths of all windows."""
        self._holes: list[tuple[ChainName, Hole]] = []
        self._backfilled: dict[ChainName, list[Span]] = {}
        """Of the place that is looked at: windows of digests that came late, which fill holes."""

    def findings(self, *, unlisted: bool) -> Iterator[Finding]:
        """Yield all that is found. Raises: as ``verify``."""
        yield from _waiting(self._files, self._expected)
        bucket = self._files.examiner.bucket_name
        places = {chain.place for chain in self._chains if self._asked.takes(chain)}
        if unlisted:
            places |= self._files.found.folders.keys()
            yield from (misnamed(key, bucket) for key in self._files.found.strays)
        undigested: list[tuple[Place, Coverage]] = []
        waiting = {hash(entry.s3_object) for entry in self._expected.waiting}
        for place in sorted(places):
            covered = Coverage({*waiting, *self._expected.others}, known=self._known(place))
            for name in self._chains:
                if name.place == place and (unlisted or self._asked.takes(name)):
                    yield from self._chain(name, covered)
            yield from self._told_holes()
            self._windows += [end - start for start, end in covered.windows]
            if covered.windows and unlisted:
                logs = self._logs(place, covered)
                yield from uncovered(logs, covered, bucket, self._now_s)
            elif unlisted:
                undigested.append((place, covered))
        for place, covered in undigested:
            window_s = int(statistics.median(self._windows or [WINDOW_S]))
            logs = self._logs(place, Coverage())
            yield from undigested_files(logs, place, window_s, self._now_s, covered)

    def _known(self, place: Place) -> Known:
        """Return what is known of a place: where others deliver too, nothing is."""
        known = self._expected.known
        there = {(each.trail, each.home_region) for each in self._chains if each.place == place}
        return known if there <= known.trails else UNKNOWN_YET

    def _chain(self, name: ChainName, covered: Coverage) -> Iterator[Finding]:
        """Yield what is to be said of a chain; of one that is not asked for nothing is."""
        asked, digests = self._asked, self._files.found.digests
        there = digests.get(name, [])
        names = [each for each in there if asked.is_in_time(each.end_s)]
        chain = Chain(names, self._ends[name], self._files.examiner, asked, covered)
        chain.vouched_s = self._expected.vouched_s(name)
        later = [each for each in there if each.end_s > asked.end_s]
        if later:
            chain.witness(self._files.examiner.digest(later[-1].key))
        wanted = asked.takes(name)
        findings = _checked(self._files.workers, chain, names, self._expected if wanted else None)
        if wanted:
            yield from findings
            if name.backfill:
                self._backfilled[replace(name, backfill=False)] = chain.windows
                return
            self._holes += [(name, hole) for hole in chain.holes]
            yield from self._end(chain, name)
            if there and not names and not later and asked.end_s != END_ANY:
                span = span_of(asked.start_s, asked.end_s)
                yield Finding("Period", span, Verdict.UNKNOWN, NO_DIGESTS)
        else:  # another trail's files are not ours to doubt
            deque(findings, maxlen=0)

    def _told_holes(self) -> Iterator[Finding]:
        """Say what no digest is about, unless a backfill digest is."""
        for name, hole in self._holes:
            span = span_of(hole.start_s, hole.end_s)
            late = joined(self._backfilled.get(name, []))
            if any(start <= hole.start_s and hole.end_s <= end for start, end in late):
                yield Finding(NOTE, span, Verdict.VALID, "backfill digests are about it")
            else:
                yield Finding("Period", span, Verdict.UNKNOWN, hole.reason)
        self._holes, self._backfilled = [], {}

    def _end(self, chain: Chain, name: ChainName) -> Iterator[Finding]:
        """Say what a chain covers, and when it ends long before the time that was asked for."""
        if not chain.newest_s:
            return
        who = f"{name.place.account} {name.place.region} {name.trail}"
        yield Finding(COVERED, span_of(chain.oldest_s, chain.newest_s), Verdict.VALID, who)
        until_s, window_s = max(chain.newest_s, chain.vouched_s), chain.window_s
        due_s = min(self._asked.end_s, self._now_s - PATIENCE_WINDOWS * window_s)
        if self._asked.end_s != END_ANY and until_s + window_s <= due_s:
            span = span_of(until_s, min(self._asked.end_s, self._now_s))
            yield Finding("Period", span, Verdict.UNKNOWN, NO_DIGESTS)

    def _logs(self, place: Place, covered: Coverage) -> Iterator[LogName]:
        """Yield the log files of a place that are of the time asked for, or of none, by their names.

        A file's digest comes up to one window later. Raises: ClientError. Unavailable.
        """
        early_s = self._now_s + PATIENCE_WINDOWS * WINDOW_S
        last_s = self._asked.end_s
        if last_s != END_ANY:
            last_s = max((end for _, end in covered.windows), default=last_s) - MINUTE_S
        for folder in sorted(self._files.found.folders.get(place, ())):
            for log in log_names(self._files.examiner.source, folder):
                asked_for = self._asked.start_s <= log.minute_s <= last_s
                if asked_for or log.minute_s < 0 or log.minute_s > early_s:
                    yield log


def _waiting(files: Files, expected: Expected) -> Iterator[Finding]:
    entries = expected.waiting
    for first in range(0, len(entries), BATCH):
        batch = entries[first : first + BATCH]
        later = files.workers.begin(Examiner.logs, batch)
        yield from _Task(batch, [None] * len(batch), Verdict.VALID, later).findings()


@dataclass(frozen=True, slots=True)
class _Task:
    """Log files that are being looked at."""

    entries: Sequence[LogFileEntry]
    doubts: Sequence[Judged | None]
    verdict: Verdict
    """Of their digest."""
    later: Later[Judged]

    def findings(self) -> Iterator[Finding]:
        """Yield what is to be said of them, when it is known. Raises: Unavailable."""
        for entry, doubt, judged in zip(self.entries, self.doubts, self.later(), strict=True):
            verdict, reason = judged
            if verdict is Verdict.VALID and doubt is not None:
                verdict, reason = doubt
            elif verdict is Verdict.VALID and self.verdict is not Verdict.VALID:
                verdict, reason = self.verdict, "as its digest says, which cannot be verified"
            yield Finding("Log file", f"s3://{entry.s3_bucket}/{entry.s3_object}", verdict, reason)


def _checked(
    workers: Workers, chain: Chain, names: Sequence[DigestName], expected: Expected | None
) -> Iterator[Finding]:
    """Yield what is to be said of a chain, in its order, while more of it is being looked at.

    ``expected`` None: its log files are not looked at.
    """
    waiting: deque[Finding | _Task] = deque()
    tasks = 0
    for item in chain.walk(examined(workers, [name.key for name in names])):
        if isinstance(item, Finding):
            waiting.append(item)
        elif expected is not None:
            for first in range(0, len(item.entries), BATCH):
                waiting.append(_begin(workers, item, first, expected))
                tasks += 1
        while waiting and (tasks >= workers.tasks_max or isinstance(waiting[0], Finding)):
            tasks -= isinstance(waiting[0], _Task)
            yield from _said(waiting.popleft())
    for each in waiting:
        yield from _said(each)


def _begin(workers: Workers, item: LogFiles, first: int, expected: Expected) -> _Task:
    entries = item.entries[first : first + BATCH]
    doubts = item.doubts[first : first + BATCH]
    also = [
        doubt or _underived(entry, expected) for entry, doubt in zip(entries, doubts, strict=True)
    ]
    return _Task(entries, also, item.verdict, workers.begin(Examiner.logs, entries))


def _underived(entry: LogFileEntry, expected: Expected) -> Judged | None:
    """Return what is wrong with a file that the log does not give."""
    if expected.derived is None or hash(entry.s3_object) in expected.derived:
        return None
    name = log_name(entry.s3_object)
    if name is not None and 0 <= name.minute_s < expected.derived_since_s:
        return None
    return Verdict.INVALID, "the log gives no such file"


def as_derived(files: Files, derived: Iterable[LogFileEntry]) -> Iterator[Finding]:
    """Yield whether the bucket has each file as the log gives it. Raises: Unavailable."""
    waiting: deque[_Task] = deque()
    entries = iter(derived)
    while batch := tuple(islice(entries, BATCH)):
        later = files.workers.begin(Examiner.logs, batch)
        waiting.append(_Task(batch, [None] * len(batch), Verdict.VALID, later))
        if len(waiting) >= files.workers.tasks_max:
            yield from map(_of_the_log, waiting.popleft().findings())
    for task in waiting:
        yield from map(_of_the_log, task.findings())


def _of_the_log(finding: Finding) -> Finding:
    reason = finding.reason.replace("hash value doesn't match", "is not what the log gives")
    return replace(finding, kind="Logged file", reason=reason)


def _said(item: Finding | _Task) -> Iterator[Finding]:
    return iter((item,)) if isinstance(item, Finding) else item.findings()
