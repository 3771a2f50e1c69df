# SPDX-License-Identifier: Apache-2.0
"""Which records may come in, in which forms, and what is said of the others."""

import gzip
import json

import pytest
from support.sent_records import EVENT_ID, NOW_S, record, sign_in, vpce

from opentrail.capture import intake_body
from opentrail.capture.intake_body import read, split, unpacked
from opentrail.capture.intake_record import NESTING_MAX, Rejection, check
from opentrail.errors import ClientError
from opentrail.event.caps import RECORD_BYTES_MAX

ONE = json.dumps(record(), separators=(",", ":")).encode()
INSIGHT = {
    "eventVersion": "1.08",
    "eventTime": "2026-11-28T10:00:00Z",
    "awsRegion": "us-east-1",
    "eventID": EVENT_ID,
    "eventType": "AwsCloudTrailInsight",
    "recipientAccountId": "123456789012",
    "sharedEventID": EVENT_ID,
    "insightDetails": {"state": "Start", "eventName": "GetObject"},
    "eventCategory": "Insight",
}
SERVICE_EVENT = record(
    userIdentity={"accountId": "123456789012", "invokedBy": "ec2.amazonaws.com"},
    eventType="AwsServiceEvent",
    requestParameters=None,
)


def rejected(data: bytes) -> Rejection:
    with pytest.raises(Rejection) as caught:
        check(data, NOW_S)
    return caught.value


def dumped(**fields: object) -> bytes:
    return json.dumps(record(**fields)).encode()


def test_the_caller_of_an_insights_record_is_looked_at_too():
    given = json.dumps(INSIGHT | {"userIdentity": {"accountId": "1"}}).encode()
    check(given, NOW_S)
    assert rejected(given.replace(b'{"accountId"', b'{"accountId":"2","accountId"')).code == (
        "DuplicateField"
    )


@pytest.mark.parametrize(
    "given", [record(), sign_in(), vpce(), INSIGHT, SERVICE_EVENT, record(eventVersion="1.0")]
)
def test_all_kinds_come_in_with_their_own_bytes(given):
    for separators in ((",", ":"), (", ", ": ")):
        data = json.dumps(given, separators=separators).encode()
        checked = check(data, NOW_S)
        assert (checked.data, checked.event_id, checked.account) == (
            data,
            EVENT_ID,
            "123456789012",
        )


def test_only_line_breaks_are_taken_out():
    pretty = json.dumps(record(note=70.0, zwei="ü\\n"), indent=2, ensure_ascii=False).encode()
    data = check(pretty, NOW_S).data
    assert b"\n" not in data
    assert json.loads(data) == json.loads(pretty)
    assert b'"note":70.0' in data
    inside = ONE.replace(b'{"type"', b'{\n"type"')
    assert check(inside, NOW_S).data == ONE


def test_the_account_is_the_receivers_else_the_callers():
    given = record(recipientAccountId="210987654321")
    assert check(json.dumps(given).encode(), NOW_S).account == "210987654321"
    del given["recipientAccountId"]
    assert check(json.dumps(given).encode(), NOW_S).account == "123456789012"
    issuer = {"sessionContext": {"sessionIssuer": {"accountId": "111122223333"}}}
    given["userIdentity"] = {"type": "AssumedRole", **issuer}
    assert check(json.dumps(given).encode(), NOW_S).account == "111122223333"


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"eventID": ""}, "eventID"),
        ({"eventID": None}, "eventID"),
        ({"eventID": "x" * 129}, "eventID"),
        ({"eventID": "a\nb"}, "eventID"),
        ({"eventID": 5}, "Expected `str"),
        ({"eventTime": "2026-11-28T10:00:00.5Z"}, "eventTime"),
        ({"eventTime": "2026-13-28T10:00:00Z"}, "eventTime"),
        ({"eventTime": "1999-12-31T23:59:59Z"}, "eventTime"),
        ({"eventTime": "2026-11-28T10:00:00+01:00"}, "eventTime"),
        ({"eventTime": None}, "eventTime"),
        ({"eventTime": "9026-11-28T10:00:00Z"}, "ahead"),
        ({"awsRegion": "../../etc"}, "awsRegion"),
        ({"awsRegion": "r" * 33}, "awsRegion"),
        ({"eventVersion": ""}, "eventVersion"),
        ({"eventSource": ""}, "eventSource"),
        ({"eventName": None}, "eventName"),
        ({"eventName": "n" * 257}, "256 characters"),
        ({"userIdentity": "me"}, "userIdentity"),
        ({"userIdentity": None}, "userIdentity"),
        ({"eventCategory": "Insight", "insightDetails": []}, "insightDetails"),
    ],
)
def test_what_readers_need_is_required(fields, says):
    error = rejected(dumped(**fields))
    assert error.code == "InvalidField"
    assert says in error.message
    assert error.event_id == ("" if "eventID" in fields else EVENT_ID)


def test_bounds_are_taken_on_both_sides():
    for fields in (
        {"eventID": "x" * 128},
        {"awsRegion": "r" * 32},
        {"eventName": "n" * 256},
        {"eventTime": "2000-01-01T00:00:00Z"},
        {"eventTime": "2026-11-29T12:00:00Z"},
    ):
        check(dumped(**fields), NOW_S)
    assert rejected(dumped(eventTime="2026-11-29T12:00:01Z")).code == "InvalidField"
    room = RECORD_BYTES_MAX - len(dumped(userAgent=""))
    check(dumped(userAgent="a" * room), NOW_S)
    assert rejected(dumped(userAgent="a" * (room + 1))).code == "RecordTooLarge"
    pretty = json.dumps(record(userAgent="a" * (room - 400)), indent=20).encode()
    assert len(pretty) > RECORD_BYTES_MAX
    assert len(check(pretty, NOW_S).data) <= RECORD_BYTES_MAX
    assert rejected(b"{\n" * RECORD_BYTES_MAX).code == "InvalidRecord"


def nested(depth: int) -> bytes:
    inner = b"[" * depth + b"]" * depth
    return ONE.replace(b'"requestParameters":{"modelName":"m"}', b'"requestParameters":' + inner)


def test_nesting_has_a_bound_and_text_does_not_count():
    check(nested(NESTING_MAX - 1), NOW_S)
    assert rejected(nested(NESTING_MAX)).code == "NestedTooDeeply"
    assert rejected(nested(100_000)).code == "NestedTooDeeply"
    hides = ONE.replace(b'"m"', b'"' + b"}]" * 200 + b'"').replace(b"null", nested(150)[-400:-60])
    assert rejected(hides).code in ("NestedTooDeeply", "InvalidRecord")
    check(dumped(userAgent='[{"' * 500), NOW_S)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"5",
        b'"text"',
        b"null",
        b"[]",
        ONE[:-1],
        ONE + b"x",
        ONE.replace(b'"m"', b"NaN"),
        ONE.replace(b'"m"', b"01"),
        ONE.replace(b'"m"', b'"\\x"'),
        ONE.replace(b'"m"', b'"\x01"'),
        ONE.replace(b'"m"', b'"\xff"'),
        ONE.replace(b'"m"', b'"\xed\xa0\x80"'),
        ONE[:-1] + b',"\\ud800":1}',
        ONE[:-1] + b',"\xff":1}',
    ],
)
def test_what_is_not_json_is_rejected(data):
    assert rejected(data).code in ("InvalidRecord", "InvalidField")


def test_long_numbers_stay_what_they_are():
    data = ONE.replace(b'"m"', b"9" * 10_000)
    assert check(data, NOW_S).data == data
    spaced = data.replace(b'"awsRegion":', b'"unknown": 1, "awsRegion":')
    assert check(spaced, NOW_S).data == spaced


@pytest.mark.parametrize(
    "data",
    [
        ONE[:-1] + b',"recipientAccountId":"210987654321"}',
        ONE[:-1] + b',"eventID":"other"}',
        ONE[:-1] + b', "event\\u0049D":"other"}',
        ONE[:-1] + b',"mine":1,"mine":2}',
        ONE.replace(b'"accountId":', b'"accountId":"210987654321","accountId":', 1),
        ONE.replace(b'"userName":', b'"userName":"Eve","userName":', 1),
        ONE.replace(b'"userName":', b'"inScopeOf":{"a":1,"a":2},"userName":', 1),
        ONE.replace(
            b'"userName":', b'"sessionContext":{"sessionIssuer":{"arn":"","arn":""}},"x":', 1
        ),
        ONE.replace(b'"userName":', b'"x":[{"a":{"a":1}},{"a":1,"\\u0061":2}],"userName":', 1),
    ],
)
def test_a_field_that_stands_twice_is_refused(data):
    if b'"accountId":"210987654321","accountId"' in data:
        data = data.replace(b'"recipientAccountId":"123456789012",', b"")
    assert rejected(data).code == "DuplicateField"


# How records are sent together


def apart(body: bytes, content_type: str = "") -> list[bytes]:
    return split(read(body, content_type))


def test_a_request_may_have_any_of_four_forms():
    two = [ONE, ONE]
    array = b" [" + ONE + b" ,\n" + ONE + b"]\n"
    assert apart(array) == two
    assert apart(b'{ "Records" : ' + array + b" }") == two
    assert apart(ONE + b"\r\n\n" + ONE + b"\n") == two
    assert apart(ONE + b"\n" + ONE, "application/x-ndjson; charset=utf-8") == two
    assert apart(ONE) == apart(b"\xef\xbb\xbf" + ONE) == [ONE]
    pretty = json.dumps(record(), indent=1).encode()
    assert apart(pretty) == [pretty]


def test_a_broken_line_is_told_alone_and_a_broken_list_as_a_whole():
    lines = apart(ONE + b"\n{\n" + ONE[:-5])
    assert lines == [ONE, b"{", ONE[:-5]]
    for body in (
        b"[" + ONE,
        b"[" + ONE + b",]",
        b'{"Records":[' + ONE + b"]",
        b'{"Records":[' + ONE + b'],"Records":[]}',
        b'{"Records":5}',
        b"{\n" + ONE,
        b"[" * 200_000,
        gzip.compress(ONE),
        b"[]",
        b"",
        b" \n ",
    ):
        with pytest.raises(ClientError) as caught:
            apart(body)
        assert caught.value.code == "InvalidRequestException"


@pytest.mark.parametrize(
    "bad", [b"NaN", rb'"\ud83d"', b'"a\tb"', b"[1,]", b"[" * 2000 + b"]" * 2000]
)
@pytest.mark.parametrize("form", [b"[%b , %b,\n%b]", b'{"Records":[%b,%b,%b]}'])
def test_a_bad_record_in_a_list_refuses_no_others(bad: bytes, form: bytes):
    odd = ONE.replace(b'"requestParameters":', b'"later":%b,"requestParameters":' % bad, 1)
    assert odd != ONE
    assert apart(form % (ONE, odd, ONE)) == [ONE, odd, ONE]
    with pytest.raises(Rejection):
        check(odd, NOW_S)


def test_a_bad_first_line_refuses_no_others():
    for bad in (b'{"a":NaN}', rb'{"a":"\ud83d"}', b'{"a":"\t"}', b'{"a":[1,]}'):
        assert apart(bad + b"\r\n" + ONE + b"\n" + ONE) == [bad, ONE, ONE]


def test_a_list_with_a_bad_record_is_taken_apart_within_bounds():
    brackets = intake_body.BRACKETS_MAX - 1
    odd = b'[{"a":NaN,"b":[' + b"[]," * (brackets - 3) + b"[]]},1]"
    assert len(apart(odd)) == 2
    for body in (odd.replace(b"[]]", b"[],{}]"), b"[" + b"1," * brackets + b"1,{1}]"):
        with pytest.raises(ClientError, match="not a JSON array"):
            apart(body)


def test_an_array_of_millions_is_not_taken_apart():
    commas = intake_body.COMMAS_MAX + 2
    for element, status in ((b"1", 400), (b"{}", 413)):
        with pytest.raises(ClientError) as caught:
            apart(b"[" + b",".join([element] * commas) + b"]")
        assert caught.value.status == status
    vector = dumped(requestParameters={"vector": [0] * 50_000})
    many = b"[" + b",".join([vector] * (intake_body.COMMAS_MAX // 50_000 + 1)) + b"]"
    assert len(apart(many)) == intake_body.COMMAS_MAX // 50_000 + 1
    with pytest.raises(ClientError) as caught:
        apart(ONE + b"\n" * (10 * intake_body.RECORDS_MAX + 1) + ONE)
    assert caught.value.status == 413


def test_the_number_of_records_has_a_bound():
    most = b"[" + b",".join([b"1"] * intake_body.RECORDS_MAX)
    assert len(apart(most + b"]")) == intake_body.RECORDS_MAX
    with pytest.raises(ClientError) as caught:
        apart(most + b",1]")
    assert caught.value.status == 413


def test_gzip_is_unpacked_to_the_bound_and_no_further():
    most = b" " * intake_body.BODY_BYTES_MAX
    assert unpacked(most, "") == unpacked(gzip.compress(most, 1), " GZIP ") == most
    assert unpacked(gzip.compress(b"a") + gzip.compress(b"b"), "gzip") == b"ab"
    bomb = gzip.compress(bytes(64 * 1024 * 1024), 1)
    for body, encoding in ((most + b" ", ""), (gzip.compress(most + b" "), "gzip"), (bomb, "gzip")):
        with pytest.raises(ClientError) as caught:
            unpacked(body, encoding)
        assert caught.value.status == 413
    for body in (gzip.compress(ONE)[:-9], b"no gzip", gzip.compress(ONE) + b"rest"):
        with pytest.raises(ClientError) as caught:
            unpacked(body, "gzip")
        assert caught.value.code == "InvalidRequestException"
    with pytest.raises(ClientError) as caught:
        unpacked(ONE, "br")
    assert caught.value.status == 415
