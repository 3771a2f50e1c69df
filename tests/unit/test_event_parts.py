# SPDX-License-Identifier: Apache-2.0
"""JSON taken apart by its brackets: as a parser does where it is good, and further where it is not."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opentrail.event import parts
from opentrail.event.parts import elements, members, value_end, whole

TEXT = st.text(alphabet=st.sampled_from('"\\[]{},: \n\u00e9\U0001f600a'), max_size=6)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
INDENT = st.sampled_from([None, 1])


@given(value=JSON, indent=INDENT)
def test_a_value_ends_where_it_ends(value, indent: int | None):
    data = json.dumps(value, indent=indent).encode()
    assert value_end(data + b" , [1]", 0) == len(data)
    assert value_end(data[:-1], 0) != len(data)


@given(values=st.lists(JSON, max_size=4), indent=INDENT, bad=st.booleans())
def test_a_list_has_the_elements_that_a_parser_finds(values, indent: int | None, *, bad: bool):
    data = json.dumps([*values, float("nan")] if bad else values, indent=indent).encode()
    found = list(elements(data))
    assert [json.loads(part) for _, part in found[: len(values)]] == values
    assert all(data[at : at + len(part)] == part for at, part in found)
    assert len(found) == len(values) + bad


@given(value=st.dictionaries(TEXT, JSON, max_size=4), indent=INDENT, bad=st.booleans())
def test_an_object_has_the_members_that_a_parser_finds(value, indent: int | None, *, bad: bool):
    data = json.dumps({**value, "nan": float("nan")} if bad else value, indent=indent).encode()
    found = members(data)
    there = {name: json.loads(part) for name, (_, part) in found if name != "nan"}
    assert there == {name: each for name, each in value.items() if name != "nan"}
    assert all(data[at : at + len(part)] == part for _, (at, part) in found)


def test_members_of_one_name_are_all_found():
    data = b'{"a":1, "b" : NaN,"\\u0061":[2] ,"a": "\\q"}'
    found = [("a", b"1"), ("b", b"NaN"), ("a", b"[2]"), ("a", b'"\\q"')]
    assert [(name, part) for name, (_, part) in members(data)] == found
    assert [part for _, (_, part) in members(b'{"a":1,"a":1}')] == [b"1", b"1"]


@pytest.mark.parametrize(
    ("array", "found"),
    [
        (b"[NaN,{}]", [b"NaN", b"{}"]),
        (b"[{} oops {},1]", [b"{}", b"oops {},1"]),
        (b"[{}{},oops,1]", [b"{}", b"{}", b"oops", b"1"]),
        (b'[{},"{"a":"b"},{"c":1}]', [b"{}", b'"{"a":"b"},{"c":1}']),
        (b"[1,]", [b"1"]),
        (b'[",", "]" ,{"a":"\\""} x]', [b'","', b'"]"', b'{"a":"\\""}', b"x"]),
        (b'[1,"]', [b"1", b'"']),
        (b"[{]]", [b"{]"]),
        (b"[}", []),
        (b"[ ]", []),
    ],
)
def test_what_is_between_commas_and_is_no_value_is_said(array: bytes, found: list[bytes]):
    assert [part for _, part in elements(array)] == found


def test_whole_lists_have_commas_and_bounds():
    odd = b'[{"a":NaN} ,\n{}, 1]'
    assert whole(odd, 10) == [b'{"a":NaN}', b"{}", b"1"]
    for array in (b"[{NaN},]", b"[{NaN} {}]", b"[{NaN}", b"[{NaN}] ", b'{"a":NaN}', b"[{NaN},x]"):
        assert whole(array, 10) is None
    assert whole(odd, 2) is None


def test_nesting_has_a_bound():
    deep = parts.NESTING_MAX
    assert value_end(b"[" * deep + b"]" * deep, 0) == 2 * deep
    assert value_end(b"[" * (deep + 1) + b"]" * (deep + 1), 0) is None


@given(data=st.binary(max_size=40))
def test_nothing_fails(data: bytes):
    for each in (b"[" + data + b"]", b"{" + data + b"}"):
        list(elements(each))
        members(each)
        whole(each, 100)
