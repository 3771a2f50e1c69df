# SPDX-License-Identifier: Apache-2.0
"""``opentrail search``: LookupEvents' filters over the log itself, with or without a server.

It reads the data directory beside a running server, so it also shows what LookupEvents hides:
data events, and what is older than the lookup window.
"""

import heapq
import json
import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import click
import msgspec
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from opentrail.cli.exits import EXIT_NO
from opentrail.cli.options import Command, data_options, settings_of
from opentrail.cli.safe import safe
from opentrail.cli.times import seconds_of
from opentrail.clock import iso_seconds
from opentrail.errors import Corrupt, UsageError
from opentrail.eventlog.base import LogReader
from opentrail.eventlog.reader import SegmentReader
from opentrail.history.derive import Derived, derive

LIMIT_DEFAULT = 50
"""As many as one page of LookupEvents has."""
_TITLES = ("Time", "Event", "User", "Error", "Resources", "Source", "Region")
"""Columns, what matters most first."""
_NARROW_COLUMNS = 5
"""As many of them as a terminal narrower than _WIDE gets."""
_WIDE = 110


@dataclass(frozen=True, slots=True)
class Filter:
    """What is asked for; everything given must hold."""

    attributes: dict[str, str]
    """LookupEvents' attribute -> the value that must equal it."""
    category: str
    """"Management", "Data", or "" for all."""
    account: str
    region: str
    start_s: int
    end_s: int

    def takes(self, derived: Derived) -> bool:
        """Return whether an event is asked for."""
        return (
            self.start_s <= derived.event_time_s <= self.end_s
            and self.category in ("", derived.category)
            and self.account in ("", derived.account)
            and self.region in ("", derived.region)
            and all(value in derived.values(name) for name, value in self.attributes.items())
        )


@dataclass(slots=True)
class Result:
    """What was found, and over what."""

    newest: list[tuple[int, int, bytes, Derived]] = field(default_factory=list)
    """(eventTime, position, record, what it is found by), newest first."""
    matched: int = 0
    searched: int = 0
    oldest_s: int = 0
    newest_s: int = 0
    damage: Corrupt | None = None
    """Where the log could not be read on."""

    def saw(self, time_s: int) -> None:
        """Count an event of that time."""
        self.searched += 1
        self.oldest_s = min(self.oldest_s or time_s, time_s)
        self.newest_s = max(self.newest_s, time_s)


def search(log: LogReader, wanted: Filter, limit: int) -> Result:
    """Return the newest ``limit`` events that ``wanted`` takes.

    Of a damaged log, what lies before the damage.
    """
    result = Result()
    heap: list[tuple[int, int, bytes, Derived]] = []
    try:
        for position, data, derived in _derived(log):
            result.saw(derived.event_time_s)
            if wanted.takes(derived):
                result.matched += 1
                heapq.heappush(heap, (derived.event_time_s, position, data, derived))
                if len(heap) > limit:
                    heapq.heappop(heap)
    except Corrupt as damage:
        result.damage = damage
    result.newest = sorted(heap, reverse=True)
    return result


def _derived(log: LogReader) -> Iterator[tuple[int, bytes, Derived]]:
    for entry in log.entries(0):
        derived = derive(entry.data)
        if derived is not None:
            yield entry.position, entry.data, derived


_CATEGORIES = {"management": "Management", "data": "Data", "all": ""}


@click.command("search", cls=Command)
@data_options
@click.option("--account", help="Only events of this account.")
@click.option("--region", help="Only events of this region.")
@click.option("--event-id", help="eventID.")
@click.option("--event-name", help='Operation, as in the record: "CreateEndpoint".')
@click.option("--event-source", help='Service: "sagemaker.amazonaws.com".')
@click.option("--username", help="User, or a role's session name.")
@click.option("--access-key-id", help="Access key of the caller.")
@click.option("--read-only", type=click.Choice(["true", "false"]), help="Reads or writes only.")
@click.option("--resource-type", help='"AWS::SageMaker::Endpoint".')
@click.option("--resource-name", help="Name or ARN of a resource.")
@click.option("--start-time", help="Oldest eventTime: 2026-01-31, 2026-01-31T10:00:00Z or epoch.")
@click.option("--end-time", help="Newest eventTime, inclusive.")
@click.option(
    "--category", type=click.Choice(list(_CATEGORIES)), default="management", show_default=True
)
@click.option("--max-results", type=click.IntRange(1), default=LIMIT_DEFAULT, show_default=True)
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json", "ndjson"]),
    default="table",
    show_default=True,
    help='json: {"Records": [...]} as log files have it; ndjson: one a line.',
)
@click.option("--json", "form", flag_value="json", help="The same as --format json.")
def command(
    config: Path | None, category: str, max_results: int, form: str, **flags: str | None
) -> None:
    """Find events in the log, newest first.

    Reads the data directory; no server need be running. --account and --region narrow the
    search, and all are searched without them. Exit code 1 when nothing matches.

      opentrail search --event-name CreateEndpoint
      opentrail search --category data --resource-name my-feature-group --format ndjson
    """
    settings = settings_of(config, {"data": flags["data"], "listen.address": flags["listen"]})
    log_dir = settings.data_dir / "log"
    if not log_dir.is_dir():
        raise UsageError(
            f"no log in {settings.data_dir}: name the server's data directory (--data)"
        )
    wanted = Filter(
        {name: value for name, key in _FLAGS.items() if (value := flags[key]) is not None},
        _CATEGORIES[category],
        flags["account"] or "",
        flags["region"] or "",
        math.ceil(seconds_of(flags["start_time"], 0)),
        math.floor(seconds_of(flags["end_time"], 1 << 62)),
    )
    result = search(SegmentReader(log_dir), wanted, max_results)
    FORMS[form](result)
    if result.damage is not None:
        raise result.damage
    if not result.matched:
        click.echo(_nothing(result), err=True)
        sys.exit(EXIT_NO)


_FLAGS = {
    "EventId": "event_id",
    "EventName": "event_name",
    "EventSource": "event_source",
    "Username": "username",
    "AccessKeyId": "access_key_id",
    "ReadOnly": "read_only",
    "ResourceType": "resource_type",
    "ResourceName": "resource_name",
}


def _nothing(result: Result) -> str:
    if not result.searched:
        return "0 of 0 events: the log is empty"
    span = f"{iso_seconds(result.oldest_s * 1000)} to {iso_seconds(result.newest_s * 1000)}"
    return f"0 of {result.searched:,} events match; the log has events from {span}"


def _table(result: Result) -> None:
    console = Console()
    if not console.is_terminal:
        for row in _rows(result):
            click.echo("\t".join(row))
        return
    count = len(_TITLES) if console.width >= _WIDE else _NARROW_COLUMNS
    rows = [row[:count] for row in _rows(result)]
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 1, 0, 0))
    for title, width in zip(_TITLES, _widths(rows, count, console.width), strict=False):
        table.add_column(title, width=width, overflow="ellipsis", no_wrap=True)
    for row in rows:
        table.add_row(*map(Text, row), style="red" if row[_ERROR] else "")
    if rows:
        console.print(table)
    if result.matched > len(rows):
        click.echo(f"the newest {len(rows)} of {result.matched:,}")


_ERROR = _TITLES.index("Error")


def _widths(rows: list[tuple[str, ...]], count: int, width: int) -> list[int]:
    """Return the columns' widths in cells: the widest give way until all fit ``width``."""
    cells = [_TITLES[:count], *rows]
    widths = [max(map(cell_len, column)) for column in zip(*cells, strict=True)]
    while sum(widths) + count - 1 > width and max(widths[1:]) > 1:
        widest = max(range(1, count), key=widths.__getitem__)  # the time is shown in full
        widths[widest] -= 1
    return widths


class _Error(msgspec.Struct, rename="camel"):
    """The part of a record that the table shows and history does not know."""

    error_code: object = ""


_error = msgspec.json.Decoder(_Error).decode


def _rows(result: Result) -> Iterator[tuple[str, ...]]:
    for time_s, _, data, derived in result.newest:
        cells = (
            iso_seconds(time_s * 1000),
            derived.event_name,
            derived.username,
            str(_error(data).error_code),
            " ".join(each.name for each in derived.resources),
            derived.event_source.removesuffix(".amazonaws.com"),
            derived.region,
        )
        yield tuple(safe(cell) for cell in cells)


def _json(result: Result) -> None:
    records = [msgspec.Raw(data) for _, _, data, _ in result.newest]
    click.echo(_shown(msgspec.json.encode({"Records": records})))


def _ndjson(result: Result) -> None:
    for _, _, data, _ in result.newest:
        click.echo(_shown(data))


def _shown(data: bytes) -> bytes:
    """Return JSON as it is, or to a terminal with JSON's escapes for what it would act on."""
    if not sys.stdout.isatty():
        return data
    text = data.decode()
    return "".join(char if char.isprintable() else json.dumps(char)[1:-1] for char in text).encode()


FORMS: dict[str, Callable[[Result], None]] = {"table": _table, "json": _json, "ndjson": _ndjson}
