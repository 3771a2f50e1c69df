# SPDX-License-Identifier: Apache-2.0
"""``opentrail compare``: hold delivered records beside what OpenTrail would record."""

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.text import Text

from opentrail.capture.compare import Figures, Miss
from opentrail.cli.exits import EXIT_NO
from opentrail.cli.options import Command
from opentrail.event.safe import safe
from opentrail.imports.contents import begun, found_in
from opentrail.imports.paths import Wanted
from opentrail.imports.sources import LeftOut, local
from opentrail.imports.split import NoRecord

_decode = msgspec.json.Decoder(dict[str, object]).decode


@dataclass(slots=True)
class _Files:
    """What was read, besides the records."""

    files: int = 0
    unread: int = 0
    """Files and parts of files that hold no record."""


@click.command("compare", cls=Command)
@click.argument(
    "paths", nargs=-1, required=True, metavar="PATH...", type=click.Path(path_type=Path)
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def command(paths: tuple[Path, ...], *, as_json: bool) -> None:
    """Hold delivered records beside what OpenTrail would write.

    Reads log files, folders of them and files with one record a line, gzipped or not; nothing is
    sent anywhere. Of every API call it asks: is the operation known, is readOnly the same, and are
    the names in requestParameters and responseElements spelt the same. Every difference is listed,
    with how often it came. Exit code 1: there was no API call to compare.

      opentrail compare ./AWSLogs
      opentrail compare events.jsonl.gz --json
    """
    figures, read = Figures(), _Files()
    for record in _records(paths, read):
        figures.add(record)
    if as_json:
        click.echo(json.dumps(_document(figures, read)))
    else:
        _print(figures, read)
    sys.exit(0 if figures.records else EXIT_NO)


def _records(paths: tuple[Path, ...], read: _Files) -> Iterator[dict[str, object]]:
    for path in paths:
        for file in local(path, Wanted(), LeftOut()):
            read.files += 1
            for data in found_in(begun(file.pieces())):
                record = _object(data) if isinstance(data, bytes) else None
                if isinstance(data, NoRecord):
                    continue
                if record is None:
                    read.unread += 1
                else:
                    yield record


def _object(data: bytes) -> dict[str, object] | None:
    try:
        return _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _rows(figures: Figures) -> list[tuple[str, int, int]]:
    """Return what was asked, how often the answer was right, and how often it was asked."""
    return [
        ("operation known", figures.known, figures.records),
        ("readOnly", figures.read_only_right, figures.read_only),
        ("names of members", figures.keys_right, figures.keys),
    ]


def _listed(figures: Figures) -> list[tuple[Miss, int]]:
    order = ("operation", "readOnly", "key", "not in model")
    return sorted(
        figures.misses.items(), key=lambda item: (order.index(item[0].question), -item[1], item[0])
    )


def _document(figures: Figures, read: _Files) -> dict[str, object]:
    rows = {name: {"right": right, "of": of} for name, right, of in _rows(figures)}
    return {
        **asdict(read),
        "api_calls": figures.records,
        "operations": len(figures.pairs),
        "figures": rows,
        "keys_not_in_model": figures.keys_foreign,
        "misses": [{**miss._asdict(), "count": count} for miss, count in _listed(figures)],
    }


def _print(figures: Figures, read: _Files) -> None:
    console = Console(highlight=False)
    console.print(
        f"{read.files} files, {figures.records:,} API calls of {len(figures.pairs)} operations,"
        f" {read.unread} parts without a record"
    )
    for name, right, of in _rows(figures):
        share = f"{100 * right / of:6.2f} %" if of else "     -  "
        console.print(f"  {name:17} {share}  {right:,} of {of:,}")
    console.print(f"  {figures.keys_foreign:,} keys are no member of a model: AWS's own additions")
    for miss, count in _listed(figures):
        there = f"{miss.question}: {miss.event_source} {miss.event_name} {miss.what}"
        expected = f", expected {miss.expected}" if miss.expected else ""
        console.print(Text(f"{count:6,}  {safe(there + expected)}"), soft_wrap=True)
