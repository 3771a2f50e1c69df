# SPDX-License-Identifier: Apache-2.0
"""What the real command finds in records of ``data_directories.record``."""

import json
from pathlib import Path

from support.server import run


def numbers(home: Path, *arguments: str) -> list[int]:
    """Return which records a search finds, in its order."""
    done = run("search", *arguments, "--format", "ndjson", home=home)
    assert done.returncode == (0 if done.stdout else 1), done.stderr
    return [int(json.loads(line)["eventID"][-12:]) for line in done.stdout.splitlines()]
