# SPDX-License-Identifier: Apache-2.0
"""A search finds what a plain look at every record finds, whatever is indexed, merged or expired."""

import tempfile
from pathlib import Path

import hypothesis.strategies as st
from hypothesis import HealthCheck, given, settings
from support.history_oracle import NOW_S, FixedClock, record
from support.memory_log import MemoryLog

from opentrail.history.derive import derive
from opentrail.history.fields import Event
from opentrail.history.index import History, Sizes
from opentrail.history.query import parse
from opentrail.history.search import Question, Span

SMALL = Sizes(batch_entries=5, flush_rows=7, merge_runs=3, merge_urgent_runs=4)
PARTS = (
    "EventName=CreateModel", "EventName=Delete*", "Username=bob", "Username!=bob", "ReadOnly=true",
    "Account=444455556666", "Region=eu-west-1", "Category=Data", "model-2", "ResourceName=model-3",
    "(EventName=CreateModel or Username=bob)", "(EventName=CreateModel or errorCode)",
    "EventId=00000000-0000-4000-8000-000000000001", "errorCode=Oops", "EventName=Nothing",
)  # fmt: skip
queries = st.lists(st.sampled_from(PARTS), max_size=3).map(" ".join)
records = st.builds(
    lambda number, time_s, account, region, category, name, user, error: record(
        number,
        time_s,
        recipientAccountId=account,
        awsRegion=region,
        eventCategory=category,
        eventName=name,
        readOnly=name.startswith("List"),
        userIdentity={"type": "IAMUser", "userName": user, "accountId": account},
        errorCode=error,
    ),
    st.integers(0, 5),
    st.integers(NOW_S - 4, NOW_S) | st.integers(0, NOW_S + 60),
    st.sampled_from(("111122223333", "111122223333", "444455556666")),
    st.sampled_from(("us-east-1", "us-east-1", "eu-west-1")),
    st.sampled_from(("Management", "Management", "Data", "Insight")),
    st.sampled_from(("CreateModel", "DeleteModel", "ListModels")),
    st.sampled_from(("ann", "bob")),
    st.sampled_from((..., ..., "Oops")),
)


def obvious(log: MemoryLog, question: Question) -> list[tuple[int, int]]:
    found = []
    for entry in log.entries(log.first()):
        derived = derive(entry.data)
        if derived is not None and question.takes(Event(entry.data, derived)):
            key = (derived.event_time_s, entry.position)
            if question.after is None or key < question.after:
                found.append(key)
    return sorted(found, reverse=True)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data(), some=st.lists(records | st.just(b"7"), max_size=60))
def test_as_a_plain_look_finds(data: st.DataObject, some: list[bytes]):
    log = MemoryLog()
    with tempfile.TemporaryDirectory() as name:
        history = History.open(Path(name), log, FixedClock(), sizes=SMALL)
        for start in range(0, len(some), 20):
            log.append(some[start : start + 20])
            for _ in range(data.draw(st.integers(0, 12))):
                history.step()
        entries = list(log.entries(0))
        if entries:
            log.expire(data.draw(st.sampled_from(entries)).position)
        times = st.integers(NOW_S - 6, NOW_S + 2)
        question = Question(
            parse(data.draw(queries)),
            start_s=data.draw(st.just(-1) | times),
            end_s=data.draw(st.just(NOW_S + 100) | times),
        )
        searcher = history.searcher()
        wanted = obvious(log, question)
        found = list(searcher.newest(question, 1000))
        assert [hit.key() for hit in found] == wanted
        assert sorted(hit.key() for hit in searcher.all(question)) == wanted[::-1]
        assert [hit.key() for hit in searcher.newest(question, 3)] == wanted[:3]
        for hit in found:
            assert log.read(hit.position).data == hit.event.data
        everything = obvious(log, Question())
        span = searcher.span()
        assert span.events == len(everything)
        if everything:
            assert span == Span(len(everything), everything[-1][0], everything[0][0])
        assert paged(history, question, data.draw(st.integers(1, 9))) == wanted
        if wanted:
            after = data.draw(st.sampled_from(wanted))
            rest = Question(question.condition, question.start_s, question.end_s, after)
            assert [hit.key() for hit in searcher.newest(rest, 1000)] == obvious(log, rest)


def paged(history: History, question: Question, reads: int) -> list[tuple[int, int]]:
    """Ask for pages of four that look at few records each, as the API does."""
    found: list[tuple[int, int]] = []
    after = None
    for _ in range(300):
        searcher = history.searcher(reads)
        asked = Question(question.condition, question.start_s, question.end_s, after)
        page = [hit.key() for hit in searcher.newest(asked, 5)]
        found += page[:4]
        if len(page) > 4:
            after = page[3]
        elif searcher.reached is not None:
            after = searcher.reached
        else:
            break
    return found
