# SPDX-License-Identifier: Apache-2.0
"""Pages whose shell blocks are AWS CLI commands, each with what it answers in a block behind them."""

import re
from dataclasses import dataclass

BLOCK = re.compile(r"^```(sh|console)\n(.*?)^```\n", re.MULTILINE | re.DOTALL)
PROMPT = "$ "


@dataclass
class Example:
    """A command and what it prints: on standard output, else on standard error."""

    command: str
    shown: str = ""


def examples(page: str) -> list[Example]:
    """Return the commands of a page's ``console`` blocks, with what is printed below each."""
    found: list[Example] = []
    for kind, body in BLOCK.findall(page):
        for line in body.splitlines() if kind == "console" else ():
            if line.startswith(PROMPT):
                found.append(Example(line.removeprefix(PROMPT)))
            else:
                found[-1].shown += line + "\n"
    return found
