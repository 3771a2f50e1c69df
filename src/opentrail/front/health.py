# SPDX-License-Identifier: Apache-2.0
"""What /_opentrail/health says, and the server's own log of a log that takes no records."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from opentrail.eventlog.base import LogReader
from opentrail.front.ops import Page, json_page

_log = logging.getLogger("opentrail.front")


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


class Watch:
    """Tells the server's own log when the event log takes no records, and when it takes them again."""

    def __init__(self, why: str) -> None:
        """``why`` it takes none now, "" when it does: of that the operator is told at the start."""
        self._refuses = bool(why)

    def look(self, why: str) -> None:
        """Tell what has changed since the last look; ``why`` is as at first."""
        if why and not self._refuses:
            _log.error("the event log takes no records: %s", why)
        elif self._refuses and not why:
            _log.warning("the event log takes records again")
        self._refuses = bool(why)
