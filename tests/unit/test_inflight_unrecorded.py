# SPDX-License-Identifier: Apache-2.0
"""The count of calls that passed unrecorded: kept by a killed process, never torn, told once."""

import mmap
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opentrail.eventlog.inflight import Ended, InFlight
from opentrail.eventlog.unrecorded import CELL_BYTES, CELLS_AT, Unrecorded, UnrecordedCalls

BOOT = b"b" * 16


def open_table(path: Path) -> InFlight:
    table, leftovers, _ = InFlight.open(path, BOOT, slots=2)
    assert leftovers == []
    return table


def test_a_new_table_has_none(tmp_path: Path):
    assert open_table(tmp_path / "inflight").unrecorded.now is None


def test_a_killed_process_leaves_the_count(tmp_path: Path):
    table = open_table(tmp_path / "inflight")
    for now_ms in (1000, 1500, 1400):
        table.unrecorded.add(now_ms, log_end=77)
    left, _, ended = InFlight.open(tmp_path / "inflight", BOOT, slots=2)
    assert ended is Ended.KILLED
    assert left.unrecorded.now == Unrecorded(3, 1000, 1500, 77)


def test_a_clean_end_keeps_what_was_not_told(tmp_path: Path):
    table = open_table(tmp_path / "inflight")
    table.unrecorded.add(5, log_end=1)
    table.close()
    assert open_table(tmp_path / "inflight").unrecorded.now == Unrecorded(1, 5, 5, 1)


def test_what_was_told_is_forgotten_and_what_came_since_is_not(tmp_path: Path):
    calls = open_table(tmp_path / "inflight").unrecorded
    calls.add(10, log_end=1)
    calls.add(20, log_end=1)
    calls.told(Unrecorded(1, 10, 10, 1), 5)
    assert calls.now == Unrecorded(1, 10, 20, 5)
    calls.told(Unrecorded(1, 10, 20, 5), 7)
    calls.add(30, log_end=9)
    assert calls.now == Unrecorded(1, 30, 30, 9)


@pytest.mark.parametrize("torn", [0, 1])
@given(data=st.binary(min_size=CELL_BYTES, max_size=CELL_BYTES), writes=st.integers(1, 5))
def test_a_torn_cell_costs_one_call_at_most(torn: int, data: bytes, writes: int):
    """Whatever stands in the cell that was being written, the other one holds."""
    with mmap.mmap(-1, 4096) as table:
        calls = UnrecordedCalls(table)
        for number in range(writes):
            calls.add(number, log_end=0)
        at = CELLS_AT + torn * CELL_BYTES
        table[at : at + CELL_BYTES] = data
        found = UnrecordedCalls(table).now
        last = writes % 2 == torn
        assert (found.calls if found else 0) == writes - (1 if last else 0)
