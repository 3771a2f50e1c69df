# SPDX-License-Identifier: Apache-2.0
"""Names of fields that no event has: most are misspelt, and the nearest name helps."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from opentrail.event.record import FIELD_ORDER
from opentrail.history.conditions import OWN_NAMES, Event, There, field_name
from opentrail.history.search import Question, Searcher

LOOKED_AT = 500
"""Newest events whose fields are looked at."""
DEPTH_MAX = 6
"""Of a field's path; deeper ones are rare, and nobody types them."""
ALIKE = 0.6
"""How alike a name must be to be offered; difflib's own default."""


def unknown(searcher: Searcher, fields: Sequence[str]) -> str:
    """Return what is wrong with the first of ``fields`` that no event has; "" when nothing is.

    ``fields`` are as a query has them. Only the newest events are looked at.
    """
    asked = [field_name(field) for field in fields]
    strange = [field for field in asked if not _named(field)]
    if not strange:
        return ""
    events = [hit.event for hit in islice(searcher.newest(Question(), LOOKED_AT), LOOKED_AT)]
    for field in strange:
        if not any(There(field).holds(event) for event in events):
            near = _nearest(field, events)
            return f"no event has the field {field}" + (f"; did you mean {near}?" if near else "")
    return ""


def _named(field: str) -> bool:
    """Whether ``field`` is one that events have by their form, whether or not these here do."""
    return field in OWN_NAMES or field.lower() in {name.lower() for name in FIELD_ORDER}


def _nearest(field: str, events: Sequence[Event]) -> str:
    names = dict.fromkeys((*OWN_NAMES, *FIELD_ORDER))
    for event in events:
        names |= dict.fromkeys(_paths(event.fields(), "", DEPTH_MAX))
    by_lower = {name.lower(): name for name in names}
    near = difflib.get_close_matches(field.lower(), by_lower, n=1, cutoff=ALIKE)
    return by_lower[near[0]] if near else ""


def _paths(value: object, before: str, depth: int) -> Iterator[str]:
    if isinstance(value, Mapping) and depth:
        for name, inner in value.items():
            yield f"{before}{name}"
            yield from _paths(inner, f"{before}{name}.", depth - 1)
    elif isinstance(value, list):
        for inner in value:
            yield from _paths(inner, before, depth)
