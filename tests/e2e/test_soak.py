# SPDX-License-Identifier: Apache-2.0
"""Clients and upstreams of bad manners, all at once: each call has its own answer and one record."""

import subprocess
import sys
from pathlib import Path

from support.server import clean_environment

ROOT = Path(__file__).parents[2]


def test_nothing_is_lost_mixed_up_or_kept(tmp_path: Path) -> None:
    """A small ``python -m bench.soak``, which says what it checks."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.soak", "2500", "250"],
        cwd=ROOT,
        env=clean_environment(tmp_path),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "nothing was wrong" in done.stdout
