# SPDX-License-Identifier: Apache-2.0
"""From the log's marks to what they change. Pure.

Applying a mark again changes nothing, as long as those behind it are applied again too.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec

from opentrail.errors import Corrupt
from opentrail.eventlog.base import Mark, MarkKind
from opentrail.trails.trail import Control, Cut, Trail

PayloadT = TypeVar("PayloadT", Cut, Control)


@dataclass(slots=True)
class Changed:
    """What some marks have changed."""

    cut_ms: int
    """The newest cut's."""
    trails: dict[str, Trail] = field(default_factory=dict)
    """Id -> the newest configuration, in the order of the trails' first changes."""


def fold(marks: Iterable[Mark], cut_ms: int) -> Changed:
    """Return what ``marks`` change; ``cut_ms`` is the newest cut's before them. Raises: Corrupt."""
    changed = Changed(cut_ms)
    for mark in marks:
        if mark.kind is MarkKind.CUT:
            changed.cut_ms = max(changed.cut_ms, _payload(mark, Cut).cut_ms)
        else:
            trail = _payload(mark, Control).trail
            changed.trails[trail.id] = trail
    return changed


def _payload(mark: Mark, kind: type[PayloadT]) -> PayloadT:
    try:
        return msgspec.json.decode(mark.payload, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Corrupt(
            f"a {mark.kind.name.lower()} mark cannot be read: {error}",
            f"log at {mark.position}",
            "run opentrail fsck; a newer OpenTrail may have written it",
        ) from error
