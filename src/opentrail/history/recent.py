# SPDX-License-Identifier: Apache-2.0
"""What was asked for lately: the same newest events are asked for again and again.

Records never change, so what is remembered of one stays true as long as its log.
"""

from collections.abc import Sequence
from typing import Generic, TypeVar

RECENT = 4096
"""Events in each of the two generations: some 80 pages, some 20 MB."""
BYTES_MAX = 8 * 1024
"""Longer ones are read each time: few are, and they must not fill the memory."""

_What = TypeVar("_What")


class Recent(Generic[_What]):
    """What is known of some records, by position: of those that were used last. For any thread."""

    def __init__(self, recent: int = RECENT) -> None:
        self._recent = recent
        self._young: dict[int, _What] = {}
        self._old: dict[int, _What] = {}

    def get(self, position: int) -> _What | None:
        """Return what is remembered of the record at ``position``, if anything."""
        found = self._young.get(position)
        if found is None:
            found = self._old.get(position)
            if found is not None:
                self.put(position, found)
        return found

    def get_all(self, positions: Sequence[int]) -> list[_What | None]:
        """Return what is remembered of the records at ``positions``; None where it is nothing.

        What is remembered is true in a condition: it has neither a length nor a ``__bool__``.
        """
        found = list(map(self._young.get, positions))
        if not all(found):  # ``None in found`` would ask each of them whether it equals None
            for at, what in enumerate(found):
                if what is None:
                    found[at] = self.get(positions[at])
        return found

    def put(self, position: int, what: _What) -> None:
        """Remember ``what``; the least recent is forgotten."""
        # Threads that do this at once forget or keep a few more than one would.
        if len(self._young) >= self._recent:
            self._old, self._young = self._young, {}
        self._young[position] = what
