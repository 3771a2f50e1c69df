# SPDX-License-Identifier: Apache-2.0
"""Log files that no digest lists: put there by somebody, or waiting for theirs. Pure.

A digest lists what was delivered in its window, so a file whose minute lies in the window of a valid
digest and that none lists was not delivered by a trail with digests. One that lies outside every
window may be what is left where digests were deleted.
"""

import bisect
import statistics
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field

from opentrail.clock import iso_seconds
from opentrail.verification.bucketkeys import LogName, Place, among_digests, stray_place
from opentrail.verification.verdict import NOTE, Finding, Verdict

MINUTE_S = 60
END_OF_TIME = 1 << 62
PATIENCE_WINDOWS = 2
"""A digest is put soon after its window; a file is in doubt only after two windows without one.
Other trails' files at the same place wait for windows of their own."""

NAMES_SHOWN_MAX = 3

_EARLY, _WAITING, _COVERED = -1, -2, -3
"""Instead of a number of spans: of a time that has not come, too new, in one of them."""
NOT_OURS = "is in no digest, and no trail of the server here delivered it"
CLOSED = "is a link: what lies behind it was not looked at"
EARLY = "of a time that has not come: a clock is wrong, or no trail put them there"

Span = tuple[int, int]
"""Start and end, seconds since 1970 UTC."""


@dataclass(frozen=True, slots=True)
class Known:
    """When all that was delivered is in a digest, or known to wait for one: the server's state says so."""

    since_s: int = 0
    until_s: int = 0
    """Seconds since 1970 UTC."""
    alone: bool = False
    """So it is in the windows of valid digests, too: one trail delivers there."""
    trails: frozenset[tuple[str, str]] = frozenset()
    """Names and home regions of the server's trails; nothing is known of where others deliver."""

    def holds(self, minute_s: int, *, in_window: bool) -> bool:
        """Return whether all that was delivered in a minute is known."""
        known = self.since_s <= minute_s or (self.alone and in_window)
        return known and minute_s + MINUTE_S <= self.until_s


UNKNOWN_YET = Known()


@dataclass(slots=True)
class Coverage:
    """What the digests of a place say about its log files."""

    listed: set[int] = field(default_factory=set)
    """``hash`` of the keys that some digest lists: the keys themselves would take much memory."""
    windows: list[Span] = field(default_factory=list)
    """Of the valid digests, but not of one that begins a chain and lists nothing: what was delivered
    before a chain is nobody's to list."""
    known: Known = UNKNOWN_YET
    """Of what waits for its digest, which is in ``listed`` too."""


def uncovered(
    names: Iterable[LogName], covered: Coverage, bucket: str, now_s: int
) -> Iterator[Finding]:
    """Yield what is to be said of files ``names``, which no digest of their place lists.

    Of a stretch of time without digests one finding is made, not one for each file.
    """
    spans = joined(covered.windows)
    patience_s = PATIENCE_WINDOWS * int(statistics.median(e - s for s, e in covered.windows))
    counts: Counter[int] = Counter()
    for name in names:
        if name.minute_s < 0:
            yield misnamed(name.key, bucket)
            continue
        stretch = _stretch(name.minute_s, spans, patience_s, now_s)
        if stretch == _WAITING and covered.known.holds(
            name.minute_s, in_window=_in_window(name.minute_s, spans)
        ):
            yield Finding("Log file", f"s3://{bucket}/{name.key}", Verdict.UNKNOWN, NOT_OURS)
            continue
        counts[stretch] += 1
        if stretch == _COVERED:
            yield _file(name.key, bucket, "is in no digest")
    yield from _told(counts, spans, now_s)


def _stretch(minute_s: int, spans: list[Span], patience_s: int, now_s: int) -> int:
    """Return behind how many spans a minute lies, if it is in none of them; or one of the above."""
    if minute_s > now_s + patience_s:
        return _EARLY
    inside = _in_window(minute_s, spans)
    alive = inside or is_alive(spans[-1][1], patience_s // PATIENCE_WINDOWS, now_s)
    if alive and minute_s + MINUTE_S + patience_s > now_s:
        return _WAITING
    if inside:
        return _COVERED
    return bisect.bisect_right(spans, (minute_s, END_OF_TIME))


def is_alive(newest_s: int, window_s: int, now_s: int) -> bool:
    """Return whether digests still come, the newest of which ends at ``newest_s``.

    Where they ended long ago, nothing that is new waits for one.
    """
    return now_s <= newest_s + (PATIENCE_WINDOWS + 1) * window_s


def _in_window(minute_s: int, spans: list[Span]) -> bool:
    """Return whether all of a minute is in a span: a file's name does not say the second."""
    before = bisect.bisect_right(spans, (minute_s, END_OF_TIME))
    return before > 0 and minute_s + MINUTE_S <= spans[before - 1][1]


def _told(counts: Counter[int], spans: list[Span], now_s: int) -> Iterator[Finding]:
    """Yield what is to be said of files in no digest that are told together."""
    for before, count in sorted(counts.items()):
        if before >= 0:
            yield _outside(before, count, spans)
    now = iso_seconds(now_s * 1000)
    if early := counts[_EARLY]:
        yield Finding("Period", f"{now} and later", Verdict.UNKNOWN, f"{_files(early)} {EARLY}")
    if waiting := counts[_WAITING]:
        yield Finding(NOTE, now, Verdict.VALID, f"{_files(waiting)} in no digest yet")


def undigested_files(
    names: Iterable[LogName],
    place: Place,
    span_s: tuple[int, int],
    now_s: int,
    covered: Coverage,
) -> Iterator[Finding]:
    """Yield what is to be said of log files, in no digest, where there is no valid one at all.

    ``span_s``: how long a window is, and when the last one of all other places ended.
    """
    window_s, newest_s = span_s
    old_s, early_s = (
        now_s - PATIENCE_WINDOWS * window_s - MINUTE_S,
        now_s + PATIENCE_WINDOWS * window_s,
    )
    alive = is_alive(newest_s, window_s, now_s)
    counts: Counter[int] = Counter()
    for name in names:
        waits = alive and old_s < name.minute_s <= early_s
        waits = waits and not covered.known.holds(name.minute_s, in_window=False)
        counts[_WAITING if waits else _COVERED] += 1
    if count := counts[_COVERED]:
        where = f"{place.account} {place.region}"
        reason = f"{_files(count)} and no valid digest"
        yield Finding("Place", where, Verdict.UNKNOWN, reason)
    yield from _told(Counter({_WAITING: counts[_WAITING]}), [], now_s)


def _files(count: int, what: str = "log file") -> str:
    return f"{count} {what}{'s' if count > 1 else ''}"


def misnamed(key: str, bucket: str) -> Finding:
    """Return what is to be said of an object that lies among a trail's, and no trail put there."""
    if stray_place(key) is None and among_digests(key) is not None:
        where = f"s3://{bucket}/{key}"
        return Finding("Digest file", where, Verdict.INVALID, "is not named as digests are")
    return _file(key, bucket, "is not named as log files are")


def left_there(litter: Collection[str], bucket: str) -> Iterator[Finding]:
    """Yield that an operating system's files were left out, if there were any."""
    if litter:
        names = ", ".join(sorted({key.rpartition("/")[2] for key in litter})[:NAMES_SHOWN_MAX])
        reason = f"left out, as an operating system puts it there: {_files(len(litter), 'file')} ({names})"
        yield Finding(NOTE, f"s3://{bucket}", Verdict.VALID, reason)


def closed(key: str, bucket: str) -> Finding:
    """Return what is to be said of a link in the place of a folder."""
    return Finding("Place", f"s3://{bucket}/{key}", Verdict.UNKNOWN, CLOSED)


def _file(key: str, bucket: str, reason: str) -> Finding:
    return Finding("Log file", f"s3://{bucket}/{key}", Verdict.INVALID, reason)


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


def joined(windows: list[Span]) -> list[Span]:
    """Return the spans of time that the windows cover together, in order."""
    spans: list[Span] = []
    for start, end in sorted(windows):
        if spans and start <= spans[-1][1]:
            spans[-1] = (spans[-1][0], max(spans[-1][1], end))
        else:
            spans.append((start, end))
    return spans
