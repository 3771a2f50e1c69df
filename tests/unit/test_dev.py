# SPDX-License-Identifier: Apache-2.0
"""``dev.py`` is the command that it runs: a signal and an exit code are that command's."""

import os
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PATIENT = """
import signal, sys
try:
    print("ready", flush=True)
    signal.pause()
except KeyboardInterrupt:
    import threading
    threading.Event().wait(0.6)
    print("tidied up", flush=True)
    sys.exit(7)
"""
"""Tidies up for longer than the quarter of a second that ``subprocess.run`` waits for."""


def becoming(*command: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", f"import dev; dev.become({list(command)!r})"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_a_command_tidies_up_after_ctrl_c():
    with becoming(sys.executable, "-c", PATIENT) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        shown, complaint = process.communicate()
    assert (process.returncode, shown, complaint) == (7, "tidied up\n", "")


def test_a_signal_is_passed_on_and_told_as_shells_do():
    with becoming(
        sys.executable, "-c", "import signal; print('ready', flush=True); signal.pause()"
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.terminate()
    assert process.returncode == 128 + signal.SIGTERM


def test_a_command_that_there_is_not():
    with becoming("/nowhere/opentrial") as process:
        _, complaint = process.communicate()
    assert process.returncode == 1
    assert complaint == "dev.py: /nowhere/opentrial: No such file or directory\n"
