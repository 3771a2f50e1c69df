# SPDX-License-Identifier: Apache-2.0
"""``opentrail expect``: wait for an event, and fail when it does not come."""

import sys
import threading
from pathlib import Path

import click
import msgspec

from opentrail.cli.asking import Asked, filters, open_log, question_of
from opentrail.cli.exits import EXIT_NO
from opentrail.cli.options import Command, data_options
from opentrail.cli.search_forms import line, shown
from opentrail.cli.tail import POLL_S, WHOLE
from opentrail.cli.times import duration_s
from opentrail.clock import Clock, SystemClock
from opentrail.history.beside import searcher_beside
from opentrail.history.follow import Follower
from opentrail.history.hints import hints
from opentrail.history.search import Hit, Question

SINCE_DEFAULT = "1m"
"""What a test did before it asks counts, too."""
WITHIN_DEFAULT = "5s"
"""Five times the second within which an event can be found at the latest."""


@click.command("expect", cls=Command)
@data_options
@filters
@click.option(
    "--within", default=WITHIN_DEFAULT, show_default=True, help="How long to wait: 5s, 2m."
)
@click.option(
    "--since",
    default=SINCE_DEFAULT,
    show_default=True,
    help="Events from that time on count, too: 10s, 5m, an ISO time.",
)
@click.option("--times", type=click.IntRange(1), default=1, show_default=True, help="How many.")
@click.option("--format", "form", type=click.Choice(["text", "ndjson"]), default="text")
@click.option("--json", "form", flag_value="ndjson", help="Print the records.")
def command(
    config: Path | None, query: tuple[str, ...], within: str, form: str, **flags: object
) -> None:
    """Wait for an event, and print it. Exit code 1 when it does not come in time.

    For tests and scripts: make a call, then expect its event. Queries and filters are those of
    opentrail search; all categories are looked at.

      opentrail expect EventName=PutRecord --within 5s
      opentrail expect 'EventName=CreateModel and Username=ada' --since 10s --times 2
    """
    times = flags.pop("times")
    asked = msgspec.convert(flags, Asked)
    asked.category = asked.category or "all"
    question = question_of(query, asked)
    data, log = open_log(config, asked)
    log.close()
    within_s = duration_s(within)
    hits = expect(data, question, int(str(times)), within_s, SystemClock())
    for hit in hits:
        click.echo(line(hit) if form == "text" else shown(hit.event.data, sys.stdout))
    if len(hits) < int(str(times)):
        click.echo(f"{len(hits)} of {times} events came within {within_s:g} s", err=True)
        _, log = open_log(config, asked)
        searcher = searcher_beside(data / "history", log, question.condition)
        for hint in hints(searcher, question.condition):
            click.echo(hint.text, err=True)
        sys.exit(EXIT_NO)


def expect(data: Path, question: Question, times: int, within_s: float, clock: Clock) -> list[Hit]:
    """Return ``times`` events that ``question`` asks for, or those that came ``within_s`` seconds.

    What is in the log of the directory ``data`` already counts, as far as the question goes back.
    Raises: Unavailable. Corrupt.
    """
    deadline_s = clock.monotonic() + within_s
    follower = Follower(data / "log")
    begun = follower.position
    searcher = searcher_beside(data / "history", follower.log, question.condition)
    hits = [hit for hit in searcher.newest(question, min(times, WHOLE)) if hit.position < begun]
    hits.reverse()
    end = None
    while len(hits) < times:
        if end is None and clock.monotonic() >= deadline_s:
            end = follower.log.durable_end()  # others may come for ever
        entries = follower.step()
        found = (question.hit(entry.data, entry.position) for entry in entries)
        hits += [hit for hit in found if hit is not None]
        if end is not None and (not entries or follower.position >= end):
            break
        if not entries:
            threading.Event().wait(POLL_S)
    if len(hits) < times and searcher.damage is not None:
        raise searcher.damage  # there may be more behind it
    return hits[:times]
