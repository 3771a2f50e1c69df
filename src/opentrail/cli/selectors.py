# SPDX-License-Identifier: Apache-2.0
"""``opentrail selectors``: what event selectors would keep, before a trail has them."""

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

import click
import msgspec
from rich.table import Table
from rich.text import Text

from opentrail.cli.asking import Asked, open_log
from opentrail.cli.colour import print_table
from opentrail.cli.exits import EXIT_NO
from opentrail.cli.options import Command, Group, data_options, json_option, settings_of
from opentrail.cli.trails_here import trails_here
from opentrail.errors import ClientError, UsageError
from opentrail.event.codec import decode
from opentrail.event.place import category_of
from opentrail.event.safe import safe
from opentrail.event.selectors import (
    AdvancedSelector,
    EventSelector,
    Selects,
    compile_selectors,
)
from opentrail.history.beside import searcher_beside
from opentrail.history.conditions import Everything
from opentrail.history.search import Question, Searcher
from opentrail.trails.scope import takes
from opentrail.trails.trail import Trail
from opentrail.wire.op_selectors import selectors_of
from opentrail.wire.shapes import PutEventSelectorsRequest

LAST_DEFAULT = 1000
"""Events looked at: some seconds of a busy service, a day of a quiet one; a moment to read."""
LAST_MAX = 1_000_000
"""They are found newest first; the part behind the index is put in order in memory."""

FAMILIES = frozenset({"AdvancedEventSelectors", "EventSelectors"})

Given = tuple[tuple[EventSelector, ...] | None, tuple[AdvancedSelector, ...] | None]
"""Basic and advanced selectors, one of them None."""


class Kind(msgspec.Struct, rename="camel"):
    """What was looked at of one category, service and operation, and kept of it."""

    event_category: str
    event_source: str
    event_name: str
    events: int = 0
    kept: int = 0
    kept_bytes: int = 0
    """Of the records, before compression."""


class _Asked(Asked, kw_only=True):
    selectors: Path | None = None
    trail: str | None = None
    last: int = LAST_DEFAULT


@click.group("selectors", cls=Group)
def command() -> None:
    """Try event selectors before a trail has them.

    They are tried on the events that were recorded already:

      opentrail selectors test selectors.json
      opentrail selectors test --trail my-trail --last 10000
    """


@command.command("test", cls=Command)
@data_options
@click.argument("selectors", required=False, type=click.Path(allow_dash=True, path_type=Path))
@click.option("--trail", help="A trail's name or ARN: its account, its regions and its selectors.")
@click.option(
    "-n",
    "--last",
    type=click.IntRange(1, LAST_MAX),
    default=LAST_DEFAULT,
    show_default=True,
    help="Look at so many of the newest events.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="table: a line for each operation; json: the same, and the totals.",
)
@json_option
def test(config: Path | None, form: str, **flags: object) -> None:
    """Show which of the newest events selectors would keep, and how many bytes that would be.

    SELECTORS is a file, or - for standard input: a list of basic or advanced selectors, or what
    get-event-selectors prints. Those of a trail are taken without it; given both, the trail is
    tried as if it had the selectors of the file. Bytes are of records before compression. Reads the
    data directory; no server needs to run. Exit code 1 when nothing would be kept.

      opentrail selectors test selectors.json --last 10000
      aws cloudtrail get-event-selectors --trail-name other | opentrail selectors test -
      opentrail selectors test --trail my-trail selectors.json --json
    """
    asked = msgspec.convert(flags, _Asked)
    selects = _selects(config, asked)
    data, log = open_log(config, asked)
    searcher = searcher_beside(data / "history", log, Everything())
    kinds = count(_newest(searcher, asked.last), selects)
    (_write_json if form == "json" else _write_table)(kinds)
    if searcher.damage is not None:
        raise searcher.damage
    if not any(kind.kept for kind in kinds):
        sys.exit(EXIT_NO)


def count(records: Iterable[bytes], selects: Selects) -> list[Kind]:
    """Return what ``selects`` keeps of ``records``: the kinds of events, most kept bytes first."""
    kinds: dict[tuple[str, str, str], Kind] = {}
    for data in records:
        record = decode(data, "log")
        key = category_of(record), record.event_source, record.event_name
        kind = kinds.setdefault(key, Kind(*key))
        kind.events += 1
        if selects(record):
            kind.kept += 1
            kind.kept_bytes += len(data)
    return sorted(kinds.values(), key=lambda kind: (-kind.kept_bytes, -kind.events))


def _newest(searcher: Searcher, last: int) -> Iterator[bytes]:
    return (hit.event.data for hit in searcher.newest(Question(), last))


def _selects(config: Path | None, asked: _Asked) -> Selects:
    """Return what is to be tried. Raises: UsageError."""
    trail = _trail(config, asked) if asked.trail else None
    if asked.selectors is None:
        if trail is None:
            raise UsageError("say which selectors: a file of them, or --trail NAME")
        return takes(trail)
    with click.open_file(str(asked.selectors), "rb") as file:
        basic, advanced = _parsed(file)
    if trail is None:
        return compile_selectors(basic, advanced)
    return takes(msgspec.structs.replace(trail, event_selectors=basic, advanced_selectors=advanced))


def _trail(config: Path | None, asked: _Asked) -> Trail:
    settings = settings_of(config, {"data": asked.data, "listen.address": asked.listen})
    with trails_here(settings) as here:
        if here is None:
            raise UsageError(f"{settings.data_dir} has no server's state: name its --data")
        return here.find(asked.trail or "")


def _parsed(file: IO[bytes]) -> Given:
    """Return the selectors of a file, as PutEventSelectors would take them. Raises: UsageError."""
    try:
        given = msgspec.json.decode(file.read())
        if isinstance(given, list):
            advanced = any(isinstance(each, dict) and "FieldSelectors" in each for each in given)
            given = {"AdvancedEventSelectors" if advanced else "EventSelectors": given}
        request = msgspec.convert(given, PutEventSelectorsRequest)
        _check_members(given, request)
        return selectors_of(request)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UsageError(f"the selectors cannot be read: {error}") from error
    except ClientError as error:
        raise UsageError(f"a trail cannot have these selectors: {error.message}") from error


def _check_members(given: dict[str, object], request: PutEventSelectorsRequest) -> None:
    """Raise UsageError for members that selectors do not have: without them they say something else.

    Beside the selectors there may be whatever get-event-selectors prints.
    """
    if not FAMILIES & given.keys():
        words = " or ".join(sorted(FAMILIES))
        raise UsageError(f"the selectors cannot be read: there are no {words}")
    read = msgspec.to_builtins(request)
    for family in FAMILIES & given.keys():
        for name in _unread(given[family], read.get(family)):
            raise UsageError(f"the selectors cannot be read: they have no member {name!r}")


def _unread(given: object, read: object) -> Iterator[str]:
    """Yield the names of members that ``read``, made from ``given``, does not have of it."""
    if isinstance(given, dict) and isinstance(read, dict):
        yield from (name for name in given if name not in read and given[name] is not None)
        for name in read.keys() & given.keys():
            yield from _unread(given[name], read[name])
    elif isinstance(given, list) and isinstance(read, list):
        for one, other in zip(given, read, strict=True):
            yield from _unread(one, other)


def _totals(kinds: Iterable[Kind]) -> tuple[int, int, int]:
    """Return (events, kept, kept bytes) of all ``kinds``."""
    rows = [(kind.events, kind.kept, kind.kept_bytes) for kind in kinds] or [(0, 0, 0)]
    events, kept, kept_bytes = map(sum, zip(*rows, strict=True))
    return events, kept, kept_bytes


def _write_json(kinds: list[Kind]) -> None:
    events, kept, kept_bytes = _totals(kinds)
    totals = {"events": events, "kept": kept, "keptBytes": kept_bytes}
    click.echo(json.dumps(totals | {"kinds": msgspec.to_builtins(kinds)}, indent=2))


def _write_table(kinds: list[Kind]) -> None:
    events, kept, kept_bytes = _totals(kinds)
    table = Table(box=None, pad_edge=False)
    for title in ("Category", "Source", "Event"):
        table.add_column(title, overflow="fold")
    for title in ("Kept", "Of", "Bytes"):
        table.add_column(title, justify="right")
    for kind in kinds:
        words = (kind.event_category, kind.event_source, kind.event_name)
        texts = [Text(safe(word)) for word in words]
        table.add_row(*texts, f"{kind.kept:,}", f"{kind.events:,}", f"{kind.kept_bytes:,}")
    print_table(table, folds=True)
    click.echo(f"{kept:,} of the newest {events:,} events would be kept: {kept_bytes:,} bytes")
