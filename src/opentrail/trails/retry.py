# SPDX-License-Identifier: Apache-2.0
"""When to try a failed delivery again: soon at first, then ever more rarely, each trail alone."""

from opentrail.clock import Clock

RETRY_FIRST_S = 1.0
"""A bucket that was just made, a policy that is on its way: seconds."""
RETRY_LONGEST_S = 300.0
"""CloudTrail's own rhythm: a bucket that is back gets its files within one file interval."""


BETWEEN_MS_MAX = 3 * int(RETRY_LONGEST_S * 1000)
"""Two attempts are not further apart, timeouts included. What is more was not spent trying: the
server was off, or its clock jumped."""


def tried_ms(last_ms: int, now_ms: int) -> int:
    """Return how much of the time between two attempts was spent trying, milliseconds."""
    return min(max(now_ms - last_ms, 0), BETWEEN_MS_MAX)


class Retry:
    """Waiting times by trail id, in memory: a restart tries everything at once."""

    def __init__(self, clock: Clock) -> None:
        """Measure with ``clock``'s monotonic time: the wall clock may jump."""
        self._clock = clock
        self._waits: dict[str, tuple[float, float]] = {}

    def waits(self, trail_id: str) -> bool:
        """Return whether it is too early for this trail."""
        until, _ = self._waits.get(trail_id, (0.0, 0.0))
        return until > self._clock.monotonic()

    def failing(self, trail_id: str) -> bool:
        """Return whether it has failed since it last worked, as far as this process knows."""
        return trail_id in self._waits

    def again(self, trail_id: str) -> None:
        """Try at once: what it failed with has changed. It has failed all the same."""
        if trail_id in self._waits:
            self._waits[trail_id] = (float("-inf"), 0.0)

    def failed(self, trail_id: str) -> None:
        """Wait, and longer than the last time."""
        _, last_s = self._waits.get(trail_id, (0.0, 0.0))
        wait_s = min(max(2 * last_s, RETRY_FIRST_S), RETRY_LONGEST_S)
        self._waits[trail_id] = (self._clock.monotonic() + wait_s, wait_s)

    def worked(self, trail_id: str) -> None:
        """Begin anew with the shortest wait."""
        self._waits.pop(trail_id, None)
