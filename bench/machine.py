# SPDX-License-Identifier: Apache-2.0
"""The machine's own speed and noise, measured beside everything else.

A figure means little without them: the same code on a busy machine is another figure.
"""

import os
import platform
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

LOOP = 200_000
"""Turns of the calibration loop: some 10 ms, long enough to feel a neighbour."""
LOOPS = 15
SYNCS = 200
RECORD_BYTES = 300
"""About what one compressed record takes in the log."""


@dataclass(frozen=True)
class Machine:
    """How fast the machine was at one moment."""

    loop_ms: float
    """A fixed loop of Python, the median of some."""
    loop_max_ms: float
    """The slowest of them."""
    fdatasync_ms: float
    """A bare write and fdatasync of one record's size, the median of some."""


def look(directory: Path) -> Machine:
    """Return how fast the machine is now; writes to ``directory``."""
    loops = [_loop_ms() for _ in range(LOOPS)]
    return Machine(statistics.median(loops), max(loops), _fdatasync_ms(directory))


def _loop_ms() -> float:
    begin = time.perf_counter()
    total = 0
    for number in range(LOOP):
        total ^= number
    return (time.perf_counter() - begin) * 1000


def _fdatasync_ms(directory: Path) -> float:
    took = []
    with (directory / "bare").open("wb", buffering=0) as file:
        for _ in range(SYNCS):
            begin = time.perf_counter()
            file.write(b"x" * RECORD_BYTES)
            os.fdatasync(file.fileno())
            took.append(time.perf_counter() - begin)
    return statistics.median(took) * 1000


def report(before: Machine, after: Machine) -> None:
    """Print how fast the machine was before and after what was measured."""
    print(f"\nthe machine: {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print(f"  {platform.python_implementation()} {platform.python_version()} of {sys.base_prefix}")
    print(f"  {'':26}{'before':>9}{'after':>9}")
    print(f"  {'calibration loop, ms':26}{before.loop_ms:9.2f}{after.loop_ms:9.2f}")
    print(f"  {'the slowest of them, ms':26}{before.loop_max_ms:9.2f}{after.loop_max_ms:9.2f}")
    print(f"  {'write + fdatasync, ms':26}{before.fdatasync_ms:9.3f}{after.fdatasync_ms:9.3f}")
    drift = abs(after.loop_ms / before.loop_ms - 1) * 100
    print(f"  the loop drifted by {drift:.0f} %: differences smaller than that mean nothing")


def spread_percent(values: Sequence[float]) -> float:
    """Return how far apart the rounds were: (max - min) / median."""
    middle = statistics.median(values)
    return (max(values) - min(values)) / middle * 100 if middle else 0.0
