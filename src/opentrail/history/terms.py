# SPDX-License-Identifier: Apache-2.0
"""Terms: the 64-bit numbers under which the index knows a scope, or a value in a scope. Pure.

A term is xxh3_64 of ``account|region|category|column|value``. Terms may collide, so whoever finds
a row by one compares the record itself.
"""

from array import array
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from xxhash import xxh3_64_digest, xxh3_64_intdigest

from opentrail.eventlog.base import Entry
from opentrail.history.derive import ATTRIBUTES, category_of, epoch_s, read_only_of
from opentrail.history.indexed import (
    Caller,
    Indexed,
    caller_of,
    indexed,
    remembered,
)
from opentrail.history.namings import NAMINGS
from opentrail.history.resources import (
    NOTHING_LENGTH,
    REMEMBERED_BYTES,
    Resource,
    joined,
    resources_of,
)
from opentrail.history.table import NO_TIME_S

COLUMNS = ("Scope", *ATTRIBUTES)
"""Every row is found by its scope alone, and by the values of each attribute."""

SCOPES_CACHED = 1024
"""Scopes (account, region, category) whose terms are remembered."""

VALUES_CACHED = 4096
"""Calls, and callers, remembered in each scope: few repeat very often."""

KINDS_CACHED = 16_384
"""Calls of a caller that are remembered: half a kilobyte each."""

NAMED_CACHED = 4096
"""Parts of records that name resources, remembered: REMEMBERED_BYTES each at most."""

Terms = NDArray[np.uint64]
Rows = NDArray[np.uint32]

_REPEATED = ("Scope", "EventName", "EventSource", "ReadOnly", "Username", "AccessKeyId")
"""Columns in which a row has at most one term, which many have; in the order of ``_Kind.digests``."""
_ABSENT = bytes(8)
"""In the place of the term of a value that a row lacks."""
_ZERO_TERM = (1 << 64) - 1
"""The term of a value whose hash is 0."""
_DIGESTS = np.dtype(">u8")
"""Digests as xxhash writes them: big-endian."""
_Named = tuple[bytes, bytes]
"""Digests of the types of resources, and of their names."""
_NOTHING: _Named = (b"", b"")
_NOTHING_READ = Indexed()


def term(scope: tuple[str, str, str], column: str, value: str = "") -> int:
    """Return the term of ``value`` in ``column`` of ``scope``: account, region, category."""
    return int.from_bytes(_digest(f"{'|'.join(scope)}|{column}|{value}"), "big")


def _digest(text: str) -> bytes:
    digest = xxh3_64_digest(text.encode(errors="surrogatepass"))
    return digest if digest != _ABSENT else _ZERO_TERM.to_bytes(len(_ABSENT), "big")


class Batch:
    """The rows of some entries, in log order."""

    __slots__ = ("_table", "event_ids", "names", "positions", "repeated", "times", "types")

    def __init__(self) -> None:
        self.times = array("q")
        """eventTime of each row, epoch seconds."""
        self.positions = array("q")
        self.repeated: list[bytes] = []
        """Of each row the digests of ``_REPEATED``, joined."""
        self.event_ids: list[bytes] = []
        """Empty where a row has none, as below."""
        self.types: list[bytes] = []
        """Of each row those of its resources' types, joined."""
        self.names: list[bytes] = []
        self._table: NDArray[np.uint64] | None = None

    def add_odd(self, position: int) -> None:
        """Add the row of a record that cannot be shown as an event."""
        self.times.append(NO_TIME_S)
        self.positions.append(position)
        self.repeated.append(_ABSENT * len(_REPEATED))
        self.event_ids.append(b"")
        self.types.append(b"")
        self.names.append(b"")

    def column(self, name: str) -> tuple[Terms, Rows]:
        """Return the terms of the column ``name`` and for each the row, counted from 0.

        No row may be added any more.
        """
        if name == "ResourceType":
            return _counted(self.types)
        if name == "ResourceName":
            return _counted(self.names)
        if name == "EventId":
            return _counted(self.event_ids)
        if self._table is None:
            digests = np.frombuffer(b"".join(self.repeated), _DIGESTS)
            rows_of = digests.reshape(-1, len(_REPEATED)).T
            self._table = np.ascontiguousarray(rows_of, np.uint64)
        terms = self._table[_REPEATED.index(name)]
        rows = np.flatnonzero(terms).astype(np.uint32)
        return (terms if len(rows) == len(terms) else terms[rows]), rows


def _counted(digests: list[bytes]) -> tuple[Terms, Rows]:
    terms = np.frombuffer(b"".join(digests), _DIGESTS).astype(np.uint64)
    terms[terms == 0] = _ZERO_TERM
    counts = np.fromiter(map(len, digests), np.uint32, len(digests)) // len(_ABSENT)
    return terms, np.repeat(np.arange(len(digests), dtype=np.uint32), counts)


class _Scope:
    """One scope, and the digests of its values that repeat."""

    def __init__(self, place: tuple[str, str, str]) -> None:
        """``place``: account, region, category."""
        self._prefix = "|".join(place)
        self._whole = self._of(COLUMNS[0])
        self.before_id = f"{self._prefix}|EventId|"
        """What an event's id has before it in its term."""
        self.calls: dict[tuple[str, str, str], _Call] = {}
        """EventSource, EventName, ReadOnly -> what was seen of it."""
        self.callers: dict[Caller, bytes] = {}

    def new_call(self, call: tuple[str, str, str]) -> "_Call":
        """Return a call that was not seen before in this scope, and remember it."""
        source, name, read_only = call
        digests = (
            self._whole,
            self._of_value("EventName", name),
            self._of_value("EventSource", source),
            self._of_value("ReadOnly", read_only),
        )
        if len(self.calls) >= VALUES_CACHED:
            self.calls.clear()
        self.calls[call] = known = _Call(b"".join(digests), {})
        return known

    def new_caller(self, caller: Caller) -> bytes:
        """Return the digests of Username and AccessKeyId, and remember them."""
        if len(self.callers) >= VALUES_CACHED:
            self.callers.clear()
        joined = self._of_value("Username", caller.username) + self._of_value(
            "AccessKeyId", caller.access_key_id
        )
        self.callers[caller] = joined
        return joined

    def named(self, resources: tuple[Resource, ...]) -> tuple[bytes, bytes]:
        """Return the digests of the types and of the names, each once."""
        types = {self._of("ResourceType", each.type) for each in resources if each.type}
        names = {self._of_value("ResourceName", each.name) for each in resources}
        return b"".join(types), b"".join(names)

    def _of(self, column: str, value: str = "") -> bytes:
        return _digest(f"{self._prefix}|{column}|{value}")

    def _of_value(self, column: str, value: str) -> bytes:
        return self._of(column, value) if value else _ABSENT


@dataclass(frozen=True, slots=True)
class _Call:
    """An operation as it is called in a scope."""

    digests: bytes
    """Scope, EventName, EventSource, ReadOnly."""
    named: dict[int, tuple[bytes, _Named]]
    """Hash of the parts that name resources -> these, the digests of the types, and of the names."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """What all records have in common that differ only in time, id and what they are about."""

    digests: bytes
    """Of ``_REPEATED``."""
    before_id: str
    """See ``_Scope``."""
    has_naming: bool
    """Whether its parameters name resources."""
    scope: _Scope
    named: dict[int, tuple[bytes, _Named]]
    """Of its call."""


_KindKey = tuple[Caller, str, str, bool | None, str, str, str, bool | None]
"""Caller, source, name, readOnly, region, account, category, managementEvent."""


class Collector:
    """Turns entries of the log into batches, remembering the terms of what repeats."""

    def __init__(self) -> None:
        self._scopes: dict[tuple[str, str, str], _Scope] = {}
        self._kinds: dict[_KindKey, _Kind] = {}
        self._named = 0
        """How many there are in all ``_Call.named``."""

    def collect(self, entries: Iterable[Entry], *, all_rows: bool = True) -> Batch:
        """Return the rows of ``entries``, which are in log order.

        A record that cannot be shown as an event has a row without time or term, so that all
        records are counted; with ``all_rows`` false it has none.
        For what was seen before it calls nothing that is written in Python, but ``indexed``: each call
        would be 2 % of the time that indexing takes.
        """
        batch, kinds, callers = Batch(), self._kinds, remembered
        times, positions, repeated = batch.times, batch.positions, batch.repeated
        event_ids, types, names = batch.event_ids, batch.types, batch.names
        for entry in entries:
            read = indexed(entry.data) or _NOTHING_READ
            time_s = epoch_s(read.event_time)
            if time_s is None:
                if all_rows:
                    batch.add_odd(entry.position)
                continue
            identity = read.user_identity
            known = callers.get(xxh3_64_intdigest(identity))
            caller = known[1] if known and known[0] == identity else caller_of(identity)
            key = (
                caller, read.event_source, read.event_name, read.read_only, read.aws_region,
                read.recipient_account_id, read.event_category, read.management_event,
            )  # fmt: skip
            kind = kinds.get(key) or self._new_kind(key, read)
            its, rest = _NOTHING, read.resources
            if kind.has_naming:
                parts = joined((read.request_parameters, read.response_elements, rest))
            else:
                parts = bytes(rest)
            if len(parts) > NOTHING_LENGTH:
                seen = kind.named.get(xxh3_64_intdigest(parts))
                its = seen[1] if seen and seen[0] == parts else self._new_named(kind, read, parts)
            times.append(time_s)
            positions.append(entry.position)
            repeated.append(kind.digests)
            event_id = (kind.before_id + read.event_id).encode(errors="surrogatepass")
            event_ids.append(xxh3_64_digest(event_id) if read.event_id else b"")
            types.append(its[0])
            names.append(its[1])
        return batch

    def _new_kind(self, key: _KindKey, read: Indexed) -> _Kind:
        caller = key[0]
        place = (read.recipient_account_id or caller.account, read.aws_region, category_of(read))
        scope = self._scopes.get(place) or self._new_scope(place)
        call = read.event_source, read.event_name, read_only_of(read)
        its = scope.calls.get(call) or scope.new_call(call)
        digests = its.digests + (scope.callers.get(caller) or scope.new_caller(caller))
        if len(self._kinds) >= KINDS_CACHED:
            self._kinds.clear()
        self._kinds[key] = kind = _Kind(
            digests, scope.before_id, key[1] in NAMINGS, scope, its.named
        )
        return kind

    def _new_scope(self, place: tuple[str, str, str]) -> _Scope:
        if len(self._scopes) >= SCOPES_CACHED:
            self._forget()
        self._scopes[place] = scope = _Scope(place)
        return scope

    def _new_named(self, kind: _Kind, read: Indexed, parts: bytes) -> _Named:
        named = kind.scope.named(resources_of(read))
        if len(parts) <= REMEMBERED_BYTES:
            number = xxh3_64_intdigest(parts)
            self._named += number not in kind.named
            if self._named > NAMED_CACHED:
                self._forget()
            kind.named[number] = parts, named
        return named

    def _forget(self) -> None:
        """Begin anew: what repeats is soon there again."""
        self._scopes.clear()
        self._kinds.clear()
        self._named = 0
