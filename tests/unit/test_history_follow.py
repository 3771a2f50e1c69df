# SPDX-License-Identifier: Apache-2.0
"""Following a log: what retention took, or a new log took the place of, is no silent gap."""

import array
import fcntl
import signal
import subprocess
import termios

from support.log_files import HandClock
from support.opened_log import SMALL, Opened
from support.seeded_ids import SeededIds
from support.server import PROGRAM, clean_environment, wait_until

from opentrail.eventlog.base import Draft, Origin
from opentrail.eventlog.segments import Segments
from opentrail.history.follow import Follower

PIPE_NEARLY_FULL = 10_000
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


def test_the_last_records_of_a_log_that_is_begun_anew_are_read(tmp_path):
    opened = Opened(tmp_path)
    follower = Follower(tmp_path / "log")
    opened.put(b'{"n":1}')
    assert len(follower.step()) == 1
    opened.put(b'{"n":2}', b'{"n":3}')
    opened.log.close()
    (tmp_path / "log").rename(tmp_path / "aside")
    anew = Segments.open(tmp_path, HandClock(), SeededIds(1), SMALL)
    anew.append([Draft(Origin.CAPTURE, b'{"n":4}')])
    shown = [entry.data for _ in range(3) for entry in follower.step()]
    assert shown == [b'{"n":2}', b'{"n":3}', b'{"n":4}']
    assert follower.resets == 1
    anew.close()


def test_ctrl_c_ends_it_though_its_reader_stands_still(tmp_path):
    opened = Opened(tmp_path / "data")
    for number in range(100):
        opened.put(b'{"eventTime":"2026-01-31T10:00:00Z","userAgent":"%2000d"}' % number)
    process = subprocess.Popen(
        [PROGRAM, "tail", "-f", "-n", "100", "--category", "all", "--json", "--data", "data"],
        env=clean_environment(tmp_path),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: waiting_in(process) > PIPE_NEARLY_FULL)
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130
    finally:
        process.kill()
        process.communicate()
        opened.log.close()


def waiting_in(process: subprocess.Popen[bytes]) -> int:
    """Return how many bytes of the output nobody has read yet."""
    assert process.stdout is not None
    found = array.array("i", [0])
    fcntl.ioctl(process.stdout, termios.FIONREAD, found)
    return found[0]


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
