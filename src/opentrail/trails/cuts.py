# SPDX-License-Identifier: Apache-2.0
"""When log files end: a cut at every interval."""

from opentrail.clock import Clock
from opentrail.trails.registry import Registry


class Cuts:
    """When log files end."""

    def __init__(self, registry: Registry, clock: Clock, interval_s: float) -> None:
        self._registry = registry
        self._clock = clock
        self._interval_s = interval_s
        self._due_s = clock.monotonic() + interval_s

    def step(self) -> None:
        """Cut, when it is time. Raises: Unavailable. Corrupt."""
        if self._clock.monotonic() >= self._due_s:
            self._due_s = self._clock.monotonic() + self._interval_s
            self._registry.cut()
