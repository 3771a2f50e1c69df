# SPDX-License-Identifier: Apache-2.0
"""How far behind deliveries, notices and copies are, and which fail: mostly read from state."""

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from opentrail.state.base import State
from opentrail.trails.notice import NOTICE_PREFIX
from opentrail.trails.status import (
    DeliveryStatus,
    TargetStatus,
    delivery_status_key,
    status_prefix,
)
from opentrail.trails.trail import Trail, cursor_key

_delivery = msgspec.json.Decoder(DeliveryStatus).decode
_target = msgspec.json.Decoder(TargetStatus).decode

BUCKET = "bucket"
"""The target that every trail has."""


class Gauge(msgspec.Struct, frozen=True, array_like=True):
    """One figure of the metrics page."""

    name: str
    target: str
    """"bucket", "sns", "logs", "events", "webhook-…"."""
    trail: str
    """Its ARN; of a target that an account's trails share, the account."""
    value: float


Behind = Mapping[tuple[str, str], int]
"""Target and owner (a trail's id, an account) of a feed -> bytes of the log before it."""


def gauges(state: State, trails: Iterable[Trail], log_end: int, behind: Behind) -> list[Gauge]:
    """Return all figures of ``trails``. Raises: Unavailable."""
    all_trails = list(trails)
    arns = {trail.id: trail.arn for trail in all_trails}
    accounts = {each: each for trail in all_trails for each in (trail.account, *trail.members)}
    found = [gauge for owner in arns for gauge in _of_bucket(state, owner, arns[owner], log_end)]
    shown = arns | accounts
    found += _of_targets(state, shown)
    found += _waiting(state, shown)
    found += [
        Gauge("trail_behind_bytes", target, shown.get(owner, owner), count)
        for (target, owner), count in behind.items()
    ]
    return found


def _of_bucket(state: State, trail_id: str, arn: str, log_end: int) -> Iterator[Gauge]:
    cursor = state.get(cursor_key(trail_id))
    if cursor is not None:
        yield Gauge("trail_behind_bytes", BUCKET, arn, log_end - int(cursor.value))
    status = state.get(delivery_status_key(trail_id))
    failing = status is not None and bool(_delivery(status.value).error)
    yield Gauge("trail_failing", BUCKET, arn, int(failing))


def _of_targets(state: State, shown: dict[str, str]) -> Iterator[Gauge]:
    for owner, label in shown.items():
        prefix = f"{status_prefix(owner)}target/"
        for entry in state.scan(prefix):
            target, status = entry.key.removeprefix(prefix), _target(entry.value)
            yield Gauge("trail_failing", target, label, int(bool(status.error)))
            yield Gauge("trail_given_up", target, label, status.given_up)


def _waiting(state: State, shown: dict[str, str]) -> Iterator[Gauge]:
    counts: dict[tuple[str, str], int] = {}
    for entry in state.scan(NOTICE_PREFIX):
        owner, target = entry.key.removeprefix(NOTICE_PREFIX).split("/")[:2]
        counts[owner, target] = counts.get((owner, target), 0) + 1
    for (owner, target), count in counts.items():
        yield Gauge("trail_notices_waiting", target, shown.get(owner, owner), count)
