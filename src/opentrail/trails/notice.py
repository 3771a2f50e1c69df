# SPDX-License-Identifier: Apache-2.0
"""What is told of delivered files, and to whom: data, kept in state until it is told.

A notice is committed together with the cursor that moved past its files, once for each target, so
none is lost and each target is behind or ahead alone.
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from opentrail.state.base import Change
from opentrail.trails.trail import DeliveredFile, Trail

NOTICE_PREFIX = "notice/"
_encode = msgspec.json.Encoder().encode


class Notice(msgspec.Struct, frozen=True):
    """The files of one range of one trail. State: ``notice_key``."""

    trail: Trail
    """As it was in the range: its topic is told."""
    position: int
    """Of the cut: the notice's identity, with the trail and the target."""
    files: tuple[DeliveredFile, ...]
    at_ms: int
    """When the files had been put."""
    told: int = 0
    """How many of the files were told already."""


def notice_prefix(trail_id: str) -> str:
    """Return what the keys of all notices of a trail begin with."""
    return f"{NOTICE_PREFIX}{trail_id}/"


def notice_key(trail_id: str, target: str, position: int) -> str:
    """Return where state keeps a notice until its target has taken it."""
    return f"{notice_prefix(trail_id)}{target}/{position:020d}"


def notices_of(
    targets: Iterable[str], trail: Trail, files: Sequence[DeliveredFile], mark: tuple[int, int]
) -> Mapping[str, bytes]:
    """Return what is to be kept of ``files``; ``mark``: the cut's position, and the time now."""
    if not files:
        return {}
    position, at_ms = mark
    notice = _encode(Notice(trail, position, tuple(files), at_ms))
    return {notice_key(trail.id, target, position): notice for target in targets}


def told(key: str, version: int, notice: Notice) -> Change:
    """Return the change that keeps how much of a notice was told; all: it is done with."""
    done = notice.told >= len(notice.files)
    return Change(key, None if done else _encode(notice), version)
