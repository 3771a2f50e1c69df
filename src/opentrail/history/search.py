# SPDX-License-Identifier: Apache-2.0
"""Any question about the events of a log: by the index where it helps, else by reading on.

Beyond LookupEvents: several attributes, any field, any text, any category, all accounts and regions,
and as far back as the log is kept.
"""

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from opentrail.errors import Corrupt
from opentrail.eventlog.base import LogReader
from opentrail.history.conditions import And, Condition, Everything, Is, Or
from opentrail.history.derive import ATTRIBUTES, derive
from opentrail.history.fields import Event
from opentrail.history.run import REBUILD_HINT, Run
from opentrail.history.table import NO_TIME_S, TIME_MAX_S, Bounds, Table, newest_first
from opentrail.history.terms import COLUMNS, term

READS_MAX = 1 << 62
"""All of it."""
READ_AGAIN = 100
"""Records of hits in memory at once: 25 MB of the largest there are."""

Scope = tuple[str, str, str]
"""Account, region, category."""
_SCOPE_FIELDS = ("Account", "Region", "Category")


@dataclass(frozen=True, slots=True)
class Hit:
    """An event that is asked for."""

    time_s: int
    position: int
    event: Event

    def key(self) -> tuple[int, int]:
        """Return what hits are ordered by."""
        return self.time_s, self.position


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked."""

    condition: Condition = field(default_factory=Everything)
    start_s: int = -TIME_MAX_S
    """Oldest eventTime, inclusive, epoch seconds."""
    end_s: int = TIME_MAX_S - 1
    """Newest eventTime, inclusive."""
    after: tuple[int, int] | None = None
    """(eventTime, position) of the last hit already shown: only older ones follow."""

    def takes(self, event: Event) -> bool:
        """Return whether ``event`` is asked for."""
        time_s = event.derived.event_time_s
        return self.start_s <= time_s <= self.end_s and self.condition.holds(event)

    def hit(self, data: bytes, position: int) -> Hit | None:
        """Return the event of the record ``data`` if it is asked for."""
        derived = derive(data)
        if derived is None or not self.takes(Event(data, derived)):
            return None
        # Another one: what was found out of the record takes five times its room.
        return Hit(derived.event_time_s, position, Event(data, derived))


@dataclass(frozen=True, slots=True)
class Way:
    """How a question is answered."""

    scopes: Sequence[Scope]
    terms: Sequence[tuple[str, str]] = ()
    """Attribute and value, any of which every hit has; empty: the index does not help."""
    candidates: int = 0
    """Rows under them, whatever their time."""

    def said(self, *, counted: bool) -> str:
        """Return it in words; ``counted``: of ``Searcher.all``."""
        if counted and self.scopes and not self.terms:
            return "every record of the log, in its order"
        if not self.terms:
            return f"every event in {len(self.scopes)} scopes, newest first"
        terms = " or ".join(f"{name}={value}" for name, value in self.terms)
        return f"index: {terms} in {len(self.scopes)} scopes; {self.candidates:,} candidates"


@dataclass(frozen=True, slots=True)
class Span:
    """What there is to search."""

    events: int
    oldest_s: int
    newest_s: int


class Searcher:
    """Searches a log and the tables of its index. For one thread."""

    def __init__(
        self,
        log: LogReader,
        tables: Sequence[Table],
        covered: int,
        reads_max: int = READS_MAX,
    ) -> None:
        """``tables`` have every event below the position ``covered``; the rest is read.

        After ``reads_max`` records of the index an answer ends; ``reached`` says where.
        """
        self._reads_max = reads_max
        self.reached: tuple[int, int] | None = None
        """(eventTime, position) at which an answer ended before its time; None: it is whole."""
        self._log = log
        self._tables = tables
        self.damage: Corrupt | None = None
        """The first damage met: what lies behind it in the log is not in the answers."""
        self._floor = self._first()
        """What the log kept when the search began."""
        self.covered = max(covered, self._floor)
        """The position below which the tables have every event."""
        self._known: dict[int, Scope] = {}
        self.read = 0
        """Records read so far, for whoever wants to know what an answer took."""

    def _first(self) -> int:
        """Return where the log begins; 0 where that is damaged, and its records perhaps behind it."""
        try:
            return self._log.first()
        except Corrupt as damage:
            self.damage = damage
            return 0

    def newest(self, question: Question, limit: int) -> Iterator[Hit]:
        """Yield the first ``limit`` hits of ``question``, newest first by (eventTime, position)."""
        way = self.way(question)
        tail = self._again(heapq.nlargest(limit, map(Hit.key, self._tail(question))))
        indexed = self._indexed(question, way)
        hits = self._until_reached(heapq.merge(indexed, tail, key=Hit.key, reverse=True))
        return islice(hits, limit)

    def _until_reached(self, hits: Iterator[Hit]) -> Iterator[Hit]:
        """Yield ``hits`` down to where the answer ended before its time: what is older follows."""
        for hit in hits:
            if self.reached is not None and hit.key() < self.reached:
                return
            yield hit

    def all(self, question: Question) -> Iterator[Hit]:
        """Yield all that ``question`` asks for, in no particular order, as quickly as possible."""
        way = self.way(question)
        if way.terms or not way.scopes:
            yield from self._indexed(question, way)
            yield from self._tail(question)
        else:
            yield from self._scan(question, 0)

    def way(self, question: Question) -> Way:
        """Return how ``question`` is answered."""
        parts = _parts(question.condition)
        scopes = [scope for scope in self.scopes().values() if _may_hold(parts, scope)]
        best = Way(scopes)
        for part in parts:
            terms = _terms(part)
            if terms:
                count = sum(self._count(scope, terms) for scope in scopes)
                if not best.terms or count < best.candidates:
                    best = Way(scopes, terms, count)
        return best

    def positions(self, attribute: str, values: Sequence[str], start: int) -> list[int]:
        """Return where the index has records with one of ``values``, from ``start`` on, ascending.

        Terms may collide: others may be among them. Raises: Corrupt: some may be missing.
        """
        floor = max(start, self._floor)
        bounds = Bounds(-TIME_MAX_S, (TIME_MAX_S, 0), floor)
        tables = [table for table in self._tables if table.newest_position >= floor]
        for table in tables:
            if isinstance(table, Run) and table.damaged(("positions", COLUMNS[0], attribute)):
                raise Corrupt("a run is damaged", str(table.path), REBUILD_HINT)
        wanted = [
            term(scope, attribute, value) for scope in self.scopes().values() for value in values
        ]
        if self.damage is not None:
            raise self.damage
        column = COLUMNS.index(attribute)
        found = (
            position
            for table in tables
            for number in wanted
            for rows in table.newest_first(column, number, bounds)
            for _, position in rows
        )
        return sorted(set(found))

    def behind_bytes(self) -> int:
        """Return how much of the log the index does not cover yet: it is read for every answer."""
        return self._log.durable_end() - self.covered

    def scopes(self) -> Mapping[int, Scope]:
        """Return the scopes of the index by their terms."""
        for table in self._tables:
            for number, position in table.scopes(self._floor, self._known):
                self._learn(number, position)
        return self._known

    def _learn(self, number: int, position: int) -> None:
        data = self._data(position)
        derived = derive(data) if data is not None else None
        if derived is not None:
            self._known[number] = derived.account, derived.region, derived.category

    def span(self) -> Span:
        """Return how many events there are, and from when to when."""
        count, oldest, newest = 0, TIME_MAX_S, -TIME_MAX_S
        floor, before = self._floor, 0
        for table in self._tables:
            events = table.tally(floor).events
            if events:
                kept = table.oldest_s, table.newest_s
                if before < floor:  # retention may have taken the first of it
                    kept = _times_from(table, floor)
                count, oldest, newest = count + events, min(oldest, kept[0]), max(newest, kept[1])
            before = table.newest_position
        for hit in self._scan(Question(), self.covered):
            count += 1
            oldest, newest = min(oldest, hit.time_s), max(newest, hit.time_s)
        return Span(count, oldest, newest)

    def _count(self, scope: Scope, terms: Sequence[tuple[str, str]]) -> int:
        return sum(
            table.count(COLUMNS.index(name), term(scope, name, value))
            for table in self._tables
            for name, value in terms
        )

    def _indexed(self, question: Question, way: Way) -> Iterator[Hit]:
        """Yield hits of the index, newest first."""
        before = min((question.end_s + 1, 0), question.after or (TIME_MAX_S, 0))
        bounds = Bounds(max(question.start_s, -TIME_MAX_S), before, self._floor)
        reads_end = self.read + self._reads_max  # the tail has been read by now
        streams = [
            newest_first(self._tables, COLUMNS.index(name), term(scope, name, value), bounds)
            for scope in way.scopes
            for name, value in way.terms or ((COLUMNS[0], ""),)
        ]
        last = None
        for row in heapq.merge(*streams, reverse=True):
            if row != last:  # under two of the terms, or two terms that collide
                if self.read >= reads_end:
                    self.reached = last
                    return
                last = row
                hit = self._hit(question, *row)
                if hit is not None:
                    yield hit

    def _hit(self, question: Question, time_s: int, position: int) -> Hit | None:
        data = self._data(position)
        hit = None if data is None else question.hit(data, position)
        return hit if hit is not None and hit.time_s == time_s else None

    def _data(self, position: int) -> bytes | None:
        """Return the record at ``position``; None when it cannot be had."""
        try:
            data = self._log.read(position).data
        except KeyError:
            return None  # retention took it since the search began
        except Corrupt as damage:
            self.damage = self.damage or damage
            return None
        self.read += 1
        return data

    def _tail(self, question: Question) -> Iterator[Hit]:
        for hit in self._scan(question, self.covered):
            if question.after is None or hit.key() < question.after:
                yield hit

    def _again(self, keys: Sequence[tuple[int, int]]) -> Iterator[Hit]:
        """Yield the hits that have ``keys``; all of them at once, with their records, would be too much."""
        for first in range(0, len(keys), READ_AGAIN):
            some = keys[first : first + READ_AGAIN]
            try:
                whole = self._log.data_at([position for _, position in some])
            except Corrupt as damage:
                self.damage = self.damage or damage
                return
            for (time_s, position), data in zip(some, whole, strict=True):
                derived = None if data is None else derive(data)
                if data is not None and derived is not None:  # retention may have taken it
                    yield Hit(time_s, position, Event(data, derived))

    def _scan(self, question: Question, start: int) -> Iterator[Hit]:
        """Yield the hits of the log from ``start`` on, in its order."""
        try:
            for entry in self._log.entries(start):
                self.read += 1
                hit = question.hit(entry.data, entry.position)
                if hit is not None:
                    yield hit
        except Corrupt as damage:
            self.damage = self.damage or damage


def _times_from(table: Table, floor: int) -> tuple[int, int]:
    """Return the oldest and the newest eventTime at or past ``floor``, where there is one."""
    times, positions = table.rows()
    kept = times[(positions >= floor) & (times != NO_TIME_S)]
    return int(kept.min()), int(kept.max())


def _parts(condition: Condition) -> Sequence[Condition]:
    """Return conditions that all must hold."""
    return condition.parts if isinstance(condition, And) else (condition,)


def _may_hold(parts: Sequence[Condition], scope: Scope) -> bool:
    """Whether events of ``scope`` can be asked for at all."""
    for part in parts:
        several = part.parts if isinstance(part, Or) else (part,)
        told = [each for each in several if isinstance(each, Is) and each.field in _SCOPE_FIELDS]
        if len(told) == len(several) and not any(
            each.value == scope[_SCOPE_FIELDS.index(each.field)] for each in told
        ):
            return False
    return True


def _terms(part: Condition) -> Sequence[tuple[str, str]]:
    """Return the attributes and values of which every event has one that ``part`` holds for."""
    several = part.parts if isinstance(part, Or) else (part,)
    found = [each for each in several if isinstance(each, Is) and each.field in ATTRIBUTES]
    if len(found) < len(several):
        return ()
    return [(each.field, each.value) for each in found if each.value]
