# SPDX-License-Identifier: Apache-2.0
"""Follows a chain of digests through other buckets: a trail was given another one while it logged.

As the AWS CLI does: each digest names the one before it, with its bucket. What else lies in those
buckets is not looked at.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from opentrail.trails.bucketkeys import DigestName, digest_name
from opentrail.trails.digestfile import LogFileEntry
from opentrail.trails.examine import Examined, Examiner, Judged
from opentrail.trails.link import SUCCESSOR, Link, LogFiles, judged_by_name, kind_of, span_of
from opentrail.trails.survey import Asked
from opentrail.trails.verdict import NOTE, Finding, Verdict

BEGINS = (
    "the chain begins there; what lies there of before is not looked at: verify that bucket, too"
)
UNJOINED = "two digests that follow one another do not join there"


@dataclass(slots=True)
class Abroad:
    """What lies of one chain in other buckets."""

    examiner: Examiner
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
        while (found := self._before(newer)) is not None:
            bucket, name, link = found
            if bucket == home:
                yield link
                return
            there = self.examiner.there(bucket)
            if there is None:
                url = f"s3://{bucket}/{name.key}"
                yield Finding(NOTE, url, Verdict.VALID, "the chain goes on there")
                return
            read = there.digest(name.key)
            verdict, reason = read.verdict, read.reason
            if read.digest is not None:
                verdict, reason = judged_by_name(there, read, [link])
            yield Finding(kind_of(name), f"s3://{bucket}/{name.key}", verdict, reason)
            if verdict is not Verdict.VALID or read.digest is None:
                return
            yield from self._said(read, newer, bucket)
            newer = read
            if read.digest.previous_digest_s3_object is None:
                yield Finding(NOTE, f"s3://{bucket}", Verdict.VALID, BEGINS)

    def _before(self, newer: Examined) -> tuple[str, DigestName, Link] | None:
        """Return where the digest before ``newer`` is, if it is of the time asked for."""
        digest = newer.digest
        assert digest is not None
        name = digest_name(digest.previous_digest_s3_object or "")
        if name is None or not self.asked.is_in_time(name.end_s) or name.end_s >= newer.name.end_s:
            return None
        sha256 = digest.previous_digest_hash_value or ""
        signature = digest.previous_digest_signature or ""
        bucket = digest.previous_digest_s3_bucket or ""
        return bucket, name, Link(name.key, sha256, signature, SUCCESSOR)

    def _said(self, read: Examined, newer: Examined, bucket: str) -> Iterator[Finding | LogFiles]:
        assert read.digest is not None
        start_s, end_s = read.window
        if end_s != newer.window[0]:
            span = span_of(end_s, newer.window[0])
            yield Finding("Period", span, Verdict.UNKNOWN, UNJOINED)
        first_s, last_s = self.covered.get(bucket, read.window)
        self.covered[bucket] = min(first_s, start_s), max(last_s, end_s)
        entries = read.digest.log_files
        yield LogFiles(entries, tuple(self.doubt(read, each) for each in entries), Verdict.VALID)
