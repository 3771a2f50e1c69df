# SPDX-License-Identifier: Apache-2.0
"""Log files that no digest lists: put there by somebody, or waiting for theirs. Pure.

A digest lists what was delivered in its window, so a file whose minute lies in the window of a valid
digest and that none lists was not delivered by a trail with digests. One that lies outside every
window may be what is left where digests were deleted.
"""

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from opentrail.clock import iso_seconds
from opentrail.trails.bucketkeys import LogName
from opentrail.trails.verdict import NOTE, Finding, Verdict

MINUTE_S = 60
PATIENCE_WINDOWS = 2
"""A digest is put soon after its window; a file is in doubt only after two windows without one.
Other trails' files at the same place wait for windows of their own."""

Span = tuple[int, int]
"""Start and end, seconds since 1970 UTC."""


@dataclass(slots=True)
class Coverage:
    """What the digests of a place say about its log files."""

    listed: set[str] = field(default_factory=set)
    """Keys that some digest lists."""
    windows: list[Span] = field(default_factory=list)
    """Of the valid digests, but not of those that begin a chain: what was delivered before a chain
    is nobody's to list."""


def uncovered(
    names: Sequence[LogName], covered: Coverage, bucket: str, now_s: int
) -> Iterator[Finding]:
    """Yield what is to be said of the files ``names`` that no digest of their place lists.

    Of a stretch of time without digests one finding is made, not one for each file.
    """
    if not covered.windows:
        return
    spans = _joined(covered.windows)
    patience_s = PATIENCE_WINDOWS * int(statistics.median(e - s for s, e in covered.windows))
    outside: dict[int, int] = {}
    for name in names:
        if name.key in covered.listed or name.key.endswith("/"):
            continue
        if name.minute_s < 0:
            yield _file(name, bucket, "is not named as log files are")
        elif name.minute_s + MINUTE_S + patience_s <= now_s:
            if _inside(name.minute_s, spans):
                yield _file(name, bucket, "is in no digest")
            else:
                before = sum(start <= name.minute_s for start, _ in spans)
                outside[before] = outside.get(before, 0) + 1
    for before, count in sorted(outside.items()):
        yield _outside(before, count, spans)


def _file(name: LogName, bucket: str, reason: str) -> Finding:
    return Finding("Log file", f"s3://{bucket}/{name.key}", Verdict.INVALID, reason)


def _outside(before: int, count: int, spans: list[Span]) -> Finding:
    """Return what is to be said of ``count`` files behind the first ``before`` spans."""
    files = f"{count} log file{'s' if count > 1 else ''}"
    end = iso_seconds(spans[before][0] * 1000) if before < len(spans) else "now"
    if before == 0:
        return Finding(NOTE, f"until {end}", Verdict.VALID, f"{files} before the first digest")
    begin = iso_seconds(spans[before - 1][1] * 1000)
    reason = f"{files} in no digest: there were none then, or they were deleted"
    return Finding("Period", f"{begin} to {end}", Verdict.UNKNOWN, reason)


def _joined(windows: list[Span]) -> list[Span]:
    """Return the spans of time that the windows cover together, in order."""
    spans: list[Span] = []
    for start, end in sorted(windows):
        if spans and start <= spans[-1][1]:
            spans[-1] = (spans[-1][0], max(spans[-1][1], end))
        else:
            spans.append((start, end))
    return spans


def _inside(minute_s: int, spans: list[Span]) -> bool:
    """Return whether all of the minute is covered: a file's name does not say the second."""
    return any(start <= minute_s and minute_s + MINUTE_S <= end for start, end in spans)
