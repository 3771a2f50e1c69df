# SPDX-License-Identifier: Apache-2.0
"""Colours on a terminal, for those who want some, and tables that lose nothing."""

import os

import click
from rich.console import Console
from rich.table import Table

_UNCUT = 10_000
"""Cells of a line that nothing is cut or folded to."""


def coloured(text: str, colour: str | None) -> str:
    """Return ``text`` in a colour, unless NO_COLOR is set (no-color.org)."""
    return click.style(text, fg=colour) if colour and not os.environ.get("NO_COLOR") else text


def print_table(table: Table, *, folds: bool) -> None:
    """Print ``table``, whole; ``folds``: a terminal that is too narrow gets cells on several lines.

    Else, and for programs that read it, each row is one line: a key that is cut is none.
    """
    console = Console(highlight=False, markup=False)
    if not (folds and console.is_terminal):
        console = Console(highlight=False, markup=False, width=_UNCUT, soft_wrap=True)
    console.print(table)
