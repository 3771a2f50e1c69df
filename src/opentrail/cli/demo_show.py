# SPDX-License-Identifier: Apache-2.0
"""What the demo shows: a live table on a terminal, plain lines elsewhere, or one JSON document."""

import json
import statistics
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Protocol

import click
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from opentrail.cli.demo_find import Found
from opentrail.cli.demo_show_trail import delivered_facts, delivered_lines
from opentrail.cli.demo_trail import Delivered
from opentrail.cli.env import Variables, sh_form

LINES_BESIDE = 6
"""Of a terminal's height, for what stands around the table's rows."""

_INTRODUCTION = """\
SageMaker, Feature Store, Personalize and DevOps Guru are OpenTrail's stand-ins here, STS is moto's.
Every call goes through OpenTrail; every event is then found again and compared with its call.
A trail delivers the events to a bucket as log files; the AWS CLI validates them."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What came of all calls, and of the trail."""

    found: list[Found]
    delivered: Delivered

    @property
    def good(self) -> int:
        """How many calls are recorded, found, and as they must be."""
        return sum(not each.problems for each in self.found)

    @property
    def all_good(self) -> bool:
        """Whether there were calls, files and digests, and none with a problem."""
        return 0 < self.good == len(self.found) and self.delivered.all_good

    @property
    def visible_ms(self) -> dict[str, float]:
        """Median and longest time from an answer until LookupEvents showed its event."""
        shown = [each for each in self.found if each.text and not each.made.step.data]
        times = [each.visible_ms for each in shown] or [0.0]
        return {"median": round(statistics.median(times), 1), "max": round(max(times), 1)}

    def line(self) -> str:
        """Return it in one line."""
        count, times = len(self.found), self.visible_ms
        return (
            f"{self.good} of {count} calls recorded and found; in LookupEvents"
            f" after {times['median']:.0f} ms (median), {times['max']:.0f} ms at most"
        )


class Show(Protocol):
    """A form of the demo's output."""

    def running(self) -> AbstractContextManager[object]:
        """Return what holds the display while calls are made."""
        ...

    def add(self, found: Found) -> None:
        """Show one more call."""
        ...

    def end(self, summary: Summary, client: Variables | None) -> None:
        """Show what came of all of them, and the settings of clients, if there are to be any."""
        ...


def show_for(form: str) -> Show:
    """Return the display for ``text`` or ``json``."""
    if form == "json":
        return JsonShow()
    console = Console()
    return TableShow(console) if console.is_terminal else LinesShow()


@dataclass(slots=True)
class TableShow:
    """A table that grows while the events arrive."""

    console: Console
    rows: list[Found] = field(default_factory=list)
    live: Live | None = None

    def running(self) -> AbstractContextManager[object]:
        """See ``Show``."""
        self.console.print(_INTRODUCTION)
        self.live = Live(console=self.console, transient=True)
        return self.live

    def add(self, found: Found) -> None:
        """See ``Show``."""
        self.rows.append(found)
        if self.live is not None:
            # A terminal cannot draw anew what has scrolled away.
            newest = self.rows[-max(1, self.console.height - LINES_BESIDE) :]
            self.live.update(_table(newest, self.console.width))

    def end(self, summary: Summary, client: Variables | None) -> None:
        """See ``Show``."""
        self.console.print(_table(summary.found, self.console.width))
        for line in delivered_lines(summary.delivered):
            self.console.print(Text(line), soft_wrap=True)
        for line in _problems(summary):
            self.console.print(Text(line, style="red"), soft_wrap=True)
        style = "green" if summary.all_good else "bold red"
        self.console.print(Text(summary.line(), style=style), soft_wrap=True)
        _print_client(client)


class LinesShow:
    """One line a call, for pipes and files."""

    def running(self) -> AbstractContextManager[object]:
        """See ``Show``."""
        click.echo(_INTRODUCTION)
        click.echo("\t".join(_COLUMNS))
        return nullcontext()

    def add(self, found: Found) -> None:
        """See ``Show``."""
        click.echo("\t".join(_cells(found)))
        sys.stdout.flush()

    def end(self, summary: Summary, client: Variables | None) -> None:
        """See ``Show``."""
        for line in (*delivered_lines(summary.delivered), *_problems(summary)):
            click.echo(line)
        click.echo(summary.line())
        _print_client(client)


class JsonShow:
    """One JSON document at the end."""

    def running(self) -> AbstractContextManager[object]:
        """See ``Show``."""
        return nullcontext()

    def add(self, found: Found) -> None:
        """See ``Show``."""

    def end(self, summary: Summary, client: Variables | None) -> None:
        """See ``Show``."""
        document: dict[str, object] = {
            "made": len(summary.found),
            "found": summary.good,
            "visible_ms": summary.visible_ms,
            "calls": [_call(each) for each in summary.found],
            "events": [each.event for each in summary.found if each.text],
            "trail": delivered_facts(summary.delivered),
        }
        if client is not None:
            document["client"] = client
        click.echo(json.dumps(document, indent=2))


def _print_client(client: Variables | None) -> None:
    if client is not None:
        click.echo(sh_form(client))
        click.echo("OpenTrail runs on, for clients with these settings; Ctrl-C ends it.", err=True)


def _call(found: Found) -> dict[str, object]:
    step = found.made.step
    return {
        "actor": step.actor,
        "service": step.service,
        "operation": step.operation,
        "request_id": found.made.request_id,
        "error": found.made.error,
        "event_id": found.event.get("eventID"),
        "visible_ms": round(found.visible_ms, 1) if found.text else None,
        "problems": found.problems,
    }


_COLUMNS = {
    "who": 4,
    "service": 14,
    "event": 22,
    "kind": 4,
    "answer": 15,
    "visible": 7,
    "found": 5,
}
"""Title -> most characters on a terminal of 80 columns; what is longer gets an ellipsis."""
WIDE_COLUMNS = 120
"""From here on a terminal shows everything."""


def _table(rows: Sequence[Found], columns: int) -> Table:
    table = Table(box=None, header_style="bold", padding=(0, 1, 0, 0))
    for title, width in _COLUMNS.items():
        # One line a row, however narrow the terminal is: it must not scroll.
        widest = None if columns >= WIDE_COLUMNS else width
        table.add_column(title, no_wrap=True, overflow="ellipsis", max_width=widest)
    for found in rows:
        style = "red" if found.problems else "yellow" if found.made.error else ""
        table.add_row(*map(Text, _cells(found)), style=style)
    return table


def _problems(summary: Summary) -> list[str]:
    """Return a line for each problem, under the tables."""
    of_calls = [
        f"{found.made.step.actor} {found.made.step.operation}: {problem}"
        for found in summary.found
        for problem in found.problems
    ]
    return of_calls + [f"trail: {problem}" for problem in summary.delivered.problems]


def _cells(found: Found) -> tuple[str, ...]:
    made = found.made
    return (
        made.step.actor,
        made.step.service,
        made.step.operation,
        "data" if made.step.data else "mgmt",
        made.error or "ok",
        f"{found.visible_ms:.0f} ms" if found.text else "-",
        "WRONG" if found.problems else "yes",
    )
