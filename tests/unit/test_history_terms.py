# SPDX-License-Identifier: Apache-2.0
"""The rows of a batch are those that each record alone would have, whatever came before it."""

import json

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings
from support.history_oracle import record
from support.odd_records import records

from opentrail.eventlog.base import Entry, Origin
from opentrail.history import terms
from opentrail.history.derive import derive
from opentrail.history.indexed import remembered
from opentrail.history.table import NO_TIME_S
from opentrail.history.terms import COLUMNS, Collector, term

lone = json.dumps({"eventTime": "2026-01-01T00:00:00Z", "eventID": "\ud800", "awsRegion": "\udfff"})
odd_ones = st.sampled_from([b"7", b"{}", b"{", b'{"eventTime":"x"}', lone.encode()])
few = st.lists(records | odd_ones, min_size=1, max_size=4)
logs = few.flatmap(lambda some: st.lists(st.sampled_from(some), max_size=12))


def expected(data: bytes) -> dict[str, set[int]]:
    """Return the terms of each column that the record ``data`` has."""
    derived = derive(data)
    if derived is None:
        return {column: set() for column in COLUMNS}
    scope = (derived.account, derived.region, derived.category)
    found = {
        column: {term(scope, column, value) for value in derived.values(column)}
        for column in COLUMNS[1:]
    }
    return {"Scope": {term(scope, "Scope")}, **found}


def check(collector: Collector, log: list[bytes], *, all_rows: bool = True) -> None:
    entries = [Entry(10 * n, 0, Origin.INTAKE, data) for n, data in enumerate(log)]
    shown = [entry for entry in entries if all_rows or derive(entry.data) is not None]
    batch = collector.collect(entries, all_rows=all_rows)
    assert list(batch.positions) == [entry.position for entry in shown]
    times = [getattr(derive(entry.data), "event_time_s", NO_TIME_S) for entry in shown]
    assert list(batch.times) == times
    rows = [expected(entry.data) for entry in shown]
    for column in COLUMNS:
        found, at = batch.column(column)
        assert (found.dtype.name, at.dtype.name) == ("uint64", "uint32")
        assert at.tolist() == sorted(at.tolist())
        pairs = list(zip(at.tolist(), found.tolist(), strict=True))
        wanted = [(n, each) for n, row in enumerate(rows) for each in row[column]]
        assert sorted(pairs) == sorted(wanted), column


kept = Collector()


@settings(max_examples=300, deadline=None)
@given(log=logs, all_rows=st.booleans())
def test_rows_are_those_of_each_record_alone(log, all_rows):
    check(kept, log, all_rows=all_rows)


@settings(max_examples=100, deadline=None)
@given(log=logs)
def test_what_is_forgotten_is_made_again(log):
    with pytest.MonkeyPatch.context() as patch:
        for bound in ("SCOPES_CACHED", "VALUES_CACHED", "KINDS_CACHED", "NAMED_CACHED"):
            patch.setattr(terms, bound, 1)
        check(Collector(), log + log)


def test_no_batch_has_no_rows():
    batch = Collector().collect(())
    assert [len(batch.column(column)[0]) for column in COLUMNS] == [0] * len(COLUMNS)


def test_a_value_whose_hash_is_nothing_has_a_term_all_the_same(monkeypatch):
    monkeypatch.setattr(terms, "xxh3_64_digest", lambda _: bytes(8))
    check(Collector(), [record(1), record(2)])


def test_an_equal_hash_alone_is_not_believed(monkeypatch):
    monkeypatch.setattr(terms, "xxh3_64_intdigest", lambda _: 7)
    remembered.clear()
    check(Collector(), [record(number) for number in (1, 2, 1, 3)])
    remembered.clear()


def test_no_more_is_remembered_than_is_bounded():
    collector = Collector()
    for number in range(2 * terms.NAMED_CACHED):
        collector.collect([Entry(number, 0, Origin.INTAKE, record(number))])
    calls = [call for scope in collector._scopes.values() for call in scope.calls.values()]
    assert 0 < sum(len(call.named) for call in calls) <= terms.NAMED_CACHED
    assert 0 < len(collector._kinds) <= terms.KINDS_CACHED
