# SPDX-License-Identifier: Apache-2.0
"""What /_opentrail/health says."""

from collections.abc import Sequence
from dataclasses import dataclass

from opentrail.eventlog.base import LogReader
from opentrail.front.ops import Page, json_page


@dataclass(frozen=True, slots=True)
class Back:
    """How the back process is."""

    up: bool
    indexed_to: int
    """Position below which Event history has every record."""
    silent_s: float = 0.0
    """For how long it has not answered, seconds; 0: it does."""
    still: Sequence[str] = ()
    """Which of its rooms stand still, and why."""


def health_page(log: LogReader, why: str, back: Back, *, intake_ready: bool) -> Page:
    """Return how the server is; ``why`` it takes no calls, "" when it does."""
    status = "refusing" if why else "ok" if back.up and not back.still else "degraded"
    return json_page(
        503 if why else 200,
        {
            "status": status,
            "log": {
                "id": log.log_id,
                "durable_end": log.durable_end(),
                "refuses": why or None,
            },
            "back": {
                "up": back.up,
                "indexed_to": back.indexed_to,
                "silent_s": int(back.silent_s),
                "stands_still": list(back.still),
            },
            "intake": {"ready": intake_ready},
        },
    )
