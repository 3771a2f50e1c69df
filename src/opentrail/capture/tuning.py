# SPDX-License-Identifier: Apache-2.0
"""Automatic model tuning: a record of each training job that a tuning job starts or stops.

SageMaker starts and stops these itself, so no call passes the gateway. CloudTrail has them as
AwsServiceEvent (SageMaker Developer Guide, "Log Amazon SageMaker API calls with CloudTrail"); AWS
publishes neither their names nor their details: those here are OpenTrail's own, docs/records.md.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol

from opentrail.capture import tuning_calls
from opentrail.capture.tuning_jobs import SOURCE, Child, Family, TuningJobs, training_event
from opentrail.clock import Clock
from opentrail.errors import ClientError, Corrupt, Unavailable
from opentrail.event import codec
from opentrail.event.gap import GAP_EVENT_NAME, Gap, gap_event
from opentrail.event.record import Record
from opentrail.event.service_event import event_id_of
from opentrail.eventlog.base import Draft, Entry, EventLog, Origin
from opentrail.state.base import Change, State

UNWATCHED = "tuning-unwatched"
"""The gap event's reason: a tuning job passed, and nobody can be asked what it started and stopped."""
CURSOR_KEY = "tuning/cursor"
"""State: the position below which no tuning job is watched any more; 8 bytes, little-endian."""
RECORDS_AT_ONCE = 5_000
"""Records read in one step: some 20 ms, so that a stop is never waited for."""
NEAR_BYTES = 256 << 10
"""So much of the log is read without asking the index first: some 1,000 records, a few milliseconds,
as the index takes."""
FOUND_AT_ONCE = 500
"""Records read one by one in one step, where the index says that they are: as long."""
CURSOR_INTERVAL_S = 60.0
"""The cursor is kept this often: a restart reads a minute of the log again."""
RETRY_S_MAX = 300.0
"""An upstream that refuses or does not answer is asked again at the latest after this."""
WATCH_MS_MAX = 31 * 86_400_000
"""A tuning job runs for 30 days at most (API reference, "ResourceLimits"); then it is given up."""
SHOWN_MS_MAX = 60_000
"""So long a new tuning job may not be there yet for whoever asks: SageMaker's answers may lag."""

_STOPPED = frozenset({"Stopping", "Stopped"})
_GONE = frozenset({"ResourceNotFound", "ResourceNotFoundException", "ValidationException"})
"""What DescribeHyperParameterTuningJob answers of a job that is not, or no longer, there."""
_CREATE = b'"CreateHyperParameterTuningJob"'
_STOP = b'"StopTrainingJob"'
_EVENT = b'"AwsServiceEvent"'
_NAMES = (
    "CreateHyperParameterTuningJob",
    "CreateTrainingJob",
    "StopTrainingJob",
    GAP_EVENT_NAME,
)
"""The eventNames of all that is taken from the log; the first is that of what begins it."""


class Index(Protocol):
    """The index of the log: it says where records are, so that not all of them are read."""

    def named(self, event_names: Sequence[str], start: int) -> tuple[list[int], int]:
        """Return where records with such names are, from ``start`` on, ascending; and how far.

        None is missing below the second number, which may lie before ``start``. Records of other
        names may be among them. Raises: Corrupt.
        """
        ...


@dataclass(slots=True)
class _Watched:
    """A tuning job that may still start or stop training jobs."""

    account: str
    region: str
    name: str
    position: int
    """Of the record of its creation."""
    created_ms: int
    known: bool
    """Whether nothing of what it did can have been seen to its end already."""
    lost: bool = False
    """Whether nobody can be asked about it: it has no name, or another one has it now."""
    due_s: float = 0.0
    failures: int = 0
    stops_seen: set[str] = field(default_factory=set)
    """Children that the last answer showed as stopped."""
    ended: Family | None = None
    """What the last answer showed, where that was the end of the job and of all its children."""

    def is_called(self, account: str, region: str, name: str) -> bool:
        """Return whether it has this name, in which capitals do not count."""
        return (self.account, self.region, self.name.lower()) == (account, region, name.lower())

    def id_of(self, *cause: str) -> str:
        """Return the eventID of something that this job did."""
        return event_id_of("tuning", self.account, self.region, str(self.position), *cause)


class TuningWatcher:
    """Watches the tuning jobs that the log has seen begin. One thread calls ``step``.

    Nothing is remembered but one position: which jobs are watched and what is recorded of them is
    read from the log, which is the truth. So neither a lost state nor an append whose outcome is
    unknown can have an event recorded twice.
    """

    near_bytes = NEAR_BYTES

    def __init__(
        self,
        log: EventLog,
        index: Index,
        state: State,
        jobs: TuningJobs,
        clock: Clock,
        poll_interval_s: float,
    ) -> None:
        """Go on where the last process was. Raises: Unavailable."""
        self._log = log
        self._index = index
        self._state = state
        self._jobs = jobs
        self._clock = clock
        self._poll_interval_s = poll_interval_s
        kept = state.get(CURSOR_KEY)
        self._kept = int.from_bytes(kept.value, "little") if kept else 0
        self._keep_due_s = 0.0
        self._read_again()

    def _read_again(self) -> None:
        """Forget what was read, so that the log is read again from the cursor on."""
        self._position = self._kept
        self._found: Iterator[int] = iter(())
        self._found_to = 0
        self._began = self._log.durable_end()
        self._watched: dict[int, _Watched] = {}
        self._recorded: set[str] = set()
        self._stopped_by_call: set[tuple[str, str, str]] = set()

    def floor(self) -> int:
        """Return the position from which on the log is still needed."""
        return self._kept

    def step(self) -> bool:
        """Read a piece of the log, or ask about one tuning job; False: nothing is due.

            1. read the log to its durable end: new jobs, stops by callers, what is recorded
            2. ask the upstream about a job that is due
            3. append what is not recorded yet     (eventIDs follow from the cause)
            4. move the cursor                     (now and then, never past a watched job)
        A crash or an unknown outcome in 3 has the log read again before anything is appended.
        Raises: Unavailable. Corrupt.
        """
        if why := self._log.writable():
            raise Unavailable(f"tuning jobs wait: {why}")
        if self._read():
            return True
        self._keep_cursor()
        now_s = self._clock.monotonic()
        due = [job for job in self._watched.values() if job.due_s <= now_s]
        if not due:
            return False
        self._look_at(min(due, key=lambda job: job.due_s))
        return True

    def _read(self) -> bool:
        """Read on in the log; True when there is more.

        Of much, a busy second or what a job that runs for weeks still needs, only those records
        are read that the index names, as far as it goes.
        """
        end = self._log.durable_end()
        if self._position >= self._found_to and end - self._position > self.near_bytes:
            self._ask_index()
        if self._position < self._found_to:
            return self._read_found(self._found)
        for count, entry in enumerate(self._log.entries(self._position, end)):
            if count == RECORDS_AT_ONCE:
                self._position = entry.position
                return True
            self._take(entry)
        self._position = end
        return False

    def _ask_index(self) -> None:
        """Find out where to read: from the oldest tuning job on; before it nothing can matter."""
        names, start = _NAMES if self._watched else _NAMES[:1], self._position
        try:
            found, self._found_to = self._index.named(names, start)
            if found and not self._watched:
                found, self._found_to = self._index.named(_NAMES, found[0])
        except Corrupt:
            # The log needs no index: it is read instead, and says itself what is wrong with it.
            found, self._found_to = [], start
        self._found = iter(found)

    def _read_found(self, positions: Iterator[int]) -> bool:
        """Read what the index found, a piece of it; True: whatever follows is there to be read."""
        some = list(islice(positions, FOUND_AT_ONCE))
        for position in some:
            with suppress(KeyError):  # retention took it just now
                self._take(self._log.read(position))
        if len(some) < FOUND_AT_ONCE:
            self._position = self._found_to
        return True

    def _take(self, entry: Entry) -> None:
        data = entry.data
        if entry.origin is Origin.INTERNAL and _EVENT in data:
            self._recorded.add(codec.decode(data).event_id)
        elif entry.origin is Origin.CAPTURE and (_CREATE in data or _STOP in data):
            self._take_call(entry, codec.decode(data))

    def _take_call(self, entry: Entry, record: Record) -> None:
        if record.event_source != SOURCE or record.error_code:
            return
        place = record.recipient_account_id, record.aws_region
        named = tuning_calls.named(record)
        if record.event_name == "StopTrainingJob":
            self._stopped_by_call.add((*place, named.training_job))
        elif record.event_name == "CreateHyperParameterTuningJob":
            self._begin(entry, *place, named.tuning_job)

    def _begin(self, entry: Entry, account: str, region: str, name: str) -> None:
        """Watch a tuning job. One that had its name before is not there any more.

        Of a creation that may have failed: it has, if the name belongs to a job that is watched.
        """
        is_sure = not tuning_calls.is_unknown(entry.data)
        same = [job for job in self._watched.values() if job.is_called(account, region, name)]
        if same and not is_sure:
            return
        for job in same:
            if job.known:
                job.lost, job.due_s = True, 0.0
            else:
                self._forget(job)
        known = is_sure and entry.position >= self._began
        job = _Watched(account, region, name, entry.position, entry.append_ms, known)
        job.lost = not name
        self._watched[job.position] = job

    def _keep_cursor(self) -> None:
        """Keep how far the log is done with. Raises: Unavailable."""
        if self._clock.monotonic() < self._keep_due_s:
            return
        done = min((job.position for job in self._watched.values()), default=self._position)
        if not self._watched:
            self._recorded.clear()
            self._stopped_by_call.clear()
        if done > self._kept:
            self._state.commit([Change(CURSOR_KEY, done.to_bytes(8, "little"), None)])
            self._kept = done
        self._keep_due_s = self._clock.monotonic() + CURSOR_INTERVAL_S

    def _look_at(self, job: _Watched) -> None:
        """Ask about one job, and record what is new. Raises: Unavailable: the log refused."""
        age_ms = self._clock.now_ms() - job.created_ms
        if job.lost or age_ms > WATCH_MS_MAX or not self._jobs.may_ask(job.account):
            self._give_up(job)
            return
        try:
            family = self._jobs.family(job.account, job.region, job.name)
        except ClientError as error:
            self._refused(job, error, age_ms)
        except Unavailable:
            self._later(job)
        else:
            job.failures, job.known = 0, True
            job.due_s = self._clock.monotonic() + self._poll_interval_s
            self._record_family(job, family)

    def _refused(self, job: _Watched, error: ClientError, age_ms: int) -> None:
        """Record that something is missing, unless the job was never there or has ended before."""
        if error.code not in _GONE:
            self._record([self._gap(job)])
            self._later(job)
        elif job.ended is not None:
            self._record(list(self._news(job, job.ended)))
            self._forget(job)
        elif age_ms <= SHOWN_MS_MAX:
            self._later(job)
        elif job.known:
            self._give_up(job)
        else:
            self._forget(job)

    def _later(self, job: _Watched) -> None:
        job.failures += 1
        wait_s = min(self._poll_interval_s * 2**job.failures, RETRY_S_MAX)
        job.due_s = self._clock.monotonic() + wait_s

    def _give_up(self, job: _Watched) -> None:
        self._record([self._gap(job)])
        self._forget(job)

    def _forget(self, job: _Watched) -> None:
        del self._watched[job.position]

    def _record_family(self, job: _Watched, family: Family) -> None:
        """Record what the job has started and stopped; forget it once nothing can follow.

        A stop counts only when a second look shows it too: the record of a caller's own
        StopTrainingJob may come a moment after the upstream obeyed it.
        """
        stopped = {child.name for child in family.children if child.status in _STOPPED}
        drafts = list(self._news(job, family))
        seen, job.stops_seen = job.stops_seen, stopped
        job.ended = family if family.has_ended() else None
        self._record(drafts)
        if job.ended is not None and stopped == seen:
            self._forget(job)

    def _news(self, job: _Watched, family: Family) -> Iterator[tuple[str, bytes]]:
        """Yield (eventID, record) of each start and each stop."""
        children = sorted(family.children, key=lambda child: (child.created_ms, child.name))
        for child in children:
            yield self._event(job, family.arn, child, "CreateTrainingJob", child.created_ms)
        for child in children:
            by_call = (job.account, job.region, child.name) in self._stopped_by_call
            if child.status in _STOPPED and child.name in job.stops_seen and not by_call:
                at_ms = child.ended_ms or self._clock.now_ms()
                yield self._event(job, family.arn, child, "StopTrainingJob", at_ms)

    def _event(
        self, job: _Watched, tuning_arn: str, child: Child, name: str, at_ms: int
    ) -> tuple[str, bytes]:
        event_id = job.id_of(child.arn, name)
        place = job.account, job.region
        return event_id, training_event(event_id, name, place, at_ms, tuning_arn, child)

    def _gap(self, job: _Watched) -> tuple[str, bytes]:
        event_id = job.id_of(UNWATCHED)
        gap = Gap(UNWATCHED, job.created_ms, self._clock.now_ms())
        return event_id, gap_event(gap, event_id, job.account, job.region, gap.to_ms)

    def _record(self, events: Sequence[tuple[str, bytes]]) -> None:
        """Append those of ``events`` that are not in the log. Raises: Unavailable."""
        new = [(event_id, data) for event_id, data in events if event_id not in self._recorded]
        if not new:
            return
        try:
            self._log.append([Draft(Origin.INTERNAL, data) for _, data in new])
        except Unavailable:
            self._read_again()
            raise
        self._recorded.update(event_id for event_id, _ in new)
