# SPDX-License-Identifier: Apache-2.0
"""A dictionary of the log's own records, measured before it is kept.

A server makes one every day, an import one of its first records, ``opentrail fsck --train`` when told to.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from opentrail.clock import Clock
from opentrail.errors import Corrupt, Unavailable
from opentrail.eventlog.blob import DICTIONARY_PATH, BlobCodec
from opentrail.eventlog.dictionary import NAME, drop, of_new_segments, store, trained
from opentrail.eventlog.reader import SegmentReader
from opentrail.eventlog.segment import list_firsts

SAMPLES_MAX, SAMPLE_BYTES_MAX = 10_000, 8 * 1024
"""Records looked at, and the bytes of one: training takes a second at most then, and 80 MB."""
SEGMENTS_MAX = 8
"""The newest segments, of some 250,000 records each: new records are like the newest ones."""
SAMPLES_MIN = 2_000
"""Of fewer a dictionary knows the records, not what they have in common."""
HELD_OUT_SHARE = 4
"""One in so many samples is held out: the newest ones."""
GAIN_MIN = 0.02
"""Saved, of what the dictionary of now needs: less is not worth another one."""
UNATTENDED_SAMPLES_MAX = 4_000
"""Training holds up the other threads of its process: some 50 ms then. Of more it is 1 % better."""
UNATTENDED_SEGMENTS_MAX = 2
"""Where more are filled in a day, looking for samples in all of them would hold up indexing for seconds."""
UNATTENDED_BYTES_MIN = 4 * 1024 * 1024
"""Of a log, compressed, some 12,000 records: a smaller one needs no room."""
RENEWED_S = 24 * 3600
"""A dictionary is made anew so often, of records as young: for it has pieces of them, and these stay
in the segments that have it when retention has deleted what they are of."""
CHECK_S = 60.0
"""How often it is looked whether that is due."""


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


@dataclass(frozen=True, slots=True)
class Sampling:
    """Which records are looked at."""

    samples_max: int = SAMPLES_MAX
    segments_max: int = SEGMENTS_MAX
    since_ms: int = 0
    """Of segments that end before, none."""


ATTENDED, UNATTENDED = Sampling(), Sampling(UNATTENDED_SAMPLES_MAX, UNATTENDED_SEGMENTS_MAX)


def train(data: Path, sampling: Sampling = ATTENDED) -> Training:
    """Train a dictionary on the log in ``data``, and keep it for new segments if it is better.

        1. take samples of the newest segments; hold out the newest of them
        2. train on the others
        3. compress the held-out ones with each dictionary, and read them back
        4. replace ``log/dictionary``        (a crash before: the old one holds; after: the new one)
    Segments that there are keep theirs. Raises: Unavailable: there is no log, or it cannot be written. Corrupt.
    """
    log_dir = data / "log"
    samples = _samples(log_dir, sampling)
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


class Trainer:
    """Has new segments of a server's log compressed by what its records of now have in common."""

    def __init__(self, data: Path, clock: Clock) -> None:
        self._data = data
        self._clock = clock
        self._next_s = 0.0

    def step(self) -> bool:
        """Make the dictionary if it is time to; return False: there is nothing to do at once.

            1. remove the one that is too old    (a crash after it: OpenTrail's own is used)
            2. train, and keep what is worth it
        Raises: Unavailable: what could not be done is done tomorrow. Corrupt.
        """
        now_s = self._clock.monotonic()
        if now_s < self._next_s:
            return False
        self._next_s = now_s + CHECK_S
        if self._is_due():
            self._next_s = now_s + RENEWED_S
            self._remove()
            since_ms = self._clock.now_ms() - RENEWED_S * 1000
            train(self._data, replace(UNATTENDED, since_ms=since_ms))
        return False

    def _is_due(self) -> bool:
        log_dir = self._data / "log"
        log = SegmentReader(log_dir)
        if log.durable_end() - log.kept_from() < UNATTENDED_BYTES_MIN:
            return False
        try:
            made_s = (log_dir / NAME).stat().st_mtime
        except FileNotFoundError:
            return True
        return not 0 <= self._clock.now_ms() / 1000 - made_s < RENEWED_S

    def _remove(self) -> None:
        try:
            drop(self._data / "log")
        except OSError as error:
            raise Unavailable(f"the dictionary cannot be removed: {error.strerror}") from error


def _samples(log_dir: Path, sampling: Sampling) -> list[bytes]:
    """Return records of the newest segments, evenly, oldest first."""
    log = SegmentReader(log_dir)
    start, end = log.since(sampling.since_ms, sampling.segments_max), log.durable_end()
    count = sum(log.count(first) for first in list_firsts(log_dir) if start <= first < end)
    step = max(1, count // sampling.samples_max)
    return [data for data in log.sampled(start, step) if len(data) <= SAMPLE_BYTES_MAX]


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
