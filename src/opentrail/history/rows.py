# SPDX-License-Identifier: Apache-2.0
"""Events as rows: for spreadsheets, tables and engines. Pure.

Records hold what anybody sent, so what a spreadsheet or a terminal would act on is made harmless.
Source: RFC 4180; OWASP, "CSV Injection".
"""

import csv
import io
import re
from collections.abc import Iterable, Sequence

from opentrail.clock import iso_seconds
from opentrail.event.safe import safe, safe_json
from opentrail.history.derive import Derived
from opentrail.history.fields import Event

_FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What a spreadsheet takes for a formula at the beginning of a cell; full-width signs, too."""
_BEHIND_SEMICOLON = re.compile(r"(;[\s\"]*)([-=+@\uff1d\uff0b\uff0d\uff20])")
"""Where the comma is the decimal sign, spreadsheets part cells at semicolons, whatever quotes say."""
COLUMNS: tuple[tuple[str, str], ...] = (
    ("eventTime", "eventTime"),
    ("eventName", "EventName"),
    ("eventSource", "EventSource"),
    ("awsRegion", "Region"),
    ("recipientAccountId", "Account"),
    ("username", "Username"),
    ("accessKeyId", "AccessKeyId"),
    ("sourceIPAddress", "sourceIPAddress"),
    ("userAgent", "userAgent"),
    ("errorCode", "errorCode"),
    ("errorMessage", "errorMessage"),
    ("readOnly", "ReadOnly"),
    ("eventCategory", "Category"),
    ("resources", "ResourceName"),
    ("eventID", "EventId"),
)
"""Column and what it is of; behind them the record itself."""


HEADER = [*(name for name, _ in COLUMNS), "record"]


def cells_of(data: bytes, derived: Derived | None) -> list[str]:
    """Return one row; of what is no event, only the record itself."""
    record = data.decode("utf-8", "replace")
    if derived is None:
        return [*("" for _ in COLUMNS), record]
    event = Event(data, derived)
    return [*(" ".join(event.values(field)) for _, field in COLUMNS), record]


def table_row(event: Event) -> tuple[str, ...]:
    """Return time, event, user, error, resources, source and region; safe for a terminal."""
    derived = event.derived
    cells = (
        iso_seconds(derived.event_time_s * 1000),
        derived.event_name,
        derived.username,
        " ".join(event.values("errorCode")),
        " ".join(each.name for each in derived.resources),
        derived.event_source.removesuffix(".amazonaws.com"),
        derived.region,
    )
    return tuple(safe(cell) for cell in cells)


def as_csv(rows: Iterable[Sequence[str]]) -> bytes:
    """Return comma-separated values that a spreadsheet takes for text, all of them.

    The last of each row, which is the record, stays JSON that says the same.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    for *cells, record in rows:
        shown = _BEHIND_SEMICOLON.sub(r"\1'\2", "\0".join(map(safe, cells))).split("\0")
        kept = _BEHIND_SEMICOLON.sub(_escaped, safe_json(record))
        writer.writerow(map(_harmless, [*shown, kept]))
    return text.getvalue().encode()


def _harmless(plain: str) -> str:
    """Return ``plain``, which has no control characters, so that no spreadsheet calculates it."""
    return f"'{plain}" if plain.lstrip().startswith(_FORMULAS) else plain


def _escaped(found: re.Match[str]) -> str:
    return f"{found[1]}\\u{ord(found[2]):04x}"
