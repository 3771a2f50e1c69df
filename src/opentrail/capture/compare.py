# SPDX-License-Identifier: Apache-2.0
"""Hold delivered records beside what OpenTrail would record of the same calls. Pure.

Three questions of every ``AwsApiCall``: do the models have its operation; is its ``readOnly`` what
the rules say; and are the keys of its requestParameters and responseElements, at every depth, those
that the writers give to the members that appear. Keys of no member of the model are told apart:
AWS's services log fields of their own there.
"""

import functools
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from opentrail.aws import catalog, tables
from opentrail.aws.request import Target
from opentrail.capture.element_values import Writer
from opentrail.capture.elements import Element, Elements, Entries, Structure
from opentrail.capture.plan import Plan, plan

_DATED = re.compile(r"[0-9]{4}_?[0-9]{2}_?[0-9]{2}(?:v[0-9])?\Z")
"""What follows an operation's name in the records of some services."""
_ROOT_KEYS = frozenset({"xmlns"})


class Miss(NamedTuple):
    """One difference between a record and what OpenTrail would have written."""

    question: Literal["operation", "readOnly", "key", "not in model"]
    event_source: str
    event_name: str
    what: str
    """The key's path, or what the record says."""
    expected: str = ""


@dataclass(slots=True)
class Figures:
    """What the comparison found so far."""

    records: int = 0
    """AwsApiCall records looked at."""
    known: int = 0
    """Those whose operation the models have."""
    read_only: int = 0
    """Those of them that say readOnly."""
    read_only_right: int = 0
    keys_right: int = 0
    keys_wrong: int = 0
    keys_foreign: int = 0
    """Keys of no member of the model."""
    misses: Counter[Miss] = field(default_factory=Counter)
    pairs: set[tuple[str, str]] = field(default_factory=set)
    """Event sources and names met."""

    @property
    def keys(self) -> int:
        """Keys of members that appear."""
        return self.keys_right + self.keys_wrong

    def add(self, record: Mapping[str, object]) -> None:
        """Compare one record; anything but an AwsApiCall is passed over."""
        source, name = record.get("eventSource"), record.get("eventName")
        if record.get("eventType") != "AwsApiCall" or not isinstance(source, str):
            return
        if not isinstance(name, str):
            return
        self.records += 1
        self.pairs.add((source, name))
        plans = plans_of(source, name)
        if not plans:
            self.misses[Miss("operation", source, name, "not in the models")] += 1
            return
        self.known += 1
        best = min((_Walk(record, how) for how in plans), key=lambda walk: walk.faults)
        self._read_only(record, best.how, source, name)
        self.keys_right += best.right
        self.keys_wrong += len(best.wrong)
        self.keys_foreign += len(best.foreign)
        for path, expected in best.wrong:
            self.misses[Miss("key", source, name, path, expected)] += 1
        for path in best.foreign:
            self.misses[Miss("not in model", source, name, path)] += 1

    def _read_only(self, record: Mapping[str, object], how: Plan, source: str, name: str) -> None:
        said = record.get("readOnly")
        if not isinstance(said, bool):
            return
        self.read_only += 1
        if said is how.reads:
            self.read_only_right += 1
        else:
            self.misses[Miss("readOnly", source, name, str(said).lower())] += 1


def plans_of(event_source: str, event_name: str) -> tuple[Plan, ...]:
    """Return how the operations that records call ``event_name`` are recorded; () for unknown."""
    named = _by_event_name(event_source)
    found = named.get(event_name) or named.get(_DATED.sub("", event_name), ())
    return tuple(plan(target) for target in found)


@functools.cache
def _by_event_name(event_source: str) -> Mapping[str, tuple[Target, ...]]:
    """Return the operations of an event source: by model name, and by the names of records."""
    found: dict[str, tuple[Target, ...]] = {}
    for row in tables.index().services:
        first = catalog.target(row, "", row.protocol)
        signed = event_source.removesuffix(".amazonaws.com")
        alias = catalog.is_alias(signed) and catalog.signs_for(signed, row)
        if first.event_source != event_source and not alias:
            continue
        for name in tables.table(row.service).names():
            target = catalog.target(row, name, row.protocol)
            for shown in dict.fromkeys((name, plan(target).event_name)):
                found[shown] = (*found.get(shown, ()), target)
    return found


class _Walk:
    """One record's keys beside the writers of one operation."""

    def __init__(self, record: Mapping[str, object], how: Plan) -> None:
        self.how = how
        self.right = 0
        self.wrong: list[tuple[str, str]] = []
        """Path of the key, and the key that we would write."""
        self.foreign: list[str] = []
        for name, made in (("requestParameters", how.request), ("responseElements", how.response)):
            value = record.get(name)
            if isinstance(value, dict) and "omitted" not in value and made is not None:
                self._element(made, value, name)

    @property
    def faults(self) -> int:
        """What speaks against this operation."""
        return 2 * len(self.wrong) + len(self.foreign)

    def _element(self, made: Element, value: Mapping[str, object], path: str) -> None:
        inner: object = value
        if made.envelope and len(value) == 1:
            (key,) = value
            self._count(key, made.envelope, path)
            inner = value[key]
        if isinstance(inner, dict):
            self.right += sum(name in made.added for name in inner)
            rest = {k: v for k, v in inner.items() if k not in made.added}
            self._structure(made.write, rest, path)

    def _count(self, key: str, expected: str, path: str) -> None:
        if key == expected:
            self.right += 1
        else:
            self.wrong.append((f"{path}.{key}", expected))

    def _structure(self, write: Structure, value: Mapping[str, object], path: str) -> None:
        spelt = dict(write.members.values())
        folded = {n.lower(): own for name, (own, _) in write.members.items() for n in (name, own)}
        for key, inner in value.items():
            at = f"{path}.{key}"
            if key in spelt:
                self.right += 1
                self._value(spelt[key], inner, at)
            elif key in _ROOT_KEYS:
                self.right += 1
            elif key.lower() in folded:
                expected = folded[key.lower()]
                self.wrong.append((at, expected))
                self._value(spelt[expected], inner, at)
            else:
                self.foreign.append(at)

    def _value(self, write: Writer, value: object, path: str) -> None:
        for writer, inner, at in self._inside(write, value, path):
            if isinstance(writer, Structure):
                if isinstance(inner, dict):
                    self._structure(writer, inner, at)
            else:
                self._value(writer, inner, at)

    def _inside(
        self, write: Writer, value: object, path: str
    ) -> Iterator[tuple[Writer, object, str]]:
        if isinstance(write, Structure):
            yield write, value, path
        elif isinstance(write, Elements):
            keys, items = write.opened(value)
            self.right += len(keys)
            if isinstance(value, dict) and value and not keys and not items:
                self.wrong += [(f"{path}.{key}", "a list") for key in value]
            for item in items:
                yield write.member, item, f"{path}[]"
        elif isinstance(write, Entries) and isinstance(value, dict):
            for item in value.values():
                yield write.member, item, f"{path}{{}}"
