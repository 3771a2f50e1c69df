# SPDX-License-Identifier: Apache-2.0
"""What the intake reads at the start, when it cannot be read: senders wait, and no restart is needed."""

import asyncio
import errno
import os

from support.log_files import HandClock
from support.opened_log import Opened

from opentrail.clock import SystemClock
from opentrail.eventlog.reader import SegmentReader
from opentrail.front import intake_before
from opentrail.front.intake_before import Before


def test_a_log_that_cannot_be_read_at_the_start_is_read_again(tmp_path, monkeypatch):
    opened = Opened(tmp_path)
    opened.put(b"{}")
    asked: list[object] = []

    def since(log: SegmentReader, *after: object) -> int:
        asked.append(after)
        if len(asked) < 3:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return log.first()

    async def main() -> None:
        before = Before(SystemClock())
        before.open(tmp_path)
        assert "Too many open files" in before.unknown
        for _ in range(1000):
            if not before.unknown:
                break
            await asyncio.sleep(0.01)
        assert before.unknown == ""

    monkeypatch.setattr(intake_before, "AGAIN_S", 0.01)
    monkeypatch.setattr(SegmentReader, "since", since)
    asyncio.run(main())
    assert len(asked) == 3


def test_one_that_was_replaced_meanwhile_is_not_read_again(tmp_path, monkeypatch):
    for name in ("old", "new"):
        Opened(tmp_path / name).put(b"{}")
    asked: list[str] = []

    def since(log: SegmentReader, *_: object) -> int:
        asked.append(log.log_id)
        if len(asked) == 1:
            raise OSError(errno.EIO, "no answer")
        return log.first()

    async def main() -> None:
        before = Before(HandClock())
        before.open(tmp_path / "old")
        before.open(tmp_path / "new")
        assert before.unknown == ""
        await asyncio.sleep(0.05)
        assert len(asked) == 2

    monkeypatch.setattr(intake_before, "AGAIN_S", 0.01)
    monkeypatch.setattr(SegmentReader, "since", since)
    asyncio.run(main())
