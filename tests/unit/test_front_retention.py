# SPDX-License-Identifier: Apache-2.0
"""What the settings leave the log of its bound, and the accounts that metrics and status show."""

from pathlib import Path

import pytest
from support.log_files import HandClock
from support.seeded_ids import SeededIds

from opentrail import config
from opentrail.eventlog.base import Draft, Origin
from opentrail.eventlog.options import LogOptions
from opentrail.eventlog.segments import Segments
from opentrail.front.retention import accounts_of, log_bytes_max
from opentrail.history.index import History


def settings(data: Path, bytes_max: int) -> config.Settings:
    bound = {"OPENTRAIL_LOG_RETENTION_BYTES_MAX": str(bytes_max)}
    return config.load(None, bound, {"data": str(data)})


@pytest.mark.parametrize(
    ("bytes_max", "index", "left"),
    [
        (0, [1_000_000], 0),
        (5000, [], 5000),
        (5000, [1000, 500], 3500),
        (5000, [4999], 1),
        (5000, [5000], 1),
        (5000, [9000], 1),
    ],
)
def test_the_log_may_have_what_the_index_leaves(tmp_path, bytes_max, index, left):
    (tmp_path / "history").mkdir()
    for number, size in enumerate(index):
        (tmp_path / "history" / f"{number}.run").write_bytes(bytes(size))
    assert log_bytes_max(settings(tmp_path, bytes_max)) == left


def test_without_an_index_all_of_it_is_the_logs(tmp_path):
    assert log_bytes_max(settings(tmp_path, 5000)) == 5000


def test_the_accounts_are_true_before_and_after_retention(tmp_path):
    clock = HandClock()
    options = LogOptions(disk_reserve_bytes=0, segment_bytes_max=1500, dictionary=b"")
    log = Segments.open(tmp_path, clock, SeededIds(), options)
    history = History.open(tmp_path / "history", log, clock)
    assert accounts_of(log, *history.tally()).words.startswith("0 appended = 0 indexed")
    event = b'{"eventTime":"2025-01-01T00:00:00Z","eventID":"%d","x":"' + b"x" * 400 + b'"}'
    for number in range(20):
        log.append([Draft(Origin.CAPTURE, event % number), Draft(Origin.CAPTURE, b"7")])
    found = accounts_of(log, *history.tally())
    assert (found.appended, found.indexed, found.waiting) == (40, 0, 40)
    while history.step():
        pass
    found = accounts_of(log, *history.tally())
    assert (found.appended, found.indexed, found.no_event, found.waiting) == (40, 20, 20, 0)
    before = history.tally()
    assert log.expire(0, log.durable_end(), 2000) > 0
    late, now = accounts_of(log, *before), accounts_of(log, *history.tally())
    assert late == found, "back has not told anew: what it told fits together"
    assert (now.appended, now.waiting) == (40, 0)
    assert now.beyond_retention == 40 - now.indexed - now.no_event > 0
