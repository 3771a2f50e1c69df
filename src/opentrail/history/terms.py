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
from xxhash import xxh3_64_digest

from opentrail.eventlog.base import Entry
from opentrail.history.derive import ATTRIBUTES, category_of, epoch_s, read_only_of
from opentrail.history.indexed import Caller, Indexed, caller_of, indexed
from opentrail.history.resources import Resource, aliases_of
from opentrail.history.table import NO_TIME_S

COLUMNS = ("Scope", *ATTRIBUTES)
"""Every row is found by its scope alone, and by the values of each attribute."""

SCOPES_CACHED = 1024
"""Scopes (account, region, category) whose terms are remembered."""

VALUES_CACHED = 4096
"""Calls, and callers, remembered in each scope: few repeat very often."""

Terms = NDArray[np.uint64]
Rows = NDArray[np.uint32]

_SINGLE = ("Scope", "EventName", "EventSource", "ReadOnly", "Username", "AccessKeyId", "EventId")
"""Columns in which a row has at most one term, in the order of ``Batch.single``."""
_ABSENT = bytes(8)
"""In the place of the term of a value that a row lacks."""
_DIGESTS = np.dtype(">u8")
"""Digests as xxhash writes them: big-endian."""


def term(scope: tuple[str, str, str], column: str, value: str = "") -> int:
    """Return the term of ``value`` in ``column`` of ``scope``: account, region, category."""
    return int.from_bytes(_digest(f"{'|'.join(scope)}|{column}|{value}"), "big")


def _digest(text: str) -> bytes:
    digest = xxh3_64_digest(text.encode("utf-8", "surrogatepass"))
    return digest if digest != _ABSENT else b"\xff" * 8


class Batch:
    """The rows of some entries, in log order."""

    __slots__ = ("_aliases", "_single", "_table", "positions", "times")

    def __init__(self) -> None:
        self.times = array("q")
        """eventTime of each row, epoch seconds."""
        self.positions = array("q")
        self._single: list[bytes] = []
        self._aliases: list[_AliasTerms] = []
        self._table: NDArray[np.uint64] | None = None

    def add(
        self, place: tuple[int, int], single: tuple[bytes, ...], aliases: "_AliasTerms"
    ) -> None:
        """Add a row: eventTime and position, the digests of ``_SINGLE`` in some parts, resources."""
        self.times.append(place[0])
        self.positions.append(place[1])
        self._single += single
        self._aliases.append(aliases)

    def column(self, name: str) -> tuple[Terms, Rows]:
        """Return the terms of the column ``name`` and for each the row, counted from 0.

        No row may be added any more.
        """
        if name == "ResourceType":
            return _counted([each.types for each in self._aliases])
        if name == "ResourceName":
            return _counted([each.names for each in self._aliases])
        if self._table is None:
            joined = np.frombuffer(b"".join(self._single), _DIGESTS)
            self._table = np.ascontiguousarray(joined.reshape(-1, len(_SINGLE)).T, np.uint64)
        terms = self._table[_SINGLE.index(name)]
        rows = np.flatnonzero(terms).astype(np.uint32)
        return terms[rows], rows


def _counted(digests: list[bytes]) -> tuple[Terms, Rows]:
    terms = np.frombuffer(b"".join(digests), _DIGESTS).astype(np.uint64)
    counts = np.fromiter(map(len, digests), np.uint32, len(digests)) // len(_ABSENT)
    return terms, np.repeat(np.arange(len(digests), dtype=np.uint32), counts)


class Collector:
    """Turns entries of the log into batches, remembering the terms of what repeats."""

    def __init__(self) -> None:
        self._scopes: dict[tuple[str, str, str, bool | None], _Scope] = {}

    def collect(self, entries: Iterable[Entry], *, all_rows: bool = True) -> Batch:
        """Return the rows of ``entries``, which are in log order.

        A record that cannot be shown as an event has a row without time or term, so that all
        records are counted; with ``all_rows`` false it has none.
        """
        batch = Batch()
        for entry in entries:
            read = indexed(entry.data)
            time_s = epoch_s(read.event_time) if read is not None else None
            if read is not None and time_s is not None:
                self._add(batch, (time_s, entry.position), read)
            elif all_rows:
                batch.add((NO_TIME_S, entry.position), (_ABSENT * len(_SINGLE),), _NO_ALIAS_TERMS)
        return batch

    def _add(self, batch: Batch, place: tuple[int, int], read: Indexed) -> None:
        caller = caller_of(read.user_identity)
        key = (
            read.recipient_account_id or caller.account,
            read.aws_region,
            read.event_category,
            read.management_event,
        )
        scope = self._scopes.get(key) or self._new_scope(key, category_of(read))
        call = read.event_source, read.event_name, read.read_only
        event_id = read.event_id
        single = (
            scope.calls.get(call) or scope.new_call(call, read_only_of(read)),
            scope.callers.get(caller) or scope.new_caller(caller),
            _digest(scope.event_id + event_id) if event_id else _ABSENT,
        )
        aliases = aliases_of(read)
        terms = aliases.terms if aliases.resources else _NO_ALIAS_TERMS
        if not isinstance(terms, _AliasTerms) or terms.scope not in (scope, None):
            terms = aliases.terms = scope.alias_terms(aliases.resources)
        batch.add(place, single, terms)

    def _new_scope(self, key: tuple[str, str, str, bool | None], category: str) -> "_Scope":
        if len(self._scopes) >= SCOPES_CACHED:
            self._scopes.clear()
        self._scopes[key] = scope = _Scope(key[0], key[1], category)
        return scope


class _Scope:
    """One scope, and the digests of its values that repeat."""

    def __init__(self, account: str, region: str, category: str) -> None:
        self._prefix = f"{account}|{region}|{category}"
        self._whole = self._of(COLUMNS[0])
        self.event_id = f"{self._prefix}|EventId|"
        """What an event's id has before it in its term."""
        self.calls: dict[tuple[str, str, bool | None], bytes] = {}
        self.callers: dict[Caller, bytes] = {}

    def new_call(self, call: tuple[str, str, bool | None], read_only: str) -> bytes:
        """Return the digests of scope, EventName, EventSource, ReadOnly, and remember them."""
        source, name, _ = call
        digests = (
            self._whole,
            self._of_value("EventName", name),
            self._of_value("EventSource", source),
            self._of_value("ReadOnly", read_only),
        )
        if len(self.calls) >= VALUES_CACHED:
            self.calls.clear()
        self.calls[call] = joined = b"".join(digests)
        return joined

    def new_caller(self, caller: Caller) -> bytes:
        """Return the digests of Username and AccessKeyId, and remember them."""
        if len(self.callers) >= VALUES_CACHED:
            self.callers.clear()
        joined = self._of_value("Username", caller.username) + self._of_value(
            "AccessKeyId", caller.access_key_id
        )
        self.callers[caller] = joined
        return joined

    def alias_terms(self, resources: tuple[Resource, ...]) -> "_AliasTerms":
        """Return the digests of the types and of the names, each once."""
        types = {self._of("ResourceType", each.type) for each in resources if each.type}
        names = {self._of_value("ResourceName", each.name) for each in resources}
        return _AliasTerms(self, b"".join(types), b"".join(names))

    def _of(self, column: str, value: str = "") -> bytes:
        return _digest(f"{self._prefix}|{column}|{value}")

    def _of_value(self, column: str, value: str) -> bytes:
        return self._of(column, value) if value else _ABSENT


@dataclass(frozen=True, slots=True)
class _AliasTerms:
    """The digests of what an event names, in a scope."""

    scope: _Scope | None
    """None: of any scope."""
    types: bytes
    names: bytes


_NO_ALIAS_TERMS = _AliasTerms(None, b"", b"")
