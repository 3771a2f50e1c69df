# SPDX-License-Identifier: Apache-2.0
"""Queries find what the plainest reading of every record finds: random ones, and real records."""

import gzip
import json
import os
import tempfile
import tracemalloc
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings
from support.history_oracle import NOW_S, FixedClock, record
from support.memory_log import MemoryLog
from support.query_oracle import FIELDS, Tree, texts_at, trees

from opentrail.history.index import History, Sizes
from opentrail.history.query import parse
from opentrail.history.search import Question

SHARED = Path(os.environ.get("OPENTRAIL_SHARED", Path(__file__).parents[3] / "shared"))
FILES = sorted((SHARED / "data").glob("events_*.jsonl.gz"))
SMALL = Sizes(batch_entries=5, flush_rows=7, merge_runs=3, merge_urgent_runs=4)
WORDS = (
    "CreateModel",
    "DeleteModel",
    "Create",
    "bob",
    "Bob",
    "a b",
    'say "hi"',
    "back\\slash",
    "é",
    "10.1.2.3",
)
values = st.sampled_from(WORDS)
some_json = st.none() | st.booleans() | st.integers(-5, 5) | values
records = st.builds(
    lambda time_s, name, error, address, user, bucket, more: record(
        1,
        time_s,
        eventName=name,
        errorCode=error,
        sourceIPAddress=address,
        userIdentity={"type": "IAMUser", "userName": user, "accountId": "111122223333"},
        requestParameters={"BucketName": bucket, "list": [{"name": bucket}, {"name": more}, more]},
        responseElements=more,
    ),
    st.integers(NOW_S - 9, NOW_S),
    values,
    st.sampled_from((..., "AccessDenied", "bob")),
    st.sampled_from(("10.1.2.3", "192.0.2.1", "192.0.2.200", "2001:db8::1", "bob.amazonaws.com", ...)),
    values,
    some_json,
    some_json,
)  # fmt: skip


def found_by(history: History, tree: Tree) -> list[int]:
    question = Question(parse(tree.text()))
    searcher = history.searcher()
    found = [hit.position for hit in searcher.newest(question, 100_000)]
    assert sorted(found) == sorted(hit.position for hit in searcher.all(question))
    return sorted(found)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(some=st.lists(records, max_size=30), tree=trees(values), steps=st.integers(0, 12))
def test_random_queries_over_random_records(some: list[bytes], tree: Tree, steps: int):
    log = MemoryLog()
    with tempfile.TemporaryDirectory() as name:
        history = History.open(Path(name), log, FixedClock(), sizes=SMALL)
        log.append(some[:20])
        for _ in range(steps):
            history.step()
        log.append(some[20:])
        wanted = [each.position for each in log.entries(0) if tree.holds(json.loads(each.data))]
        assert found_by(history, tree) == wanted, tree.text()


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> tuple[History, dict[int, Any]]:
    """Return an index of real records, one in four, and what they are by position."""
    if not FILES:
        pytest.skip("no shared records: set OPENTRAIL_SHARED to their folder")
    log = MemoryLog()
    for path in FILES:
        with gzip.open(path) as lines:
            log.append([line.rstrip(b"\n") for line in lines][::4])
    history = History.open(tmp_path_factory.mktemp("history"), log, FixedClock())
    while history.step():
        pass
    shown = {hit.position for hit in history.searcher().all(Question())}
    return history, {
        each.position: json.loads(each.data) for each in log.entries(0) if each.position in shown
    }


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_random_queries_over_real_records(
    real: tuple[History, dict[int, Any]], data: st.DataObject
):
    history, records_at = real
    some = data.draw(st.lists(st.sampled_from(sorted(records_at)), min_size=1, max_size=5))
    their = [text for at in some for field in FIELDS for text in texts_at(records_at[at], field)]
    plain = [text for text in their if text and "*" not in text and "/" not in text]
    tree = data.draw(trees(st.sampled_from(plain[:40] or list(WORDS))))
    wanted = [at for at, each in records_at.items() if tree.holds(each)]
    assert found_by(history, tree) == wanted, tree.text()


@pytest.mark.parametrize(("chars", "found"), [(100, True), (101, False)])
def test_an_address_has_a_zone_of_some_length_only(chars, found):
    address = "fe80::1%".ljust(chars, "z")
    data = record(1, sourceIPAddress=address)
    assert (Question(parse("sourceIPAddress=fe80::/10")).hit(data, 0) is not None) is found


def test_a_hit_keeps_the_record_and_not_what_was_found_out_of_it():
    data = record(1, requestParameters={f"name{number}": [number] for number in range(500)})
    question = Question(parse('userIdentity.type "name1" not requestParameters.none=1'))
    tracemalloc.start()
    try:
        hits = [question.hit(data, position) for position in range(50)]
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert all(hits)
    assert kept < 50 * len(data) / 2
