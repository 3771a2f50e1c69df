# SPDX-License-Identifier: Apache-2.0
"""The embedded event log: append-only segment files with group commit.

After docs/format.md.
"""

import errno
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from opentrail.clock import Clock, Ids, uuid4_text
from opentrail.durable import OS_FILES, Files, make_dir
from opentrail.errors import Corrupt, Unavailable, UsageError
from opentrail.eventlog.base import Draft, Entry
from opentrail.eventlog.blob import DICTIONARY_PATH, BlobCodec
from opentrail.eventlog.commit import GroupCommit, Pending
from opentrail.eventlog.frame import SegmentHeader, build_frame, checked_size
from opentrail.eventlog.lock import DataLock
from opentrail.eventlog.options import SEGMENT_AGE_MS_MAX, LogOptions
from opentrail.eventlog.published import NAME as PUBLISHED_NAME
from opentrail.eventlog.published import Published, create_published
from opentrail.eventlog.reader import SegmentReader
from opentrail.eventlog.recovery import Tail, recover
from opentrail.eventlog.room import DiskRoom
from opentrail.eventlog.segment import DAMAGE_HINT, create_segment, list_firsts, segment_path

_DISK_FULL = {errno.ENOSPC, errno.EDQUOT}
_RESTART = "restart OpenTrail: it then checks what the disk holds"


@dataclass(frozen=True, slots=True)
class Written:
    """A frame that is written and not yet durable."""

    positions: list[int]
    size: int
    """Bytes of the frame."""
    append_ms: int


class Segments:
    """An EventLog in ``<data>/log``. One per data directory, held by a lock."""

    def __init__(
        self, data: Path, clock: Clock, options: LogOptions, files: Files, lock: DataLock
    ) -> None:
        """See ``open``: this one only sets up what is in memory."""
        self._data = data
        self._dir = data / "log"
        self._clock = clock
        self._options = options
        self._files = files
        self._lock = lock
        given = options.dictionary
        self._dictionary = DICTIONARY_PATH.read_bytes() if given is None else given
        self._codec = BlobCodec(self._dictionary)
        self._commits = GroupCommit(self._write)
        self._refusal = ""
        self._room = DiskRoom(self._dir, options.disk_reserve_bytes, clock, files)
        self._must_roll = False
        self._fd = -1
        self.damage: Corrupt | None = None
        """Why the log is read-only, if it is since it was opened."""

    @classmethod
    def open(
        cls,
        data: Path,
        clock: Clock,
        ids: Ids,
        options: LogOptions | None = None,
        files: Files = OS_FILES,
    ) -> Self:
        """Open the log of the directory ``data``, made if it is not there; recover from a crash.

        A log whose acknowledged records do not check out opens read-only: see ``damage``.
        Raises: UsageError: another process has it, or it cannot be written. Corrupt:
        ``log/durable`` is damaged or missing, so not even reading is safe.
        """
        options = options or LogOptions()
        lock = None
        try:
            make_dir(data / "log", files)
            lock = DataLock.take(data, options.address)
            log = cls(data, clock, options, files, lock)
            log._begin(ids)
        except BaseException as error:
            if lock is not None:
                lock.release()
            if isinstance(error, OSError):
                advice = "make it writable, or choose another directory with --data"
                raise UsageError(f"{data} cannot be used: {error.strerror}: {advice}") from error
            raise
        return log

    def _begin(self, ids: Ids) -> None:
        """Recover, then make sure that there is a segment to append to.

        1. make log/durable            (a crash after it: a log without segments, at 0)
        2. recover what is there
        3. make the first segment      (a crash before it: step 1 finds its work done)
        """
        published = self._dir / PUBLISHED_NAME
        if not published.exists():
            if list_firsts(self._dir):
                # Without it nothing tells an acknowledged record from a torn one.
                raise Corrupt("the file is missing", str(published), DAMAGE_HINT)
            create_published(self._dir, uuid.UUID(uuid4_text(ids)).bytes, self._files)
        self._published = Published(self._dir, write=True)
        self._reader = SegmentReader(self._dir)
        self._end = self._published.end()
        self._append_ms = 0
        try:
            tail = recover(self._dir, self._published, self._files)
        except Corrupt as damage:
            self.damage = damage
            self._refusal = f"the log is damaged and opened read-only: {damage}"
            return
        if tail is None:
            self._roll()
        else:
            self._continue(tail)

    def _continue(self, tail: Tail) -> None:
        self._header = tail.header
        self._end = tail.end
        self._append_ms = tail.append_ms
        self._fd = self._files.open(segment_path(self._dir, tail.header.first))
        # All records of a process are compressed with one dictionary, before they are queued.
        self._must_roll = tail.header.dictionary != self._dictionary

    @property
    def log_id(self) -> str:
        """See ``LogReader``."""
        return self._reader.log_id

    def first(self) -> int:
        """See ``LogReader``."""
        return self._reader.first()

    def durable_end(self) -> int:
        """See ``LogReader``."""
        return self._published.end()

    def entries(self, start: int, end: int | None = None) -> Iterator[Entry]:
        """See ``LogReader``. Raises: ValueError: no record begins at ``start``."""
        return self._reader.entries(start, end)

    def read(self, position: int) -> Entry:
        """See ``LogReader``."""
        return self._reader.read(position)

    def writable(self) -> str:
        """See ``EventLog``."""
        if self._refusal:
            return self._refusal
        return self._room.refusal(segment_path(self._dir, self._header.first))

    def append(self, drafts: Sequence[Draft]) -> list[int]:
        """See ``EventLog``. Raises also: ValueError, as ``checked_size``."""
        if not drafts:
            return []
        pending = Pending(*self._compressed(drafts))
        self._commits.settle(pending)
        if pending.error is not None:
            raise Unavailable(pending.error.message, pending.error.hint)
        return pending.positions

    def begin(self, drafts: Sequence[Draft]) -> Written:
        """Write ``drafts``, which are not durable yet; ``sync``, then ``finish`` must follow.

        For an event loop that cannot wait for the disk: these three are ``append`` in parts. Until
        ``finish`` no other append goes on. Raises: as ``append``.
        """
        blobs, _ = self._compressed(drafts)
        self._commits.exclusive.acquire()
        written: Written | Unavailable = Unavailable("the append was interrupted", _RESTART)
        try:
            written = self._put(blobs)
        finally:
            if isinstance(written, Unavailable):
                self._commits.exclusive.release()
        if isinstance(written, Unavailable):
            raise written
        return written

    def sync(self) -> None:
        """Make what ``begin`` wrote durable; safe on any thread. Raises: OSError."""
        self._files.sync(self._fd)

    def finish(self, written: Written, error: OSError | None) -> list[int]:
        """Acknowledge what was written; ``error`` is what ``sync`` raised.

        Raises: Unavailable: nothing of it is acknowledged.
        """
        try:
            unavailable = self._settle(written, error)
        finally:
            self._commits.exclusive.release()
        if unavailable is not None:
            raise unavailable
        return written.positions

    def _compressed(self, drafts: Sequence[Draft]) -> tuple[list[tuple[int, bytes]], int]:
        size = checked_size(drafts)
        refusal = self.writable()
        if refusal:
            raise Unavailable("the log refuses", refusal)
        blobs = self._codec.compress([draft.data for draft in drafts])
        pairs = zip(drafts, blobs, strict=True)
        return [(int(draft.origin), blob) for draft, blob in pairs], size

    def _write(self, group: list[Pending]) -> Unavailable | None:
        """Write ``group`` and return what went wrong; if even that is not known, refuse."""
        known = False
        try:
            error = self._try_write(group)
            known = True
        finally:
            if not known:
                self._refusal = f"an append was interrupted: {_RESTART}"
        return error

    def _try_write(self, group: list[Pending]) -> Unavailable | None:
        """Write one frame with all of ``group``; return what went wrong.

            1. begin a new segment if this one is full
            2. write the frame past the durable end
            3. fdatasync
            4. publish the new durable end
        A crash before 3 returned: the frame was not acknowledged; the next start keeps it whole
        or cuts it off. After 3: it is kept.
        """
        written = self._put([blob for pending in group for blob in pending.blobs])
        if isinstance(written, Unavailable):
            return written
        try:
            self.sync()
        except OSError as error:
            return self._settle(written, error)
        unavailable = self._settle(written, None)
        at = 0
        for pending in group:
            pending.positions = written.positions[at : at + len(pending.blobs)]
            at += len(pending.blobs)
        return unavailable

    def _put(self, blobs: list[tuple[int, bytes]]) -> Written | Unavailable:
        """Do steps 1 and 2 of ``_try_write``."""
        if self._refusal:
            return Unavailable("the log refuses", self._refusal)
        append_ms = max(self._append_ms, self._clock.now_ms())
        frame, positions = build_frame(self._end, append_ms, blobs)
        try:
            if self._is_full(len(frame), append_ms):
                self._roll()
            self._files.write(self._fd, frame, self._offset())
        except OSError as error:
            return self._cut_back(error, again=error.errno in _DISK_FULL)
        return Written(positions, len(frame), append_ms)

    def _settle(self, written: Written, error: OSError | None) -> Unavailable | None:
        """Do step 4, if step 3 was no error."""
        if error is not None:
            # The kernel may have dropped the pages and would report success the next time.
            return self._cut_back(error, again=False)
        self._end += written.size
        self._append_ms = written.append_ms
        self._published.store_end(self._end)
        return None

    def _offset(self) -> int:
        return self._header.size + self._end - self._header.first

    def _is_full(self, frame_size: int, now_ms: int) -> bool:
        if self._end == self._header.first:
            return self._must_roll
        old = now_ms - self._header.created_ms >= SEGMENT_AGE_MS_MAX
        return (
            self._must_roll or old or self._offset() + frame_size > self._options.segment_bytes_max
        )

    def _roll(self) -> None:
        """Begin a new segment at the end of the log.

            1. sync log/durable          (so that a start after a power loss checks one segment)
            2. make the segment durable  (a crash after it: an empty last segment)
            3. append to it from now on
        Once tried it is tried again until it works: the new file may be there, so that nothing
        may be appended to the old one. Raises: OSError.
        """
        self._must_roll = True
        self._published.sync(self._files)
        created_ms = max(self._append_ms, self._clock.now_ms())
        header = SegmentHeader(
            self._published.log_id,
            self._end,
            created_ms,
            self._append_ms,
            self._dictionary,
        )
        create_segment(self._dir, header, self._files)
        fd = self._files.open(segment_path(self._dir, self._end))
        if self._fd >= 0:
            self._files.close(self._fd)
        self._fd = fd
        self._header = header
        self._must_roll = False

    def _cut_back(self, error: OSError, *, again: bool) -> Unavailable:
        """Cut the segment back to the durable end; ``again``: more is taken once there is room."""
        message = f"the log cannot be written: {error.strerror}"
        try:
            self._files.truncate(self._fd, self._offset())
        except OSError:
            again = False
        answer = Unavailable(message, "make room on the disk" if again else _RESTART)
        if again:
            self._room.ran_out(str(answer))
        else:
            self._refusal = str(answer)
        return answer

    def expire(self, before_ms: int, floor_position: int) -> int:
        """Delete the segments older than ``before_ms`` below ``floor_position``; return how many.

        ``floor_position`` is where the slowest reader is. The last segment is sealed first, if all
        of it is that old.

            1. publish the new first position  (readers skip what is below)
            2. sync it                         (so that a missing segment is never taken for damage)
            3. delete the files, oldest first
        A crash after 1 or 2: the next start deletes what is below the first position.

        Raises: Unavailable: nothing or some of it may be deleted.
        """
        with self._commits.exclusive:
            if self._refusal:
                raise Unavailable("the log refuses", self._refusal)
            try:
                return self._expire(before_ms, floor_position)
            except OSError as error:
                raise Unavailable(f"retention cannot delete: {error.strerror}") from error

    def _expire(self, before_ms: int, floor_position: int) -> int:
        whole = self._header.first < self._end <= floor_position
        if whole and self._append_ms < before_ms:
            self._roll()
        firsts = list_firsts(self._dir)
        gone = 0
        for first in firsts[1:]:
            newest_ms = self._reader.segment_header(first).before_ms
            if first > floor_position or newest_ms >= before_ms:
                break
            gone += 1
        if gone:
            self._published.store_first(firsts[gone])
            self._published.sync(self._files)
            for first in firsts[:gone]:
                self._files.unlink(segment_path(self._dir, first))
            self._files.sync_dir(self._dir)
        return gone

    def close(self) -> None:
        """Stop appending and let another process have the log. A second call does nothing.

        Raises: Unavailable: ``log/durable`` was not synced; nothing acknowledged is lost by that.
        """
        with self._commits.exclusive:
            self._refusal = self._refusal or "the log is closed"
            try:
                if self._fd >= 0:
                    self._files.close(self._fd)
                    self._fd = -1
                    self._published.sync(self._files)
            except OSError as error:
                message = f"log/durable was not synced: {error.strerror}"
                raise Unavailable(message, "the next start finds the end by itself") from error
            finally:
                self._lock.release()
