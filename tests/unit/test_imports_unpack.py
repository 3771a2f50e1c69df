# SPDX-License-Identifier: Apache-2.0
"""From files of every shape to records with their own bytes; what is no record is said, never dropped."""

import base64
import gzip
import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opentrail.event.caps import RECORD_BYTES_MAX
from opentrail.imports.split import LAYERS_MAX, NoRecord, Unread
from opentrail.imports.unpack import plain_records, records_of

ONE = b'{"eventVersion":"1.08","eventTime":"2026-01-31T10:00:00Z","n":70.0,"eventID":"1"}'
TWO = b'{ "eventVersion": "1.0",  "x": [1e3, "\\u00e9"], "eventTime": "2014-03-06T17:10:34Z"}'
TEXTS = [ONE.decode(), TWO.decode()]
MESSAGES = [{"id": "1", "timestamp": 1, "message": text} for text in TEXTS]

SHAPES = {
    "a log file": b'{"Records":[' + ONE + b"," + TWO + b"]}",
    "a log file with spaces": b' {\n "Records" : [ ' + ONE + b" ,\t" + TWO + b" ] }\n",
    "a log file with more in it": b'{"Records":[' + ONE + b"," + TWO + b'],"x":1}',
    "a list": b"[" + ONE + b"," + TWO + b"]",
    "lines": ONE + b"\n" + TWO + b"\n",
    "lines with carriage returns and empty ones": b"\r\n" + ONE + b"\r\n\r\n" + TWO,
    "lines of log files": b'{"Records":[' + ONE + b']}\n{"Records":[' + TWO + b"]}\n",
    "EventBridge, lines": b"\n".join(
        b'{"version":"0","detail-type":"AWS API Call via CloudTrail","detail":' + each + b"}"
        for each in (ONE, TWO)
    ),
    "CloudWatch Logs, a subscription": json.dumps(
        {"messageType": "DATA_MESSAGE", "logEvents": MESSAGES}
    ).encode(),
    "CloudWatch Logs, filter-log-events": json.dumps({"events": MESSAGES}).encode(),
    "CloudWatch Logs, an export": b"".join(
        b"2026-01-31T10:00:00.000Z " + each + b"\n" for each in (ONE, TWO)
    ),
    "LookupEvents": json.dumps(
        {"Events": [{"EventId": "1", "CloudTrailEvent": text} for text in TEXTS]}
    ).encode(),
    "with a byte order mark": b"\xef\xbb\xbf" + b'{"Records":[' + ONE + b"," + TWO + b"]}",
    "joined log files": b'{"Records":[' + ONE + b']}{"Records":[' + TWO + b"]}",
    "joined log files, spaces": b' {"Records":[' + ONE + b'],"x":1}  {"Records": [' + TWO + b"]}\n",
    "joined on many lines": b'{"Records":[\n' + ONE + b'\n]}\n{"Records":[\n' + TWO + b"\n]}\n",
    "joined records": ONE + TWO,
    "joined in lists": b"[" + ONE + b"][" + TWO + b"]",
    "joined and then lines": ONE + TWO + b'\n{"Records":[]}\n',
    "lines with carriage returns alone": ONE + b"\r" + TWO,
    "marks where files were joined": b"\r\n".join(
        b'\xef\xbb\xbf{"Records":[' + each + b"]}" for each in (ONE, TWO)
    ),
    "marks of RFC 7464": b"\x1e" + ONE + b"\n\x1e" + TWO + b"\n",
    "a list that was torn apart": ONE + b",\n" + TWO + b",\n",
    "syslog": b"Jan 31 10:00:00 host app[7]: " + ONE + b"\n<13>1 - host - " + TWO + b"\n",
    "syslog with structured data": b"\n".join(
        b'<14>1 2026-01-31T10:00:00Z host app 1 - [x@1 tag="a=b" no="1"][y@2 c=""] ' + each
        for each in (ONE, TWO)
    ),
    "texts on lines": b"\n".join(json.dumps(text).encode() for text in TEXTS),
    "texts in a list": json.dumps(TEXTS).encode(),
    "CloudWatch Logs, what a function gets": json.dumps(
        {
            "awslogs": {
                "data": base64.b64encode(
                    gzip.compress(json.dumps({"logEvents": MESSAGES}).encode())
                ).decode()
            }
        }
    ).encode(),
    "CloudWatch Logs through Firehose": json.dumps({"logEvents": MESSAGES[:1]}).encode()
    + json.dumps({"logEvents": MESSAGES[1:]}).encode(),
}
ENCODINGS = ("utf-16", "utf-16-le", "utf-16-be", "utf-32")


@pytest.mark.parametrize("shape", list(SHAPES))
def test_every_record_keeps_its_bytes(shape: str):
    assert list(records_of(SHAPES[shape])) == [ONE, TWO]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_files_of_other_encodings_are_read(encoding: str):
    for shape in ("a log file", "lines"):
        data = SHAPES[shape].decode().encode(encoding)
        assert list(records_of(data)) == [ONE, TWO]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_half_a_character_in_utf_16_is_an_escape(encoding: str):
    text = ONE.decode().replace('"1"}', '"\ud83d"}')
    (found,) = records_of(text.encode(encoding, "surrogatepass"))
    assert found == ONE.replace(b'"1"}', rb'"\ud83d"}')


def test_what_is_no_utf_16_or_ends_within_a_character_is_said():
    whole = b"\xff\xfe" + ONE.decode().encode("utf-16-le")
    assert list(records_of(whole + b"{")) == [
        ONE,
        Unread(len(whole) + 1, "its utf-16 ends within a character"),
    ]
    (found,) = records_of(whole[:-1])
    assert found == Unread(0, "not JSON, or cut short", open=True)
    (found,) = records_of(b"\xff\xfe\0\0" + b"\xff" * 8)
    assert isinstance(found, Unread)
    assert "not the utf-32 that it seems to be" in found.reason


def test_only_a_log_file_with_nothing_odd_in_it_is_plain():
    plain = b'{"Records":[' + ONE + b"," + TWO + b"]}"
    assert plain_records(plain) == [ONE, TWO]
    assert plain_records(b'{"Records":[]}') == []
    large = b'{"a":"' + b"x" * RECORD_BYTES_MAX + b'"}'
    for odd in (
        plain + b"\n",
        b" " + plain,
        plain.replace(b"[", b" [", 1),
        plain[:-1] + b',"Records":[]}',
        plain + plain,
        plain[:-1],
        b'{"Records":[' + large + b"]}",
    ):
        assert plain_records(odd) is None


def test_a_subscription_that_cannot_be_unpacked_is_not_lost():
    for data in ("?", base64.b64encode(gzip.compress(ONE)[:-9]).decode()):
        odd = json.dumps({"awslogs": {"data": data}}).encode()
        assert list(records_of(odd)) == [odd]


def test_a_bad_document_among_joined_ones_costs_what_follows_on_its_line():
    whole = b'{"Records":[' + ONE + b"]}"
    first, bad, last = records_of(ONE + b"{bad\n" + whole)
    assert (first, last) == (ONE, ONE)
    assert isinstance(bad, Unread)
    assert bad.position == len(ONE)
    first, bad = records_of(whole + whole[:-9])
    assert first == ONE
    assert isinstance(bad, Unread)


def test_a_record_on_several_lines_is_put_on_one_and_nothing_else_changes():
    pretty = b'{\n  "eventVersion": "1.08",\n  "n": 70.0, "t": "a\\nb"\n}'
    assert list(records_of(b'{"Records":[' + pretty + b"]}")) == [
        b'{"eventVersion":"1.08","n":70.0,"t":"a\\nb"}'
    ]


TWICE = {
    "in a log file": b'{"Records":[' + ONE + b'],"Records":[' + TWO + b"]}",
    "by an escape": b'{"Records":[' + ONE + b'],"Rec\\u006frds":[' + TWO + b"]}",
    "beside an odd number": b'{"Records":['
    + ONE
    + b'],"x":'
    + b"1" * 5000
    + b',"Records":['
    + TWO
    + b"]}",
    "beside odd bytes": b'{"Records":[' + ONE + b'],"x":"\xff","Records":[' + TWO + b"]}",
    "behind a mark": b'\xef\xbb\xbf{"Records":[' + ONE + b'],"Records":[' + TWO + b"]}",
    "in a line": b'{"Records":[' + ONE + b'],"Records":[' + TWO + b']}\n{"Records":[]}',
    "in another envelope": b'{"Records":[' + ONE + b'],"detail-type":"x","detail":' + TWO + b"}",
    "in a text": b'{"message":"{}","message":'
    + json.dumps([json.loads(ONE)]).encode()
    + b',"body":'
    + json.dumps(TEXTS[1]).encode()
    + b"}",
}


@pytest.mark.parametrize("shape", list(TWICE))
def test_no_record_is_hidden_by_another_list_of_the_same_name(shape: str):
    found = records_of(TWICE[shape])
    assert [json.loads(each) for each in found if isinstance(each, bytes)] == [
        json.loads(ONE),
        json.loads(TWO),
    ]


GOOD = b'{"eventTime":"2026-01-31T10:00:00Z","x":%b}'
HALF = {
    "half a character": GOOD % rb'"\ud83d"',
    "the other half": GOOD % rb'"\\\uDE00 "',
    "a name": rb'{"eventTime":"2026-01-31T10:00:00Z","\ud83d":1}',
}
BAD = {
    "no number": GOOD % b"NaN",
    "infinite": GOOD % b"[-Infinity]",
    "a control character": GOOD % b'"a\tb"',
    "a leading zero": GOOD % b"01",
    "an escape": GOOD % rb'"\q"',
    "a comma too many": GOOD % b"[1,]",
    "a value too many": GOOD % b'1 {"y":2}',
    "nested too deeply": GOOD % (b"[" * 3000 + b"]" * 3000),
}
LISTS = {
    "a log file": b'{"Records":[%b,%b,%b]}',
    "a log file on lines": b'{"Records": [\n  %b,\n  %b,\n  %b\n]}\n',
    "a list": b"[%b,%b,%b]",
    "a list with blanks": b" [ %b , %b , %b ] ",
    "lines": b"%b\n%b\n%b\n",
    "joined": b"%b%b%b",
    "log files on lines": b'{"Records":[%b,%b]}\n{"Records":[%b]}\n',
    "EventBridge": b'[{"detail":%b},{"detail":%b},{"detail":%b}]',
    "cut short": b'{"Records":[%b,%b,%b,{"event',
}


@pytest.mark.parametrize("shape", list(LISTS))
@pytest.mark.parametrize("half", list(HALF))
def test_a_record_with_half_a_character_keeps_its_bytes(shape: str, half: str):
    data = LISTS[shape] % (ONE, HALF[half], TWO)
    found = [each for each in records_of(data) if isinstance(each, bytes)]
    assert found == [ONE, HALF[half], TWO]


@pytest.mark.parametrize("shape", list(LISTS))
@pytest.mark.parametrize("bad", list(BAD))
def test_a_bad_record_costs_only_itself_and_is_said_with_its_place(shape: str, bad: str):
    data = LISTS[shape] % (ONE, BAD[bad], TWO)
    found = list(records_of(data))
    assert [found[0], found[2]] == [ONE, TWO]
    assert isinstance(found[1], Unread)
    assert found[1].position == data.index(BAD[bad])
    assert len(found) == 3 + (shape == "cut short")


def test_half_a_character_on_several_lines_is_put_on_one():
    pretty = b'{\n "eventTime" : "2026-01-31T10:00:00Z",\r\n "x": "a  \\" \\ud83d" }'
    (found,) = records_of(b"[" + pretty + b"]")
    assert found == b'{"eventTime":"2026-01-31T10:00:00Z","x":"a  \\" \\ud83d"}'


def test_half_a_character_in_a_text_in_a_text_is_an_escape_again():
    half = HALF["half a character"]
    for text in (json.dumps(half.decode()), '"' + half.decode().replace('"', r"\"") + '"'):
        assert list(records_of(b'{"message":' + text.encode() + b"}")) == [half]


def test_a_text_that_is_not_utf_8_is_said_and_not_changed():
    (found,) = records_of(b'{"message":"' + ONE.replace(b'"', rb"\"") + b'\xff"}')
    assert found == Unread(11, "the text is not UTF-8")
    odd = b'{"message":"\xff","event":' + ONE + b"}"
    assert list(records_of(odd)) == [ONE]


@pytest.mark.parametrize("empty", [b"", b"\n", b'{"Records":[]}', b"[]"])
def test_what_is_empty_has_no_records(empty: bytes):
    assert list(records_of(empty)) == []


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"no json", "not JSON"),
        (b'{"Records":["text"]}', "not a JSON object"),
        (b"[1]", "not a JSON object"),
        (b'["hello"]', "not a JSON object"),
        (b'"hello"', "not a JSON object"),
        (b"oops: {1} {2}", "not JSON"),
        (b"\xff\x00", "not JSON"),
    ],
)
def test_what_is_no_record_is_said(data: bytes, reason: str):
    (found,) = records_of(data)
    assert isinstance(found, Unread)
    assert reason in found.reason


def test_a_bad_line_costs_only_itself():
    found = list(records_of(ONE + b"\n{bad\n" + TWO))
    assert [found[0], found[2]] == [ONE, TWO]
    assert isinstance(found[1], Unread)
    assert found[1].position == len(ONE) + 1


@given(cut=st.integers(14, len(SHAPES["a log file"]) - 3))
def test_of_a_cut_file_what_lies_before_the_cut_is_kept(cut: int):
    *records, last = records_of(SHAPES["a log file"][:cut])
    assert isinstance(last, Unread)
    assert records == [ONE, TWO][: len(records)]
    whole = sum(cut >= end for end in (12 + len(ONE), 13 + len(ONE) + len(TWO)))
    assert len(records) == whole


def test_damage_between_records_is_said_with_its_place():
    data = b'{"Records":[' + ONE + b" oops " + TWO + b"]}"
    found = list(records_of(data))
    assert found[0] == ONE
    assert isinstance(found[1], Unread)
    assert found[1].position == 13 + len(ONE)


def test_the_largest_record_is_taken_and_a_larger_one_is_not():
    fill = b"x" * (RECORD_BYTES_MAX - len(b'{"a":""}'))
    largest, larger = b'{"a":"' + fill + b'"}', b'{"a":"' + fill + b'x"}'
    assert list(records_of(largest)) == [largest]
    (found,) = records_of(larger)
    assert isinstance(found, Unread)
    assert "larger than a record can be" in found.reason


def test_spaces_that_make_a_record_too_large_go():
    record = b'{"a":' + b"\n" * RECORD_BYTES_MAX + b"1}"
    assert list(records_of(b'{"Records":[' + record + b"]}")) == [b'{"a":1}']


def test_deep_nesting_is_no_crash():
    found = list(records_of(b'{"a":' + b"[" * 100_000))
    assert all(isinstance(each, Unread) for each in found)


@given(data=st.binary(max_size=200))
def test_any_bytes_are_read_or_said(data: bytes):
    for found in records_of(data):
        assert isinstance(found, bytes | Unread | NoRecord)


@given(seed=st.integers(0, 10_000))
def test_a_damaged_log_file_loses_nothing_before_the_damage(seed: int):
    source = random.Random(seed)
    whole = bytearray(SHAPES["a log file"])
    at = source.randrange(len(whole))
    whole[at] = source.randrange(256)
    found = list(records_of(bytes(whole)))
    if at > 12 + len(ONE):
        assert found[0] == ONE


FALSE = b'{"a":[{},' + ONE + b"]}"


@pytest.mark.parametrize(
    "bad",
    [
        b'{"eventTime":"2026-01-31T10:00:00Z","x":NaN,"y":%b}' % FALSE,
        b'{"eventTime":"2026-01-31T10:00:00Z","x":"\t","y":%b}' % FALSE,
        b'{"eventTime":"2026-01-31T10:00:00Z","x":%b,"y":%b}' % (b"[" * 3000 + b"]" * 3000, FALSE),
    ],
)
def test_what_a_bad_record_has_in_it_is_never_taken_for_a_record(bad: bytes):
    (found,) = records_of(b'{"Records":[' + bad + b"]}")
    assert isinstance(found, Unread)


def test_what_a_damaged_line_has_in_it_is_never_taken_for_a_record():
    bad = b'{"eventTime":"2026-01-31T10:00:00Z","x":"y"z","y":%b}' % FALSE
    for data in (bad, bad + b"\n", TWO + b"\n" + bad):
        assert ONE not in records_of(data)


def test_log_files_of_which_one_is_cut_short_are_read_where_they_are_joined():
    cut = b'{"Records":[' + TWO + b',{"eventVersion":"1.08","x":"'
    whole = b'{"Records":[' + ONE + b"," + TWO + b"]}"
    found = list(records_of(cut + whole))
    assert [each for each in found if isinstance(each, bytes)] == [TWO, ONE, TWO]
    assert any(isinstance(each, Unread) for each in found)


@pytest.mark.parametrize("over", [0, 1])
def test_lists_in_each_other_are_opened_to_a_depth_and_deeper_ones_are_told(over):
    deep = LAYERS_MAX + over
    (found,) = records_of(b"[" * deep + ONE + b"]" * deep)
    assert isinstance(found, Unread) if over else found == ONE
