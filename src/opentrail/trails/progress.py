# SPDX-License-Identifier: Apache-2.0
"""How far a trail is, and which digests are due: what moves with its cursor. Data and plan, pure.

Source: CloudTrail User Guide, "CloudTrail digest file structure". All of it follows from the
log's marks alone, so that a repeat from an old state plans the same windows again.
"""

import msgspec

from opentrail.trails.timeline import Milestone
from opentrail.trails.trail import Trail

WINDOWS_AT_ONCE_MAX = 168
"""A week of hours. A longer silence (a server that was off, a clock that jumped) is one window."""


class Progress(msgspec.Struct, frozen=True):
    """What holds at a trail's cursor. State: ``progress_key``, changed only with the cursor."""

    trail: Trail
    """The configuration from the cursor on."""
    cut_ms: int
    """Of the last cut at or before the cursor."""
    window_s: int = 0
    """Where the open digest window begins, seconds since 1970 UTC; 0: no chain is open."""
    chain: int = 0
    """Position of the control that began the open chain."""


class Due(msgspec.Struct, frozen=True):
    """A digest window that is closed: its digests are to be put. State: ``due_key``."""

    trail: Trail
    """As it was when the window closed: the digests go to its bucket."""
    start_s: int
    end_s: int
    """Seconds since 1970 UTC. No two windows of one trail name end at the same."""
    chain: int
    """Position of the control that began the chain."""
    through: int
    """It lists the files delivered up to this position, cut at or before ``end_s``."""


class Edge(msgspec.Struct, frozen=True):
    """The second at which a change ends or begins a chain. State: ``edge_key``."""

    second: int


class Chain(msgspec.Struct, frozen=True):
    """The last digest of an account and region. State: ``chain_key``."""

    chain: int
    """Position of the control that began it: another number is another chain."""
    bucket: str
    key: str
    sha256: str
    """Hex, of its uncompressed bytes."""
    signature: str
    """Hex."""
    end_s: int = 0
    """When its window ends, seconds since 1970 UTC."""
    digests: int = 0
    """How many the chain has so far, how many log files they list, with how many records."""
    log_files: int = 0
    records: int = 0


def validates(trail: Trail) -> bool:
    """Return whether the trail's files are to be digested."""
    return trail.logging and trail.log_file_validation and not trail.deleted


def plan(
    progress: Progress, milestone: Milestone, edge_s: int, interval_s: int
) -> tuple[Progress, list[Due]]:
    """Return what holds past ``milestone``, and the windows that close there.

    A chain begins with a window that ends where it begins, and lists nothing; then windows of
    ``interval_s`` each close at the first cut at or behind their end; StopLogging, the end of
    validation and DeleteTrail close the last one, at ``edge_s``.
    """
    progress, due = _close_elapsed(progress, milestone, interval_s)
    if milestone.trail is None:
        return progress, due
    was_open, opens = progress.window_s > 0, validates(milestone.trail)
    if was_open and not opens:
        due.append(_due(progress, edge_s, milestone))
        return Progress(milestone.trail, milestone.cut_ms), due
    progress = msgspec.structs.replace(progress, trail=milestone.trail)
    if opens and not was_open:
        start_s = max(edge_s - interval_s, 0)
        begun = msgspec.structs.replace(progress, window_s=start_s, chain=milestone.position)
        due.append(_due(begun, edge_s, milestone))
        progress = msgspec.structs.replace(begun, window_s=edge_s)
    return progress, due


def _close_elapsed(
    progress: Progress, milestone: Milestone, interval_s: int
) -> tuple[Progress, list[Due]]:
    progress = msgspec.structs.replace(progress, cut_ms=milestone.cut_ms)
    if not progress.window_s:
        return progress, []
    count = (milestone.cut_ms // 1000 - progress.window_s) // interval_s
    step_s = interval_s
    if count > WINDOWS_AT_ONCE_MAX:
        count, step_s = 1, count * interval_s
    due: list[Due] = []
    for _ in range(count):
        end_s = progress.window_s + step_s
        due.append(_due(progress, end_s, milestone))
        progress = msgspec.structs.replace(progress, window_s=end_s)
    return progress, due


def _due(progress: Progress, end_s: int, milestone: Milestone) -> Due:
    return Due(progress.trail, progress.window_s, end_s, progress.chain, milestone.position)


def edge_second(trail: Trail, cut_ms: int, last_s: int) -> int:
    """Return the second at which a change to ``trail`` ends or begins a chain.

    A chain begins in the second of its cut; it ends behind it, so that no earlier window ends
    there too; and never at or before ``last_s``, the last second so given out to a trail of that
    name: digests are named by the second, and one must not overwrite another.
    """
    second = cut_ms // 1000 + (0 if validates(trail) else 1)
    return max(second, last_s + 1)


PROGRESS_PREFIX = "progress/"
DUE_PREFIX = "digest/due/"


def progress_key(trail_id: str) -> str:
    """Return where state keeps a trail's ``Progress``."""
    return f"{PROGRESS_PREFIX}{trail_id}"


def due_prefix(trail_id: str) -> str:
    """Return what the keys of all windows begin with that wait for their digests."""
    return f"{DUE_PREFIX}{trail_id}/"


def due_key(due: Due) -> str:
    """Return where state keeps a ``Due``, until its digests are put."""
    return f"{due_prefix(due.trail.id)}{due.end_s:012d}"


def chain_prefix(trail_id: str) -> str:
    """Return what the keys of all chains of a trail begin with."""
    return f"digest/chain/{trail_id}/"


def chain_key(trail_id: str, account: str, region: str) -> str:
    """Return where state keeps a ``Chain``."""
    return f"{chain_prefix(trail_id)}{account}/{region}"


HEAD_PREFIX = "digest/head/"


def head_prefix(account: str, home_region: str, name: str) -> str:
    """Return what the keys of all heads of a trail's chains begin with.

    They are its name's, so that they outlive the trail.
    """
    return f"{HEAD_PREFIX}{account}/{home_region}/{name}/"


def head_key(trail: Trail, scope: tuple[str, str], chain: int) -> str:
    """Return where state keeps the last ``Chain`` of each chain, also of those that have ended.

    ``scope``: account and region. What a bucket must still hold is told by these.
    """
    account, region = scope
    prefix = head_prefix(trail.account, trail.home_region, trail.name)
    return f"{prefix}{account}/{region}/{chain:020d}"


def edge_prefix(trail_id: str) -> str:
    """Return what the keys of all edges of a trail begin with."""
    return f"digest/edge/{trail_id}/"


def edge_key(trail_id: str, position: int) -> str:
    """Return where state keeps the ``Edge`` of a control, until the cursor is past it."""
    return f"{edge_prefix(trail_id)}{position:020d}"


def edge_last_key(trail: Trail) -> str:
    """Return where state keeps the last ``Edge`` given out to a name."""
    return f"digest/last/{trail.account}/{trail.home_region}/{trail.name}"


def delivered_prefix(trail_id: str) -> str:
    """Return what the keys of a trail's delivered files begin with (``trail.delivered_key``)."""
    return f"delivered/{trail_id}/"
