# SPDX-License-Identifier: Apache-2.0
"""All records of a request at once: never another verdict than one by one."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.sent_records import NOW_S, record, sign_in, vpce

from opentrail.capture import intake_columns
from opentrail.capture.intake_body import RECORDS_MAX, Text, read, split
from opentrail.capture.intake_columns import columns_of
from opentrail.capture.intake_record import NESTING_MAX, Checked, Rejection, check
from opentrail.errors import ClientError
from opentrail.event.caps import RECORD_BYTES_MAX


def compact(fields: dict[str, Any]) -> bytes:
    return json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode()


FAULTS: list[dict[str, Any]] = [
    {"eventID": ""},
    {"eventID": None},
    {"eventID": 5},
    {"eventID": "x" * 129},
    {"eventID": "a\nb"},
    {"eventTime": "2026-11-28T10:00:00+01:00"},
    {"eventTime": "2026-11-30T10:00:00Z"},
    {"eventTime": None},
    {"awsRegion": "../.."},
    {"eventName": "n" * 257},
    {"userIdentity": "me"},
    {"userIdentity": [{}]},
    {"userIdentity": None},
    {"recipientAccountId": ""},
    {"recipientAccountId": None},
    {"eventCategory": "Insight"},
    {"userAgent": "a" * RECORD_BYTES_MAX},
]
ONE = compact(record())
GOOD = [ONE, compact(record(eventID="é", userAgent="ü")), compact(vpce()), compact(record(x=[[]]))]
OTHERS = [
    *(compact(each) for each in (sign_in(), record(eventVersion="1.0"), record(errorCode=None))),
    compact(record(recipientAccountId="me")),
    ONE.replace(b'"accountId"', b'"account\\u0049d"'),
    ONE.replace(b'{"type"', b'{ "type"', 1),
    ONE.replace(b'"m"', b"1e999"),
    ONE.replace(b'"eventID"', b'"event\\u0049D"'),
    ONE.replace(b"orders.", b"orders\\u002e", 1),
    ONE[:-1] + b',"eventID":"other"}',
    ONE[:-1] + b',"unknown":1}',
    ONE.replace(b'"userName":', b'"userName":"Eve","userName":', 1),
    ONE.replace(b'"userName":', b'"sessionContext":{"a":1,"a":2},"userName":', 1),
    ONE.replace(b',"', b', "', 1),
    ONE.replace(b'{"type"', b'{\n"type"', 1),
    ONE.replace(b'{"type"', b'{\r"type"', 1),
    ONE.replace(b'{"', b'{\n"', 1),
    ONE.replace(b'"m"', b'"\xff"'),
    ONE.replace(b'"m"', b'"\\ud800"'),
    ONE.replace(b'"m"', b"NaN"),
    ONE.replace(b'"m"', b"[" * NESTING_MAX + b"]" * NESTING_MAX),
    ONE.replace(b'"m"', b"[" * 5 * NESTING_MAX + b"]" * 5 * NESTING_MAX),
    ONE[:-1],
    ONE[: len(ONE) // 2],
    ONE[len(ONE) // 2 :],
    ONE + ONE,
    ONE + b" ",
    b"",
    b"5",
    b"{}",
    b"[]",
    b"null",
    *(compact(record(**fields)) for fields in FAULTS),
]


def one_by_one(text: Text) -> list[Checked] | None:
    try:
        return [check(data, NOW_S) for data in split(text)]
    except (ClientError, Rejection):
        return None


def agree(text: Text) -> bool:
    """Check that both ways say the same; return whether the quick one said anything."""
    columns = columns_of(text, NOW_S)
    if columns is None:
        return False
    checked = one_by_one(text)
    assert checked is not None
    assert columns.records == [each.data for each in checked]
    assert columns.event_ids == [each.event_id for each in checked]
    assert columns.accounts == {each.account for each in checked}
    return True


@pytest.mark.parametrize("count", [1, 2, 100])
def test_good_records_are_all_seen_at_once(count):
    several = (GOOD[:3] * count)[:count]
    assert agree(read(b"[" + b",".join(several) + b"]"))
    assert agree(read(b'{"Records": [' + b",".join(several) + b"] }\n"))
    assert agree(read(b"\n".join(several) + b"\n", "application/x-ndjson"))


@settings(deadline=None)
@given(
    st.lists(st.sampled_from([*GOOD, *OTHERS]), max_size=4),
    st.sampled_from([b"", b"\n", b"\n\n", b",", b",\n", b"\r\n"]),
    st.booleans(),
)
def test_both_ways_say_the_same_of_any_request(records, separator, lines):
    body = separator.join(records)
    agree(Text(body, lines=True) if lines else Text(b"[" + body + b"]"))


@settings(deadline=None)
@given(st.binary(max_size=3), st.integers(0, len(ONE)), st.integers(0, 2), st.booleans())
def test_both_ways_say_the_same_of_damaged_records(bits, at, dropped, lines):
    damaged = ONE[:at] + bits + ONE[at + dropped :]
    agree(Text(b"\n".join((ONE, damaged, ONE)), lines=True))
    if not lines:
        agree(Text(b"[" + b",".join((ONE, damaged, ONE)) + b"]"))


def test_what_is_odd_in_one_record_leaves_all_to_the_other_way():
    for good in OTHERS[:7]:
        assert agree(Text(b"[" + ONE + b"," + good + b"]"))
    for odd in OTHERS[7:]:
        assert not agree(Text(b"[" + ONE + b"," + odd + b"]"))
        assert not agree(Text(ONE + b"\n" + odd, lines=True))


def test_two_faults_that_make_up_for_each_other_are_seen():
    # A line break too many here, one too few there: as many bytes and lines as there should be.
    broken = ONE.replace(b'{"', b'{\n"', 1)
    assert not agree(Text(broken + b"\n" + ONE + ONE, lines=True))
    assert not agree(Text(ONE + ONE + b"\n\n" + ONE, lines=True))
    assert not agree(Text(ONE.replace(b'{"type"', b'{\n"type"'), lines=True))


def test_bounds_hold_on_both_sides():
    small = compact(record(userIdentity={}, requestParameters=None, responseElements=None))
    assert agree(Text(b"\n".join([small] * RECORDS_MAX), lines=True))
    assert columns_of(Text(b"\n".join([small] * (RECORDS_MAX + 1)), lines=True), NOW_S) is None
    room = RECORD_BYTES_MAX - len(compact(record(userAgent="")))
    assert agree(Text(compact(record(userAgent="a" * room)), lines=True))
    assert not agree(Text(compact(record(userAgent="a" * (room + 1))), lines=True))
    inner = b"[" * (NESTING_MAX - 3)
    assert agree(Text(ONE.replace(b'"m"', inner + inner.replace(b"[", b"]")), lines=True))
    hostile = b"[" + b"{}," * intake_columns.OBJECTS_MAX + b"{}]"
    assert columns_of(Text(hostile), NOW_S) is None
    assert columns_of(Text(b"[" * 1_000_000), NOW_S) is None


def test_text_that_is_encoded_again_is_never_longer_than_it_can_have_been():
    # Else one record could make up for a blank in another, and both be cut in the wrong place.
    short = {"\b", "\t", "\n", "\f", "\r", '"', "\\"}
    for code in (*range(0xD800), *range(0xE000, 0x11000), 0x10FFFF):
        char = chr(code)
        shortest = 2 if char in short else 6 if code < 0x20 else len(char.encode())
        assert len(msgspec.json.encode(char)) - 2 == shortest
