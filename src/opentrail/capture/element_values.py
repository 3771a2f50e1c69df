# SPDX-License-Identifier: Apache-2.0
"""Writers of single values: scalars, times, and what stands for values that must not be kept.

Source: timestamps in delivered records, of which there are five forms; see ``rules.Times``.
"""

import datetime as dt
from collections.abc import Callable

import msgspec

from opentrail.capture.rules import Redaction, Times

Writer = Callable[[object], object]
"""Takes a parsed value (model names, JSON types); gives what the record shows, or ``LEFT_OUT``."""

LEFT_OUT = object()
"""Stands for a value that the record must not or cannot have."""

_MONTHS = "JanFebMarAprMayJunJulAugSepOctNovDec"
_HALF_DAY_H = 12


def scalar(value: object) -> object:
    """Return a scalar; what has an unexpected shape is left out, nobody knows what it holds."""
    return LEFT_OUT if type(value) in (dict, list) else value


def as_sent(value: object) -> object:
    """Return a document as it was sent."""
    return value


def _constant(text: str) -> Writer:
    def write(_value: object) -> object:
        return text

    return write


REDACTIONS: dict[Redaction, Writer | None] = {
    **{kind: _constant(kind.value) for kind in Redaction},
    Redaction.OMITTED: None,
}
"""What stands for a sensitive value; None: nothing does."""


def _java(value: object) -> object:
    return _java_text(value, "")


def _java_comma(value: object) -> object:
    return _java_text(value, ",")


def _java_text(value: object, comma: str) -> object:
    when = _moment(value)
    if when is None:
        return scalar(value)
    half = "AM" if when.hour < _HALF_DAY_H else "PM"
    hour = when.hour % _HALF_DAY_H or _HALF_DAY_H
    month = _MONTHS[when.month * 3 - 3 : when.month * 3]
    day = f"{month} {when.day}, {when.year}{comma}"
    return f"{day} {hour}:{when.minute:02}:{when.second:02} {half}"


def _epoch_ms(value: object) -> object:
    when = _moment(value)
    return scalar(value) if when is None else round(when.timestamp() * 1000)


def _moment(value: object) -> dt.datetime | None:
    """Read a wire timestamp (epoch seconds or ISO 8601), UTC; None when it is neither."""
    try:
        if isinstance(value, msgspec.Raw):  # a number that a float would spell otherwise
            return dt.datetime.fromtimestamp(float(bytes(value)), tz=dt.UTC)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return dt.datetime.fromtimestamp(value, tz=dt.UTC)
        if isinstance(value, str):
            when = dt.datetime.fromisoformat(value)
            zoned = when if when.tzinfo is not None else when.replace(tzinfo=dt.UTC)
            return zoned.astimezone(dt.UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return None


TIMES: dict[Times, Writer] = {
    Times.AS_SENT: scalar,
    Times.JAVA: _java,
    Times.JAVA_COMMA: _java_comma,
    Times.EPOCH_MS: _epoch_ms,
}


def joined(first: object, second: object) -> object:
    """Return one value that has all of two: of two members that have one name in the record.

    Lists under a key (EC2's ``items``) become one list. Else what both have is there once: the
    members are two readings of the same text, one of them perhaps a list.
    """
    if isinstance(first, dict) and isinstance(second, dict):
        return {
            key: [*first.get(key, ()), *second.get(key, ())]
            for key in dict.fromkeys([*first, *second])
        }
    found = [*first] if isinstance(first, list) else [first]
    more = second if isinstance(second, list) else [second]
    found += [value for value in more if value not in found]
    return found[0] if len(found) == 1 else found
