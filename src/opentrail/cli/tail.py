# SPDX-License-Identifier: Apache-2.0
"""``opentrail tail``: the newest events, and those that come."""

import select
import sys
import threading
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import click
import msgspec

from opentrail.cli.asking import Asked, elsewhere, filters, open_log, question_of
from opentrail.cli.options import Command, data_options
from opentrail.cli.search_forms import line, shown
from opentrail.history.beside import searcher_beside
from opentrail.history.follow import Follower
from opentrail.history.hints import hints
from opentrail.history.search import Hit, Question

POLL_S = 0.05
"""How often the log is looked at: an event shows at most so much after its call was answered."""
LINES_DEFAULT = 10
"""As tail(1)."""
SINCE_EVENTS_MAX = 100_000
"""Shown at most of --since: they are put in order in memory, some 2 KB each."""
WHOLE = 1 << 62


@click.command("tail", cls=Command)
@data_options
@filters
@click.option(
    "--since", help="Begin with the oldest event of that time: 10m, yesterday, 2026-01-31 …"
)
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes, until Ctrl-C.")
@click.option(
    "-n",
    "--lines",
    type=click.IntRange(0),
    help=f"Begin with so many of the newest.  [default: {LINES_DEFAULT}, or all with --since]",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "ndjson"]),
    default="text",
    show_default=True,
    help="text: a line each, in columns parted by tabs; ndjson: the record.",
)
@click.option("--json", "form", flag_value="ndjson", help="The same as --format ndjson.")
def command(config: Path | None, query: tuple[str, ...], form: str, **flags: object) -> None:
    """Show the newest events, and go on with those that come.

    Reads the data directory; the order is that in which they were recorded. With -f it goes on
    while the server is stopped, killed and started again, without a gap or a repeat. Queries and
    filters are those of opentrail search.

      opentrail tail
      opentrail tail -f --category all
      opentrail tail -f --since 10m 'errorCode and not Username=ci'
    """
    asked = msgspec.convert(flags, _Asked)
    question = question_of(query, asked)
    data, log = open_log(config, asked)
    log.close()
    show = _FORMS[form]
    # What is appended from here on is followed; what lies before is searched, newest first.
    follower = Follower(data / "log")
    _begin(data, follower, question, show, asked, query)
    while asked.follow:
        before = (follower.resets, follower.gaps)
        entries = follower.step()
        _tell(before, follower)
        for entry in entries:
            hit = question.hit(entry.data, entry.position)
            if hit is not None:
                click.echo(show(hit))
        sys.stdout.flush()
        if not entries:
            _check_reader()
            threading.Event().wait(POLL_S)


def _tell(before: tuple[int, int], follower: Follower) -> None:
    """Say what happened to the log since it had so many resets and gaps."""
    resets, gaps = before
    if follower.resets > resets:
        click.echo("opentrail: the log was begun anew; going on with the new one", err=True)
    if follower.gaps > gaps:
        said = "retention took records before they were shown; going on with those that are kept"
        click.echo(f"opentrail: {said}", err=True)


def _check_reader() -> None:
    """Raise BrokenPipeError when whoever read the output is gone: nothing may come for hours."""
    if not sys.stdout.isatty():
        output = select.poll()
        output.register(sys.stdout.fileno(), 0)
        if any(event & select.POLLERR for _, event in output.poll(0)):
            raise BrokenPipeError


class _Asked(Asked, kw_only=True):
    follow: bool = False
    lines: int | None = None


def _begin(
    data: Path,
    follower: Follower,
    question: Question,
    show: Callable[[Hit], str | bytes],
    asked: _Asked,
    query: tuple[str, ...],
) -> None:
    """Show what there is: the newest few, or all since a time. Raises: Corrupt."""
    otherwise = SINCE_EVENTS_MAX if asked.since else LINES_DEFAULT
    wanted = otherwise if asked.lines is None else min(asked.lines, WHOLE)
    searcher = searcher_beside(data / "history", follower.log, question.condition)
    end = follower.position
    before = (hit for hit in searcher.newest(question, WHOLE) if hit.position < end)
    found = sorted(islice(before, wanted), key=lambda hit: hit.position, reverse=True)
    if len(found) == SINCE_EVENTS_MAX == wanted and next(before, None) is not None:
        click.echo(f"the newest {SINCE_EVENTS_MAX:,} events since then; others are older", err=True)
    matched = bool(found)
    while found:
        click.echo(show(found.pop()))  # and let go: shown, it takes five times its room
    sys.stdout.flush()
    instead = "" if matched or not wanted else elsewhere(searcher, query, asked)
    if instead:
        click.echo(instead, err=True)
    for hint in hints(searcher, question.condition, matched=matched):
        click.echo(hint.text, err=True)
    if searcher.damage is not None:
        raise searcher.damage


def _ndjson(hit: Hit) -> bytes:
    return shown(hit.event.data, sys.stdout)


_FORMS: dict[str, Callable[[Hit], str | bytes]] = {"text": line, "ndjson": _ndjson}
