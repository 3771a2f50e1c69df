# SPDX-License-Identifier: Apache-2.0
"""A damaged index makes a search slow, never wrong."""

import random

import msgspec
import pytest
from support.data_directories import data_directory, encoded, record
from support.log_files import HandClock
from support.seeded_ids import SeededIds

from opentrail.cli.asking import Asked, question_of
from opentrail.eventlog.base import Draft, Origin
from opentrail.eventlog.options import LogOptions
from opentrail.eventlog.reader import SegmentReader
from opentrail.eventlog.segments import Segments
from opentrail.history.beside import searcher_beside
from opentrail.history.index import History, Sizes
from opentrail.history.manifest import load, store
from opentrail.history.query import parse
from opentrail.history.search import Question

NAMES = ("CreateModel", "DeleteModel", "DescribeModel")
QUERIES = (
    "",
    "EventName=CreateModel",
    "Username=ada and not EventName=DeleteModel",
    "ReadOnly=false",
)


@pytest.fixture
def data(tmp_path):
    records = [record(number, eventName=NAMES[number % 3]) for number in range(90)]
    return data_directory(tmp_path / "beside", records, indexed=True)


def answers(data) -> list[object]:
    found: list[object] = []
    for query in QUERIES:
        condition = parse(query)
        log = SegmentReader(data / "log")
        searcher = searcher_beside(data / "history", log, condition)
        question = Question(condition)
        found.append([hit.position for hit in searcher.newest(question, 1000)])
        found.append(sorted(hit.position for hit in searcher.all(question)))
        found += [searcher.span(), searcher.damage]
        log.close()
    return found


def test_bits_that_flip_in_the_index_change_no_answer(data):
    (run,) = (data / "history").glob("*.run")
    whole, wanted, random_ = run.read_bytes(), answers(data), random.Random(7)
    for _ in range(150):
        damaged = bytearray(whole)
        damaged[random_.randrange(len(whole))] ^= 1 << random_.randrange(8)
        run.write_bytes(damaged)
        assert answers(data) == wanted
    run.write_bytes(whole[:-100])
    assert answers(data) == wanted
    run.unlink()
    assert answers(data) == wanted


def test_of_a_log_that_is_damaged_where_it_begins_the_rest_is_shown(tmp_path):
    options = LogOptions(disk_reserve_bytes=0, segment_bytes_max=1 << 17)
    log = Segments.open(tmp_path, HandClock(), SeededIds(1), options)
    for number in range(3000):
        log.append([Draft(Origin.CAPTURE, encoded(record(number)))])
    history = History.open(tmp_path / "history", log, HandClock(), sizes=Sizes(flush_rows=10))
    while history.step():
        pass
    log.close()
    first, *others = sorted((tmp_path / "log").glob("*.seg"))
    assert others
    content = bytearray(first.read_bytes())
    content[100] ^= 1
    first.write_bytes(content)
    condition = parse("EventName=CreateModel")
    searcher = searcher_beside(tmp_path / "history", SegmentReader(tmp_path / "log"), condition)
    found = [hit.position for hit in searcher.newest(Question(condition), 5000)]
    assert 0 < len(found) < 3000
    assert min(found) >= int(others[0].stem)
    assert searcher.damage is not None
    assert first.name in searcher.damage.where


def test_a_manifest_that_leaves_something_out_hides_nothing(tmp_path):
    data = data_directory(tmp_path / "d", [])
    log = Segments.open(data, HandClock(), SeededIds(1), LogOptions(disk_reserve_bytes=0))
    for number in range(40):
        log.append([Draft(Origin.CAPTURE, encoded(record(number)))])
    sizes = Sizes(batch_entries=10, flush_rows=10)
    history = History.open(data / "history", log, HandClock(), sizes=sizes)
    while history.step():
        pass
    log.close()
    whole, wanted = load(data / "history"), answers(data)
    assert whole is not None
    first, second, third, last = whole.runs
    shorter = msgspec.structs.replace(last, end=third.end + 1)
    for runs in (
        [],
        [second, third, last],
        [first, third, last],
        [first, second, third],
        [first, second, third, shorter],
        [msgspec.structs.replace(first, rows=9), second, third, last],
    ):
        store(data / "history", msgspec.structs.replace(whole, runs=runs))
        assert answers(data) == wanted
    run = data / "history" / first.file_name
    run.write_bytes((data / "history" / second.file_name).read_bytes())
    store(data / "history", whole)
    assert answers(data) == wanted
    opened = History.open(data / "history", SegmentReader(data / "log"), HandClock(), sizes=sizes)
    assert "not the run that the manifest names" in opened.rebuilt_because


@pytest.mark.parametrize(
    ("query", "read"),
    [
        (("EventId=nothing", "Username=ada"), 0),
        (("(EventId=nothing and errorCode) and Username=ada",), 0),
        (("(EventId=nothing or EventId=no) or EventId=none",), 0),
        (("EventName=DeleteModel", "not Username=bob"), 30),
        (("errorCode", "Username=ada"), 90),
    ],
)
def test_the_index_helps_however_conditions_are_joined(data, query, read):
    question = question_of(query, Asked())
    log = SegmentReader(data / "log")
    searcher = searcher_beside(data / "history", log, question.condition)
    searcher.scopes()
    before = searcher.read  # a record tells of each scope
    list(searcher.newest(question, 1000))
    assert searcher.read - before == read
    log.close()


def test_what_is_said_of_the_way_is_true(data):
    log = SegmentReader(data / "log")
    searcher = searcher_beside(data / "history", log, parse(""))
    for query, counted, said in (
        ("errorCode", False, "every event in 1 scopes, newest first"),
        ("errorCode", True, "every record of the log, in its order"),
        ("EventId=x", True, "index: EventId=x in 1 scopes; 0 candidates"),
        ("Account=x", True, "every event in 0 scopes, newest first"),
    ):
        question = Question(parse(query))
        assert searcher.way(question).said(counted=counted) == said
        before = searcher.read
        list(searcher.all(question) if counted else searcher.newest(question, 10))
        assert searcher.read - before == (0 if "0 " in said else 90)
    log.close()
