# SPDX-License-Identifier: Apache-2.0
"""Real processes: a writer that is killed again and again, and a reader beside a writer."""

import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import opentrail
from opentrail.clock import SystemClock, SystemIds
from opentrail.eventlog.check import LogCheck
from opentrail.eventlog.reader import SegmentReader
from opentrail.eventlog.segment import list_firsts
from opentrail.eventlog.segments import Segments

WRITER = Path(__file__).parents[1] / "support" / "log_writer.py"
KILLS = 8
ACKNOWLEDGED_PER_RUN = 60


@contextmanager
def writer(data: Path, threads: int, number: int):
    """Run a writer; it is killed when the block ends."""
    source = str(Path(opentrail.__file__).parents[1])
    process = subprocess.Popen(
        [sys.executable, str(WRITER), str(data), str(threads), str(number)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": source},
    )
    assert process.stdout is not None
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def numbers(line: bytes) -> tuple[int, int, int, int]:
    worker, number, count, position = map(int, line.split())
    return worker, number, count, position


def test_killed_writers_lose_nothing_that_they_acknowledged(tmp_path):
    acknowledged: list[tuple[int, int, int, int]] = []
    for run in range(KILLS):
        with writer(tmp_path, threads=3, number=run * 1_000_000) as process:
            acknowledged += [
                numbers(process.stdout.readline()) for _ in range(ACKNOWLEDGED_PER_RUN)
            ]
            process.kill()
            process.wait()
            acknowledged += [numbers(line) for line in process.stdout if line.endswith(b"\n")]
    log = Segments.open(tmp_path, SystemClock(), SystemIds())
    assert log.damage is None
    entries = list(log.entries(0))
    log.close()
    index = {entry.position: at for at, entry in enumerate(entries)}
    for worker, number, count, position in acknowledged:
        at = index[position]
        texts = [entry.data for entry in entries[at : at + count]]
        assert texts == [b"%d-%d-%d" % (worker, number, part) for part in range(count)]
    assert len({entry.data for entry in entries}) == len(entries)
    # Each thread of each run may have one append that was written and not acknowledged.
    assert len(entries) <= sum(count for _, _, count, _ in acknowledged) + KILLS * 3 * 3
    assert list(LogCheck(tmp_path / "log").findings()) == []
    assert len(list_firsts(tmp_path / "log")) > 1


def test_a_reader_follows_a_writer_in_another_process(tmp_path):
    with writer(tmp_path, threads=2, number=0) as process:
        process.stdout.readline()
        reader = SegmentReader(tmp_path / "log")
        seen = list(reader.entries(0))
        acknowledged = [numbers(process.stdout.readline()) for _ in range(600)]
        while seen[-1].position < acknowledged[-1][3]:
            more = iter(reader.entries(seen[-1].position))
            assert next(more) == seen[-1]
            seen += more
    positions = [entry.position for entry in seen]
    assert positions == sorted(set(positions))
    shown = {entry.position: entry.data for entry in seen}
    for worker, number, _, position in acknowledged:
        assert shown[position] == b"%d-%d-0" % (worker, number)
        assert reader.read(position).data == shown[position]
    assert len(list_firsts(tmp_path / "log")) > 2
