# SPDX-License-Identifier: Apache-2.0
"""The gap event: OpenTrail's own record of what the log, or a bucket, does not have.

It has the shape of the AwsServiceEvent of delivered log files.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from opentrail.clock import iso_seconds
from opentrail.event.service_event import ServiceEvent, service_event

GAP_EVENT_NAME = "RecordingGap"
"""eventName of the record of what the log does not have."""
DELIVERY_GAP_EVENT_NAME = "DeliveryGap"
"""eventName of the record of what the log has and a trail's bucket was never given."""
_SOURCE = "cloudtrail.amazonaws.com"
_VERSION = "1.08"


@dataclass(frozen=True, slots=True)
class Gap:
    """A stretch in which calls may be missing from the log, or records from a bucket."""

    reason: str
    """A short code: "power-loss"."""
    from_ms: int
    """Milliseconds since 1970 UTC."""
    to_ms: int
    calls: int | None = None
    """How many calls are missing, where that is known."""
    more: Mapping[str, object] = field(default_factory=dict)
    """Further members of serviceEventDetails."""
    event_name: str = GAP_EVENT_NAME


def gap_event(gap: Gap, event_id: str, account: str, region: str, at_ms: int) -> bytes:
    """Return the AwsServiceEvent that says what is missing; ``at_ms`` is when that was found.

    serviceEventDetails: ``reason``, ``from`` and ``to`` (UTC, whole seconds), ``calls`` where the
    number is known, and ``more``.
    """
    details: dict[str, object] = {
        "reason": gap.reason,
        "from": iso_seconds(gap.from_ms),
        "to": iso_seconds(gap.to_ms),
    }
    if gap.calls is not None:
        details["calls"] = gap.calls
    details |= gap.more
    return service_event(
        ServiceEvent(_VERSION, _SOURCE, gap.event_name, account, region, at_ms, event_id, details)
    )
