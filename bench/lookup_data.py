# SPDX-License-Identifier: Apache-2.0
"""A data directory of many events, and what is looked up in it: made once, then kept.

The events are those of ``events.py``, spread evenly over sixty days, the last of them now.
"""

import argparse
import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
from msgspec.structs import replace

from bench.events import ACCOUNT, CALLS, REGIONS, USERS, Span, events
from bench.sample import write_trained
from opentrail.clock import SystemClock
from opentrail.eventlog.base import Draft, Origin
from opentrail.eventlog.reader import SegmentReader
from opentrail.history.index import History
from opentrail.history.lookup import Lookup

PAGE = 50
ROUNDS, SECONDS = 5, 2.0
SPREAD_S = 60 * 24 * 3600
"""All of them within LookupEvents' 90 days, for a month after they were made."""
VALUES = 5
"""Different values that are asked for in turn."""
ANYWHEN = 500
"""Times that are asked for in turn: more pages than anything remembers of them."""
_DONE = "made.json"


class Question(msgspec.Struct, frozen=True):
    """The newest page of an account and a region, by one attribute."""

    attribute: str
    value: str
    end_s: int | None = None
    """Only what happened until then, epoch seconds."""
    account: str = ACCOUNT
    region: str = REGIONS[0]

    def lookup(self) -> Lookup:
        """Return it as our index is asked."""
        pair = (self.attribute, self.value)
        scope = (self.account, self.region, "Management")
        return Lookup(*scope, pair, end_s=self.end_s, limit=PAGE)


@dataclass(frozen=True)
class Made:
    """A data directory."""

    path: Path
    questions: dict[str, list[Question]]
    """By what is asked for: "common", "rare", "absent" values; "anywhen": common ones, at any time."""

    def open(self) -> History:
        """Return its index, as the back process opens it, with all that is in the log."""
        log = SegmentReader(self.path / "log")
        history = History.open(self.path / "history", log, SystemClock())
        while history.step():
            pass
        return history


def made(directory: Path, count: int) -> Made:
    """Return the data directory of ``count`` events in ``directory``; make it if it is not there."""
    path = directory / f"events-{count}"
    done = path / _DONE
    if not done.exists():
        path.mkdir(parents=True, exist_ok=True)
        _write(path, count)
        history = Made(path, {}).open()
        done.write_bytes(msgspec.json.encode(_questions(history)))
    kinds = dict[str, list[Question]]
    return Made(path, msgspec.json.decode(done.read_bytes(), type=kinds))


def _write(path: Path, count: int) -> None:
    now_ms = SystemClock().now_ms()
    records = events(count, Span(now_ms - SPREAD_S * 1000, count / SPREAD_S))
    write_trained(path, (Draft(Origin.CAPTURE, data) for data in records))


def _questions(history: History) -> dict[str, list[Question]]:
    """Return values that a page is full of, that a part of a page has, and that nothing has."""
    names = [Question("EventName", name) for _, name, *_ in CALLS[:VALUES]]
    users = [Question("Username", f"user-{number:03}") for number in range(USERS)]
    found = [(len(history.lookup(each.lookup()).events), each) for each in users]
    rare = [each for hits, each in found if 0 < hits < PAGE]
    nothing = [Question("EventName", f"NoSuchCall{number}") for number in range(VALUES)]
    source, now_s = random.Random(5), SystemClock().now_ms() // 1000
    ends = [now_s - source.randrange(SPREAD_S) for _ in range(ANYWHEN)]
    anywhen = [replace(names[at % VALUES], end_s=end_s) for at, end_s in enumerate(ends)]
    if not rare:  # among ten million events no user has as few
        pages = [history.lookup(each.lookup()).events for each in anywhen[:VALUES]]
        rare = [Question("EventId", page[0].derived.event_id) for page in pages]
    return {"common": names, "anywhen": anywhen, "rare": rare[:VALUES], "absent": nothing}


def kept_options(program: str, description: str | None) -> argparse.ArgumentParser:
    """Return a parser for who measures events that are kept."""
    parser = argparse.ArgumentParser(prog=f"python -m {program}", description=description)
    parser.add_argument("events", type=int)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of one measurement")
    return parser


def main(arguments: Sequence[str]) -> None:
    """Make one ahead of time: ``python -m bench.lookup_data DIRECTORY EVENTS``."""
    directory, count = arguments
    made(Path(directory), int(count))


if __name__ == "__main__":
    main(sys.argv[1:])
