# SPDX-License-Identifier: Apache-2.0
"""Starting servers that cannot start: each says in one line why."""

import subprocess
import sys

import pytest

from opentrail.clock import SystemClock
from opentrail.errors import Unavailable, UsageError
from opentrail.sandbox.process import HOST, spawn, wait_until_ready
from opentrail.sandbox.serve import listen

WITHOUT_MOTO = """
import sys
sys.modules["moto"] = None  # what the import system itself does for "there is none"
from opentrail.sandbox.moto import start_moto
start_moto()
"""


def test_a_server_that_dies_says_what_it_said():
    with listen(HOST, 0) as listener:
        url = f"http://{HOST}:{listener.getsockname()[1]}"
    running = spawn(["-c", "raise SystemExit('no luck')"], url)
    with pytest.raises(Unavailable, match="no luck"):
        wait_until_ready(running, "/", SystemClock())
    assert running.process.returncode == 1


def test_a_port_in_use_is_the_operators_to_change():
    with listen(HOST, 0) as listener, pytest.raises(UsageError, match="choose another port"):
        listen(HOST, listener.getsockname()[1])


def test_without_moto_it_says_what_to_install():
    ended = subprocess.run(
        [sys.executable, "-c", WITHOUT_MOTO], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert "UsageError: moto is not installed: pip install 'opentrail[demo]'" in ended.stderr
