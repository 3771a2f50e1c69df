# SPDX-License-Identifier: Apache-2.0
"""The implementations of EventLog that the contract suite runs over: a new one is one row here."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

from support.memory_log import MemoryLog
from support.seeded_ids import SeededIds

from opentrail.clock import Clock
from opentrail.errors import Unavailable
from opentrail.eventlog.base import Draft, EventLog, MarkKind
from opentrail.eventlog.link import (
    Kind,
    Link,
    LinkedLog,
    decode_drafts,
    decode_marks,
    encode_positions,
    encode_refusal,
)
from opentrail.eventlog.options import LogOptions
from opentrail.eventlog.segments import Segments
from opentrail.front.commit import GroupCommit

Opener = Callable[[Path, Clock], AbstractContextManager[EventLog]]


@contextmanager
def segments(data: Path, clock: Clock) -> Iterator[EventLog]:
    """The embedded log."""
    log = Segments.open(data, clock, SeededIds(1))
    try:
        yield log
    finally:
        log.close()


@contextmanager
def small_segments(data: Path, clock: Clock) -> Iterator[EventLog]:
    """The embedded log, where nearly every append begins a segment."""
    options = LogOptions(segment_bytes_max=1_000, dictionary=b"")
    log = Segments.open(data, clock, SeededIds(1), options)
    try:
        yield log
    finally:
        log.close()


class _Loop:
    """An event loop on a thread, as front has one, with the group commit in it."""

    def __init__(self, log: Segments) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._commit = asyncio.run_coroutine_threadsafe(self._made(log), self._loop).result()

    @staticmethod
    async def _made(log: Segments) -> GroupCommit:
        return GroupCommit(log)

    async def _append(self, drafts: Sequence[Draft]) -> list[int]:
        return await self._commit.append(drafts)

    async def _append_marks(self, marks: Sequence[tuple[MarkKind, bytes]]) -> list[int]:
        return await self._commit.append_marks(marks)

    def answer(self, kind: Kind, payload: bytes) -> list[int]:
        """Append as a call in the loop does, and wait for it."""
        if kind is Kind.APPEND:
            appending = self._append(decode_drafts(payload))
        else:
            assert kind is Kind.MARKS
            appending = self._append_marks(decode_marks(payload))
        return asyncio.run_coroutine_threadsafe(appending, self._loop).result()

    def close(self) -> None:
        """End the loop and its thread."""
        self._commit.close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


def _serve(link: Link, loop: _Loop) -> None:
    """Answer back's appends, as front does."""
    for kind, number, payload in link.frames():
        try:
            positions = loop.answer(kind, payload)
        except Unavailable as error:
            link.send(Kind.REFUSED, number, encode_refusal(error))
        else:
            link.send(Kind.APPENDED, number, encode_positions(positions))


def _receive(link: Link, log: LinkedLog) -> None:
    for kind, number, payload in link.frames():
        log.answered(kind, number, payload)


@contextmanager
def linked(data: Path, clock: Clock) -> Iterator[EventLog]:
    """The log as back sees it: files to read, the socket and front's group commit to append."""
    ours, theirs = socket.socketpair()
    with ours, theirs, closing(Segments.open(data, clock, SeededIds(1))) as segments_log:
        loop = _Loop(segments_log)
        link = Link(ours)
        log = LinkedLog(data / "log", link.send)
        threads = [
            threading.Thread(target=_serve, args=(Link(theirs), loop)),
            threading.Thread(target=_receive, args=(link, log)),
        ]
        for thread in threads:
            thread.start()
        try:
            yield log
        finally:
            for sock in (ours, theirs):
                sock.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join()
            log.close()
            loop.close()


_kept: dict[Path, MemoryLog] = {}
"""So that a log opened again is the same one."""


@contextmanager
def memory(data: Path, clock: Clock) -> Iterator[EventLog]:
    """The fake that other tests use."""
    log = _kept.setdefault(data, MemoryLog())
    log.now_ms = clock.now_ms
    yield log


OPENERS: dict[str, Opener] = {
    "segments": segments,
    "small-segments": small_segments,
    "linked": linked,
    "memory": memory,
}
