# SPDX-License-Identifier: Apache-2.0
"""What a query may have misspelt: fields that no event has, values in another case of letters.

Only the newest events are looked at, and what is said says so: older ones may have what these lack.
"""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from opentrail.event.record import FIELD_ORDER
from opentrail.event.safe import safe
from opentrail.history.conditions import (
    And,
    Condition,
    Everything,
    Is,
    Like,
    Not,
    Or,
    Text,
    There,
    field_name,
    fields_of,
    leaves,
)
from opentrail.history.fields import OWN_NAMES, Event
from opentrail.history.other_languages import FIELD_TYPED
from opentrail.history.search import Question, Searcher

LOOKED_AT = 10_000
"""Newest events that are looked at: some 0.3 s at most."""
LOOKED_AT_FOR_PROGRAMS = 500
"""Of those for a caller that may ask the same again every second: some 10 ms."""
NAMES_MAX = 10_000
"""Names of fields that are compared with a misspelt one: records may have any number of them."""
DEPTH_MAX = 6
"""Of a field's path; deeper ones are rare, and nobody types them."""
ALIKE = 0.6
"""How alike a name must be to be offered; difflib's own default."""

ALIKE_TEXT = 0.8
"""How alike a text must be to a field's name that it may be meant: most texts are texts."""

_OTHERS_MARKS = ("%", "|", ",", ".*", "?")
"""Other languages' words for any text, and for alternatives."""
_TYPED = re.compile(FIELD_TYPED)


@dataclass(frozen=True, slots=True)
class Hint:
    """Something that may be misspelt."""

    text: str
    """Safe for a terminal."""
    whole: bool
    """Whether every event was looked at."""


@dataclass(slots=True)
class _Newest:
    """What the newest events say of some fields and values."""

    missing: list[str]
    """Fields that none of them has."""
    unlike: list[Is | Like]
    """Conditions that hold for none of them."""
    most: int
    """How many are looked at."""
    seen: int = 0
    whole: bool = False
    names: dict[str, None] = field(default_factory=dict)
    """Names of their fields, while any is missing."""
    alike: dict[Condition, str] = field(default_factory=dict)
    """A condition -> a value that it would hold for, but for the case of letters."""

    def look_at(self, event: Event) -> None:
        """Add one event."""
        self.seen += 1
        self.missing = [name for name in self.missing if not There(name).holds(event)]
        if self.missing and len(self.names) < NAMES_MAX:
            self.names |= dict.fromkeys(_paths(event.fields(), "", DEPTH_MAX))
        self.unlike = [each for each in self.unlike if not each.holds(event)]
        for each in self.unlike:
            if each not in self.alike:
                values = event.values(each.field)
                found = next((value for value in values if _alike(each, value)), None)
                if found is not None:
                    self.alike[each] = found


def hints(
    searcher: Searcher,
    condition: Condition,
    visible: Condition | None = None,
    *,
    matched: bool = False,
    most: int = LOOKED_AT,
) -> list[Hint]:
    """Return what may be misspelt in ``condition``: of the events that ``visible`` holds for, or all.

    ``matched``: it holds for some, and then only what that does not prove is looked at, in ``most``
    events.
    """
    parts = list(_unproven(condition)) if matched else [condition]
    fields = (name for part in parts for name in fields_of(part))
    conditions = [each for part in parts for each in leaves(part)]
    # Under a not a misspelt value lets through what it should not.
    values = [each for each in conditions if isinstance(each, Is | Like)]
    newest = _Newest(_strange(fields), values, most)
    found = _hints(searcher, newest, visible or Everything())
    texts = [each.text for each in conditions if isinstance(each, Text)]
    found += [hint for text in texts for hint in _field_meant(text)]
    if not matched:
        found += [hint for each in values for hint in _marks(each)]
    return found


def unknown(searcher: Searcher, name: str) -> Hint | None:
    """Return what is wrong with a field's name if no event has it."""
    newest = _Newest(_strange([name]), [], LOOKED_AT)
    return next(iter(_hints(searcher, newest, Everything())), None)


def _strange(fields: Iterable[str]) -> list[str]:
    """Return those of ``fields`` that are not known by their form."""
    return list(dict.fromkeys(name for name in map(field_name, fields) if not _named(name)))


def _hints(searcher: Searcher, newest: _Newest, visible: Condition) -> list[Hint]:
    if newest.missing or newest.unlike:
        _look(searcher, newest, visible)
    if not newest.seen:
        return []
    none = "no event" if newest.whole else f"none of the newest {newest.seen:,} events"
    texts = [f"{none} has the field {name}{_meant(name, newest)}" for name in newest.missing]
    texts += [
        f"{none} has {each.field}={_value(each)}; did you mean {each.field}={found}?"
        for each, found in newest.alike.items()
        if each in newest.unlike and isinstance(each, Is | Like)
    ]
    return [Hint(safe(text), newest.whole) for text in texts]


def _look(searcher: Searcher, newest: _Newest, visible: Condition) -> None:
    for hit in searcher.newest(Question(visible), newest.most + 1):
        if newest.seen == newest.most or not (newest.missing or newest.unlike):
            return
        # One of its own, so that what is parsed is not kept with the hits.
        newest.look_at(Event(hit.event.data, hit.event.derived))
    newest.whole = searcher.reached is None and searcher.damage is None


def _field_meant(text: str) -> Iterator[Hint]:
    """Yield what to write where ``text`` is nearly the name of a field that every log may have."""
    by_lower = {known.lower(): known for known in (*OWN_NAMES, *FIELD_ORDER)}
    near = difflib.get_close_matches(text.lower(), by_lower, n=1, cutoff=ALIKE_TEXT)
    if near:
        said = f"{text} was looked for as a text; did you mean the field {by_lower[near[0]]}?"
        yield Hint(safe(said), whole=True)


def _marks(each: Is | Like) -> Iterator[Hint]:
    """Yield what to write where a value has in it what stands for others elsewhere."""
    text = _value(each)
    if isinstance(each, Is) and "*" in text:  # of a filter, or behind a backslash
        said = f"* in {each.field}={text} stands for itself here"
        yield Hint(
            safe(f"{said}; for any text it stands in a query: '{each.field}={text}'"), whole=True
        )
    found = [mark for mark in _OTHERS_MARKS if mark in text]
    if found:
        said = f"{found[0]} in {each.field}={text} stands for itself"
        yield Hint(safe(f"{said}: * is any text, and alternatives are joined by or"), whole=True)


def _unproven(condition: Condition) -> Iterator[Condition]:
    """Yield the parts that an event for which ``condition`` holds does not prove to be well spelt."""
    if isinstance(condition, Not | Or):
        yield condition
    elif isinstance(condition, And):
        for part in condition.parts:
            yield from _unproven(part)


def _alike(condition: Is | Like, value: str) -> bool:
    if isinstance(condition, Is):
        return value.lower() in (
            condition.value.lower(),
            f"{condition.value.lower()}.amazonaws.com",
        )
    return Like("", tuple(map(str.lower, condition.parts))).fits(value.lower())


def _value(condition: Is | Like) -> str:
    return condition.value if isinstance(condition, Is) else "*".join(condition.parts)


def _named(name: str) -> bool:
    """Whether ``name`` is one that events have by their form, whether or not these here do."""
    return name in OWN_NAMES or name.lower() in {known.lower() for known in FIELD_ORDER}


def _meant(name: str, newest: _Newest) -> str:
    names = (*OWN_NAMES, *FIELD_ORDER, *filter(_TYPED.fullmatch, newest.names))
    lower = name.lower()
    by_lower = {known.lower(): known for known in names}
    within = [known for known in by_lower if not lower.startswith(f"{known}.")]
    near = difflib.get_close_matches(lower, within, n=1, cutoff=ALIKE)
    return f"; did you mean {by_lower[near[0]]}?" if near else ""


def _paths(value: object, before: str, depth: int) -> Iterator[str]:
    if isinstance(value, Mapping) and depth:
        for name, inner in value.items():
            yield f"{before}{name}"
            yield from _paths(inner, f"{before}{name}.", depth - 1)
    elif isinstance(value, list):
        for inner in value:
            yield from _paths(inner, before, depth)
