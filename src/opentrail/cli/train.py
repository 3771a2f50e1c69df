# SPDX-License-Identifier: Apache-2.0
"""``opentrail fsck --train``: a dictionary of the log's own records, measured before it is kept."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from opentrail.errors import Corrupt, Unavailable
from opentrail.eventlog.blob import DICTIONARY_PATH, BlobCodec
from opentrail.eventlog.dictionary import of_new_segments, store, trained
from opentrail.eventlog.reader import SegmentReader
from opentrail.eventlog.segment import list_firsts

SAMPLES_MAX, SAMPLE_BYTES_MAX = 10_000, 8 * 1024
"""Records looked at, and the bytes of one: training takes some seconds then, and 80 MB at worst."""
SEGMENTS_MAX = 8
"""The newest segments, of some 250,000 records each: new records are like the newest ones."""
SAMPLES_MIN = 2_000
"""Of fewer a dictionary knows the records, not what they have in common."""
HELD_OUT_SHARE = 4
"""One in so many samples is held out: the newest ones."""
GAIN_MIN = 0.02
"""Saved, of what the dictionary of now needs: less is not worth another one."""


@dataclass(frozen=True, slots=True)
class Figures:
    """One dictionary over the records that were held out."""

    name: str
    record_bytes: float
    """Of a record, compressed."""
    ratio: float
    """Of its JSON to that."""
    compress_us: float
    """Of a record."""
    decompress_us: float


@dataclass(frozen=True, slots=True)
class Training:
    """What came of it."""

    records: int
    held_out: int
    figures: tuple[Figures, ...]
    """Without a dictionary, with those that there are, with the new one."""
    kept: bool
    why: str


def train(data: Path) -> Training:
    """Train a dictionary on the log in ``data``, and keep it for new segments if it is better.

        1. take samples of the newest segments; hold out the newest of them
        2. train on the others
        3. compress the held-out ones with each dictionary, and read them back
        4. replace ``log/dictionary``        (a crash before: the old one holds; after: the new one)
    Segments that there are keep theirs; a running server goes on with its own until its next start.
    Raises: Unavailable: there is no log, or it cannot be written. Corrupt.
    """
    log_dir = data / "log"
    samples = _samples(SegmentReader(log_dir), log_dir)
    border = len(samples) - len(samples) // HELD_OUT_SHARE
    if len(samples) < SAMPLES_MIN:
        return Training(border, 0, (), kept=False, why=f"it takes {SAMPLES_MIN:,} records")
    held_out, made = samples[border:], trained(samples[:border])
    if not made:
        return Training(border, 0, (), kept=False, why="no dictionary can be made of these records")
    now, shipped = of_new_segments(log_dir), DICTIONARY_PATH.read_bytes()
    candidates = {"none": b"", "OpenTrail's own": shipped}
    candidates |= {} if now == shipped else {"trained before": now}
    candidates["trained now"] = made
    figures = tuple(_measured(name, each, held_out) for name, each in candidates.items())
    gain = 1 - figures[-1].record_bytes / figures[-2].record_bytes
    why = f"it saves {gain:.1%} of the bytes, {GAIN_MIN:.0%} is worth another one"
    if gain >= GAIN_MIN:
        try:
            store(log_dir, made)
        except OSError as error:
            raise Unavailable(f"the dictionary cannot be kept: {error.strerror}") from error
    return Training(border, len(held_out), figures, kept=gain >= GAIN_MIN, why=why)


def _samples(log: SegmentReader, log_dir: Path) -> list[bytes]:
    """Return records of the newest segments, evenly, oldest first."""
    firsts = [first for first in list_firsts(log_dir)[-SEGMENTS_MAX:] if first < log.durable_end()]
    step = max(1, sum(map(log.count, firsts)) // SAMPLES_MAX)
    entries = log.entries(firsts[0]) if firsts else iter(())
    return [
        entry.data
        for entry in islice(entries, 0, None, step)
        if len(entry.data) <= SAMPLE_BYTES_MAX
    ]


def _measured(name: str, dictionary: bytes, records: Sequence[bytes]) -> Figures:
    """Compress and read back ``records``. Raises: Corrupt: they do not come back as they were."""
    codec = BlobCodec(dictionary)
    codec.decompress(codec.compress(records[:1]))  # what is made once is not measured
    begin = time.perf_counter()
    blobs = codec.compress(records)
    middle = time.perf_counter()
    back = codec.decompress(blobs)
    end = time.perf_counter()
    if back != list(records):
        raise Corrupt("records do not come back from it", name, "report this; nothing was changed")
    count, compressed = len(records), sum(map(len, blobs))
    return Figures(
        name,
        compressed / count,
        sum(map(len, records)) / compressed,
        (middle - begin) / count * 1e6,
        (end - middle) / count * 1e6,
    )


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
    kept = "kept for new segments, from the server's next start on" if training.kept else "not kept"
    yield f"{kept}: {training.why}"
