# SPDX-License-Identifier: Apache-2.0
"""A command as a person sees it: on a pseudo terminal of a chosen width."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from pathlib import Path

from support.server import PROGRAM, clean_environment

ROWS = 50
READ_BYTES = 65_536
_STYLE = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


def on_terminal(*arguments: str, home: Path, columns: int, **environment: str) -> str:
    """Return what ``opentrail`` writes to a terminal ``columns`` wide, as it is."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, columns, 0, 0))
    process = subprocess.Popen(
        [PROGRAM, *arguments],
        env=clean_environment(home) | {"TERM": "xterm-256color"} | environment,
        cwd=home,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    parts = []
    try:
        while part := os.read(ours, READ_BYTES):
            parts.append(part)
    except OSError:  # how Linux says that the other end is closed
        pass
    finally:
        os.close(ours)
        process.wait()
    return b"".join(parts).decode()


def lines_of(shown: str) -> list[str]:
    """Return the lines of what a terminal got, without colours and trailing blanks."""
    return [line.rstrip() for line in _STYLE.sub("", shown).splitlines()]
