# SPDX-License-Identifier: Apache-2.0
"""Delivers log files: what each trail selects goes to its bucket, once, whatever crashes.

Source: CloudTrail User Guide, "How CloudTrail delivers log files". The log decides ranges,
configuration, keys and bytes; state only says how far each trail is.
"""

from dataclasses import dataclass

import msgspec

from opentrail.clock import Clock
from opentrail.errors import ClientError, Corrupt, Unavailable
from opentrail.eventlog.base import LogReader
from opentrail.objects.base import Buckets, Put
from opentrail.state.base import Change, Conflict, Entry, State
from opentrail.trails.logfile import FileName, log_file_key
from opentrail.trails.parts import Limits, Part, parts_of
from opentrail.trails.progress import Progress, due_key, edge_key, plan, progress_key, validates
from opentrail.trails.retry import Retry
from opentrail.trails.scan import Scan
from opentrail.trails.status import DeliveryStatus, delivery_status_key
from opentrail.trails.timeline import Milestone, Timeline
from opentrail.trails.trail import DeliveredFile, Trail, cursor_key, delivered_key

CURSOR_PREFIX = cursor_key("")
KMS_CONTEXT_KEY = "aws:cloudtrail:arn"
"""The encryption context that CloudTrail's key policies ask for."""

_encode = msgspec.json.Encoder().encode
_decode_progress = msgspec.json.Decoder(Progress).decode
_decode_status = msgspec.json.Decoder(DeliveryStatus).decode


@dataclass(frozen=True, slots=True)
class Rooms:
    """What deliveries read and write."""

    log: LogReader
    state: State
    buckets: Buckets


@dataclass(frozen=True, slots=True)
class _Task:
    """One range of one trail: behind the cursor, up to a milestone."""

    cursor: Entry
    start: int
    progress: Progress
    milestone: Milestone

    @property
    def trail(self) -> Trail:
        """The configuration that holds in the range."""
        return self.progress.trail


class Delivery:
    """Moves every trail's cursor through the log. One thread; one per data directory."""

    def __init__(
        self, rooms: Rooms, clock: Clock, digest_interval_s: int, limits: Limits | None = None
    ) -> None:
        """Begin where state says. ``digest_interval_s``: length of a digest's window, >= 1.

        Raises: Unavailable.
        """
        self._rooms = rooms
        self._clock = clock
        self._interval_s = digest_interval_s
        self._limits = limits or Limits()
        self._scan = Scan(rooms.state, clock)
        self._retry = Retry(clock)
        scanned = self._scan.scanned
        self._timeline = Timeline(rooms.log, scanned.position, scanned.cut_ms)
        self._served = ""
        """The trail that was served last: the others come first."""

    def step(self) -> bool:
        """Deliver one range of one trail, the trails taking turns; return whether there was one.

        A bucket that refuses or fails makes its own trail wait, and its status says why.
        Raises: Unavailable: the state store. Corrupt: the log does not check out.
        """
        cursors = self._look()
        later = [entry for entry in cursors if entry.key > self._served]
        for entry in later + cursors[: len(cursors) - len(later)]:
            trail_id = entry.key.removeprefix(CURSOR_PREFIX)
            if not self._retry.waits(trail_id) and self._serve(trail_id, entry):
                self._served = entry.key
                return True
        return False

    def floor(self) -> int:
        """Return the position from which on the log is still needed. Raises: Unavailable."""
        cursors = [int(entry.value) for entry in self._rooms.state.scan(CURSOR_PREFIX)]
        return min([*cursors, self._scan.scanned.position])

    def _look(self) -> list[Entry]:
        """Bring the timeline up to date, from the last cursor on; return all cursors."""
        cursors = list(self._rooms.state.scan(CURSOR_PREFIX))
        first = min([*(int(entry.value) for entry in cursors), self._scan.scanned.position])
        if first < self._timeline.start:
            self._timeline = Timeline(self._rooms.log, first, self._cut_ms_at(first, cursors))
        self._timeline.extend()
        if self._scan.record(self._timeline):
            return list(self._rooms.state.scan(CURSOR_PREFIX))
        self._timeline.forget(first)
        return cursors

    def _cut_ms_at(self, position: int, cursors: list[Entry]) -> int:
        for entry in cursors:
            if int(entry.value) == position:
                progress = self._progress(entry.key.removeprefix(CURSOR_PREFIX))
                return 0 if progress is None else progress.cut_ms
        return self._scan.scanned.cut_ms

    def _serve(self, trail_id: str, cursor: Entry) -> bool:
        task = self._task(trail_id, cursor)
        if task is None:
            return False
        try:
            files = self._put_files(task)
        except (ClientError, Unavailable) as error:
            self._failed(task.trail, error)
            return False
        self._retry.worked(trail_id)
        self._advance(task, files)
        return True

    def _task(self, trail_id: str, cursor: Entry) -> _Task | None:
        """Return what is next for a trail; None: nothing is there yet, or the trail is gone."""
        start = int(cursor.value)
        progress = self._progress(trail_id)
        if progress is None:
            return self._first_task(cursor, start)
        if progress.trail.deleted:
            return None
        milestone = self._timeline.next(start, progress.trail)
        return None if milestone is None else _Task(cursor, start, progress, milestone)

    def _first_task(self, cursor: Entry, start: int) -> _Task | None:
        """Return the empty range before a trail's first StartLogging, where its cursor begins.

        None: the cursor was of a deleted trail, swept away since it was read.
        """
        milestone = self._timeline.at(start)
        if milestone is None or milestone.trail is None:
            where = f"state.db, {cursor.key}"
            hint = "put back the state.db of this log, or move it away: it is made from the log"
            raise Corrupt(f"no trail begins to log at {start}", where, hint)
        if milestone.trail.deleted:
            return None
        silent = msgspec.structs.replace(milestone.trail, logging=False)
        return _Task(cursor, start, Progress(silent, milestone.cut_ms), milestone)

    def _put_files(self, task: _Task) -> list[tuple[str, DeliveredFile]]:
        """Put the files of a range; return each with its key in state. Raises: as ``Bucket.put``."""
        trail, end = task.trail, task.milestone.position
        if not trail.logging:
            return []
        files: list[tuple[str, DeliveredFile]] = []
        log = self._rooms.log
        for part in parts_of(lambda: log.items(task.start, end), trail, self._limits):
            file = self._put(task, part)
            where = delivered_key(trail.id, file.account, file.region, end, len(files))
            files.append((where, file))
        return files

    def _put(self, task: _Task, part: Part) -> DeliveredFile:
        trail, cut_ms, packed = task.trail, task.milestone.cut_ms, part.packed
        log_id, end = self._rooms.log.log_id, task.milestone.position
        key = log_file_key(trail, FileName(log_id, end, cut_ms, part.place, part.number))
        context = {KMS_CONTEXT_KEY: trail.arn} if trail.kms_key_id else {}
        how = Put(kms_key_id=trail.kms_key_id, kms_context=context)
        self._rooms.buckets.find(trail.bucket).put(key, packed.data, how)
        return DeliveredFile(
            bucket=trail.bucket,
            key=key,
            sha256=packed.sha256,
            oldest_ms=packed.oldest_ms,
            newest_ms=packed.newest_ms,
            records=packed.records,
            cut_ms=cut_ms,
            account=part.place.account,
            region=part.place.region,
            folder=part.place.folder,
        )

    def _advance(self, task: _Task, files: list[tuple[str, DeliveredFile]]) -> None:
        """Move a trail's cursor to the milestone. Its range is delivered.

        1. all files of the range are in the bucket   (``_put_files``: may repeat; the log gives the
                                                       same range, keys and bytes again)
        2. one commit: the cursor, moved if nobody else has; what holds from there on; the files and
           the closed windows, for the digests; the status
        A crash before 2, or a 2 that was lost, repeats 1. A 2 whose outcome is unknown is read back
        by the next step. Nothing is lost and nothing is there twice.
        """
        trail, position = task.trail, task.milestone.position
        edge_s = self._scan.second(trail.id, task.milestone)
        progress, due = plan(task.progress, task.milestone, edge_s, self._interval_s)
        values: dict[str, bytes] = {progress_key(trail.id): _encode(progress)}
        if validates(trail):
            values |= {where: _encode(file) for where, file in files}
        values |= {due_key(each): _encode(each) for each in due}
        if files:
            now = self._clock.now_ms()
            status = DeliveryStatus(delivered_ms=now, attempted_ms=now)
            values[delivery_status_key(trail.id)] = _encode(status)
        moved = Change(cursor_key(trail.id), str(position).encode(), task.cursor.version)
        changes = [moved, *(Change(key, value, None) for key, value in values.items())]
        if task.milestone.trail is not None:
            changes.append(Change(edge_key(trail.id, position), None, None))
        try:
            self._rooms.state.commit(changes)
        except Conflict:
            return  # the cursor is elsewhere: the next step reads where, and goes on from there

    def _failed(self, trail: Trail, error: ClientError | Unavailable) -> None:
        """Let the trail wait, and its status say why."""
        self._retry.failed(trail.id)
        key = delivery_status_key(trail.id)
        entry = self._rooms.state.get(key)
        before = DeliveryStatus() if entry is None else _decode_status(entry.value)
        code = error.code if isinstance(error, ClientError) else "ServiceUnavailable"
        now = self._clock.now_ms()
        status = msgspec.structs.replace(before, attempted_ms=now, error=code)
        self._rooms.state.commit([Change(key, _encode(status), None)])

    def _progress(self, trail_id: str) -> Progress | None:
        entry = self._rooms.state.get(progress_key(trail_id))
        return None if entry is None else _decode_progress(entry.value)
