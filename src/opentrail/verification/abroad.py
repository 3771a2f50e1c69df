# SPDX-License-Identifier: Apache-2.0
"""Follows a chain of digests through other buckets: a trail was given another one while it logged.

As the AWS CLI does: each digest names the one before it, with its bucket. What else lies in those
buckets is not looked at.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from opentrail.errors import Unavailable
from opentrail.trails.digestfile import LogFileEntry
from opentrail.verification.ahead import Ahead
from opentrail.verification.bucketkeys import DigestName, digest_name
from opentrail.verification.examine import Examined, Examiner, Judged
from opentrail.verification.link import SUCCESSOR, Link, LogFiles, judged_by_name, kind_of, span_of
from opentrail.verification.survey import Asked
from opentrail.verification.verdict import NOTE, Finding, Verdict

BEGINS = "the chain begins there; what else lies there is not looked at: verify that bucket, too"
UNJOINED = "two digests that follow one another do not join there"


@dataclass(slots=True)
class Abroad:
    """What lies of one chain in other buckets."""

    ahead: Ahead
    """Reads digests before they are come to."""
    asked: Asked
    doubt: Callable[[Examined, LogFileEntry], Judged | None]
    """Says what is wrong with how a log file is listed."""
    covered: dict[str, tuple[int, int]] = field(default_factory=dict)
    """By bucket: from when to when its valid digests are, seconds since 1970 UTC."""

    def walk(self, newer: Examined, home: str) -> Iterator[Finding | LogFiles | Link]:
        """Yield what is to be said of the digests before ``newer``, as far as they lie elsewhere.

        At last the link to the one at which the chain comes back to bucket ``home``, if it does.
        Raises: Unavailable.
        """
        before = self._before(newer)
        if before is not None:
            yield from self.follow(before, newer, home)

    def follow(
        self, link: Link, newer: Examined | None, home: str
    ) -> Iterator[Finding | LogFiles | Link]:
        """Yield the same of the digest that ``link`` names and of those before; None: it ends its chain."""
        before: Link | None = link
        while before is not None:
            name, url = digest_name(before.key), f"s3://{before.bucket}/{before.key}"
            if before.bucket == home:
                yield before
                return
            there = self.ahead.examiner.there(before.bucket)
            if there is None or name is None:
                yield Finding(NOTE, url, Verdict.VALID, "the chain goes on there")
                return
            read = self._read(there, name)
            verdict, reason = read.verdict, read.reason
            if read.digest is not None:
                verdict, reason = judged_by_name(there, read, [before])
            is_asked_for = name.end_s <= self.asked.end_s
            if is_asked_for or verdict is not Verdict.VALID:
                yield Finding(kind_of(name), url, verdict, reason)
            if verdict is not Verdict.VALID or read.digest is None:
                return
            if is_asked_for:
                yield from self._said(read, newer, before.bucket)
            newer, before = read, self._before(read)

    def _read(self, there: Examiner, name: DigestName) -> Examined:
        """Return what is to be said of a digest; a bucket that is out of reach leaves it in doubt."""
        try:
            return self.ahead.digest(there, name)
        except Unavailable as error:
            return Examined(name, Verdict.UNKNOWN, f"cannot be read: {error.message}")

    def _before(self, newer: Examined) -> Link | None:
        """Return what the digest before ``newer`` must be, if it is of the time asked for."""
        digest = newer.digest
        assert digest is not None
        name = digest_name(digest.previous_digest_s3_object or "")
        if name is None or name.end_s < self.asked.start_s or name.end_s >= newer.name.end_s:
            return None
        return Link(
            name.key,
            digest.previous_digest_hash_value or "",
            digest.previous_digest_signature or "",
            SUCCESSOR,
            digest.previous_digest_s3_bucket or "",
        )

    def _said(
        self, read: Examined, newer: Examined | None, bucket: str
    ) -> Iterator[Finding | LogFiles]:
        assert read.digest is not None
        start_s, end_s = read.window
        if newer is not None and end_s != newer.window[0]:
            span = span_of(end_s, newer.window[0])
            yield Finding("Period", span, Verdict.UNKNOWN, UNJOINED)
        first_s, last_s = self.covered.get(bucket, read.window)
        self.covered[bucket] = min(first_s, start_s), max(last_s, end_s)
        entries = read.digest.log_files
        yield LogFiles(entries, tuple(self.doubt(read, each) for each in entries), Verdict.VALID)
        if read.digest.previous_digest_s3_object is None:
            yield Finding(NOTE, f"s3://{bucket}", Verdict.VALID, BEGINS)
