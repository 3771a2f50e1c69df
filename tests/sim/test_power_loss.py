# SPDX-License-Identifier: Apache-2.0
"""What was acknowledged is there once, in order and byte for byte, however the log stopped.

A disk that drops what was not synced, a process that stops between any two file operations,
operations that fail and did or did not happen, retention, and restarts, in any order.
"""

import contextlib
import errno
import random
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from support.log_files import Fault, ForgetfulFiles, HandClock, PowerCut
from support.seeded_ids import SeededIds

from opentrail.errors import Unavailable
from opentrail.eventlog.base import Draft, Origin
from opentrail.eventlog.check import LogCheck
from opentrail.eventlog.options import LogOptions
from opentrail.eventlog.segments import Segments

MEMORY = Path("/dev/shm")
"""Where there is one: a disk that only pretends needs no real syncs."""
OPTIONS = LogOptions(segment_bytes_max=900, dictionary=b"")


class FailingDisk(ForgetfulFiles):
    """A forgetful disk whose next write or sync fails."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.write_fault = self.sync_fault = Fault.NONE
        self.code = errno.EIO

    def write(self, fd: int, data: bytes, offset: int) -> None:
        fault, self.write_fault = self.write_fault, Fault.NONE
        if fault is Fault.LOST:
            raise OSError(self.code, "injected")
        super().write(fd, data[: len(data) // 2] if fault is Fault.KEPT else data, offset)
        if fault is Fault.KEPT:
            raise OSError(self.code, "injected")

    def sync(self, fd: int) -> None:
        fault, self.sync_fault = self.sync_fault, Fault.NONE
        if fault is Fault.LOST:
            raise OSError(self.code, "injected")
        super().sync(fd)
        if fault is Fault.KEPT:
            raise OSError(self.code, "injected")


class PowerLoss(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.top = Path(tempfile.mkdtemp(dir=MEMORY if MEMORY.is_dir() else None))
        self.runs = 0
        self.clock = HandClock()
        self.random = random.Random(0)
        self.acknowledged: dict[int, bytes] = {}
        self.unknown: list[list[bytes]] = []
        """Appends that were not acknowledged: each is there whole, as the last, or not at all."""
        self.floor = 0
        """Retention was told that all below is read."""
        self.number = 0
        root = self.top / "0"
        (root / "log").mkdir(parents=True)
        self.files = FailingDisk(root)
        self.log: Segments | None = None
        self.open()

    def open(self) -> None:
        """Open the log; a crash on the way is a crash like any other."""
        with contextlib.suppress(PowerCut):
            self.log = None
            self.log = Segments.open(self.files.root, self.clock, SeededIds(3), OPTIONS, self.files)
            assert self.log.damage is None, self.log.damage
            self.learn(self.log)

    def learn(self, log: Segments) -> None:
        """Check what is there after a restart; from now on it counts as acknowledged."""
        known = {at: data for at, data in self.acknowledged.items() if at >= log.first()}
        missing = self.acknowledged.keys() - known.keys()
        assert all(position < self.floor for position in missing)
        entries = list(log.entries(0))
        kept = entries[: len(known)]
        assert {entry.position: entry.data for entry in kept} == known
        more = [entry.data for entry in entries[len(known) :]]
        assert more == [] or more in self.unknown
        self.acknowledged = {entry.position: entry.data for entry in entries}
        self.unknown = []

    def texts(self, count: int, size: int) -> list[bytes]:
        self.number += 1
        filler = self.random.randbytes(size).replace(b"\n", b" ")
        return [b"%d-%d-%s" % (self.number, index, filler) for index in range(count)]

    def stop(self) -> None:
        if self.log is not None:
            with contextlib.suppress(PowerCut, Unavailable):
                self.log.close()
            self.log = None

    @rule(count=st.integers(1, 4), size=st.integers(0, 150))
    def append(self, count: int, size: int) -> None:
        if self.log is None:
            return
        texts = self.texts(count, size)
        drafts = [Draft(Origin.CAPTURE, text) for text in texts]
        try:
            positions = self.log.append(drafts)
        except Unavailable:
            self.unknown.append(texts)
        except PowerCut:
            self.unknown.append(texts)
            self.stop()
        else:
            self.acknowledged |= dict(zip(positions, texts, strict=True))

    @rule(steps=st.integers(0, 40))
    def stop_after(self, steps: int) -> None:
        """The process will stop after so many file operations."""
        if self.log is not None:
            self.files.steps = steps

    @rule(steps=st.integers(0, 9), size=st.integers(0, 150))
    def stop_in_an_append(self, steps: int, size: int) -> None:
        self.stop_after(steps)
        self.append(1, size)
        self.files.steps = None

    @rule(
        write=st.sampled_from(Fault),
        sync=st.sampled_from(Fault),
        code=st.sampled_from([errno.EIO, errno.ENOSPC]),
    )
    def fail(self, write: Fault, sync: Fault, code: int) -> None:
        if self.log is not None:
            self.files.write_fault, self.files.sync_fault, self.files.code = write, sync, code

    @rule(forward_ms=st.integers(-10_000, 100_000_000))
    def time_passes(self, forward_ms: int) -> None:
        self.clock.ms += forward_ms

    @rule(age_ms=st.integers(0, 50_000_000), share=st.floats(0, 1))
    def expire(self, age_ms: int, share: float) -> None:
        if self.log is None:
            return
        floor = int(self.log.durable_end() * share)
        self.floor = max(self.floor, floor)
        try:
            self.log.expire(self.clock.ms - age_ms, floor)
        except Unavailable:
            pass
        except PowerCut:
            self.stop()

    @rule()
    def restart(self) -> None:
        """A killed process, or one that was stopped: the kernel keeps what was written."""
        self.stop()
        self.calm()
        self.open()

    @rule(seed=st.integers(0, 2**32))
    def power_loss(self, seed: int) -> None:
        self.stop()
        self.runs += 1
        root = self.top / str(self.runs)
        (root / "log").mkdir(parents=True)
        self.files.lose_power(random.Random(seed), root)
        self.files = FailingDisk(root)
        self.open()

    @rule(size=st.integers(0, 150), seed=st.integers(0, 2**32))
    def power_loss_after_a_kill(self, size: int, seed: int) -> None:
        """What the kernel kept for the killed process, and was acknowledged since, must stay."""
        self.restart()
        if size % 2:
            self.append(1, size)
        self.power_loss(seed)

    @rule(steps=st.integers(0, 8), seed=st.integers(0, 2**32))
    def power_loss_while_starting(self, steps: int, seed: int) -> None:
        self.stop()
        self.calm()
        self.files.steps = steps
        self.open()
        self.power_loss(seed)

    def calm(self) -> None:
        self.files.steps = None
        self.files.write_fault = self.files.sync_fault = Fault.NONE

    @invariant()
    def what_was_acknowledged_is_there(self) -> None:
        if self.log is None:
            return
        first = self.log.first()
        shown = {entry.position: entry.data for entry in self.log.entries(0)}
        known = {at: data for at, data in self.acknowledged.items() if at >= first}
        assert shown == known
        assert list(shown) == sorted(shown)
        assert all(at < self.floor for at in self.acknowledged.keys() - known.keys())

    def teardown(self) -> None:
        """Faults stop; then it opens, is whole, and can be appended to."""
        try:
            self.restart()
            assert self.log is not None
            self.append(2, 10)
            self.what_was_acknowledged_is_there()
            assert list(LogCheck(self.files.root / "log").findings()) == []
            self.stop()
        finally:
            shutil.rmtree(self.top)


TestPowerLoss = PowerLoss.TestCase
TestPowerLoss.settings = settings(
    max_examples=150,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


def fill(root: Path, steps: int) -> ForgetfulFiles:
    """Append until a second segment begins, stopping there after ``steps`` operations."""
    (root / "log").mkdir(parents=True)
    files = ForgetfulFiles(root)
    log = Segments.open(root, HandClock(), SeededIds(3), OPTIONS, files)
    filler = random.Random(1).randbytes(500).replace(b"\n", b" ")
    log.append([Draft(Origin.CAPTURE, b"first-" + filler)])
    files.steps = steps
    with contextlib.suppress(PowerCut):
        log.append([Draft(Origin.CAPTURE, b"second-" + filler)])
    with contextlib.suppress(PowerCut):
        log.close()
    files.steps = None
    return files


@pytest.mark.parametrize("steps", range(14))
def test_every_step_of_a_new_segment(tmp_path_factory, steps):
    """Killed at any step, started again, appended to, and then the power goes."""
    for seed in range(12):
        root = tmp_path_factory.mktemp("roll")
        files = fill(root / "disk", steps)
        log = Segments.open(root / "disk", HandClock(), SeededIds(3), OPTIONS, files)
        acknowledged = [entry.data for entry in log.entries(0)]
        assert len(acknowledged) in {1, 2}
        log.append([Draft(Origin.CAPTURE, b"third")])
        with contextlib.suppress(PowerCut):
            files.steps = 0
            log.close()
        files.lose_power(random.Random(seed), root / "left")
        log = Segments.open(root / "left", HandClock(), SeededIds(3), OPTIONS)
        assert log.damage is None
        assert [entry.data for entry in log.entries(0)] == [*acknowledged, b"third"]
        log.close()
