# SPDX-License-Identifier: Apache-2.0
"""``opentrail search``: any question about the events of a log, with or without a server.

It reads the data directory beside a running server, so it also shows what LookupEvents hides:
data events, and what is older than the lookup window.
"""

import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import click
import msgspec

from opentrail.cli.asking import Asked, elsewhere, filters, open_log, question_of, times
from opentrail.cli.exits import EXIT_NO
from opentrail.cli.options import Command, data_options, json_option
from opentrail.cli.search_forms import FORMS, Found, write_all
from opentrail.clock import iso_seconds
from opentrail.errors import UsageError
from opentrail.event.safe import safe
from opentrail.history.beside import searcher_beside
from opentrail.history.conditions import field_name
from opentrail.history.hints import hints, unknown
from opentrail.history.search import Question, Searcher

LIMIT_DEFAULT = 50
"""As many as one page of LookupEvents has."""
TOP_DEFAULT, TOP_DIGITS_MAX = 10, 9
COUNTED_FORMS = ("table", "json", "ndjson")
"""In which --count and --top are written."""
WHOLE = 1 << 62
"""--max-results 0, and more than any log has."""


@click.command("search", cls=Command)
@data_options
@filters
@times
@click.option(
    "--max-results",
    type=click.IntRange(0),
    default=LIMIT_DEFAULT,
    show_default=True,
    help="How many at most, newest first; 0: all.",
)
@click.option("--count", is_flag=True, help="Print only how many there are.")
@click.option(
    "--top",
    metavar="FIELD[:N]",
    help="Count by the values of a field: Username, errorCode:20 …",
)
@click.option("--all", "everything", is_flag=True, help="Every record kept, in the log's order.")
@click.option("--explain", is_flag=True, help="Say on standard error how the answer was found.")
@click.option(
    "--format",
    "form",
    type=click.Choice(list(FORMS)),
    default="table",
    show_default=True,
    help='json, records: {"Records": [...]} as log files have it; ndjson: one a line.',
)
@json_option
@click.option(
    "--output",
    type=click.Path(dir_okay=False),
    help="Write to this file; parquet needs one.",
)
def command(config: Path | None, query: tuple[str, ...], form: str, **flags: object) -> None:
    """Find events in the log, newest first.

    Reads the data directory; no server need be running. A query joins conditions by and, or, not and
    brackets: attributes and fields of the record with =, != and ~ (contains), * for any text, networks
    for addresses, and any other word is looked for anywhere in the record. Exit code 1 when nothing
    matches.

      opentrail search EventName=CreateEndpoint
      opentrail search 'EventName=Delete* and not Username=ci' --since 2h
      opentrail search sourceIPAddress=10.0.0.0/8 errorCode --top Username
      opentrail search --category data --resource-name my-feature-group --format ndjson
      opentrail search --data opentrail-import --all --format ndjson
    """
    asked = msgspec.convert(flags, _Asked)
    question = question_of(query, asked)
    data, log = open_log(config, asked)
    if asked.everything:
        _refuse_choices(query, asked)
        write_all(log.entries(0), form, asked.file())
        return
    searcher = searcher_beside(data / "history", log, question.condition)
    counted = asked.count or asked.top is not None
    if asked.explain:
        click.echo(_explained(searcher, question, counted=counted), err=True)
    if counted:
        matched = _counted(searcher, question, asked.top, _counted_form(form, asked))
    else:
        matched = _written(searcher, question, form, asked)
    if asked.explain:
        click.echo(f"{searcher.read:,} records read", err=True)
    if searcher.damage is not None:
        raise searcher.damage
    _tell(searcher, question, matched, "" if matched else elsewhere(searcher, query, asked))


class _Asked(Asked, kw_only=True):
    """All options of the command, but for its form."""

    max_results: int = LIMIT_DEFAULT
    count: bool = False
    top: str | None = None
    everything: bool = False
    explain: bool = False
    output: str | None = None

    def file(self) -> Path | None:
        """Return what to write to, if not standard output."""
        return None if self.output is None else Path(self.output)


def _refuse_choices(query: tuple[str, ...], asked: _Asked) -> None:
    plain = _Asked(data=asked.data, listen=asked.listen, everything=True, output=asked.output)
    if query or asked != plain:
        raise UsageError("--all is every record there is: it takes no query, filter or count")


def _written(searcher: Searcher, question: Question, form: str, asked: _Asked) -> int:
    """Write the newest hits, and say so where they are not all; return how many."""
    limit = min(asked.max_results or WHOLE, WHOLE)
    found = Found(searcher.newest(question, limit + 1), limit)
    FORMS[form](found, asked.file())
    if found.more:
        said = f"the newest {found.count:,}; --count says how many there are, --max-results 0 gives all"
        click.echo(said, err=True)
    return found.count


def _counted_form(form: str, asked: _Asked) -> str:
    if asked.count and asked.top is not None:
        raise UsageError("--count is of all events, --top of each value: give one of them")
    if asked.output is not None:
        raise UsageError("counts go to standard output: leave out --output")
    if form not in COUNTED_FORMS:
        raise UsageError(f"counts are written as {', '.join(COUNTED_FORMS)}, not as {form}")
    return form


def _counted(searcher: Searcher, question: Question, top: str | None, form: str) -> int:
    """Write how many hits there are, in all or for each of the most frequent values of a field."""
    if top is None:
        matched = sum(1 for _ in searcher.all(question))
        click.echo(matched if form == "table" else json.dumps({"count": matched}))
        return matched
    field, number = _field_and_number(top)
    counts: Counter[str | None] = Counter()
    matched = 0
    for hit in searcher.all(question):
        matched += 1
        # A list may have a value twice: events are counted.
        counts.update([*dict.fromkeys(hit.event.values(field_name(field)))] or (None,))
    strange = unknown(searcher, field) if set(counts) == {None} else None
    if strange is not None and strange.whole:
        raise UsageError(strange.text)
    _write_top(counts.most_common(number), form)
    if strange is not None:
        click.echo(strange.text, err=True)
    return matched


def _field_and_number(top: str) -> tuple[str, int]:
    """Return FIELD and N of ``FIELD`` or ``FIELD:N``; names of fields may have colons themselves."""
    field, _, number = top.rpartition(":")
    if not (field and number.isdecimal()):
        field, number = top, str(TOP_DEFAULT)
    if not field or len(number) > TOP_DIGITS_MAX or not int(number):
        raise UsageError(f"--top is FIELD or FIELD:N, N from 1 to {10**TOP_DIGITS_MAX - 1:,}")
    return field, int(number)


def _write_top(counts: Sequence[tuple[str | None, int]], form: str) -> None:
    rows = [{"value": value, "count": count} for value, count in counts]
    if form == "ndjson":
        for row in rows:
            click.echo(json.dumps(row))
    elif form == "table":
        for value, count in counts:
            click.echo(f"{count}\t{'-' if value is None else safe(value)}")
    else:
        click.echo(json.dumps(rows))


def _explained(searcher: Searcher, question: Question, *, counted: bool) -> str:
    way = searcher.way(question).said(counted=counted)
    return f"{way}; {searcher.behind_bytes():,} bytes of log behind the index"


def _tell(searcher: Searcher, question: Question, matched: int, instead: str) -> None:
    """Say what may be wrong with the question; end with EXIT_NO where nothing ``matched``."""
    if not matched:
        click.echo(f"{_nothing(searcher, question)}\n{instead}".rstrip(), err=True)
    for hint in hints(searcher, question.condition, matched=bool(matched)):
        click.echo(hint.text, err=True)
    if not matched:
        sys.exit(EXIT_NO)


def _nothing(searcher: Searcher, question: Question) -> str:
    span = searcher.span()
    if not span.events:
        return "0 of 0 events: the log is empty"
    there = f"{iso_seconds(span.oldest_s * 1000)} to {iso_seconds(span.newest_s * 1000)}"
    said = f"0 of {span.events:,} events match; the log has events from {there}"
    if question.start_s > span.newest_s:
        return f"{said}; remove --since"
    if question.end_s < span.oldest_s:
        return f"{said}; remove --until"
    return said
