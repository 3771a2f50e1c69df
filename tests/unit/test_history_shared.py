# SPDX-License-Identifier: Apache-2.0
"""Real records are found by everything that they are shown with."""

import gzip
import os
from pathlib import Path

import pytest
from support.history_oracle import NOW_S, FixedClock, obvious_lookup
from support.memory_log import MemoryLog

from opentrail.history.check import check
from opentrail.history.derive import ATTRIBUTES, Derived, derive
from opentrail.history.index import History, Sizes
from opentrail.history.lookup import Lookup

SHARED = Path(os.environ.get("OPENTRAIL_SHARED", Path(__file__).parents[3] / "shared"))
FILES = sorted((SHARED / "data").glob("events_*.jsonl.gz"))
EVER_S = 100 * 366 * 86400
NO_EVENTS = 6
"""Documentation samples and rule tests whose eventTime is "eventTime", "foo" or "..."."""


@pytest.fixture(scope="module")
def log() -> MemoryLog:
    if not FILES:
        pytest.skip("no shared records: set OPENTRAIL_SHARED to their folder")
    log = MemoryLog()
    for path in FILES:
        with gzip.open(path) as lines:
            log.append([line.rstrip(b"\n") for line in lines])
    return log


@pytest.fixture(scope="module")
def history(log: MemoryLog, tmp_path_factory: pytest.TempPathFactory) -> History:
    path = tmp_path_factory.mktemp("history")
    sizes = Sizes(batch_entries=100, flush_rows=300, merge_runs=4, merge_urgent_runs=5)
    history = History.open(path, log, FixedClock(), EVER_S, sizes=sizes)
    while history.step():
        pass
    assert list(check(path, log)) == []
    return history


def derived_of(log: MemoryLog) -> list[Derived]:
    found = [derive(entry.data) for entry in log.entries(0)]
    return [each for each in found if each is not None]


def test_all_but_the_placeholders_are_indexed(log: MemoryLog, history: History):
    assert history.tally()[1].others == NO_EVENTS
    assert len(derived_of(log)) == len(list(log.entries(0))) - NO_EVENTS


def test_every_value_of_every_attribute_finds_what_a_scan_finds(log: MemoryLog, history: History):
    asked = set()
    for each in derived_of(log):
        for attribute in ATTRIBUTES:
            for value in each.values(attribute)[:1]:
                asked.add((each.account, each.region, each.category, attribute, value))
    for account, region, category, attribute, value in sorted(asked)[::25]:
        query = Lookup(account, region, category, (attribute, value), limit=60)
        page = history.lookup(query)
        assert page.events
        assert page == obvious_lookup(log, query, NOW_S, window_s=EVER_S)


def test_paging_through_the_largest_scope_shows_each_event_once(log: MemoryLog, history: History):
    scopes = [(each.account, each.region, each.category) for each in derived_of(log)]
    largest = max(set(scopes), key=scopes.count)
    seen, after, more = [], None, True
    while more:
        page = history.lookup(Lookup(*largest, limit=50, after=after))
        seen += [found.position for found in page.events]
        after = (page.events[-1].derived.event_time_s, page.events[-1].position)
        more = page.more
    assert len(seen) == len(set(seen)) == scopes.count(largest)
