# SPDX-License-Identifier: Apache-2.0
"""Follows a chain of digests from its newest to its oldest: what each says of the one before it.

Beyond what the AWS CLI checks: that each digest is the very one that its successor names, that none
is missing between two, that the newest is there where somebody says which it is, that windows join.
"""

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from opentrail.trails.digestfile import LogFileEntry
from opentrail.verification.abroad import UNJOINED, Abroad
from opentrail.verification.ahead import Ahead
from opentrail.verification.bucketkeys import DigestName, digest_name, log_name
from opentrail.verification.examine import UNSIGNED, Examined, Judged, is_at_home
from opentrail.verification.link import SUCCESSOR, Link, LogFiles, judged_by_name, kind_of, span_of
from opentrail.verification.survey import Asked
from opentrail.verification.uncovered import PATIENCE_WINDOWS, Coverage
from opentrail.verification.verdict import NOTE, Finding, Verdict

STRANGE = "is of no chain that the receipt or the server's state has"
NO_DIGESTS = "no digests: the trail did not log then, or they were deleted"
WINDOW_S = 3600
"""CloudTrail's, where no digest says."""


@dataclass(frozen=True, slots=True)
class Hole:
    """A time between two digests that no digest is about, seconds since 1970 UTC."""

    start_s: int
    end_s: int
    reason: str
    """Why that is in doubt."""


class Chain:
    """One chain. Digests come from outside, in order; those that only a link names are asked for."""

    def __init__(
        self,
        names: Sequence[DigestName],
        ends: Sequence[Link],
        ahead: Ahead,
        asked: Asked,
        covered: Coverage,
    ) -> None:
        """``names``: of the digests that are there. ``covered`` learns what they list."""
        self._examiner = ahead.examiner
        self._asked, self._covered = asked, covered
        self._there = {name.key: name.end_s for name in names}
        self._links: dict[str, list[Link]] = {}
        self._absent: list[tuple[int, str]] = []
        """A heap of what is named and not listed: newest first."""
        self._newer: Examined | None = None
        self._hint = ""
        """What may be the signature of the next: nobody vouches for it, but it proves itself."""
        self._is_broken = False
        """A digest is missing or INVALID."""
        self._listed: set[int] = set()
        self.bucket = asked.bucket
        """The bucket's name as digests say it."""
        self.newest_s = 0
        """When the newest valid digest ends, seconds since 1970 UTC; 0: there is none."""
        self.oldest_s = 0
        """When the oldest valid digest begins."""
        self.window_s = WINDOW_S
        """The longest window of the chain."""
        self.vouched_s = 0
        """Up to then somebody whom we believe says which chains there are; seconds since 1970 UTC."""
        self._vouched_end_s = max(map(_end_s, ends), default=0)
        """When the newest digest ends that they say; 0: they say none of this chain."""
        self.holes: list[Hole] = []
        self.windows: list[tuple[int, int]] = []
        """Of the valid digests."""
        self.abroad = Abroad(ahead, asked, self._doubt)
        for link in ends:
            self._expect(link)

    def walk(self, examined: Iterator[Examined]) -> Iterator[Finding | LogFiles]:
        """Yield what is to be said, and which log files are to be looked at. Raises: Unavailable."""
        for read in examined:
            while self._absent and -self._absent[0][0] >= read.name.end_s:
                yield from self._one(self._ask())
            yield from self._one(read)
        while self._absent:
            yield from self._one(self._ask())

    def witness(self, read: Examined, until_s: int) -> Iterator[Finding | LogFiles]:
        """Take from a digest behind the time asked for what the newest of that time must be.

        Yield the log files that it lists of before ``until_s``: they came late, and nobody else does.
        """
        if read.verdict is Verdict.VALID and read.digest is not None:
            self.bucket = self.bucket or read.digest.digest_s3_bucket
            self._list(read.digest.log_files)
            yield from self._follow(read)
            late = tuple(each for each in read.digest.log_files if _is_before(each, until_s))
            yield LogFiles(late, tuple(self._doubt(read, each) for each in late), read.verdict)

    def ended_abroad(self, ends: Sequence[Link]) -> Iterator[Finding | LogFiles]:
        """Yield what is to be said of chains that ended in other buckets. Raises: Unavailable."""
        for link in ends:
            if self._is_abroad(link) and _end_s(link) >= self._asked.start_s:
                yield from self._back(self.abroad.follow(link, None, self._examiner.bucket))

    def _is_abroad(self, link: Link) -> bool:
        here = self._examiner.bucket
        return bool(here) and link.bucket not in ("", here)

    def _ask(self) -> Examined:
        return self._examiner.digest(heapq.heappop(self._absent)[1])

    def _expect(self, link: Link) -> None:
        """Remember what a digest must be; it is looked at even if it is not there."""
        name = digest_name(link.key)
        if name is None or not self._asked.is_in_time(name.end_s) or self._is_abroad(link):
            return
        if link.key not in self._links and link.key not in self._there:
            heapq.heappush(self._absent, (-name.end_s, link.key))
        self._links.setdefault(link.key, []).append(link)

    def _one(self, read: Examined) -> Iterator[Finding | LogFiles]:
        verdict, reason = self._judge(read)
        yield Finding(kind_of(read.name), self._url(read.name.key), verdict, reason)
        digest = read.digest
        if digest is None or verdict is Verdict.INVALID:
            self._is_broken = True
            return
        if self._newer is not None:
            yield from self._joint(self._newer, read)
        if verdict is Verdict.VALID:
            self._cover(read)
        if digest.log_files:
            doubts = tuple(self._doubt(read, entry) for entry in digest.log_files)
            if verdict is Verdict.VALID or self._asked.takes(read.name.chain):
                # What cannot be verified of a chain that nobody is told of must not hide a file.
                self._list(digest.log_files)
            yield LogFiles(digest.log_files, doubts, verdict)
        if verdict is Verdict.VALID:
            yield from self._follow(read)
        self._newer = read
        self._hint = digest.previous_digest_signature or ""

    def _list(self, entries: Sequence[LogFileEntry]) -> None:
        """Let what a digest lists not be in doubt; a file of another bucket hides none in this one."""
        mine = (each.s3_object for each in entries if each.s3_bucket == self.bucket)
        self._covered.listed.update(map(hash, mine))

    def _cover(self, read: Examined) -> None:
        start_s, end_s = read.window
        if not self.newest_s:
            self.newest_s, self.window_s = end_s, 0
        self.oldest_s = start_s
        self.windows.append(read.window)
        self.window_s = max(self.window_s, end_s - start_s)
        assert read.digest is not None
        if read.digest.previous_digest_s3_object or read.digest.log_files:
            self._covered.windows.append(read.window)

    def _judge(self, read: Examined) -> Judged:
        links = self._links.pop(read.name.key, [])
        digest = read.digest
        if digest is None:
            return read.verdict, read.reason
        self.bucket = self.bucket or digest.digest_s3_bucket
        if digest.digest_s3_bucket != self.bucket:
            return Verdict.INVALID, "has been moved from its original location"
        if links:
            return judged_by_name(self._examiner, read, links)
        if read.reason == UNSIGNED and self._examiner.signed(read, self._hint)[0] is Verdict.VALID:
            return Verdict.VALID, ""
        return self._unnamed(read)

    def _unnamed(self, read: Examined) -> Judged:
        """Judge a digest that nobody names: the newest of a chain, or one that the chain passes."""
        before = self._before(self._newer)
        passed = before is not None and before.end_s < read.name.end_s
        if passed and read.verdict is Verdict.VALID:
            return Verdict.UNKNOWN, "the digest after it names an earlier one"
        if read.verdict is Verdict.VALID and self._is_strange(read):
            return Verdict.UNKNOWN, STRANGE
        return read.verdict, read.reason

    def _is_strange(self, read: Examined) -> bool:
        """Return whether those who say which chains there are would say one that it is of.

        A chain that they do not say may have begun just then.
        """
        if not self._vouched_end_s:
            start_s, end_s = read.window
            oldest_s = min(self._there.values(), default=end_s)
            return oldest_s + PATIENCE_WINDOWS * (end_s - start_s) <= self.vouched_s
        newer = self._newer.digest if self._newer is not None else None
        begun = newer is not None and newer.previous_digest_s3_object is None
        # Behind what is missing, nobody can say which chain a digest is of.
        known = bool(self.vouched_s) and not self._is_broken
        return begun and known and read.name.end_s < self._vouched_end_s

    def _before(self, newer: Examined | None) -> DigestName | None:
        """Return which digest ``newer`` names, if it lies in this bucket."""
        if newer is None or newer.digest is None:
            return None
        if newer.digest.previous_digest_s3_bucket != self.bucket:
            return None
        return digest_name(newer.digest.previous_digest_s3_object or "")

    def _joint(self, newer: Examined, read: Examined) -> Iterator[Finding]:
        """Say what is wrong with the time between two digests that follow one another."""
        assert newer.digest is not None
        end_s, start_s = read.window[1], newer.window[0]
        if newer.digest.previous_digest_s3_object is None:
            yield from self._begun(newer, end_s)
            return
        before = self._before(newer)
        if before is None:
            return
        if before.key == read.name.key:
            reason = UNJOINED
            if end_s < start_s:
                self.holes.append(Hole(end_s, start_s, reason))
            elif end_s > start_s:
                yield Finding("Period", span_of(end_s, start_s), Verdict.UNKNOWN, reason)
        elif before.end_s > end_s:
            reason = f"no valid digest, and {_windows(newer, start_s - end_s)} should be there"
            yield Finding("Period", span_of(end_s, start_s), Verdict.INVALID, reason)

    def _begun(self, newer: Examined, end_s: int) -> Iterator[Finding]:
        """Say what no digest is about before ``newer``, which begins a chain."""
        assert newer.digest is not None
        # One that lists nothing is about no time in which the trail logged.
        begin_s = newer.window[0 if newer.digest.log_files else 1]
        if begin_s > max(end_s, self.vouched_s):
            self.holes.append(Hole(max(end_s, self.vouched_s), begin_s, NO_DIGESTS))
        elif begin_s > end_s:
            reason = "no digests: a new chain begins"
            yield Finding(NOTE, span_of(end_s, begin_s), Verdict.VALID, reason)

    def _doubt(self, read: Examined, entry: LogFileEntry) -> Judged | None:
        """Return what is wrong with how a log file is listed; remember that it is."""
        number = hash((entry.s3_bucket, entry.s3_object))
        if number in self._listed:
            return Verdict.INVALID, "is listed twice"
        self._listed.add(number)
        if not is_at_home(read.name.chain.place, entry):
            return Verdict.UNKNOWN, "is not one of its digest's account and region"
        return None

    def _follow(self, read: Examined) -> Iterator[Finding | LogFiles]:
        """Remember what the digest before must be."""
        digest = read.digest
        assert digest is not None
        before = digest_name(digest.previous_digest_s3_object or "")
        if before is None or not self._asked.is_in_time(before.end_s):
            return
        if digest.previous_digest_s3_bucket != self.bucket:
            yield from self._back(self.abroad.walk(read, self.bucket))
        elif before.end_s < read.name.end_s:
            sha256 = digest.previous_digest_hash_value or ""
            signature = digest.previous_digest_signature or ""
            self._expect(Link(before.key, sha256, signature, SUCCESSOR))

    def _back(self, items: Iterator[Finding | LogFiles | Link]) -> Iterator[Finding | LogFiles]:
        """Take from what was followed elsewhere what it says of this bucket."""
        for item in items:
            if isinstance(item, Link):
                self._expect(item)  # it comes back
                continue
            if isinstance(item, LogFiles):
                self._list(item.entries)  # of before the trail was given that bucket
            yield item

    def _url(self, key: str) -> str:
        return f"s3://{self.bucket or self._examiner.bucket_name}/{key}"


def _is_before(entry: LogFileEntry, until_s: int) -> bool:
    """Return whether a log file is, by its name, one of before ``until_s``."""
    name = log_name(entry.s3_object)
    return name is not None and 0 <= name.minute_s < until_s


def _end_s(link: Link) -> int:
    name = digest_name(link.key)
    return 0 if name is None else name.end_s


def _windows(newer: Examined, span_s: int) -> str:
    """Return how many windows of the newer digest's length ``span_s`` seconds are."""
    start_s, end_s = newer.window
    count = -(-span_s // (end_s - start_s))
    return f"{count} window{'s' if count > 1 else ''}"
