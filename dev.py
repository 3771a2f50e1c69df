#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Set everything up, then run one thing: the demo, the tests, the checks, or a command.

Needs Python 3.11 or newer and git, nothing else. What it installs goes to ``.venv`` beside this
file (its installer to ``.venv-uv``), in the versions of ``uv.lock``.

    python3 dev.py demo           the main job: record real calls, show them, find them again
    python3 dev.py test           all checks and all tests; more arguments go to pytest
    python3 dev.py check          formatting, lint, types, layers
    python3 dev.py run COMMAND    a command of the environment: run opentrail serve --help
"""

import os
import shutil
import signal
import subprocess
import sys
import venv
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
BIN = VENV / "bin"
UV = "uv==0.13.8"
"""The version that made uv.lock."""

CHECKS = [
    ["ruff", "format", "--check", "."],
    ["ruff", "check", "."],
    ["mypy"],
    ["lint-imports"],
]

SIGNALLED = 128
"""What shells add to the number of the signal that ended a program."""
SERVERS_MAX = "4"
"""Processes with a moto of 250 MB each; more are not faster: one file alone takes a quarter of the time."""
ON_EVERY_CORE = ["-n", "auto", "--dist", "loadfile", "--no-loadscope-reorder"]
TESTS = [
    # These start servers, and share one moto in each of pytest's processes.
    [*ON_EVERY_CORE, "--maxprocesses", SERVERS_MAX, "tests/e2e"],
    # In the order given: simulations make objects by the million, which is slow once the models of
    # all services are in memory.
    [*ON_EVERY_CORE, "tests/sim", "tests/contract", "tests/unit"],
]


def set_up() -> None:
    """Make the environment what ``uv.lock`` says; quick when it is that already."""
    tools = ROOT / ".venv-uv"
    if not (tools / "bin" / "uv").exists():
        print("setting up: this takes a minute the first time", file=sys.stderr)
        shutil.rmtree(tools, ignore_errors=True)
        venv.create(tools, with_pip=True)
        _run([str(tools / "bin" / "python"), "-m", "pip", "install", "--quiet", UV])
    uv = str(tools / "bin" / "uv")
    environment = {**os.environ, "UV_PROJECT_ENVIRONMENT": str(VENV)}
    _run([uv, "sync", "--quiet", "--frozen", "--python", sys.executable], environment)


def check() -> None:
    """Run everything that needs no test to run."""
    for command in CHECKS:
        print("+", *command, flush=True)
        _run([str(BIN / command[0]), *command[1:]])


def main(arguments: list[str]) -> int:
    """Do what ``arguments`` say; return the exit code."""
    if not arguments or arguments[0] not in ("demo", "test", "check", "run"):
        print(__doc__, file=sys.stderr)
        return 2
    set_up()
    task, rest = arguments[0], arguments[1:]
    if task == "run":
        command = [str(BIN / rest[0]), *rest[1:]] if rest else [str(BIN / "opentrail"), "--help"]
        become(command)
    if task == "demo":
        become([str(BIN / "opentrail"), "demo", *rest])
    check()
    if task == "check":
        return 0
    # The tests start some hundred programs; each would compile the same modules again.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.chdir(ROOT)
    if rest:
        become([str(BIN / "pytest"), *rest])
    commands = [[str(BIN / "pytest"), *tests] for tests in TESTS]
    return max([subprocess.run(command, check=False).returncode for command in commands])


def become(command: list[str]) -> NoReturn:
    """Run ``command`` and end as it does; signals are its own.

    Left to ``subprocess.run`` it would be killed a quarter of a second after Ctrl-C, and could not tidy up.
    """
    try:
        process = subprocess.Popen(command)
    except OSError as error:
        sys.exit(f"dev.py: {command[0]}: {error.strerror}")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to both
    signal.signal(signal.SIGTERM, lambda number, _: process.send_signal(number))
    code = process.wait()
    sys.exit(code if code >= 0 else SIGNALLED - code)


def _run(command: list[str], environment: dict[str, str] | None = None) -> None:
    done = subprocess.run(command, check=False, cwd=ROOT, env=environment)
    if done.returncode != 0:
        sys.exit(done.returncode)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
