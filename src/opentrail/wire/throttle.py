# SPDX-License-Identifier: Apache-2.0
"""CloudTrail's own limit on LookupEvents, for those who test against it.

Source: CloudTrail API Reference, "LookupEvents": two requests a second for an account and region.
"""

import threading

from opentrail.clock import Clock
from opentrail.errors import ClientError

SCOPES_MAX = 10_000
"""Accounts and regions remembered: more than a server has; then all begin anew."""


class Throttle:
    """So many requests a second for each account and region. Safe from several threads."""

    def __init__(self, requests_s: float, clock: Clock) -> None:
        """``requests_s`` 0: no limit."""
        self._requests_s = requests_s
        self._clock = clock
        self._lock = threading.Lock()
        self._left: dict[tuple[str, str], tuple[float, float]] = {}
        """Scope -> when it was last asked, and how many requests it had left then."""

    def take(self, account: str, region: str) -> None:
        """Let one request pass. Raises: ClientError ThrottlingException."""
        if not self._requests_s:
            return
        burst = max(self._requests_s, 1.0)
        with self._lock:
            now_s = self._clock.monotonic()
            before_s, left = self._left.get((account, region), (now_s, burst))
            left = min(burst, left + (now_s - before_s) * self._requests_s)
            if len(self._left) >= SCOPES_MAX:
                self._left.clear()
            passes = left >= 1.0
            self._left[account, region] = now_s, left - passes
        if not passes:
            raise ClientError("ThrottlingException", "Rate exceeded")
