# SPDX-License-Identifier: Apache-2.0
"""A range of one trail on its way: its files in the making, being put, and put."""

from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, replace

from opentrail.errors import ClientError, Unavailable
from opentrail.objects.base import Buckets, Put
from opentrail.state.base import Entry
from opentrail.trails.backlog import GivenUp
from opentrail.trails.jobs import Jobs, failure
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
    """What becomes of a task. Used by one thread; files are put one after another."""

    def __init__(self, task: Task, packing: Packing, log_id: str) -> None:
        self.task = task
        self.packing = packing
        self.trail = task.trail
        """As its files are put: to another bucket, where another one took over."""
        self._log_id = log_id
        self._put: Future[None] | None = None
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
        return self._put is None and not self._files

    @property
    def is_at_rest(self) -> bool:
        """No put is under way."""
        return self._put is None

    @property
    def wants_reading(self) -> bool:
        """There is more to be read, and room for it: not just for one file, which costs a reading."""
        return not self.packing.finished and self.packing.has_room

    def launch(self, jobs: Jobs, buckets: Buckets, now: Trail) -> None:
        """Begin to put the next file, if there is one and none is under way.

        ``now``: the trail as it is by now.
        """
        if self.given_up_for:
            self._drop()
            return
        if self._put is not None or not self.packing.waiting:
            return
        part, trail = self.packing.waiting[0], self.trail
        key, packed = self._key(part), part.packed
        how = encrypted(Put(), trail, now)

        def work() -> None:
            try:
                data = packed.data
            except OSError as error:
                raise Unavailable(f"a log file cannot be read back: {error.strerror}") from error
            buckets.find(trail.bucket).put(key, data, how)

        self._put = jobs.start(trail.bucket, packed.size, work)

    def landed(self) -> bool | ClientError | Unavailable:
        """Return whether a file was put since, or why it was not: it is then tried again."""
        if self._put is None or not self._put.done():
            return False
        put, self._put = self._put, None
        error = failure(put)
        if error is not None:
            return error
        part = self.packing.waiting[0]
        self._files.append((part, self._file(part)))
        self.packing.take()
        return True

    def give_up(self, why: str) -> None:
        """Put nothing more: what is not in the bucket yet is only made to be named and counted.

        No put may be under way.
        """
        assert self._put is None
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
            self._dropped.append(self._file(self.packing.waiting[0]))
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
