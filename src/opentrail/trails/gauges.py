# SPDX-License-Identifier: Apache-2.0
"""How far behind deliveries, notices and copies are, and which fail: mostly read from state."""

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from opentrail.state.base import State
from opentrail.state.stored import read
from opentrail.trails.backlog import Patience
from opentrail.trails.departed import departed
from opentrail.trails.notice import NOTICE_PREFIX
from opentrail.trails.status import (
    DeliveryStatus,
    DigestStatus,
    TargetStatus,
    delivery_status_key,
    digest_status_key,
    status_prefix,
)
from opentrail.trails.trail import Trail, cursor_key

BUCKET = "bucket"
"""The target that every trail has."""
DIGEST = "digest"
"""What signs and puts digests, of trails that have some."""


class Gauge(msgspec.Struct, frozen=True, array_like=True):
    """One figure of the metrics page."""

    name: str
    target: str
    """"bucket", "digest", "sns", "logs", "events", "webhook-…"."""
    trail: str
    """Its ARN, of a deleted one with its id; of a target that an account's trails share, the account."""
    value: float


Behind = Mapping[tuple[str, str], int]
"""Target and owner (a trail's id, an account) of a feed -> bytes of the log before it."""


def gauges(
    state: State,
    trails: Iterable[Trail],
    log_end: int,
    behind: Behind,
    patience: Patience | None = None,
) -> list[Gauge]:
    """Return all figures of ``trails`` and of deleted ones that are not done. Raises: Unavailable."""
    bytes_max = (patience or Patience()).bytes_max
    all_trails = list(trails)
    arns = {trail.id: trail.arn for trail in all_trails}
    # Another trail may have the name by now, or have had it.
    gone = {each.id: f"{each.arn} ({each.id}, deleted)" for each in departed(state, all_trails)}
    accounts = {each: each for trail in all_trails for each in (trail.account, *trail.members)}
    found: list[Gauge] = []
    for owner, label in (arns | gone).items():
        found += _of_bucket(state, owner, label, (log_end, bytes_max))
    shown = arns | gone | accounts
    found += _of_targets(state, shown)
    found += _waiting(state, shown)
    found += [
        Gauge("trail_behind_bytes", target, shown.get(owner, owner), count)
        for (target, owner), count in behind.items()
    ]
    return found


def _of_bucket(state: State, trail_id: str, arn: str, bounds: tuple[int, int]) -> Iterator[Gauge]:
    """Yield the figures of a trail's bucket; ``bounds``: the log's end, the largest backlog."""
    cursor = state.get(cursor_key(trail_id))
    if cursor is not None:
        behind = bounds[0] - read(cursor, int)
        yield Gauge("trail_behind_bytes", BUCKET, arn, behind)
        yield Gauge("trail_backlog_full", BUCKET, arn, int(behind > bounds[1]))
    entry = state.get(delivery_status_key(trail_id))
    status = DeliveryStatus() if entry is None else read(entry, DeliveryStatus)
    yield Gauge("trail_failing", BUCKET, arn, int(bool(status.error)))
    yield Gauge("trail_given_up", BUCKET, arn, status.given_up)
    entry = state.get(digest_status_key(trail_id))
    digests = DigestStatus() if entry is None else read(entry, DigestStatus)
    yield Gauge("trail_failing", DIGEST, arn, int(bool(digests.error)))


def _of_targets(state: State, shown: dict[str, str]) -> Iterator[Gauge]:
    for owner, label in shown.items():
        prefix = f"{status_prefix(owner)}target/"
        for entry in state.scan(prefix):
            target, status = entry.key.removeprefix(prefix), read(entry, TargetStatus)
            yield Gauge("trail_failing", target, label, int(bool(status.error)))
            yield Gauge("trail_given_up", target, label, status.given_up)


def _waiting(state: State, shown: dict[str, str]) -> Iterator[Gauge]:
    counts: dict[tuple[str, str], int] = {}
    for key in state.keys(NOTICE_PREFIX):
        owner, target = key.removeprefix(NOTICE_PREFIX).split("/")[:2]
        counts[owner, target] = counts.get((owner, target), 0) + 1
    for (owner, target), count in counts.items():
        yield Gauge("trail_notices_waiting", target, shown.get(owner, owner), count)
