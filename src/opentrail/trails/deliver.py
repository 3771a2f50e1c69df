# SPDX-License-Identifier: Apache-2.0
"""Delivers log files: what each trail selects goes to its bucket, once, whatever crashes.

Source: CloudTrail User Guide, "How CloudTrail delivers log files". The log decides ranges,
configuration, keys and bytes; state only says how far each trail is. Everything is decided in one
thread; only puts are made in others, so that no bucket holds up another trail.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from opentrail.clock import Clock
from opentrail.errors import ClientError, Corrupt, Unavailable
from opentrail.eventlog.base import EventLog
from opentrail.objects.base import Buckets
from opentrail.state.base import Change, Conflict, Entry, State
from opentrail.state.stored import read
from opentrail.trails.backlog import (
    Patience,
    Surrender,
    after_failure,
    after_success,
    given_up_key,
    surrender,
)
from opentrail.trails.confess import Confessor
from opentrail.trails.flight import Flight, Task
from opentrail.trails.jobs import Jobs, Threads, code_of
from opentrail.trails.parts import Limits, OpenFiles, Packing, Reading
from opentrail.trails.progress import Progress, due_key, edge_key, plan, progress_key, validates
from opentrail.trails.retry import Retry
from opentrail.trails.scan import Scan
from opentrail.trails.status import DeliveryStatus, delivery_status_key
from opentrail.trails.statuses import tell_why
from opentrail.trails.timeline import Timeline
from opentrail.trails.trail import DeliveredFile, Trail, cursor_key

CURSOR_PREFIX = cursor_key("")
READINGS_MAX = 4
"""Ranges read at once, in turns: a trail that is far behind does not hold up one that is not."""

_encode = msgspec.json.Encoder().encode


def _nobody() -> None:
    """Nobody waits for a put to end."""


def _under_way(flight: tuple[str, Flight]) -> int:
    return flight[1].under_way


def _no_notices(
    _trail: Trail, _files: Sequence[DeliveredFile], _position: int
) -> Mapping[str, bytes]:
    return {}


@dataclass(frozen=True, slots=True)
class Rooms:
    """What deliveries read and write."""

    log: EventLog
    """Read; what was given up is appended."""
    state: State
    buckets: Buckets
    threads: Threads
    """Where puts are made."""
    moved: Callable[[], None] = _nobody
    """Called, in any thread, when a put ends: there may be something for ``step``."""
    notices: Callable[[Trail, Sequence[DeliveredFile], int], Mapping[str, bytes]] = _no_notices
    """What else is committed with a cursor that moves past files, up to the cut at a position."""


class Delivery:
    """Moves every trail's cursor through the log. One thread; one per data directory."""

    def __init__(
        self,
        rooms: Rooms,
        clock: Clock,
        digest_interval_s: int,
        limits: Limits | None = None,
        patience: Patience | None = None,
    ) -> None:
        """Begin where state says. ``digest_interval_s``: length of a digest's window, >= 1.

        Raises: Unavailable.
        """
        self._rooms = rooms
        self._clock = clock
        self._interval_s = digest_interval_s
        self._limits = limits or Limits()
        self._patience = patience or Patience()
        self._surrenders: dict[str, Surrender] = {}
        """By trail id: what is being given up."""
        self._confessor = Confessor(rooms.log, rooms.state, clock)
        self._scan = Scan(rooms.state, clock)
        self._retry = Retry(clock)
        scanned = self._scan.scanned
        self._timeline = Timeline(rooms.log, scanned.position, scanned.cut_ms)
        self._jobs = Jobs(rooms.threads, rooms.moved)
        self._open_files = OpenFiles(self._limits)
        self._flights: dict[str, Flight] = {}
        """By trail id: the range that the trail is at."""
        self._readings: list[Reading] = []

    def step(self) -> bool:
        """Do a little of all that is due; return whether there is more to do at once.

            1. puts that ended            (a failed one: its trail waits, its status says why)
            2. trails at rest set out     (those whose ranges end together share one reading; those
                                           whose bucket is gone turn to the one that took over)
            3. a slice of one reading     (the readings take turns)
            4. puts begin                 (first of those trails that have the fewest under way)
            5. trails that arrived        (all files are in the bucket: the cursor moves)
            6. the log is told            (of files that were given up)

        Raises: Unavailable: the state store. Corrupt: the log does not check out.
        """
        cursors = self._look()
        moved = self._settle()
        self._set_out(cursors)
        self._turn()
        moved |= self._read()
        self._launch()
        moved |= self._settle()
        moved |= self._arrive()
        return self._confessor.step() or moved

    def close(self) -> None:
        """Let go of all files in the making; a put that is under way may still happen."""
        for flight in self._flights.values():
            flight.packing.close()

    def floor(self) -> int:
        """Return the position from which on the log is still needed. Raises: Unavailable."""
        cursors = [read(entry, int) for entry in self._rooms.state.scan(CURSOR_PREFIX)]
        return min([*cursors, self._scan.scanned.position])

    def _look(self) -> list[Entry]:
        """Bring the timeline up to date, from the last cursor on; return all cursors."""
        cursors = list(self._rooms.state.scan(CURSOR_PREFIX))
        first = min([*(read(entry, int) for entry in cursors), self._scan.scanned.position])
        if first < self._timeline.start:
            self._timeline = Timeline(self._rooms.log, first, self._cut_ms_at(first, cursors))
        self._timeline.extend()
        if self._scan.record(self._timeline):
            return list(self._rooms.state.scan(CURSOR_PREFIX))
        self._timeline.forget(first)
        return cursors

    def _cut_ms_at(self, position: int, cursors: list[Entry]) -> int:
        for entry in cursors:
            if read(entry, int) == position:
                progress = self._progress(entry.key.removeprefix(CURSOR_PREFIX))
                return 0 if progress is None else progress.cut_ms
        return self._scan.scanned.cut_ms

    def _launch(self) -> None:
        """Let each trail begin its puts; one with many files holds up no other of its bucket."""
        for trail_id, flight in sorted(self._flights.items(), key=_under_way):
            if not self._retry.waits(trail_id):
                now = self._timeline.newest(flight.task.trail)
                flight.launch(self._jobs, self._rooms.buckets, now)

    def _settle(self) -> bool:
        """Look at the puts that ended; return whether one succeeded."""
        moved = False
        for trail_id, flight in self._flights.items():
            landed = flight.landed()
            if isinstance(landed, bool):
                moved |= landed
            else:
                self._refused(flight, landed)
            if landed is True:
                self._retry.worked(trail_id)
        return moved

    def _set_out(self, cursors: list[Entry]) -> None:
        """Let each trail that is at rest begin its next range, or go on with one that was left."""
        for entry in cursors:
            trail_id = entry.key.removeprefix(CURSOR_PREFIX)
            if trail_id not in self._flights and not self._retry.waits(trail_id):
                task = self._task(trail_id, entry)
                if task is not None:
                    packing = Packing(task.trail, task.span, self._limits, self._open_files)
                    packing.finished = not task.trail.logging
                    flight = Flight(task, packing, self._rooms.log.log_id)
                    self._flights[trail_id] = flight
                    self._give_up(flight)
        read = {id(packing) for reading in self._readings for packing in reading.packings}
        together: dict[int, list[Packing]] = {}
        for trail_id, flight in self._flights.items():
            packing = flight.packing
            if flight.wants_reading and id(packing) not in read and not self._retry.waits(trail_id):
                together.setdefault(packing.end, []).append(packing)
        for end, packings in together.items():
            if len(self._readings) < READINGS_MAX:
                items = self._rooms.log.items(min(each.start for each in packings), end)
                self._readings.append(Reading(items, packings, self._limits.slice_records))

    def _turn(self) -> None:
        """Let flights go to the bucket that took over from theirs, which is gone.

        What was put there already is gone, too: such a range sets out anew.
        """
        read = {id(packing) for reading in self._readings for packing in reading.packings}
        for trail_id, flight in list(self._flights.items()):
            trail = self._timeline.destination(flight.task.trail, flight.task.start)
            if trail == flight.trail:
                continue
            if flight.is_fresh:
                flight.trail = trail
                self._retry.worked(trail_id)
            elif flight.is_at_rest and id(flight.packing) not in read:
                flight.packing.close()
                del self._flights[trail_id]
                self._retry.worked(trail_id)

    def _read(self) -> bool:
        """Read a slice of the reading whose turn it is; return whether any has more to read.

        One that an error breaks off is begun anew: half of a slice may be in files already.
        """
        if self._readings:
            reading = self._readings.pop(0)
            packings, more = list(reading.packings), None
            try:
                more = reading.step()
            finally:
                if more is None:
                    reading.close()
            if more:
                self._readings.append(reading)
            self._tell_troubles(packings)
        return bool(self._readings)

    def _tell_troubles(self, packings: list[Packing]) -> None:
        for flight in self._flights.values():
            packing = flight.packing
            if packing.trouble is not None and packing in packings:
                self._failed(flight.task.trail, packing.trouble)
                packing.trouble = None

    def _arrive(self) -> bool:
        """Move the cursors of the trails whose range is delivered; return whether there were any."""
        arrived = [trail_id for trail_id, each in self._flights.items() if each.arrived]
        for trail_id in arrived:
            # Whatever comes of the commit, the next step reads where the cursor is.
            flight = self._flights.pop(trail_id)
            self._advance(flight)
        return bool(arrived)

    def _task(self, trail_id: str, cursor: Entry) -> Task | None:
        """Return what is next for a trail; None: nothing is there yet, or the trail is gone."""
        start = read(cursor, int)
        progress = self._progress(trail_id)
        if progress is None:
            return self._first_task(cursor, start)
        if progress.trail.deleted:
            return None
        milestone = self._timeline.next(start, progress.trail)
        return None if milestone is None else Task(cursor, start, progress, milestone)

    def _first_task(self, cursor: Entry, start: int) -> Task | None:
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
        return Task(cursor, start, Progress(silent, milestone.cut_ms), milestone)

    def _advance(self, flight: Flight) -> None:
        """Move a trail's cursor to the milestone. Its range is delivered.

        1. all files of the range are in the bucket   (may repeat: the log gives the same range,
                                                       keys and bytes again)
        2. one commit: the cursor, moved if nobody else has; what holds from there on; the files and
           the closed windows, for the digests; the notices of the files, for targets; which files
           were given up, for the log; the status
        A crash before 2, or a 2 that was lost, repeats 1. A 2 whose outcome is unknown is read back
        by the next step. Nothing is lost and nothing is there twice.
        """
        task, files = flight.task, dict(flight.files())
        trail, position = task.trail, task.milestone.position
        edge_s = self._scan.second(trail.id, task.milestone)
        progress, due = plan(task.progress, task.milestone, edge_s, self._interval_s)
        values: dict[str, bytes] = {progress_key(trail.id): _encode(progress)}
        if validates(trail):
            values |= {where: _encode(file) for where, file in files.items()}
        values |= {due_key(each): _encode(each) for each in due}
        values |= self._rooms.notices(trail, list(files.values()), position)
        values |= self._told_of(flight, files)
        moved = Change(cursor_key(trail.id), str(position).encode(), task.cursor.version)
        changes = [moved, *(Change(key, value, None) for key, value in values.items())]
        if task.milestone.trail is not None:
            changes.append(Change(edge_key(trail.id, position), None, None))
        try:
            self._rooms.state.commit(changes)
        except Conflict:
            return  # the cursor is elsewhere: the next step reads where, and goes on from there

    def _told_of(self, flight: Flight, files: Mapping[str, DeliveredFile]) -> dict[str, bytes]:
        """Return what state is told of a range that is behind its trail: put, or given up."""
        trail_id, position = flight.task.trail.id, flight.task.milestone.position
        given_up = flight.given_up()
        if given_up is None and not files:
            return {}
        status = self._status(trail_id)
        if given_up is None:
            status = after_success(status, self._clock.now_ms())
            return {delivery_status_key(trail_id): _encode(status)}
        self._confessor.add()
        end = self._rooms.log.durable_end()
        told = msgspec.structs.replace(given_up, error=status.error, log_end=end)
        status = msgspec.structs.replace(
            status,
            given_up=status.given_up + given_up.records,
            given_up_files=status.given_up_files + len(given_up.keys),
        )
        return {
            given_up_key(trail_id, position): _encode(told),
            delivery_status_key(trail_id): _encode(status),
        }

    def _refused(self, flight: Flight, error: ClientError | Unavailable) -> None:
        """Let the trail wait, or give up what it may."""
        trail = flight.task.trail
        status = self._failed(trail, error, flight.trail.bucket)
        if self._patience.gives_up(trail):
            end, behind = self._rooms.log.durable_end(), self._timeline.since(flight.task.start + 1)
            found = surrender(self._patience, status, end, behind)
            if found is not None:
                self._surrenders[trail.id] = found
                self._give_up(flight)

    def _give_up(self, flight: Flight) -> None:
        """Give up the range if it is one of those that its trail gives up; the next is tried again."""
        trail_id = flight.task.trail.id
        found = self._surrenders.get(trail_id)
        if found is None:
            return
        if flight.task.start < found.before:
            flight.give_up(found.why)
            self._retry.worked(trail_id)
        else:
            del self._surrenders[trail_id]

    def _failed(
        self, trail: Trail, error: ClientError | Unavailable, bucket: str = ""
    ) -> DeliveryStatus:
        """Let the trail wait, and its status say why: ``bucket`` says so, or none was tried."""
        self._retry.failed(trail.id)
        before, now = self._status(trail.id), self._clock.now_ms()
        tell_why("bucket", trail, before.error, error)
        status = after_failure(before, now, code_of(error), tried=bool(bucket))
        status = msgspec.structs.replace(status, bucket=bucket)
        key = delivery_status_key(trail.id)
        self._rooms.state.commit([Change(key, _encode(status), None)])
        return status

    def _status(self, trail_id: str) -> DeliveryStatus:
        entry = self._rooms.state.get(delivery_status_key(trail_id))
        return DeliveryStatus() if entry is None else read(entry, DeliveryStatus)

    def _progress(self, trail_id: str) -> Progress | None:
        entry = self._rooms.state.get(progress_key(trail_id))
        return None if entry is None else read(entry, Progress)
