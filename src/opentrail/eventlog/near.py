# SPDX-License-Identifier: Apache-2.0
"""Which positions are worth one read together. Pure."""

from collections.abc import Iterator, Sequence

GAP_BYTES = 8 * 1024
"""A system call costs as much as copying this from the page cache."""
SPAN_BYTES_MAX = 256 * 1024
"""Read at once: what the cache of a core still holds."""


def neighbours(positions: Sequence[int]) -> Iterator[tuple[int, int, Sequence[int]]]:
    """Yield ``positions`` in their order, in groups that lie near each other.

    Each with its lowest and its highest position.
    """
    begin = low = high = 0
    for index, position in enumerate(positions):
        if low <= position <= high:
            continue
        below, above = min(low, position), max(high, position)
        apart = (above - below) - (high - low)
        if index and apart <= GAP_BYTES and above - below <= SPAN_BYTES_MAX:
            low, high = below, above
            continue
        if index:
            yield low, high, positions[begin:index]
        begin, low, high = index, position, position
    if positions:
        yield low, high, positions[begin:]
