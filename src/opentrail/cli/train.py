# SPDX-License-Identifier: Apache-2.0
"""What ``opentrail fsck --train`` prints."""

from collections.abc import Iterator

from opentrail.eventlog.training import Training


def as_table(training: Training) -> Iterator[str]:
    """Yield the lines of the table, and what became of the new dictionary."""
    if training.figures:
        yield (
            f"trained on {training.records:,} records, measured on {training.held_out:,} newer ones"
        )
        yield f"{'dictionary':<18}{'bytes a record':>15}{'ratio':>8}{'compress':>12}{'read':>10}"
    for each in training.figures:
        yield (
            f"{each.name:<18}{each.record_bytes:>15,.1f}{each.ratio:>7.1f}x"
            f"{each.compress_us:>9.2f} us{each.decompress_us:>7.2f} us"
        )
    kept = "kept for new segments, a running server's too" if training.kept else "not kept"
    yield f"{kept}: {training.why}"
