# SPDX-License-Identifier: Apache-2.0
"""Colours on a terminal, for those who want some."""

import os

import click


def coloured(text: str, colour: str | None) -> str:
    """Return ``text`` in a colour, unless NO_COLOR is set (no-color.org)."""
    return click.style(text, fg=colour) if colour and not os.environ.get("NO_COLOR") else text
