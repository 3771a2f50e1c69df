# SPDX-License-Identifier: Apache-2.0
"""Some records of the log by the places of their log files, and what a trail takes of each. Pure.

Where a record lies follows from a few of its fields, and most trails take all of a category: then
nothing else of it is read.
"""

from collections.abc import Sequence
from functools import cached_property
from operator import itemgetter

import msgspec

from opentrail.event.codec import decode, user_identity
from opentrail.event.place import account_of, account_of_caller, older_category
from opentrail.event.record import ABSENT, Record
from opentrail.eventlog.base import Entry
from opentrail.trails.logfile import folder_of
from opentrail.trails.scope import reaches, taken_whole, takes
from opentrail.trails.trail import Trail

Words = tuple[str, str, str]
"""Account, region and folder of a record, as it says them."""


class _Placed(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """The fields of ``event.record.Record`` that say where a record lies, and its time."""

    user_identity: msgspec.Raw = ABSENT
    """Read only of a record that does not say which account received it."""
    event_time: str = ""
    aws_region: str = ""
    management_event: bool | None = None
    recipient_account_id: str = ""
    event_category: str = ""


_decode = msgspec.json.Decoder(_Placed).decode
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Group:
    """Records of one account, region and folder, in log order."""

    def __init__(self, words: Words) -> None:
        self.words = words
        self.categories: set[str] = set()
        """Of the records; perhaps of more."""
        self.entries: list[Entry] = []
        self.times: list[str] = []
        """eventTime of each of the entries."""

    @cached_property
    def records(self) -> list[Record]:
        """The entries, read: once for all trails. Raises: Corrupt: one is no record."""
        return [decode(entry.data, "log") for entry in self.entries]

    def merged(self, other: "Group") -> "Group":
        """Return the records of both, in log order."""
        both = zip(self.entries + other.entries, self.times + other.times, strict=True)
        return self._with(sorted(both, key=lambda each: each[0].position))

    def only(self, chosen: Sequence[bool]) -> "Group":
        """Return the records that are ``chosen``, one of which stands for each."""
        every = zip(zip(self.entries, self.times, strict=True), chosen, strict=True)
        return self._with([each for each, wanted in every if wanted])

    def _with(self, both: Sequence[tuple[Entry, str]]) -> "Group":
        found = Group(self.words)
        found.categories = self.categories
        found.entries = list(map(itemgetter(0), both))
        found.times = list(map(itemgetter(1), both))
        return found


class Selection:
    """What one trail takes."""

    def __init__(self, trail: Trail) -> None:
        self._reaches = reaches(trail)
        self._whole = taken_whole(trail)
        self._takes = takes(trail)

    def of(self, group: Group) -> Group:
        """Return those of a group's records that the trail takes. Raises: Corrupt."""
        account, region, _ = group.words
        if not self._reaches(account, region):
            return Group(group.words)
        if group.categories <= self._whole:
            return group
        return group.only([self._takes(record) for record in group.records])


def grouped(entries: Sequence[Entry]) -> list[Group]:
    """Return ``entries``, which are in log order, by account, region and folder.

    Raises: Corrupt: one is no record.
    """
    groups: dict[Words, Group] = {}
    known: dict[tuple[str, str, str, bool | None], Group] = {}
    for entry in entries:
        read = _placed(entry.data)
        account = read.recipient_account_id or account_of_caller(user_identity(read.user_identity))
        key = (account, read.aws_region, read.event_category, read.management_event)
        group = known.get(key)
        if group is None:
            category = read.event_category or older_category(management_event=read.management_event)
            words = (account, read.aws_region, folder_of(category))
            group = known[key] = groups.setdefault(words, Group(words))
            group.categories.add(category)
        group.entries.append(entry)
        group.times.append(read.event_time)
    return list(groups.values())


def _placed(data: bytes) -> _Placed:
    try:
        return _decode(data)
    except _UNREADABLE:
        record = decode(data, "log")
    return _Placed(
        event_time=record.event_time,
        aws_region=record.aws_region,
        management_event=record.management_event,
        recipient_account_id=account_of(record),
        event_category=record.event_category,
    )
