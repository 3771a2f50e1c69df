# SPDX-License-Identifier: Apache-2.0
"""Terms: the 64-bit numbers under which the index knows a scope, or a value in a scope. Pure.

A term is xxh3_64 of ``account|region|category|column|value``. Terms may collide, so whoever finds
a row by one compares the record itself.
"""

from array import array
from collections.abc import Iterable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from xxhash import xxh3_64_digest

from opentrail.eventlog.base import Entry
from opentrail.history.derive import ATTRIBUTES, Derived, derive
from opentrail.history.resources import Resource

COLUMNS = ("Scope", *ATTRIBUTES)
"""Every row is found by its scope alone, and by the values of each attribute."""

SCOPES_CACHED = 1024
"""Scopes (account, region, category) whose terms are remembered."""

VALUES_CACHED = 4096
"""Calls, callers and resource lists remembered in each scope: few repeat very often."""

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

    __slots__ = ("name_counts", "names", "positions", "single", "times", "type_counts", "types")

    def __init__(self) -> None:
        self.times = array("q")
        """eventTime of each row, epoch seconds."""
        self.positions = array("q")
        self.single = bytearray()
        """A digest for each of ``_SINGLE``, row after row."""
        self.types = bytearray()
        """Digests of resource types, of the first row, of the second, …"""
        self.type_counts = array("I")
        """How many of them each row has."""
        self.names = bytearray()
        self.name_counts = array("I")

    def column(self, name: str) -> tuple[Terms, Rows]:
        """Return the terms of the column ``name`` and for each the row, counted from 0."""
        if name == "ResourceType":
            return _counted(self.types, self.type_counts)
        if name == "ResourceName":
            return _counted(self.names, self.name_counts)
        table = np.frombuffer(self.single, _DIGESTS).reshape(-1, len(_SINGLE))
        terms = table[:, _SINGLE.index(name)].astype(np.uint64)
        rows = np.flatnonzero(terms).astype(np.uint32)
        return terms[rows], rows


def _counted(digests: bytearray, counts: "array[int]") -> tuple[Terms, Rows]:
    rows = np.repeat(np.arange(len(counts), dtype=np.uint32), counts)
    return np.frombuffer(digests, _DIGESTS).astype(np.uint64), rows


class Collector:
    """Turns entries of the log into batches, remembering the terms of what repeats."""

    def __init__(self) -> None:
        self._scope = lru_cache(SCOPES_CACHED)(_ScopeTerms)

    def collect(self, entries: Iterable[Entry]) -> tuple[Batch, int]:
        """Return the rows of ``entries``, which are in log order.

        Also returns how many records have no row because they cannot be shown as events.
        """
        batch, unindexed = Batch(), 0
        for entry in entries:
            derived = derive(entry.data)
            if derived is None:
                unindexed += 1
            else:
                self._add(batch, entry.position, derived)
        return batch, unindexed

    def _add(self, batch: Batch, position: int, derived: Derived) -> None:
        scope = self._scope(derived.account, derived.region, derived.category)
        batch.times.append(derived.event_time_s)
        batch.positions.append(position)
        batch.single += scope.of_call(derived.event_name, derived.event_source, derived.read_only)
        batch.single += scope.of_caller(derived.username, derived.access_key_id)
        batch.single += scope.of_event(derived.event_id)
        types, type_count, names, name_count = scope.of_resources(derived.resources)
        batch.types += types
        batch.type_counts.append(type_count)
        batch.names += names
        batch.name_counts.append(name_count)


class _ScopeTerms:
    """Digests of one scope's values, in the order in which a batch wants them."""

    def __init__(self, account: str, region: str, category: str) -> None:
        self._prefix = f"{account}|{region}|{category}"
        self._whole = _digest(f"{self._prefix}|{COLUMNS[0]}|")
        self.of_call = lru_cache(VALUES_CACHED)(self._of_call)
        self.of_caller = lru_cache(VALUES_CACHED)(self._of_caller)
        self.of_resources = lru_cache(VALUES_CACHED)(self._of_resources)

    def of_event(self, event_id: str) -> bytes:
        return self._of("EventId", event_id)

    def _of_call(self, name: str, source: str, read_only: str) -> bytes:
        call = self._of("EventName", name), self._of("EventSource", source)
        return self._whole + b"".join(call) + self._of("ReadOnly", read_only)

    def _of_caller(self, username: str, access_key_id: str) -> bytes:
        return self._of("Username", username) + self._of("AccessKeyId", access_key_id)

    def _of_resources(self, resources: tuple[Resource, ...]) -> tuple[bytes, int, bytes, int]:
        types = {self._of("ResourceType", each.type) for each in resources if each.type}
        names = {self._of("ResourceName", each.name) for each in resources}
        return b"".join(types), len(types), b"".join(names), len(names)

    def _of(self, column: str, value: str) -> bytes:
        return _digest(f"{self._prefix}|{column}|{value}") if value else _ABSENT
