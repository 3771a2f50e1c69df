# SPDX-License-Identifier: Apache-2.0
"""Group commit: appends that come while one is written share the next write and fdatasync.

The first to come leads and writes for all; the others sleep until it has.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from opentrail.errors import Unavailable
from opentrail.eventlog.base import Draft
from opentrail.eventlog.blob import BlobCodec
from opentrail.eventlog.frame import FRAMES_BYTES_MAX, RECORDS_MAX


@dataclass(slots=True)
class Pending:
    """An append that waits for its commit."""

    drafts: Sequence[Draft]
    size: int
    """Uncompressed bytes."""
    codec: BlobCodec
    blobs: list[bytes]
    """The records, compressed by ``codec``."""
    positions: list[int] = field(default_factory=list)
    error: Unavailable | None = None
    done: bool = False
    wake: "threading.Lock | None" = None
    """Held while a follower sleeps; released when it is done or is to lead."""

    def compressed_by(self, codec: BlobCodec) -> Iterator[tuple[int, bytes]]:
        """Return origin and bytes of each record, compressed anew if another codec did it before."""
        if self.codec is not codec:
            self.codec, self.blobs = codec, codec.compress([draft.data for draft in self.drafts])
        return zip([draft.origin for draft in self.drafts], self.blobs, strict=True)


def hand_out(positions: Sequence[int], group: Sequence[Pending]) -> None:
    """Give each of ``group`` the positions of its records: they were written one after another."""
    at = 0
    for pending in group:
        pending.positions = list(positions[at : at + len(pending.blobs)])
        at += len(pending.blobs)


class GroupCommit:
    """Brings appends of many threads together; a single thread pays two uncontended locks."""

    def __init__(self, write: Callable[[list[Pending]], Unavailable | None]) -> None:
        """``write`` commits a group, sets its positions, and returns what went wrong."""
        self.exclusive = threading.Lock()
        """Held during each commit; take it for what must not run beside one."""
        self._write = write
        self._queue: deque[Pending] = deque()
        self._queue_lock = threading.Lock()
        self._leading = False

    def settle(self, pending: Pending) -> None:
        """Return when ``pending`` is committed or has its error.

        The first to come leads: it commits what is queued, itself included. Those that come while
        it writes sleep; when it is done it wakes those that it served, and the first of the others
        leads next. A lock that all of them wait for would wake them one after another instead.
        """
        with self._queue_lock:
            self._queue.append(pending)
            if self._leading:
                pending.wake = threading.Lock()
                pending.wake.acquire()
            self._leading = True
        if pending.wake is not None:
            pending.wake.acquire()
            if pending.done:
                return
        try:
            with self.exclusive:
                self._commit()
        finally:
            with self._queue_lock:
                self._leading = bool(self._queue)
                if self._leading:
                    _wake(self._queue[0])

    def _commit(self) -> None:
        """Commit what is queued, as far as one frame takes it, and settle each of the group."""
        group = self._next_group()
        error: Unavailable | None = Unavailable("the append was interrupted")
        try:
            error = self._write(group)
        finally:
            for pending in group:
                pending.error = error
                pending.done = True
                _wake(pending)

    def _next_group(self) -> list[Pending]:
        group = [self._queue.popleft()]
        size, count = group[0].size, len(group[0].blobs)
        while self._queue:
            size += self._queue[0].size
            count += len(self._queue[0].blobs)
            if size > FRAMES_BYTES_MAX or count > RECORDS_MAX:
                break
            group.append(self._queue.popleft())
        return group


def _wake(pending: Pending) -> None:
    """Wake the thread of ``pending``, if it sleeps."""
    if pending.wake is not None and pending.wake.locked():
        pending.wake.release()
