# SPDX-License-Identifier: Apache-2.0
"""A range of one trail on its way: its files in the making, being put, and put."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, replace
from itertools import islice

from opentrail.errors import ClientError, Unavailable
from opentrail.objects.base import Buckets, Put
from opentrail.state.base import Entry
from opentrail.trails.backlog import GivenUp
from opentrail.trails.jobs import JOBS_EACH_MAX, Jobs, failure
from opentrail.trails.logfile import FileName, log_file_key
from opentrail.trails.parts import Packing, Part
from opentrail.trails.progress import Progress
from opentrail.trails.timeline import Milestone
from opentrail.trails.trail import DeliveredFile, Trail, delivered_key

KMS_CONTEXT_KEY = "aws:cloudtrail:arn"
"""The encryption context that CloudTrail's key policies ask for."""


@dataclass(frozen=True, slots=True)
class Task:
    """One range of one trail: behind the cursor, up to a milestone."""

    cursor: Entry
    start: int
    progress: Progress
    milestone: Milestone

    @property
    def trail(self) -> Trail:
        """The configuration that holds in the range."""
        return self.progress.trail

    @property
    def span(self) -> tuple[int, int]:
        """Where the range begins and ends in the log."""
        return self.start, self.milestone.position


def encrypted(how: Put, trail: Trail, now: Trail) -> Put:
    """Return how something of ``trail`` is put; ``now``: the trail as it is by now.

    As with CloudTrail, what waits is encrypted with the key that is in force when it is put: one
    that is gone for good holds up nothing for ever. The key of another bucket is none for this one.
    """
    kms_key_id = (now if now.bucket == trail.bucket else trail).kms_key_id
    context = {KMS_CONTEXT_KEY: trail.arn} if kms_key_id else {}
    return replace(how, kms_key_id=kms_key_id, kms_context=context)


class Flight:
    """What becomes of a task. Used by one thread; as many files are put at once as ``Jobs`` allows."""

    def __init__(self, task: Task, packing: Packing, log_id: str) -> None:
        self.task = task
        self.packing = packing
        self.trail = task.trail
        """As its files are put: to another bucket, where another one took over."""
        self._log_id = log_id
        self._puts: deque[Future[None] | None] = deque()
        """Of the parts that wait longest, in their order; None: one that is yet to be put, or again."""
        self._has_failed = False
        """Whether the last put that ended has."""
        self._files: list[tuple[Part, DeliveredFile]] = []
        self.given_up_for = ""
        """Why the files that are not in the bucket yet are given up; "": they are not."""
        self._dropped: list[DeliveredFile] = []

    @property
    def arrived(self) -> bool:
        """All files of the range are in the bucket, or given up."""
        return self.packing.finished and not self.packing.waiting

    @property
    def is_fresh(self) -> bool:
        """No file of the range was put, nor is one under way."""
        return not self._files and not any(self._puts)

    @property
    def is_at_rest(self) -> bool:
        """No put is under way."""
        return all(put is None or put.done() for put in self._puts)

    @property
    def under_way(self) -> int:
        """How many puts have begun and are not looked at yet."""
        return sum(put is not None for put in self._puts)

    @property
    def wants_reading(self) -> bool:
        """There is more to be read, and room for it: not just for one file, which costs a reading."""
        return not self.packing.finished and self.packing.has_room

    def launch(self, jobs: Jobs, buckets: Buckets, now: Trail) -> None:
        """Begin to put the files that wait, as many as ``jobs`` takes.

        After a failure one alone is tried, until it is there. ``now``: the trail as it is by now.
        """
        if self.given_up_for:
            self._drop()
            return
        if any(put is not None and put.done() and failure(put) for put in self._puts):
            return  # ``landed`` says so once the others have ended
        at_once = 1 if self._has_failed else JOBS_EACH_MAX
        for index, part in enumerate(islice(self.packing.waiting, at_once)):
            if index == len(self._puts):
                self._puts.append(None)
            if self._puts[index] is None:
                size, work = part.packed.size, self._put(part, buckets, now)
                self._puts[index] = jobs.start(self.trail.bucket, size, work)
            if self._puts[index] is None:
                return

    def _put(self, part: Part, buckets: Buckets, now: Trail) -> Callable[[], None]:
        """Return what puts one file."""
        bucket, key, packed = self.trail.bucket, self._key(part), part.packed
        how = encrypted(Put(), self.trail, now)

        def work() -> None:
            try:
                data = packed.data
            except OSError as error:
                raise Unavailable(f"a log file cannot be read back: {error.strerror}") from error
            buckets.find(bucket).put(key, data, how)

        return work

    def landed(self) -> bool | ClientError | Unavailable:
        """Return whether files were put since, or why one was not: it is then tried again.

        Of several that fail at about the same time one error is returned, when none is under way.
        """
        moved = False
        while self._puts and (put := self._puts[0]) is not None and put.done() and not failure(put):
            self._puts.popleft()
            part = self.packing.waiting[0]
            self._files.append((part, self._file(part)))
            self.packing.take()
            moved, self._has_failed = True, False
        return True if moved else self._failed()

    def _failed(self) -> ClientError | Unavailable | bool:
        """Return why a put failed; False while others are under way, or none did."""
        if not self.is_at_rest:
            return False
        errors = [None if put is None else failure(put) for put in self._puts]
        for index, error in enumerate(errors):
            if error is not None:
                self._puts[index], self._has_failed = None, True
        return next((error for error in errors if error is not None), False)

    def give_up(self, why: str) -> None:
        """Put nothing more: what is not in the bucket yet is only made to be named and counted.

        No put may be under way.
        """
        assert self.is_at_rest
        self.given_up_for = why

    def given_up(self) -> GivenUp | None:
        """Return what was given up of the range; None: nothing was, or nothing was selected."""
        parts, trail = self._dropped, self.trail
        if not parts:
            return None
        return GivenUp(
            trail_arn=trail.arn,
            account=trail.account,
            region=trail.home_region,
            bucket=trail.bucket,
            why=self.given_up_for,
            error="",
            keys=tuple(file.key for file in parts),
            records=sum(file.records for file in parts),
            oldest_ms=min(file.oldest_ms for file in parts),
            newest_ms=max(file.newest_ms for file in parts),
            log_end=0,
        )

    def _drop(self) -> None:
        while self.packing.waiting:
            part, put = self.packing.waiting[0], self._puts.popleft() if self._puts else None
            if put is not None:  # it is there, behind one that is not
                self._files.append((part, self._file(part)))
            else:
                self._dropped.append(self._file(part))
            self.packing.take()

    def files(self) -> Iterator[tuple[str, DeliveredFile]]:
        """Yield the files that were put, each with its key in state, in an order of their own.

        What a digest lists, and in which order, must not depend on which put was the quickest.
        """
        trail, end = self.task.trail, self.task.milestone.position
        order = sorted(self._files, key=lambda each: (each[0].place, each[0].number))
        for number, (_, file) in enumerate(order):
            yield delivered_key(trail.id, file.account, file.region, end, number), file

    def _key(self, part: Part) -> str:
        milestone = self.task.milestone
        name = FileName(self._log_id, milestone.position, milestone.cut_ms, part.place, part.number)
        return log_file_key(self.trail, name)

    def _file(self, part: Part) -> DeliveredFile:
        packed, place = part.packed, part.place
        return DeliveredFile(
            bucket=self.trail.bucket,
            key=self._key(part),
            sha256=packed.sha256,
            oldest_ms=packed.oldest_ms,
            newest_ms=packed.newest_ms,
            records=packed.records,
            cut_ms=self.task.milestone.cut_ms,
            account=place.account,
            region=place.region,
            folder=place.folder,
        )
