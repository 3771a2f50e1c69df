# SPDX-License-Identifier: Apache-2.0
"""What a query means: each operator on each kind of field, and where it cannot be understood."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.history_oracle import record

from opentrail.errors import UsageError
from opentrail.history.conditions import Everything, Like, Text
from opentrail.history.derive import derive
from opentrail.history.fields import Event
from opentrail.history.query import DEPTH_MAX, QUERY_CHARS_MAX, parse

DATA = record(
    7,
    sourceIPAddress="10.1.2.3",
    errorCode="AccessDenied",
    errorMessage='User "bob" is not authorized, says caf\u00e9',
    requestParameters={
        "bucketName": "logs",
        "tags": [{"key": "team", "value": "fraud"}, {"key": "a.b", "value": 7}],
        "x.y": {"z": True},
        "empty": {},
        "none": None,
        "encryptionContext": {"aws:s3:arn": "x"},
        "names": {"#AT": "rating", "$id": 1},
    },
    additionalEventData={"note": "line\nbreak"},
)


def event(data: bytes = DATA) -> Event:
    derived = derive(data)
    assert derived is not None
    return Event(data, derived)


def holds(query: str) -> bool:
    return parse(query).holds(event())


@pytest.mark.parametrize(
    "query",
    [
        "",
        "EventName=CreateModel",
        "eventname=CreateModel",
        "eventName=Create*",
        "EventName=*Model",
        "EventName=C*e*l",
        "EventName!=DeleteModel",
        "EventName~createm",
        "EventName!~delete",
        "Username=alice",
        "user=alice",
        "ReadOnly=false",
        "Account=111122223333",
        "Region=us-east-1",
        "awsRegion=us-*",
        "Category=Management",
        "sourceIPAddress=10.0.0.0/8",
        "sourceIPAddress=10.1.2.3/32",
        "not sourceIPAddress=192.168.0.0/16",
        "errorCode",
        "errorCode=AccessDenied",
        'errorMessage~"NOT authorized"',
        'errorMessage="User \\"bob\\" is not authorized, says caf\u00e9"',
        "requestParameters.bucketName=logs",
        "requestparameters.BUCKETNAME=logs",
        "requestParameters.tags.value=fraud",
        "requestParameters.tags.value=7",
        "requestParameters.tags.key=a.b",
        "requestParameters.x.y.z=true",
        "requestParameters.encryptionContext.aws:s3:arn",
        "requestParameters.names.#AT=rating and requestParameters.names.$id = 1",
        "requestParameters.names.#AT!=<removed> and not requestParameters.names.@x",
        "requestParameters.encryptionContext.aws:s3:arn=x",
        "requestParameters.tags",
        "requestParameters.empty",
        "EventName='CreateModel'",
        "EventName==CreateModel",
        "'not authorized'",
        '"a<b" or user=alice',
        "not requestParameters.none",
        "not responseElements",
        "userIdentity.type=IAMUser",
        "fraud",
        "FRAUD",
        '"not authorized"',
        '"caf\u00e9"',
        '"line\nbreak"',
        '"User \\"bob\\""',
        "EventName=CreateModel Username=alice",
        "EventName=CreateModel and Username=alice",
        "EventName=X or Username=alice",
        "EventName=X Username=x or Username=alice",
        "(EventName=X or EventName=CreateModel) and not Username=bob",
        "not (EventName=X or Username=bob)",
        "not not Username=alice",
        "NOT EventName=X AND Username=alice OR EventName=Y",
        "EventName = CreateModel",
        "EventName= CreateModel and Username =alice",
        "EventName != X and errorMessage ~ 'not AUTHORIZED'",
        "(EventName\t=\nCreateModel)",
        "Username and not ResourceType",
        'EventName="and" or EventName=or or Username=alice',
    ],
)
def test_holds(query: str):
    assert holds(query)
    assert not query or not holds(f"not ({query})")


@pytest.mark.parametrize(
    "query",
    [
        "EventName=createmodel",
        "EventName=Create",
        'EventName=""',
        "Username=bob",
        "sourceIPAddress=11.0.0.0/8",
        "sourceIPAddress=::/0",
        "userIdentity.userName=10.0.0.0/8",
        "errorCode=Denied",
        "requestParameters.bucketName=log",
        "requestParameters.bucketName.more=logs",
        "requestParameters.none",
        "vpcEndpointId",
        "nowhere",
        "EventName=CreateModel and Username=bob",
        "Username=alice EventName=X",
        "EventName=X or Username=x",
    ],
)
def test_does_not_hold(query: str):
    assert not holds(query)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("(EventName=X", "not closed"),
        ("EventName=X)", "not opened"),
        ("EventName=X or", 'follow or: .*; "or" in quotes is a text'),
        ("EventName=X AND", "follow AND: write FIELD=VALUE"),
        ("EventName=X and not", "follow not: "),
        ('EventName="X"Y', "no blank behind a condition"),
        ("userAgent=curl(8)", "brackets or quotes in it goes in quotes"),
        ("and EventName=X", "no condition"),
        ("not", "ends where a condition"),
        ("()", "no condition"),
        ('"text', "does not end"),
        ('errorMessage="text', "does not end"),
        (r'Username="CORP\ada"', r'a backslash .* here: …"CORP'),
        (r'"C:\Windows"', r"write \\\\ for itself"),
    ],
)
def test_what_cannot_be_understood_says_where(query: str, said: str):
    with pytest.raises(UsageError, match=said):
        parse(query)


def test_the_bounds_hold_on_both_sides():
    assert parse("a" * QUERY_CHARS_MAX).holds(event()) is False
    with pytest.raises(UsageError, match="characters"):
        parse("a" * (QUERY_CHARS_MAX + 1))
    nots = "not " * (DEPTH_MAX - 1)
    parse(f"{nots}EventName=X")
    with pytest.raises(UsageError, match="in each other"):
        parse(f"not {nots}EventName=X")


@given(query=st.text(max_size=60))
def test_any_text_is_parsed_or_refused(query: str):
    try:
        parse(query).holds(event())
    except UsageError:
        return


def test_nothing_asked_is_everything():
    assert parse("  ") == Everything()


@pytest.mark.parametrize("odd", [b"1e999", b"1" * 5000, b'"\xff"'])
def test_an_odd_value_hides_no_field(odd: bytes):
    data = b'{"eventTime":"2026-01-31T10:00:00Z","errorCode":"AccessDenied","x":' + odd + b"}"
    for query in ("errorCode=AccessDenied", "errorCode", "not errorMessage"):
        assert parse(query).holds(event(data))
    assert not parse("not errorCode").holds(event(data))


@pytest.mark.parametrize(
    "number", ["1.10", "1e3", "-0.0", "7.0", "9007199254740993", "1e400", "9" * 30]
)
def test_numbers_are_as_the_record_writes_them(number: str):
    data = DATA.replace(b":7}", f":{number}}}".encode())
    assert parse(f"requestParameters.tags.value={number}").holds(event(data))
    assert parse(f'requestParameters.tags~"value\\":{number}}}"').holds(event(data))
    assert parse("requestParameters.tags.value").holds(event(data))


def test_objects_are_text_as_they_are_written():
    data = record(1, requestParameters={"o": {"name": "caf\u00e9", "n": None}})
    assert parse('requestParameters.o~"caf\u00e9"').holds(event(data))
    assert parse("""requestParameters.o='{"name":"caf\u00e9","n":null}'""").holds(event(data))


@pytest.mark.parametrize(
    "query",
    [
        "requestParameters.tags.k",
        "not requestParameters.tags.n",
        "requestParameters.A",
        "requestParameters.dotted.name",
        "not readOnly",
        "not eventCategory",
        "ReadOnly=false and Category=Management",
        "not Username",
        "not Account",
    ],
)
def test_what_is_there_and_what_is_not(query: str):
    tags = [{"k": []}, {"n": None}]
    parameters: dict[str, Any] = {"tags": tags, "a": None, "A": {}, "dotted.name": []}
    data = {"eventTime": "2026-01-31T10:00:00Z", "requestParameters": parameters}
    assert parse(query).holds(event(json.dumps(data).encode()))


@pytest.mark.parametrize(
    "query",
    [
        "sourceIPAddress=10.0.0.0/8",
        "sourceIPAddress!=2001:db8::/32",
        "sourceIPAddress=::ffff:0:0/96",
        "sourceIPAddress=::FFFF:A01:203",
        "sourceIPAddress=0:0:0:0:0:ffff:10.1.2.3",
        "sourceIPAddress!=::ffff:10.1.2.4",
        "sourceIPAddress=10.1.2.3",
    ],
)
def test_an_address_is_the_same_however_it_is_written(query: str):
    for written in ("::ffff:10.1.2.3", "81.2.69.142, ::ffff:10.1.2.3"):
        assert parse(query).holds(event(record(1, sourceIPAddress=written)))


def test_of_several_addresses_each_is_looked_at():
    several = event(record(1, sourceIPAddress="81.2.69.142, 192.168.10.10"))
    assert parse("sourceIPAddress=81.2.69.142").holds(several)
    assert parse("sourceIPAddress=192.168.0.0/16").holds(several)
    assert not parse("sourceIPAddress=81.2.69.14").holds(several)
    assert not parse("sourceIPAddress!=192.168.0.0/16").holds(several)


@pytest.mark.parametrize("text", ["2001:db8::/129", "10.0.0/24", "10.0/16", "10.0.0.0/33"])
def test_a_network_that_is_none_is_a_mistake(text: str):
    with pytest.raises(UsageError, match="is no network"):
        parse(f"sourceIPAddress={text}")
    for query in (
        f'sourceIPAddress="{text}"',
        f"sourceIPAddress='{text}'",
        f"sourceIPAddress~{text}",
    ):
        assert parse(query).holds(event(record(1, sourceIPAddress=text)))


@pytest.mark.parametrize(
    "query",
    [
        "not nbreak",
        "break",
        r'"say \\\"hi"',
        r'"say \"hi"',
        "not u00e9",
        "caf\u00e9",
        r'"back\\slash"',
        "'back\\slash'",
    ],
)
def test_an_escape_is_no_text(query: str):
    data = (
        rb"""{"eventTime":"2026-01-31T10:00:00Z","x":"a\nbreak say \"hi\" caf\u00e9 back\\slash"}"""
    )
    assert parse(query).holds(event(data))


def test_deep_nesting_ends_no_search():
    for depth in range(900, 1000):
        for value in (b"[" * depth + b'"v"' + b"]" * depth, b'{"a":' * depth + b"0" + b"}" * depth):
            odd = b'{"eventTime":"2026-01-31T10:00:00Z","q":"\\u0041","x":%b}' % value
            derived = derive(odd)
            for query in ("zz", "x=zz", 'x~"zz"', f"x{'.a' * depth}=zz", "x.a.a.b"):
                assert derived is None or not parse(query).holds(Event(odd, derived))


def test_asterisks_take_no_time():
    data = DATA.replace(b"fraud", b"a" * 100_000)
    assert not parse(f"requestParameters.tags.value={'*a' * 1000}*b").holds(event(data))
    assert parse(f"requestParameters.tags.value={'*a' * 1000}*").holds(event(data))


@given(
    value=st.text("ab\n.", max_size=8),
    parts=st.lists(st.text("ab\n.", max_size=3), min_size=2, max_size=5),
)
def test_asterisks_are_what_a_pattern_of_anything_finds(value: str, parts: list[str]):
    pattern = ".*".join(map(re.escape, parts))
    assert Like("x", tuple(parts)).fits(value) is bool(re.fullmatch(pattern, value, re.DOTALL))


def test_an_asterisk_itself():
    for value, query in (("s3:*", r"s3:\*"), ("s3:Get*", r"s3:G*\*"), ("a\nb", "a\nb")):
        data = record(1, requestParameters={"action": value})
        assert parse(f'requestParameters.action="{query}"').holds(event(data))
    data = record(1, requestParameters={"action": "s3:GetObject"})
    assert not parse(r'requestParameters.action="s3:\*"').holds(event(data))
    assert not parse(r'requestParameters.action="s3:G*\*"').holds(event(data))
    assert parse("requestParameters.action~s3:G").holds(event(data))
    assert not parse("requestParameters.action~s3:*").holds(event(data))


def test_half_a_character_changes_no_other_value():
    data = DATA.replace(b'"fraud"', b'"fra\\ud83dud"').replace(b":7}", b":7.50}")
    for query in ("requestParameters.tags.value=7.50", "requestParameters.tags.value=fra\ufffdud"):
        assert parse(query).holds(event(data))


def test_networks_in_records_are_found_as_text_too():
    data = record(1, requestParameters={"cidrIp": "0.0.0.0/0"})
    assert parse("requestParameters.cidrIp=0.0.0.0/0").holds(event(data))
    assert not parse("requestParameters.cidrIp!=0.0.0.0/0").holds(event(data))


@pytest.mark.parametrize("query", ["arn:aws:s3:::x/y", "AWS::SageMaker::Model", "10:30", "'a<b'"])
def test_what_only_looks_like_another_language_is_a_text(query: str):
    assert parse(query) == Text(query.strip("'"))


def test_an_odd_record_breaks_no_search():
    odd = event(b'{"eventTime":"2026-01-31T10:00:00Z","n":' + b"1" * 400 + b',"eventName":[1]}')
    for query in ("EventName=X", "n=1", "requestParameters.x=1", "errorCode", "text"):
        assert parse(query).holds(odd) is False


@pytest.mark.parametrize(
    ("query", "instead"),
    [
        ("fraud && errorCode", "written as words"),
        ("fraud || errorCode", "written as words"),
        ("! fraud", "written as words"),
        ("!errorCode", "written as words"),
        ("!(fraud)", "written as words"),
        ("eventTime>2023", "--since"),
        ("eventTime >= 2023", "--since"),
        ("EventName in (A, B)", "joined by or"),
        ("EventName=~Create", "anything"),
        ("EventName =~ Create", "anything"),
        ("EventName ~= Create", "anything"),
        ("EventName => Create", "--since"),
        ("EventName === X", "FIELD=VALUE"),
        ("EventName=", "no value: write EventName=VALUE"),
        ("EventName = ", 'EventName="" is the empty text, not EventName asks for none'),
        ("EventName= and Username=x", "no value"),
        ("EventName=(A or B)", "no value"),
        ("EventName=X or = Y", "a field stands before ="),
        ("EventName:X", "not a colon: EventName=X"),
        ('eventName: "X"', "not a colon: eventName=VALUE"),
        ("user:ada", "user=ada"),
        ("bucketName like X%", "FIELD=Create"),
        ("errorCode is not null", "FIELD alone"),
        ("EventName contains X", "FIELD~text"),
        ("select * where x", "FIELD=VALUE"),
        ("errorCode != null", "FIELD alone asks whether"),
        ("-EventName=X", "begins with a letter"),
        ("$.eventName=X", "begins with a letter"),
        ("Create*", "in a value only"),
        ("EventName=\u201cX\u201d", "around the whole"),
        ("\u2018not authorized\u2019", "around the whole"),
        ("EventName='X", "around the whole"),
        ('requestParameters={"a":1}', "around the whole"),
    ],
)
def test_what_other_languages_write_is_no_text_to_look_for(query: str, instead: str):
    with pytest.raises(UsageError, match=instead):
        parse(query)
