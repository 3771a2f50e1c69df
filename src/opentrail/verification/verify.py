# SPDX-License-Identifier: Apache-2.0
"""Checks the digests and log files in a bucket, with public keys and nothing else of a server.

Source: CloudTrail User Guide, "Custom implementations of CloudTrail log file integrity validation".
Single files are judged in ``examine``, what digests say of each other in ``chain``, what no digest
lists in ``uncovered``; here they are put together, place by place.
"""

import itertools
import statistics
from collections import defaultdict, deque
from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from opentrail.trails.digestfile import LogFileEntry
from opentrail.verification.ahead import Ahead
from opentrail.verification.bucketkeys import (
    ChainName,
    DigestName,
    LogName,
    Place,
    Whose,
    digest_name,
    log_name,
)
from opentrail.verification.chain import NO_DIGESTS, WINDOW_S, Chain, Hole
from opentrail.verification.elsewhere import Elsewhere, End
from opentrail.verification.examine import Examined, Examiner, Judged
from opentrail.verification.link import Link, LogFiles, span_of
from opentrail.verification.looked import Check, looked_at
from opentrail.verification.prefixes import put_together
from opentrail.verification.survey import END_ANY, Asked, Survey, log_names
from opentrail.verification.uncovered import (
    MINUTE_S,
    PATIENCE_WINDOWS,
    UNKNOWN_YET,
    Coverage,
    Known,
    Span,
    closed,
    joined,
    left_there,
    misnamed,
    uncovered,
    undigested_files,
)
from opentrail.verification.verdict import COVERED, NOTE, Finding, Verdict
from opentrail.verification.workers import Workers, examined


@dataclass(frozen=True, slots=True)
class Expected:
    """What must be there, as somebody says whom we believe."""

    ends: Sequence[Link] = ()
    """Digests that must be there, or in the buckets that they name: the newest of each chain."""
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
    all_ends: Collection[End] = ()
    """The newest digests of all chains of all trails, here and in other buckets."""

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
    run = _Run(files, expected, asked, now_s)
    yield from looked_at(files.workers, run.findings(unlisted=unlisted))


@dataclass(frozen=True, slots=True)
class _Part:
    """Of a chain, what is of the time asked for."""

    names: Sequence[DigestName]
    """The newest first."""
    behind: Examined | None
    """The digest after those: it vouches for them."""
    end_s: int
    """When the newest may end, seconds since 1970 UTC."""


class _Run:
    """One verification."""

    def __init__(self, files: Files, expected: Expected, asked: Asked, now_s: int) -> None:
        self._files = files
        self._expected = expected
        self._asked = asked
        self._now_s = now_s
        self._digests, self._names = put_together(files.found.digests, files.examiner)
        self._ends: dict[ChainName, list[Link]] = defaultdict(list)
        for link in expected.ends:
            name = digest_name(link.key)
            if name is not None:
                self._ends[self._end_of(name.chain)].append(link)
        self._chains = sorted({*self._digests, *self._ends})
        self._by_place: dict[Place, set[ChainName]] = defaultdict(set)
        self._places_of: dict[ChainName, set[Place]] = defaultdict(set)
        """Of a whole chain: where its digests lie, and its log files."""
        for each, whole in self._names.items():
            self._by_place[each.place].add(each)
            self._places_of[whole].add(each.place)
        self._elsewhere = Elsewhere(expected.all_ends, files.examiner, files.found.digests)
        self._parts: dict[ChainName, _Part] = {}
        """Of chains that are not told yet."""
        self._windows: list[Span] = []
        """Of all valid digests."""
        self._holes: list[tuple[ChainName, Hole]] = []
        self._backfilled: dict[Whose, list[Span]] = defaultdict(list)
        """Windows of digests that came late, which fill holes."""

    def _end_of(self, name: ChainName) -> ChainName:
        """Return of which chain here a digest is the end that lies elsewhere, or here."""
        if not self._asked.takes(name):
            name = replace(name, place=replace(name.place, root=self._asked.root))
        return self._names.setdefault(name, name)

    def findings(self, *, unlisted: bool) -> Iterator[Finding | Check]:
        """Yield all that is found, and the log files to look at. Raises: as ``verify``."""
        yield from map(Check, self._expected.waiting)
        found, bucket = self._files.found, self._files.examiner.bucket_name
        if unlisted:
            yield from (misnamed(key, bucket) for key in found.strays)
            yield from (closed(key, bucket) for key in found.closed)
        yield from self._places(unlisted=unlisted)
        if unlisted:
            yield from left_there(found.litter, bucket)

    def _places(self, *, unlisted: bool) -> Iterator[Finding | Check]:
        """Yield what is to be said of the chains and files of all places. Raises: as ``verify``."""
        places = {name.place for name in self._names if self._asked.takes(name)}
        if unlisted:
            places |= self._files.found.folders.keys()
        listed = {hash(entry.s3_object) for entry in self._expected.waiting}
        listed |= self._expected.others
        covers = {place: Coverage(listed, known=self._known(place)) for place in sorted(places)}
        chains = [name for name in self._chains if unlisted or self._asked.takes(name)]
        chains = [name for name in chains if name.place in places]
        keys = (each.key for name in chains for each in self._part(name).names)
        digests = examined(self._files.workers, keys)  # of the next chain, too, meanwhile
        for name in chains:
            covered = Coverage(listed)
            yield from self._chain(name, digests, covered)
            for place in self._places_of[name] & covers.keys():
                covers[place].windows += covered.windows
        yield from self._told_holes()
        if unlisted:
            yield from self._unlisted(covers)

    def _unlisted(self, covers: Mapping[Place, Coverage]) -> Iterator[Finding | Check]:
        """Yield what is to be said of log files in no digest here. Raises: ClientError. Unavailable."""
        bucket = self._files.examiner.bucket_name
        elsewhere: list[Check] = []
        for place, covered in covers.items():
            if covered.windows:
                logs = self._logs(place, covered.windows, covered.listed, elsewhere)
                yield from uncovered(logs, covered, bucket, self._now_s)
        lengths = [end - start for start, end in self._windows] or [WINDOW_S]
        span_s = int(statistics.median(lengths)), max((end for _, end in self._windows), default=0)
        for place, covered in covers.items():
            if not covered.windows:
                logs = self._logs(place, [], covered.listed, elsewhere)
                yield from undigested_files(logs, place, span_s, self._now_s, covered)
        yield from elsewhere

    def _known(self, place: Place) -> Known:
        """Return what is known of a place: where others deliver too, nothing is."""
        known = self._expected.known
        there = {(each.trail, each.home_region) for each in self._by_place[place]}
        return known if there <= known.trails else UNKNOWN_YET

    def _part(self, name: ChainName) -> _Part:
        """Return the digests of a chain that are of the time asked for: the newest first.

        Where that time ends in the midst of a window, what was delivered until then is in the digest of
        that window, which ends later.
        """
        if name not in self._parts:
            names, later = self._asked.parted(self._digests.get(name, []))
            read = self._files.examiner.digest(later.pop().key) if later else None
            end_s = self._asked.end_s
            if read is not None and _begins_s(read) < end_s:
                names, end_s = [read.name, *names], read.name.end_s
                read = self._files.examiner.digest(later.pop().key) if later else None
            read = read or self._after(name)
            self._parts[name] = _Part(names, read, max(end_s, _before_s(read)))
        return self._parts[name]

    def _after(self, name: ChainName) -> Examined | None:
        """Return the digest after the newest of a chain, where the chain goes on elsewhere.

        None, too, where its end is followed back from there.
        """
        here, end = self._digests.get(name), self._elsewhere.end(name.whose)
        followed = end is not None and any(end[1].key == link.key for link in self._ends[name])
        return self._elsewhere.after(here[0]) if here and not followed else None

    def _chain(
        self, name: ChainName, digests: Iterator[Examined], covered: Coverage
    ) -> Iterator[Finding | Check]:
        """Yield what is to be said of a chain; of one that is not asked for nothing is.

        ``digests``: its own come next.
        """
        part = self._part(name)
        del self._parts[name]
        names, asked = part.names, replace(self._asked, end_s=part.end_s)
        ahead = Ahead(self._files.workers, self._files.examiner, asked.start_s)
        chain = Chain(names, self._ends[name], ahead, asked, covered)
        chain.vouched_s = self._expected.vouched_s(name)
        late = chain.witness(part.behind, self._asked.end_s) if part.behind is not None else ()
        walked = chain.walk(islice(digests, len(names)))
        findings = self._walked(itertools.chain(late, chain.ended_abroad(self._ends[name]), walked))
        if asked.takes(name):
            yield from findings
            yield from self._told(chain, name, part, asked)
        else:  # another trail's files are not ours to doubt
            deque(findings, maxlen=0)
        self._windows += chain.windows

    def _told(self, chain: Chain, name: ChainName, part: _Part, asked: Asked) -> Iterator[Finding]:
        """Say which time a chain that was walked covers, and which it does not."""
        if name.backfill:
            self._backfilled[replace(name, backfill=False).whose] += chain.windows
            return
        self._holes += [(name, hole) for hole in chain.holes]
        yield from self._end(chain, name, part)
        expected = self._digests.get(name) or self._goes_on(name, asked.end_s)
        if expected and not part.names and part.behind is None and asked.end_s != END_ANY:
            span = span_of(asked.start_s, asked.end_s)
            yield Finding("Period", span, Verdict.UNKNOWN, NO_DIGESTS)

    def _walked(self, items: Iterator[Finding | LogFiles]) -> Iterator[Finding | Check]:
        for item in items:
            if isinstance(item, Finding):
                yield item
                continue
            for entry, doubt in zip(item.entries, item.doubts, strict=True):
                yield Check(entry, doubt or _underived(entry, self._expected), item.verdict)

    def _told_holes(self) -> Iterator[Finding]:
        """Say what no digest is about, unless a backfill digest is."""
        for name, hole in self._holes:
            span = span_of(hole.start_s, hole.end_s)
            late = joined(self._backfilled[name.whose])
            if any(start <= hole.start_s and hole.end_s <= end for start, end in late):
                yield Finding(NOTE, span, Verdict.VALID, "backfill digests are about it")
            else:
                yield Finding("Period", span, Verdict.UNKNOWN, hole.reason)

    def _goes_on(self, name: ChainName, end_s: int) -> bool:
        """Return whether those whom we believe say that a chain has digests behind ``end_s``."""
        named = (digest_name(link.key) for link in self._ends[name])
        return any(each is not None and each.end_s > end_s for each in named)

    def _end(self, chain: Chain, name: ChainName, part: _Part) -> Iterator[Finding]:
        """Say what a chain covers, and when it ends long before the time that was asked for."""
        who = f"{name.trail} {name.place.account} {name.place.region}"
        spans = dict(chain.abroad.covered)
        if chain.newest_s:
            spans[chain.bucket] = chain.oldest_s, chain.newest_s
        for bucket, (oldest_s, newest_s) in spans.items():
            span = span_of(oldest_s, newest_s)
            yield Finding(COVERED, span, Verdict.VALID, f"{who} in s3://{bucket}")
        if not chain.newest_s:
            return
        until_s, end_s = chain.newest_s, self._asked.end_s
        followed = part.behind is not None and part.behind.verdict is Verdict.VALID
        if followed or not self._goes_on(name, until_s):
            until_s = max(until_s, chain.vouched_s)  # nobody says that there is more
        patience_s = (PATIENCE_WINDOWS + 1) * chain.window_s
        if until_s < end_s != END_ANY and until_s + patience_s <= self._now_s:
            span = span_of(until_s, min(end_s, self._now_s))
            yield Finding("Period", span, Verdict.UNKNOWN, NO_DIGESTS)

    def _logs(
        self,
        place: Place,
        windows: Sequence[Span],
        listed: Container[int],
        elsewhere: list[Check],
    ) -> Iterator[LogName]:
        """Yield the log files of a place that are of the time asked for, or of none, by their names.

        Without those that are ``listed``. A file's digest comes up to one window later. ``elsewhere``
        takes those that digests elsewhere list and that are to be looked at.
        Raises: ClientError. Unavailable.
        """
        early_s = self._now_s + PATIENCE_WINDOWS * WINDOW_S
        last_s = self._asked.end_s
        if last_s != END_ANY:
            last_s = max((end for _, end in windows), default=last_s) - MINUTE_S
        for folder in sorted(self._files.found.folders.get(place, ())):
            found, source = self._files.found, self._files.examiner.source
            for log in log_names(source, folder, listed, found.litter):
                asked_for = log.is_of(self._asked.start_s, last_s)
                if asked_for or log.minute_s < 0 or log.minute_s > early_s:
                    said = self._elsewhere.entry(log)
                    if said is None:
                        yield log
                    elif self._asked.is_of(said[0]):
                        elsewhere.append(Check(said[1]))


def _begins_s(read: Examined) -> int:
    """Return when a digest's window begins, seconds since 1970 UTC; as CloudTrail's where it does not say."""
    return read.name.end_s - WINDOW_S if read.digest is None else read.window[0]


def _before_s(read: Examined | None) -> int:
    """Return when the digest ends that a valid one names; 0: it names none."""
    if read is None or read.digest is None or read.verdict is not Verdict.VALID:
        return 0
    before = digest_name(read.digest.previous_digest_s3_object or "")
    return 0 if before is None else before.end_s


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
    checks = (Check(entry, kind="Logged file") for entry in derived)
    for finding in looked_at(files.workers, checks):
        reason = finding.reason.replace("hash value doesn't match", "is not what the log gives")
        yield replace(finding, reason=reason)
