# SPDX-License-Identifier: Apache-2.0
"""The records of a whole request checked at once, field by field instead of one by one. Pure.

What a program sends is on one line without blanks, all of it good, and much of it alike: that shows
in a few steps over all records. Whatever is not so is left to ``intake_record``, which looks at
each; the two never disagree.
"""

import msgspec
from msgspec import Raw

from opentrail.capture.intake_body import RECORDS_MAX, Text
from opentrail.capture.intake_record import (
    EVENT_ID_CHARS_MAX,
    NESTING_MAX,
    Fields,
    Rejection,
    any_time_fault,
    brackets,
    check_caller,
    is_insight,
    kind_fault,
    kind_of,
)
from opentrail.event.caps import RECORD_BYTES_MAX

OBJECTS_MAX = 10 * RECORDS_MAX
"""Braces of a request that is looked at here: real records have half as many, and a hostile list of
millions of objects must not first become millions of objects here."""

_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_decode_array = msgspec.json.Decoder(list[Fields]).decode
_decode_lines = msgspec.json.Decoder(Fields).decode_lines
_encode = msgspec.json.Encoder().encode


class Columns(msgspec.Struct, frozen=True, gc=False):
    """Records that may come in, in their order."""

    records: list[bytes]
    """Each as it was sent."""
    event_ids: list[str]
    accounts: set[str]
    """Whose records they say they are."""


def columns_of(text: Text, now_s: int) -> Columns | None:
    """Return the records of ``text``, if each surely is one, at ``now_s`` (epoch seconds).

    None says nothing of them.
    """
    fields = _fields_of(text)
    if not 0 < len(fields) <= RECORDS_MAX or not _are_good(fields, now_s):
        return None
    records = _lines(text.data, fields) if text.lines else _elements(text.data, fields)
    event_ids = [each.event_id for each in fields if type(each.event_id) is str]
    accounts = {each.recipient_account_id for each in fields}
    named = {account for account in accounts if type(account) is str and account}
    if len(named) < len(accounts) or not len(fields) == len(records) == len(event_ids):
        return None
    if not (_fit(event_ids, records) and _have_callers(fields)):
        return None
    return Columns(records, event_ids, named)


def _fields_of(text: Text) -> list[Fields]:
    """Return the fields of each record; none where that is not as simple as that."""
    data = text.data
    if data.find(b"\r") >= 0 or (len(data) > 3 * OBJECTS_MAX and _objects(data) > OBJECTS_MAX):
        return []
    try:
        if not data.isascii():
            data.decode()  # what msgspec skips it does not check
        return _decode_lines(data) if text.lines else _decode_array(data)
    except _UNREADABLE:
        return []


def _objects(data: bytes) -> int:
    """Return how many braces ``data`` has; of too many, not all. ``count`` takes twice as long."""
    return len(data) - len(data.replace(b"{", b"", OBJECTS_MAX + 1))


def _elements(array: bytes, fields: list[Fields]) -> list[bytes]:
    """Return the elements of ``array``; none if one of them is odd.

    A record that is encoded again is never longer than it was, and shorter if it has a blank, a
    field twice, one that is not known, or a needless escape. So where all together are as long as
    before, each is, and where each begins is known.
    """
    sizes = list(map(len, map(_encode, fields)))
    if sum(sizes) + len(sizes) + 1 != len(array) or array.find(b"\n") >= 0:
        return []
    records: list[bytes] = []
    at = 1
    for size in sizes:
        records.append(array[at : at + size])
        at += size + 1
    return records


def _lines(text: bytes, fields: list[Fields]) -> list[bytes]:
    """Return the lines of ``text``; none if one of them is odd."""
    records = text.split(b"\n")
    sizes = map(len, map(_encode, fields))
    return records if list(sizes) == list(map(len, records)) else []


def _are_good(fields: list[Fields], now_s: int) -> bool:
    """Whether names and times are all good."""
    kinds = set(map(kind_of, fields))
    if any(map(kind_fault, kinds)) or any_time_fault({each.event_time for each in fields}, now_s):
        return False
    # Of Insights events something else is asked for.
    return not any(map(is_insight, kinds))


def _have_callers(fields: list[Fields]) -> bool:
    """Whether each has a userIdentity that is good; they are known not to be nested deeply."""
    parts = [each.user_identity for each in fields if type(each.user_identity) is Raw]
    callers = set(map(bytes, parts))
    if len(parts) < len(fields) or not all(data.startswith(b"{") for data in callers):
        return False
    try:
        for data in callers:
            check_caller(data)
    except Rejection:
        return False
    return True


def _fit(event_ids: list[str], records: list[bytes]) -> bool:
    """Whether none is too long or unprintable, or has more brackets than may be nested."""
    sizes = list(map(len, event_ids))
    if min(sizes) == 0 or max(sizes) > EVENT_ID_CHARS_MAX or not "".join(event_ids).isprintable():
        return False
    return max(map(brackets, records)) <= NESTING_MAX and max(map(len, records)) <= RECORD_BYTES_MAX
