# SPDX-License-Identifier: Apache-2.0
"""Files that are cut short or damaged, in every shape that tools print: what is whole of them is taken."""

import json
from collections.abc import Callable

import pytest

from opentrail.imports.contents import begun, found_in
from opentrail.imports.split import Unread

COUNT = 12
TEXT = '{"eventVersion":"1.08","eventTime":"2026-01-31T10:00:00Z","n":"@","x":{"y":[70.0,{}]}}'
TEXTS = [TEXT.replace("@", str(number)) for number in range(COUNT)]
RECORDS = [text.encode() for text in TEXTS]


def _lookup(indent: int | None) -> str:
    events = [{"EventId": "1", "Resources": [], "CloudTrailEvent": text} for text in TEXTS]
    return json.dumps({"Events": events}, indent=indent)


def _printed() -> str:
    return "\n".join(json.dumps(json.loads(text), indent=2) for text in TEXTS)


def _search() -> str:
    hits = [{"_index": "x", "_source": {"event": {"original": text}}} for text in TEXTS]
    return json.dumps({"took": 1, "hits": {"total": {"value": 1}, "hits": hits}})


SHAPES: dict[str, Callable[[], str]] = {
    "list": lambda: f"[{','.join(TEXTS)}]",
    "list of lines": lambda: "[\n" + ",\n".join(TEXTS) + "\n]\n",
    "printed list": lambda: json.dumps([json.loads(text) for text in TEXTS], indent=4),
    "printed log file": lambda: json.dumps({"Records": [json.loads(t) for t in TEXTS]}, indent=4),
    "printed records": _printed,
    "joined": lambda: "".join(TEXTS),
    "lookup": lambda: _lookup(None),
    "printed lookup": lambda: _lookup(4),
    "texts": lambda: json.dumps(TEXTS),
    "printed texts": lambda: json.dumps(TEXTS, indent=4),
    "search": _search,
}


def read(data: bytes) -> tuple[list[bytes], list[Unread]]:
    """Return the records of a file, each on one line without spaces, and what is none."""
    found = list(found_in(begun([data])))
    records = [json.loads(each) for each in found if isinstance(each, bytes)]
    texts = [json.dumps(each, separators=(",", ":")).encode() for each in records]
    return texts, [each for each in found if isinstance(each, Unread)]


@pytest.mark.parametrize("shape", SHAPES)
def test_whole(shape: str):
    assert read(SHAPES[shape]().encode()) == (RECORDS, [])


@pytest.mark.parametrize("shape", SHAPES)
def test_of_a_file_that_is_cut_what_lies_before_the_cut_is_taken_and_the_cut_is_said_once(
    shape: str,
):
    data = SHAPES[shape]().encode()
    sixth = data.index(b'"6' if b'"6"' in data else b'\\"6')
    for cut in range(sixth - 40, sixth + 3):
        records, unread = read(data[:cut])
        assert records == RECORDS[:6]
        assert len(unread) == 1


@pytest.mark.parametrize("shape", ["list", "list of lines", "printed records", "joined"])
@pytest.mark.parametrize("damage", [b'"', b"{", b"}", b"\0"])
def test_what_lies_behind_damage_is_taken_too(shape: str, damage: bytes):
    data = SHAPES[shape]().encode()
    sixth = data.index(b'"6"') + 1
    records, unread = read(data[:sixth] + damage + data[sixth + 1 :])
    assert [each for each in records if each in RECORDS] == RECORDS[:6] + RECORDS[7:]
    assert len(records) == COUNT or unread
