# SPDX-License-Identifier: Apache-2.0
"""A clock for tests of what waits."""


class MovedClock:
    """Stands still until a test moves it."""

    def __init__(self) -> None:
        self.ms = 1_700_000_000_000

    def now_ms(self) -> int:
        return self.ms

    def monotonic(self) -> float:
        return self.ms / 1000
