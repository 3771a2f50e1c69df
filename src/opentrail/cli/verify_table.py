# SPDX-License-Identifier: Apache-2.0
"""What ``opentrail verify`` shows on a terminal: a table at the end, a bar until then."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table
from rich.text import Text

from opentrail.cli.verify_show import WORDS, safe, word_of
from opentrail.verification.verdict import Finding, Verdict

_STYLES = {Verdict.VALID: "green", Verdict.INVALID: "red", Verdict.UNKNOWN: "yellow"}

DRAWN_EACH_S = 0.1
"""The bar is drawn so often; drawing it takes longer than looking at a small file."""


class InTable:
    """A table for people, at the end."""

    def __init__(self) -> None:
        self._rows: list[Finding] = []

    def add(self, finding: Finding) -> None:
        """See ``Form``."""
        self._rows.append(finding)

    def end(self, summary: list[str], verdict: Verdict) -> None:
        """See ``Form``."""
        console = Console()
        if self._rows:
            table = Table(box=None, header_style="bold")
            for title in ("What", "Verdict", "Why", "Where"):
                table.add_column(title, overflow="fold")
            for each in self._rows:
                word = Text(word_of(each), style=_STYLES[each.verdict])
                table.add_row(each.kind, word, Text(safe(each.reason)), Text(safe(each.subject)))
            console.print(table)
        for line in summary:
            console.print(line, markup=False, highlight=False)
        style = _STYLES[verdict]
        console.print(f"verdict: {WORDS[verdict]}", style=style, highlight=False)


@contextmanager
def with_bar(findings: Iterator[Finding], digests: int) -> Iterator[Iterator[Finding]]:
    """Yield ``findings``, with a bar on standard error while they come in."""
    console = Console(file=sys.stderr)
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        TextColumn("{task.fields[logs]} log files"),
    )  # fmt: skip
    # Without a thread that draws: processes are forked meanwhile.
    with Progress(*columns, console=console, transient=True, auto_refresh=False) as bar:
        yield _counted(findings, bar, bar.add_task("digests", total=digests, logs=0))


def _counted(findings: Iterator[Finding], bar: Progress, task: TaskID) -> Iterator[Finding]:
    logs, drawn_s = 0, bar.get_time()
    for finding in findings:
        logs += finding.kind == "Log file"
        now_s = bar.get_time()
        is_due = now_s >= drawn_s + DRAWN_EACH_S
        drawn_s = now_s if is_due else drawn_s
        advance = finding.kind.endswith("igest file")
        bar.update(task, advance=advance, logs=logs, refresh=is_due)
        yield finding
