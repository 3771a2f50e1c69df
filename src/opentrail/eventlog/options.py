# SPDX-License-Identifier: Apache-2.0
"""What may differ between logs, and the bounds that hold for all."""

from dataclasses import dataclass

SEGMENT_BYTES_MAX = 64 * 1024 * 1024
"""Small enough that checking the last one at start takes under a second; some 250,000 records."""
SEGMENT_AGE_MS_MAX = 24 * 3600 * 1000
"""Retention deletes whole segments: without this a quiet log would never have one to delete."""
DISK_RESERVE_BYTES = 256 * 1024 * 1024
"""Room for a new segment, the index's next runs and the operator, once the log refuses."""
DISK_CHECK_INTERVAL_S = 0.1
"""At 1 GB/s, a disk's worth of writes, less than half of the reserve goes by unseen."""


@dataclass(frozen=True, slots=True)
class LogOptions:
    """What may differ between logs."""

    address: str = ""
    """Where the server listens, for the message to a second one."""
    disk_reserve_bytes: int = DISK_RESERVE_BYTES
    segment_bytes_max: int = SEGMENT_BYTES_MAX
    dictionary: bytes | None = None
    """zstd dictionary of new segments; None: the one that was trained, else OpenTrail's own."""
