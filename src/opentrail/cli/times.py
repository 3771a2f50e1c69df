# SPDX-License-Identifier: Apache-2.0
"""Times as they are given on a command line."""

import datetime as dt

from opentrail.errors import UsageError


def seconds_of(text: str | None, otherwise: int) -> float:
    """Return seconds since 1970 UTC: of a date, of ISO 8601 (UTC without a zone), or as given.

    ``otherwise`` when there is no text. Raises: UsageError.
    """
    if text is None:
        return otherwise
    if text.isdecimal():
        return int(text)
    try:
        when = dt.datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(
            f"{text!r} is no time: write 2026-01-31, 2026-01-31T10:00:00Z or epoch seconds"
        ) from error
    return (when if when.tzinfo else when.replace(tzinfo=dt.UTC)).timestamp()
