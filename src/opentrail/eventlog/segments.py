# SPDX-License-Identifier: Apache-2.0
"""The embedded event log: append-only segment files with group commit, after docs/format.md."""

import errno
import uuid
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Self

from opentrail.clock import Clock, Ids, uuid4_text
from opentrail.durable import OS_FILES, Files, is_there, make_dir
from opentrail.errors import Corrupt, Unavailable, UsageError
from opentrail.eventlog.base import Draft, MarkKind
from opentrail.eventlog.commit import GroupCommit, Pending, hand_out
from opentrail.eventlog.counts import RecordCounts
from opentrail.eventlog.dictionary import NewSegments
from opentrail.eventlog.frame import build_frame, build_marks, check_marks, checked_size
from opentrail.eventlog.last import LastSegment, Written
from opentrail.eventlog.lock import DataLock
from opentrail.eventlog.options import LogOptions
from opentrail.eventlog.published import NAME, Published, create_published
from opentrail.eventlog.reader import SegmentReader
from opentrail.eventlog.recovery import recover
from opentrail.eventlog.retention import Limits, delete, expired, sealed
from opentrail.eventlog.room import DiskRoom
from opentrail.eventlog.segment import list_firsts
from opentrail.eventlog.through import ReadsThrough

_PASSING = {errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE}
_RESTART = "restart OpenTrail: it then checks what the disk holds"


class Segments(ReadsThrough):
    """An EventLog in ``<data>/log``. One per data directory, held by a lock."""

    def __init__(
        self, data: Path, clock: Clock, options: LogOptions, files: Files, lock: DataLock
    ) -> None:
        """See ``open``: this one only sets up what is in memory."""
        self._dir = data / "log"
        self._clock = clock
        self._options = options
        self._files = files
        self._room = DiskRoom(self._dir, options.disk_reserve_bytes, clock, files)
        self._lock = lock
        self._new = NewSegments(self._dir, options)
        self._commits = GroupCommit(self._write)
        self._refusal = ""
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
            log._open(ids)
        except BaseException as error:
            if lock is not None:
                lock.release()
            if isinstance(error, OSError):
                advice = "make it writable, or choose another directory with --data"
                raise UsageError(f"{data} cannot be used: {error.strerror}: {advice}") from error
            raise
        return log

    def _open(self, ids: Ids) -> None:
        """Recover, then make sure that there is a segment to append to.

        1. make log/durable            (a crash after it: a log without segments, at 0)
        2. recover what is there
        3. make the first segment      (a crash before it: step 1 finds its work done)
        """
        if not is_there(self._dir / NAME) and not list_firsts(self._dir):
            create_published(self._dir, uuid.UUID(uuid4_text(ids)).bytes, self._files)
        self._published = Published(self._dir, write=True)
        self._reader = SegmentReader(self._dir)
        self._last = LastSegment(self._dir, self._published, self._options, self._files)
        self._end = self._published.end()
        self._append_ms = 0
        self._counts = RecordCounts(self._dir, self._reader.log_id, self._files)
        try:
            tail = recover(self._dir, self._published, self._files)
            last = 0 if tail is None else tail.records
            self._counts.open(list_firsts(self._dir), last, self._reader.count)
        except Corrupt as damage:
            self.damage = damage
            self._refusal = f"the log is damaged and opened read-only: {damage}"
            return
        if tail is None:
            self._roll()
        else:
            self._end = tail.end
            self._append_ms = tail.append_ms
            self._last.go_on(tail.header, self._new.dictionary)

    def durable_end(self) -> int:
        """See ``LogReader``."""
        return self._published.end()

    def writable(self) -> str:
        """See ``EventLog``."""
        return self._refusal or self._room.refusal(self._last.path)

    def _check_writable(self) -> None:
        refusal = self.writable()
        if refusal:
            raise Unavailable("the log refuses", refusal)

    def append(self, drafts: Sequence[Draft]) -> list[int]:
        """See ``EventLog``. Raises also: ValueError, as ``checked_size``."""
        if not drafts:
            return []
        pending = self._compressed(drafts)
        self._commits.settle(pending)
        if pending.error is not None:
            raise Unavailable(pending.error.message, pending.error.hint)
        return pending.positions

    def append_marks(self, marks: Sequence[tuple[MarkKind, bytes]]) -> list[int]:
        """See ``EventLog``.

        Raises: ValueError: they are too many for one commit (MARKS_BYTES_MAX, MARKS_MAX).
        Unavailable: the first few of them may be in the log after the next start.
        """
        if not marks:
            return []
        written = self.begin_marks(marks)
        error: OSError | None = OSError(errno.EINTR, "fdatasync was interrupted")
        try:
            self.sync(written)
            error = None
        except OSError as known:
            error = known
        finally:
            positions = self.finish(written, error)
        return positions

    def begin(self, drafts: Sequence[Draft]) -> Written:
        """Write ``drafts``, which are not durable yet; ``sync``, then ``finish`` must follow.

        For an event loop that cannot wait for the disk: these three are ``append`` in parts. Until
        ``finish`` no other append goes on. Raises: as ``append``.
        """
        return self._begin(partial(self._put, [self._compressed(drafts)]))

    def begin_marks(self, marks: Sequence[tuple[MarkKind, bytes]]) -> Written:
        """Write the first of ``marks``, of which there is one; as ``begin`` otherwise.

        The others are written by ``sync``. Raises: as ``append_marks``.
        """
        check_marks(marks)
        self._check_writable()
        return self._begin(partial(self._put_marks, marks))

    def _begin(self, put: Callable[[], Written | Unavailable]) -> Written:
        """Have ``put`` write while nobody else does, and keep it so if it could."""
        self._commits.exclusive.acquire()
        written: Written | Unavailable = Unavailable("the append was interrupted", _RESTART)
        try:
            written = put()
        finally:
            if isinstance(written, Unavailable):
                self._commits.exclusive.release()
        if isinstance(written, Unavailable):
            raise written
        return written

    def sync(self, written: Written) -> None:
        """Make what ``begin`` wrote durable; safe on any thread. Raises: OSError.

        Each further mark is written only when what is before it is on disk: a torn frame is then
        always the last one of the log, which is what recovery goes by.
        """
        self._last.sync()
        for position, frame in written.rest:
            self._last.write(position, frame)
            self._last.sync()

    def sync_elsewhere(self, written: Written) -> int:
        """Return the descriptor whose fdatasync is all that ``sync`` would do; -1: call ``sync``."""
        alone = not written.rest and self._files is OS_FILES
        return self._last.fileno() if alone else -1

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

    def _compressed(self, drafts: Sequence[Draft]) -> Pending:
        records = [draft.data for draft in drafts]
        size = checked_size(records)
        self._check_writable()
        return Pending(drafts, size, codec := self._new.codec, codec.compress(records))

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
        written = self._put(group)
        if isinstance(written, Unavailable):
            return written
        try:
            self.sync(written)
        except OSError as error:
            return self._settle(written, error)
        unavailable = self._settle(written, None)
        hand_out(written.positions, group)
        return unavailable

    def _put(self, group: Sequence[Pending]) -> Written | Unavailable:
        """Do steps 1 and 2 of ``_try_write``."""
        append_ms = max(self._append_ms, self._clock.now_ms())
        blobs = [blob for pending in group for blob in pending.compressed_by(self._new.codec)]
        frame, positions = build_frame(self._end, append_ms, blobs)
        end, records = self._end + len(frame), len(positions)
        return self._put_first(frame, Written(positions, end, append_ms, records=records))

    def _put_marks(self, marks: Sequence[tuple[MarkKind, bytes]]) -> Written | Unavailable:
        """Do steps 1 and 2 of ``_try_write`` for the first of ``marks``."""
        append_ms = max(self._append_ms, self._clock.now_ms())
        frames = build_marks(self._end, append_ms, marks)
        positions = [position for position, _ in frames]
        end = positions[-1] + len(frames[-1][1])
        return self._put_first(frames[0][1], Written(positions, end, append_ms, tuple(frames[1:])))

    def _put_first(self, frame: bytes, written: Written) -> Written | Unavailable:
        """Write the first ``frame`` of ``written``, in a segment that takes all of it."""
        if self._refusal:
            return Unavailable("the log refuses", self._refusal)
        try:
            if self._last.is_full(self._end, written.end - self._end, written.append_ms):
                self._roll()
            self._last.write(self._end, frame)
        except OSError as error:
            return self._cut_back(error, again=error.errno in _PASSING)
        return written

    def _settle(self, written: Written, error: OSError | None) -> Unavailable | None:
        """Do step 4, if step 3 was no error."""
        if error is not None:
            # The kernel may have dropped the pages and would report success the next time.
            return self._cut_back(error, again=False)
        self._end = written.end
        self._append_ms = written.append_ms
        self._counts.add(written.records)
        self._published.store_end(self._end)
        return None

    def _roll(self) -> None:
        """Begin a new segment at the end of the log. Raises: OSError."""
        created_ms = max(self._append_ms, self._clock.now_ms())
        sealed_first = self._last.first
        self._last.roll(self._end, self._append_ms, created_ms, self._new.dictionary)
        if sealed_first < self._end:
            self._counts.seal(sealed_first)

    def _cut_back(self, error: OSError, *, again: bool) -> Unavailable:
        """Cut the segment back to the durable end; ``again``: more is taken once there is room."""
        message = f"the log cannot be written: {error.strerror}"
        try:
            self._last.cut(self._end)
        except OSError:
            again = False
        answer = Unavailable(message, "make room on the disk" if again else _RESTART)
        if again:
            self._room.ran_out(str(answer))
        else:
            self._refusal = str(answer)
        return answer

    def expire(self, before_ms: int, floor_position: int, bytes_max: int = 0) -> int:
        """Delete the segments older than ``before_ms`` below ``floor_position``; return how many.

        ``floor_position`` is where the slowest reader is. While all segments together have more
        than ``bytes_max`` bytes (0: any number), the oldest go too, however young. The last segment
        stays; it is sealed first, if all of it is that old.
        Raises: Unavailable: nothing or some of it may be deleted.
        """
        with self._commits.exclusive:
            if self._refusal:
                raise Unavailable("the log refuses", self._refusal)
            try:
                return self._expire(Limits(before_ms, floor_position, bytes_max))
            except OSError as error:
                raise Unavailable(f"retention cannot delete: {error.strerror}") from error

    def _expire(self, limits: Limits) -> int:
        whole = self._last.first < self._end <= limits.floor
        if whole and self._append_ms < limits.before_ms:
            self._roll()
        segments = sealed(self._dir, lambda first: self._reader.segment_header(first).before_ms)
        if gone := expired(segments, self._last.path.stat().st_size, limits):
            first = segments[gone - 1].next_first
            delete(self._dir, first, self._published, self._counts, self._files)
        return gone

    def renew(self) -> bool:
        """Compress with the dictionary that is there now; return whether it is another one.

        The next frame begins another segment then. Raises: Unavailable: the one of before holds.
        """
        with self._commits.exclusive:
            # One that is empty would have to be replaced, and a reader may have it open.
            if renewed := self._last.first < self._end and self._new.renew():
                self._last.end()
            return renewed

    def counts(self, first: int) -> tuple[int, int]:
        """Return how many records were ever appended, and how many retention deleted at ``first``.

        ``first`` is what ``first()`` was.
        """
        return self._counts.appended, self._counts.expired(first, self._last.first)

    def close(self) -> None:
        """Stop appending and let another process have the log. A second call does nothing.

        Raises: Unavailable: ``log/durable`` was not synced; nothing acknowledged is lost by that.
        """
        with self._commits.exclusive:
            self._refusal = self._refusal or "the log is closed"
            try:
                if self._last.close():
                    self._published.sync(self._files)
            except OSError as error:
                message = f"log/durable was not synced: {error.strerror}"
                raise Unavailable(message, "the next start finds the end by itself") from error
            finally:
                self._lock.release()
