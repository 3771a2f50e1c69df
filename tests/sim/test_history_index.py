# SPDX-License-Identifier: Apache-2.0
"""The index answers as a scan of the whole log does, whatever is flushed, merged, lost or broken."""

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from support.brittle_files import BrittleFiles, Fault, Killed
from support.history_oracle import NOW_S, FixedClock, obvious_lookup, record
from support.memory_log import MemoryLog

from opentrail.errors import Unavailable
from opentrail.history.check import check
from opentrail.history.derive import ATTRIBUTES
from opentrail.history.index import History, Sizes
from opentrail.history.lookup import Lookup

SMALL = Sizes(batch_entries=4, flush_rows=6, merge_runs=3, merge_urgent_runs=5)
ACCOUNTS, REGIONS = ("111122223333", "444455556666"), ("us-east-1", "eu-west-1")
CATEGORIES, NAMES = ("Management", "Data"), ("CreateModel", "DescribeModel")


def mostly_first(values: tuple[str, str]) -> st.SearchStrategy[str]:
    return st.sampled_from((values[0],) * 5 + values[1:])


times = st.integers(NOW_S - 6, NOW_S) | st.integers(NOW_S - 100 * 86400, NOW_S + 60)
records = st.builds(
    lambda number, time_s, account, region, category, name, user: record(
        number,
        time_s,
        recipientAccountId=account,
        awsRegion=region,
        eventCategory=category,
        eventName=name,
        readOnly=name.startswith("D"),
        userIdentity={"type": "IAMUser", "userName": user, "accessKeyId": f"AKIA{user}"},
    ),
    st.integers(0, 5),
    times,
    mostly_first(ACCOUNTS),
    mostly_first(REGIONS),
    mostly_first(CATEGORIES),
    st.sampled_from(NAMES),
    st.sampled_from(("ann", "bob")),
)
unshowable = st.sampled_from([b"7", b"{}", b'{"eventTime":"soon"}'])
values = {
    "EventId": "00000000-0000-4000-8000-000000000003",
    "EventName": "CreateModel",
    "ReadOnly": "true",
    "Username": "bob",
    "ResourceType": "AWS::SageMaker::Model",
    "ResourceName": "model-2",
    "EventSource": "sagemaker.amazonaws.com",
    "AccessKeyId": "AKIAann",
}
changes = st.integers(1, 60)
"""A step of SMALL that flushes makes some 40 changes, a merge the same over its parts."""
queries = st.builds(
    Lookup,
    mostly_first(ACCOUNTS),
    mostly_first(REGIONS),
    mostly_first(CATEGORIES),
    st.none() | st.sampled_from(sorted(values.items())) | st.just(("EventName", "Nothing")),
    st.none() | times,
    st.none() | times,
    st.integers(1, 7),
    st.none() | st.tuples(times, st.integers(0, 60_000)),
)


class IndexMachine(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.root = Path(tempfile.mkdtemp())
        self.path = self.root / "history"
        self.log = MemoryLog()
        self.clock = FixedClock()
        self.files = BrittleFiles()
        self.open()

    def open(self) -> None:
        self.files.break_at(0, Fault.REFUSED_LOST)
        self.history = History.open(self.path, self.log, self.clock, sizes=SMALL, files=self.files)

    @rule(new=st.lists(records | unshowable, max_size=14), durable=st.booleans())
    def append(self, *, new: list[bytes], durable: bool) -> None:
        self.log.append(new, durable=durable)

    @rule(steps=st.integers(1, 8))
    def step(self, steps: int) -> None:
        for _ in range(steps):
            self.history.step()

    @rule()
    def restart(self) -> None:
        reason = self.history.rebuilt_because
        self.open()
        assert not self.history.rebuilt_because or reason

    @rule(change=changes, fault=st.sampled_from(Fault), steps=st.integers(1, 8))
    def broken_steps(self, change: int, fault: Fault, steps: int) -> None:
        self.files.break_at(change, fault)
        try:
            self._step_past_refusals(steps)
        except Killed:
            self.open()
        self.files.break_at(0, fault)

    def _step_past_refusals(self, steps: int) -> None:
        for _ in range(steps):
            try:
                self.history.step()
            except Unavailable:
                pass

    @rule(change=st.integers(1, 8), fault=st.sampled_from(Fault))
    def broken_start(self, change: int, fault: Fault) -> None:
        self.files.break_at(change, fault)
        try:
            self.history = History.open(
                self.path, self.log, self.clock, sizes=SMALL, files=self.files
            )
        except (Killed, Unavailable):
            pass
        self.open()

    @rule()
    def another_log(self) -> None:
        """The log was reset: the index of the old one must not be used."""
        self.log = MemoryLog(log_id=f"log-{len(self.log.log_id)}-{self.log.durable_end()}")
        self.open()
        assert self.history.indexed_to() == 0

    @rule(share=st.floats(0, 1))
    def expire(self, share: float) -> None:
        kept = [e.position for e in self.log.entries(self.log.first())] + [self.log.durable_end()]
        self.log.expire(kept[int(share * (len(kept) - 1))])

    @rule(query=queries)
    def lookup(self, query: Lookup) -> None:
        shown = []
        for _ in range(3):
            page = self.history.lookup(query)
            end = self.history.indexed_to()
            assert page == obvious_lookup(self.log, query, self.clock.now_s, end)
            shown += page.events
            if not page.events:
                break
            last = page.events[-1]
            query = replace(query, after=(last.derived.event_time_s, last.position))
        assert len({found.position for found in shown}) == len(shown)

    @invariant()
    def never_ahead_of_the_log(self) -> None:
        assert self.history.indexed_to() <= self.log.durable_end()

    def teardown(self) -> None:
        """Faults stop; then everything is found, and the index on disk is sound."""
        self.files.break_at(0, Fault.REFUSED_LOST)
        while self.history.step():
            pass
        assert self.history.indexed_to() == self.log.durable_end()
        for account in ACCOUNTS:
            for attribute in (None, *values.items()):
                query = Lookup(account, "us-east-1", "Management", attribute, limit=1000)
                assert self.history.lookup(query) == obvious_lookup(
                    self.log, query, self.clock.now_s
                )
        assert list(check(self.path, self.log)) == []
        shutil.rmtree(self.root)


TestIndex = IndexMachine.TestCase
TestIndex.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


def test_the_machine_asks_for_every_attribute():
    assert set(values) == set(ATTRIBUTES)
