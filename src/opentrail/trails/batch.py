# SPDX-License-Identifier: Apache-2.0
"""The next records of a feed: from the log, by the trails that hold where they were recorded."""

from dataclasses import dataclass, field

import msgspec

from opentrail.event.codec import decode
from opentrail.event.place import account_of
from opentrail.event.record import Record
from opentrail.eventlog.base import Entry, LogReader, Mark, MarkKind
from opentrail.trails.feedstate import Feed
from opentrail.trails.fold import fold
from opentrail.trails.scope import delivered, takes
from opentrail.trails.target import Copied, Copies
from opentrail.trails.trail import Trail

ITEMS_MAX = 5_000
"""Read at once, some 50 ms: what else is due is done between."""


@dataclass(slots=True)
class Batch:
    """What is to be sent, in log order, and where the feed is then."""

    after: Feed
    records: list[Copied] = field(default_factory=list)
    size: int = 0
    """Their bytes, and the target's overhead for each."""
    given_up: int = 0
    """Records that are too large or too old to be sent, or that the target refuses for good."""

    @property
    def gone(self) -> bool:
        """No trail is left: all that the last one took was sent."""
        return not self.after.trails

    @property
    def trail(self) -> Trail:
        """The trail whose records they are; of several, any."""
        return self.after.trails[0]


def next_batch(
    target: Copies, owner: str, feed: Feed, log: LogReader, oldest_ms: int = 0
) -> Batch | None:
    """Return what comes next; None: nothing is there. Without records the feed only moves on.

    ``owner`` is the id of the feed's trail, or its account; what was recorded before ``oldest_ms``
    is given up. Raises: Corrupt.
    """
    end = log.durable_end()
    if feed.position >= end:
        return None
    reading = _Reading(target, owner, feed, oldest_ms)
    # Where no trail wants copies, records are not even decompressed.
    read = log.items if reading.selects else log.marks
    position = end
    for count, item in enumerate(read(feed.position, end)):
        if count == ITEMS_MAX or not reading.take(item):
            position = item.position
            break
    reading.batch.after = msgspec.structs.replace(reading.batch.after, position=position)
    return reading.batch


class _Reading:
    """Reads on until something else holds, or until no more fits into a batch."""

    def __init__(self, target: Copies, owner: str, feed: Feed, oldest_ms: int) -> None:
        self._target = target
        self._owner = owner
        self._oldest_ms = oldest_ms
        self.batch = Batch(feed)
        active = (each for each in feed.trails if each.logging and target.wants(each))
        self.selects = [takes(trail) for trail in active]

    def take(self, item: Entry | Mark) -> bool:
        """Take an item; return whether to read on: else it is the first of the next batch."""
        return self._change(item) if isinstance(item, Mark) else self._copy(item)

    def _change(self, mark: Mark) -> bool:
        feed = self.batch.after
        trails = feed.trails
        for trail in changed_by(mark):
            known = any(each.id == trail.id for each in trails)
            if known or self._owner in owners_of(trail, self._target):
                others = tuple(each for each in trails if each.id != trail.id)
                trails = others if trail.deleted else (*others, trail)
        if trails == feed.trails:
            return True
        if not self.batch.records:
            # To be read again from here, as it holds from here on; once more changes nothing.
            self.batch.after = msgspec.structs.replace(feed, trails=trails)
        return False

    def _copy(self, entry: Entry) -> bool:
        target, batch = self._target, self.batch
        record = decode(entry.data, "log")
        account = account_of(record)
        if not delivered(entry) or not self._selected(record, account):
            return True
        size = len(entry.data) + target.overhead
        if size > target.event_bytes_max or entry.append_ms < self._oldest_ms:
            batch.given_up += 1
            return True
        if len(batch.records) >= target.batch_max or batch.size + size > target.bytes_max:
            return False
        batch.records.append(Copied(entry.data, record, account))
        batch.size += size
        return True

    def _selected(self, record: Record, account: str) -> bool:
        # Of a shared target: another account's records, which an organization's trail takes, come
        # by the feed of that account.
        if self._target.shared and account != self._owner:
            return False
        return self._target.takes(record) and any(selects(record) for selects in self.selects)


def owners_of(trail: Trail, target: Copies) -> tuple[str, ...]:
    """Return whose feeds a trail is part of: its own, or those of its accounts."""
    return (trail.account, *trail.members) if target.shared else (trail.id,)


def changed_by(mark: Mark) -> list[Trail]:
    """Return the trail that a mark changes, as it is from there on. Raises: Corrupt."""
    if mark.kind is not MarkKind.CONTROL:
        return []
    return list(fold([mark], 0).trails.values())
