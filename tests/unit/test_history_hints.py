# SPDX-License-Identifier: Apache-2.0
"""What a query may have misspelt: true of what was looked at, safe to show, of nobody else's events."""

import msgspec
import pytest
from support.data_directories import encoded, record
from support.log_files import HandClock
from support.memory_log import MemoryLog

from opentrail.history import hints as module
from opentrail.history.hints import hints, unknown
from opentrail.history.query import parse
from opentrail.history.search import Searcher
from opentrail.wire.search_door import Asked, SearchDoor

OTHER = "444455556666"


def searcher(*records) -> Searcher:
    log = MemoryLog()
    log.append([encoded(each) for each in records])
    return Searcher(log, (), 0)


def said(query: str, *records) -> list[str]:
    return [hint.text for hint in hints(searcher(*records), parse(query))]


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("EventName=createmodel", "EventName=createmodel; did you mean EventName=CreateModel?"),
        (
            "eventName=create*",
            "no event has EventName=create*; did you mean EventName=CreateModel?",
        ),
        ("ReadOnly=False", "did you mean ReadOnly=false?"),
        ("Region=US-EAST-1", "did you mean Region=us-east-1?"),
        ("EventSource=SageMaker", "did you mean EventSource=sagemaker.amazonaws.com?"),
        ("userIdentity.type=iamuser and errorCode", "userIdentity.type=IAMUser?"),
        ("EventName=createmodel or EventName=X", "EventName=CreateModel?"),
    ],
)
def test_a_value_in_another_case_is_named(query, text):
    (hint,) = said(query, record(0))
    assert text in hint


@pytest.mark.parametrize("query", ["EventName=Nope", "EventName=X*", "EventName~x", "not fraud"])
def test_what_is_only_not_there_is_not(query):
    assert said(query, record(0)) == []


def test_a_text_that_is_nearly_a_field_is_named():
    (text,) = said("errorCoed and EventName=CreateModel", record(0))
    assert text == "errorCoed was looked for as a text; did you mean the field errorCode?"
    assert said("fraud or error or AKIAIOSFODNN7EXAMPLX", record(0)) == []
    (hint,) = hints(searcher(record(0)), parse("EventName=CreateModel not errorCoed"), matched=True)
    assert hint.text == text
    assert hints(searcher(record(0)), parse("sagemaker"), matched=True) == []


@pytest.mark.parametrize(
    ("query", "mark"),
    [
        ("EventName=Create%", "%"),
        ("EventName=CreateModel|DeleteModel", "|"),
        ("EventName=CreateModel,DeleteModel", ","),
        ("EventName=Create.*", ".*"),
        ("EventName=CreateMode?", "?"),
    ],
)
def test_what_stands_for_others_elsewhere_is_named(query, mark):
    (text,) = said(query, record(0))
    assert text.startswith(f"{mark} in EventName=")
    assert "* is any text" in text
    assert hints(searcher(record(0)), parse(f"not {query}"), matched=True) == []


def test_no_value_is_offered_where_some_event_has_what_is_asked_for():
    some = record(0, errorCode="denied"), record(1, errorCode="Denied")
    assert said("errorCode=denied and EventName=X", *some) == []


def test_what_is_said_is_true_of_what_was_looked_at(monkeypatch):
    monkeypatch.setattr(module, "LOOKED_AT", 3)
    old = record(0, requestParameters={"rare": 1})
    others = [record(number) for number in range(1, 4)]
    (hint,) = hints(searcher(old, *others), parse("requestParameters.rare=2"), most=3)
    assert "none of the newest 3 events has the field requestParameters.rare;" in hint.text
    assert not hint.whole
    assert said("requestParameters.rare=2", old, *others[:2]) == []
    (text,) = said("requestParameters.rare=2", *others)
    assert text.startswith("no event has the field requestParameters.rare")
    assert said("requestParameters.rare=2") == []
    found = unknown(searcher(old, *others), "requestParameters.rare")
    assert found is not None
    assert not found.whole


def test_a_colon_in_a_path_is_a_field_that_no_event_has():
    (text,) = said("requestParameters.modelName:model-0", record(0))
    assert text.endswith("modelName:model-0; did you mean requestParameters.modelName?")


def test_names_from_records_are_safe_and_can_be_typed():
    evil = record(0, requestParameters={"modelNam\x1b[2J": 1, "model nam": 2, "modelName": 3})
    (text,) = said("requestParameters.modelNam=m", evil)
    assert text.endswith("did you mean requestParameters.modelName?")
    (text,) = said("EventName=\x1b[2jx", record(0, eventName="\x1b[2JX"))
    assert text.isprintable()


def test_of_what_was_found_only_what_that_does_not_prove_is_looked_at():
    one = searcher(record(0))
    for query, fields in (
        ("requestParameters.modelName=model-0", []),
        ("Username=ada and errorCoed!=X", ["errorCoed"]),
        ("Username=ada or Usrname=bob", ["Usrname"]),
    ):
        found = [hint.text for hint in hints(one, parse(query), matched=True)]
        assert [text.split()[5].rstrip(";") for text in found] == fields


@pytest.mark.parametrize(
    "query", ["EventName!=createmodel", "not (Username=x or EventName=create*)"]
)
def test_a_value_in_another_case_lets_all_through_and_is_named(query):
    found = hints(searcher(record(0)), parse(query), matched=True)
    assert ["did you mean EventName=CreateModel?" in hint.text for hint in found] == [True]
    assert hints(searcher(record(0)), parse("EventName!=Nope"), matched=True) == []


def test_over_http_nobody_is_told_of_others_events():
    log = MemoryLog()
    theirs = record(0, recipientAccountId=OTHER, requestParameters={"secretName": "Hidden"})
    log.append([encoded(theirs), encoded(record(1))])
    door = SearchDoor(lambda reads: Searcher(log, (), 0, reads), b"k" * 32, HandClock(0))

    def told(query: str, *accounts: str) -> list[str]:
        body = msgspec.json.encode({"query": query})
        answer = msgspec.json.decode(door.handle(Asked(body, accounts)).body)
        assert answer["Records"] == []
        hints: list[str] = answer.get("hints", [])
        return hints

    query = "requestParameters.secretNam=Hidden"
    assert told(query) == [
        "no event has the field requestParameters.secretNam; did you mean requestParameters.secretName?"
    ]
    assert told(query, OTHER) == told(query)
    (text,) = told(query, "123456789012")
    assert "secretName" not in text
    assert told("requestParameters.secretName=hidden", OTHER)[0].endswith("secretName=Hidden?")
    (text,) = told("requestParameters.secretName=hidden", "123456789012")
    assert text.startswith("no event has the field")
    assert "Hidden" not in text
