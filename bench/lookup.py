# SPDX-License-Identifier: Apache-2.0
"""The newest page of Event history with its records, beside what other stores take for the same.

``python -m bench.lookup EVENTS DIRECTORY`` keeps what it makes in the directory, so that ten million
events are made once.
"""

import itertools
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench import machine
from bench.lookup_data import Made, Question, kept_options, made
from bench.lookup_peers import Store, peers
from bench.machine import spread_percent
from bench.peers import SECONDS_MIN
from opentrail.history.index import History

EVENTS, QUICK_EVENTS = 1_000_000, 3_000
ANSWERS_MIN = 5
OURS = "opentrail"


class Ours:
    """Event history, in process."""

    name = OURS

    def __init__(self, history: History) -> None:
        self._history = history

    def newest(self, question: Question) -> Sequence[bytes]:
        """See ``Store``."""
        return [found.data for found in self._history.lookup(question.lookup()).events]


Took = dict[tuple[str, str], list[list[float]]]
"""By store and kind of question: the seconds of each answer, sorted, of each round."""


def check(stores: Sequence[Store], data: Made) -> None:
    """See that all of them find the same."""
    ours, *others = stores
    for questions in data.questions.values():
        for question in questions[:ANSWERS_MIN]:
            wanted = ours.newest(question)
            for other in others:
                assert other.newest(question) == wanted, (other.name, question)


def measure(stores: Sequence[Store], data: Made, rounds: int, seconds: float) -> Took:
    """Ask all of them in turn, in each round for every kind of value."""
    took: Took = {(store.name, kind): [] for kind in data.questions for store in stores}
    for _ in range(rounds):
        for kind, questions in data.questions.items():
            for store in stores:
                took[store.name, kind].append(_round(store, questions, seconds))
    return took


def _round(store: Store, questions: Sequence[Question], seconds: float) -> list[float]:
    found: list[float] = []
    until = time.perf_counter() + seconds
    for question in itertools.cycle(questions):
        began = time.perf_counter()
        store.newest(question)
        found.append(time.perf_counter() - began)
        if began >= until and len(found) >= len(questions[:ANSWERS_MIN]):
            break
    return sorted(found)


def report(took: Took) -> None:
    """Print medians over the rounds, and ratios to ours."""
    print(f"  {'':26}{'p50 ms':>9}{'p99 ms':>9}{'spread':>8}{'ratio':>9}")
    for (name, kind), rounds in took.items():
        middles = [each[len(each) // 2] for each in rounds]
        middle = statistics.median(middles)
        late = statistics.median(each[len(each) * 99 // 100] for each in rounds)
        ours = statistics.median(each[len(each) // 2] for each in took[OURS, kind])
        print(
            f"  {f'{name}, {kind}':26}{middle * 1000:9.3f}{late * 1000:9.3f}"
            f"{spread_percent(middles):7.0f}%{middle / ours:9.1f}"
        )


def bench(
    directory: Path, events: int, rounds: int, seconds: float, *, duckdb_only: bool = False
) -> None:
    """Measure and print."""
    data = made(directory, events)
    others = peers(data.path, install=seconds >= SECONDS_MIN, duckdb_only=duckdb_only)
    stores: list[Store] = [Ours(data.open()), *others]
    check(stores, data)
    print(f"\nlookup: newest 50 of {events:,} events, with their records, in process")
    report(measure(stores, data, rounds, seconds))


def run(directory: Path, rounds: int, seconds: float) -> None:
    """Measure a million events, made for this alone."""
    events = EVENTS if seconds >= SECONDS_MIN else QUICK_EVENTS
    with tempfile.TemporaryDirectory(dir=directory) as name:
        bench(Path(name), events, rounds, seconds)


def main(arguments: Sequence[str]) -> None:
    """Measure events that are kept."""
    parser = kept_options("bench.lookup", __doc__)
    parser.add_argument("--duckdb-only", action="store_true", help="leave the other stores out")
    given = parser.parse_args(arguments)
    before = machine.look(given.directory)
    given_events = given.directory, given.events
    bench(*given_events, given.rounds, given.seconds, duckdb_only=given.duckdb_only)
    machine.report(before, machine.look(given.directory))


if __name__ == "__main__":
    main(sys.argv[1:])
