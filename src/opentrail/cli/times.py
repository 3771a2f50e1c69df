# SPDX-License-Identifier: Apache-2.0
"""Times as they are given on a command line."""

import datetime as dt
import re

from opentrail.clock import Clock, SystemClock
from opentrail.errors import UsageError

EPOCH_DIGITS_MIN = 9
"""From 1973 on. 20260131 and 2026 are dates: taken as seconds they would be days of 1970."""
EPOCH_DIGITS_MAX = 11
"""Until the year 5138. Milliseconds have more: taken as seconds they would be after every event."""
FORMS = "2h, yesterday, 2026-01-31, 2026-01-31T10:00:00Z or epoch seconds"
_AGO = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)\s*(s|m|h|d|w)(?: ago)?")
_YEAR = re.compile(r"[0-9]{4}", re.ASCII)
_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_DAYS = {"today": 0, "yesterday": 1}


def seconds_of(text: str | None, otherwise: int, clock: Clock | None = None) -> float:
    """Return seconds since 1970 UTC of what ``text`` says; ``otherwise`` when there is none.

    "2h" is two hours ago (s, m, h, d, w), "yesterday" and "today" the beginning of that day in UTC,
    "now" now; else a date, a year (its beginning), ISO 8601 (UTC without a zone) or epoch seconds.
    What is so long ago is the whole second of that moment, as eventTime is: an event that comes
    now is since now. Raises: UsageError.
    """
    if text is None:
        return otherwise
    plain = text.strip().lower()
    if plain.isdecimal() and (len(plain) >= EPOCH_DIGITS_MIN or plain == "0"):
        return _epoch(plain)
    now_s = (clock or SystemClock()).now_ms() / 1000
    if found := _AGO.fullmatch(plain):
        return (now_s - float(found[1]) * _UNITS_S[found[2]]) // 1
    if plain in _DAYS:
        return now_s // 86_400 * 86_400 - _DAYS[plain] * 86_400
    return now_s // 1 if plain == "now" else _iso(text.strip())


def _epoch(plain: str) -> int:
    if len(plain) > EPOCH_DIGITS_MAX:
        raise UsageError(f"{plain} is past the year 9999: write seconds, not milliseconds")
    return int(plain)


def _iso(text: str) -> float:
    try:
        when = dt.datetime.fromisoformat(f"{text}-01-01" if _YEAR.fullmatch(text) else text)
    except ValueError as error:
        raise UsageError(f"{text!r} is no time: write {FORMS}") from error
    return (when if when.tzinfo else when.replace(tzinfo=dt.UTC)).timestamp()


def duration_s(text: str) -> float:
    """Return the seconds of "5s", "2m", "1h"; a bare number is seconds. Raises: UsageError."""
    plain = text.strip().lower()
    if found := _AGO.fullmatch(plain):
        return float(found[1]) * _UNITS_S[found[2]]
    try:
        seconds = float(plain)
    except ValueError as error:
        raise UsageError(f"{text!r} is no duration: write 5s, 2m or 1h") from error
    if not 0 <= seconds < float("inf"):
        raise UsageError(f"{text!r} is no duration: write 5s, 2m or 1h")
    return seconds
