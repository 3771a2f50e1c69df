# SPDX-License-Identifier: Apache-2.0
"""A page of a search over HTTP takes a second at most, whatever is asked."""

import msgspec
from support.data_directories import encoded, record
from support.log_files import HandClock
from support.memory_log import MemoryLog

from opentrail.history.index import History
from opentrail.history.query import parse
from opentrail.history.search import Searcher
from opentrail.wire import search_door
from opentrail.wire.search_door import Asked, SearchDoor, reads_max


def test_a_long_query_looks_at_fewer_records_and_finds_all(tmp_path, monkeypatch):
    monkeypatch.setattr(search_door, "READS_MAX", 50)
    log = MemoryLog()
    records = [encoded(record(number)) for number in range(60)]
    log.append(records)
    history = History.open(tmp_path, log, HandClock(0))
    while history.step():
        pass
    door = SearchDoor(history.searcher, b"k" * 32, HandClock(0))
    query = {"query": " or ".join(["requestParameters.modelName=model-7", *["no"] * 99])}
    found, token, pages = [], None, 0
    while token is not None or not pages:
        body = msgspec.json.encode({**query, "nextToken": token})
        answer = msgspec.json.decode(door.handle(Asked(body, ())).body)
        found += answer["Records"]
        token, pages = answer.get("nextToken"), pages + 1
    assert [msgspec.json.encode(each) for each in found] == [records[7]]
    assert pages == 60 // 5


def test_a_record_that_is_not_utf_8_hides_no_other():
    log = MemoryLog()
    odd = encoded(record(1)).replace(b'"test"', b'"\xff"')
    log.append([encoded(record(0)), odd])
    door = SearchDoor(lambda reads: Searcher(log, (), 0, reads), b"k" * 32, HandClock(0))
    answer = msgspec.json.decode(door.handle(Asked(b"{}", ())).body.decode())
    assert [each["userAgent"] for each in answer["Records"]] == ["\ufffd", "test"]


def test_few_conditions_take_no_records_away():
    assert reads_max(parse("a b c and not (d or e)")) == search_door.READS_MAX
    assert reads_max(parse("a " * 100)) == search_door.READS_MAX / 10
