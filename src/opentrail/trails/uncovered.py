# SPDX-License-Identifier: Apache-2.0
"""Log files that no digest lists: put there by somebody, or waiting for theirs. Pure.

A digest lists what was delivered in its window, so a file whose minute lies in the window of a valid
digest and that none lists was not delivered by a trail with digests. One that lies outside every
window may be what is left where digests were deleted.
"""

import bisect
import statistics
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from opentrail.clock import iso_seconds
from opentrail.trails.bucketkeys import LogName, Place
from opentrail.trails.verdict import Finding, Verdict

MINUTE_S = 60
END_OF_TIME = 1 << 62
PATIENCE_WINDOWS = 2
"""A digest is put soon after its window; a file is in doubt only after two windows without one.
Other trails' files at the same place wait for windows of their own."""

Span = tuple[int, int]
"""Start and end, seconds since 1970 UTC."""


@dataclass(slots=True)
class Coverage:
    """What the digests of a place say about its log files."""

    listed: set[int] = field(default_factory=set)
    """``hash`` of the keys that some digest lists: the keys themselves would take much memory."""
    windows: list[Span] = field(default_factory=list)
    """Of the valid digests, but not of one that begins a chain and lists nothing: what was delivered
    before a chain is nobody's to list."""


def uncovered(
    names: Iterable[LogName], covered: Coverage, bucket: str, now_s: int
) -> Iterator[Finding]:
    """Yield what is to be said of the files ``names`` that no digest of their place lists.

    Of a stretch of time without digests one finding is made, not one for each file.
    """
    spans = _joined(covered.windows)
    patience_s = PATIENCE_WINDOWS * int(statistics.median(e - s for s, e in covered.windows))
    outside: dict[int, int] = {}
    for name in names:
        if hash(name.key) in covered.listed:
            continue
        if name.minute_s < 0:
            yield _file(name, bucket, "is not named as log files are")
        elif name.minute_s + MINUTE_S + patience_s <= now_s:
            before = bisect.bisect_right(spans, (name.minute_s, END_OF_TIME))
            # All of the minute must be covered: a file's name does not say the second.
            if before and name.minute_s + MINUTE_S <= spans[before - 1][1]:
                yield _file(name, bucket, "is in no digest")
            else:
                outside[before] = outside.get(before, 0) + 1
    for before, count in sorted(outside.items()):
        yield _outside(before, count, spans)


def undigested_files(
    names: Iterable[LogName], place: Place, window_s: int, now_s: int
) -> Iterator[Finding]:
    """Yield what is to be said of log files where there is no valid digest at all."""
    old_s = now_s - PATIENCE_WINDOWS * window_s - MINUTE_S
    count = sum(name.minute_s <= old_s for name in names)
    if count:
        where = f"{place.account} {place.region}"
        reason = f"{_files(count)} and no valid digest"
        yield Finding("Place", where, Verdict.UNKNOWN, reason)


def _files(count: int) -> str:
    return f"{count} log file{'s' if count > 1 else ''}"


def _file(name: LogName, bucket: str, reason: str) -> Finding:
    return Finding("Log file", f"s3://{bucket}/{name.key}", Verdict.INVALID, reason)


def _outside(before: int, count: int, spans: list[Span]) -> Finding:
    """Return what is to be said of ``count`` files behind the first ``before`` spans."""
    files = _files(count)
    end = iso_seconds(spans[before][0] * 1000) if before < len(spans) else "now"
    if before == 0:
        return Finding(
            "Period", f"until {end}", Verdict.UNKNOWN, f"{files} before the first digest"
        )
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
