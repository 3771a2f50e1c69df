# SPDX-License-Identifier: Apache-2.0
"""What one digest says of another, and of its log files."""

from collections.abc import Sequence
from dataclasses import dataclass

from opentrail.clock import iso_seconds
from opentrail.trails.digestfile import LogFileEntry
from opentrail.verification.bucketkeys import DigestName
from opentrail.verification.examine import UNSIGNED, Examined, Examiner, Judged
from opentrail.verification.verdict import Verdict

SUCCESSOR = "the digest after it"


@dataclass(frozen=True, slots=True)
class Link:
    """What a digest must be, as somebody whom we believe says."""

    key: str
    sha256: str
    """Hex, of the uncompressed bytes."""
    signature: str
    said_by: str
    """"the digest after it", "the server's state", "the receipt"."""
    bucket: str = ""
    """In which it must be; "": in that which is verified."""


@dataclass(frozen=True, slots=True)
class LogFiles:
    """Log files of one digest that are to be looked at."""

    entries: tuple[LogFileEntry, ...]
    doubts: tuple[Judged | None, ...]
    """Of each: what is wrong with how it is listed."""
    verdict: Verdict
    """Of the digest: what it lists can be no better."""


def judged_by_name(examiner: Examiner, read: Examined, links: Sequence[Link]) -> Judged:
    """Judge a digest, which was read, of which others say what it must be."""
    for link in links:
        if (link.sha256, link.signature) != (read.sha256, read.signature or link.signature):
            return Verdict.INVALID, f"is not the one that {link.said_by} names"
    verdict, reason = read.verdict, read.reason
    if reason == UNSIGNED:
        verdict, reason = examiner.signed(read, links[0].signature)
    if verdict is Verdict.UNKNOWN:
        return Verdict.VALID, ""  # one that is valid vouches for it, hash and all
    return verdict, reason


def kind_of(name: DigestName) -> str:
    """Return what a digest is called in a finding."""
    return "Backfill digest file" if name.chain.backfill else "Digest file"


def span_of(start_s: int, end_s: int) -> str:
    """Return a span of time as text, the earlier moment first."""
    first, last = sorted((start_s, end_s))
    return f"{iso_seconds(first * 1000)} to {iso_seconds(last * 1000)}"
