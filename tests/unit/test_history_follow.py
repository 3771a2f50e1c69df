# SPDX-License-Identifier: Apache-2.0
"""Following a log: what retention took before it was read is no silent gap."""

import signal
import subprocess

from support.opened_log import Opened
from support.server import PROGRAM, clean_environment, wait_until

from opentrail.history.follow import Follower

SLOW = "retention took records before they were shown"


def fill(opened: Opened, first: int) -> None:
    """Append twenty events; the log has several segments then."""
    for number in range(first, first + 20):
        opened.put(b'{"eventTime":"2026-01-31T10:00:00Z","eventID":"%d"}' % number)
    opened.clock.ms += 1000


def expire(opened: Opened) -> None:
    """Have retention take all that was appended."""
    assert opened.log.expire(opened.clock.ms, opened.log.durable_end()) > 0


def test_what_was_read_before_retention_took_it_is_no_gap(tmp_path):
    opened = Opened(tmp_path)
    follower = Follower(tmp_path / "log")
    for first in (0, 20, 40):
        fill(opened, first)
        assert len(follower.step()) == 20
        expire(opened)
    assert (follower.step(), follower.gaps) == ([], 0)
    opened.log.close()


def test_who_follows_too_slowly_is_told(tmp_path):
    opened = Opened(tmp_path / "data")
    fill(opened, 0)
    shown, told = tmp_path / "shown", tmp_path / "told"
    with shown.open("wb") as output, told.open("wb") as errors:
        process = subprocess.Popen(
            [PROGRAM, "tail", "-f", "-n", "1", "--category", "all", "--json", "--data", "data"],
            env=clean_environment(tmp_path),
            cwd=tmp_path,
            stdout=output,
            stderr=errors,
        )
    try:
        wait_until(lambda: b'"19"' in shown.read_bytes())
        process.send_signal(signal.SIGSTOP)
        fill(opened, 20)
        expire(opened)
        fill(opened, 40)
        process.send_signal(signal.SIGCONT)
        wait_until(lambda: b'"59"' in shown.read_bytes())
        assert b'"20"' not in shown.read_bytes()
        assert SLOW in told.read_text()
    finally:
        process.kill()
        process.wait()
        opened.log.close()
