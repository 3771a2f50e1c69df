# SPDX-License-Identifier: Apache-2.0
"""All of it at once: events through the intake, durable, indexed, looked up, delivered by one trail.

``python -m bench.endtoend --seconds 300`` is the long run. Files are cut every second, so that what
is measured is the delivery's own lag, not its interval. At the end everything is counted: sent, in the
log, in the bucket.
"""

import argparse
import asyncio
import gzip
import itertools
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from bench import machine
from bench.events import REGIONS, Span, events
from bench.intake import Server
from bench.load import back_pid, cpu_s, resident_mb, signed_request
from bench.lookup_data import Question
from bench.lookup_http import TARGET, lookup_request, wait_until_ready
from opentrail.clock import iso_seconds
from opentrail.eventlog.base import MarkKind
from opentrail.eventlog.reader import SegmentReader
from opentrail.sdk.post import PATH
from opentrail.sdk.signing import signed_headers

EVENTS_S = 20_000
BATCH = 500
CONNECTIONS = 4
BODIES = 16
"""Different ones, sent in turn with new times and ids: 8,000 different records."""
POLL_S = 0.01
FILE_INTERVAL_S = 1
LAST_FILE_S_MAX = 60.0
VISIBLE_S_MAX = 60.0
"""So long after the load the last event that is looked up may take; then it is lost."""
SAMPLE_S = 1.0
MEMORY = {"VmRSS": "memory", "RssAnon": "... without files"}
QUIET_LOOKS = 3
SECONDS_MIN = 1.0
CUT_BYTES_MIN = 20_000
"""Between two cuts with events of the load between them; a few lookups take less."""
SETTINGS = f"""
[delivery]
file_interval_s = {FILE_INTERVAL_S}

[buckets.bench]
directory = "BUCKET"
"""


class Body:
    """A request's records, of which times and ids are written anew each time."""

    def __init__(self, records: Sequence[bytes]) -> None:
        self.data = bytearray(b"[" + b",".join(records) + b"]")
        starts = list(itertools.accumulate((len(each) + 1 for each in records), initial=1))
        self._times = [self._after(b'"eventTime":"', start) for start in starts[:-1]]
        self._ids = [self._after(b'"eventID":"', start) for start in starts[:-1]]
        here = b'"awsRegion":"' + REGIONS[0].encode()
        self.probe = max(at for at, record in enumerate(records) if here in record)
        """The last record of the region that is looked up."""

    def _after(self, name: bytes, start: int) -> int:
        return self.data.index(name, start) + len(name)

    def renew(self, number: int, now: bytes) -> str:
        """Give each record its time, and the ids that follow ``number``; return the probe's."""
        data = self.data
        for at in self._times:
            data[at : at + len(now)] = now
        for count, at in enumerate(self._ids):
            data[at : at + 8] = b"%08x" % (number + count)
        at = self._ids[self.probe]
        return data[at : at + 36].decode()


@dataclass
class Seen:
    """What happened."""

    sent: int = 0
    accepted: int = 0
    answer_s: list[float] = field(default_factory=list)
    visible_s: list[float] = field(default_factory=list)
    """From the acknowledgement to the first answer of LookupEvents that has the event."""
    late_s: list[float] = field(default_factory=list)
    """From when a request should have been sent to its answer."""
    latest: tuple[str, float] = ("", 0.0)
    """An eventID, and when it was acknowledged."""
    memory_mb: list[list[float]] = field(default_factory=list)
    """Of front and of back, every second: all that is resident, and that without mapped files.

    The system takes what is mapped of files back when it wants it."""


def bodies() -> list[Body]:
    """Return requests' bodies."""
    records = events(BODIES * BATCH, Span(0))
    return [Body(list(itertools.islice(records, BATCH))) for _ in range(BODIES)]


async def _exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes
) -> bytes:
    writer.write(request)
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(head.split(b"content-length: ")[1].split(b"\r\n")[0])
    body = await reader.readexactly(length)
    assert head.startswith(b"http/1.1 200"), body
    return body


class Load:
    """What is sent, and what is seen of it."""

    def __init__(self, server: Server, seconds: float) -> None:
        self.server = server
        self.seconds = seconds
        self.seen = Seen()
        self._turns = itertools.count()
        self._began_s = 0.0

    async def run(self) -> None:
        """Send and look until the time is up."""
        own = bodies()
        self._began_s = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for number in range(CONNECTIONS):
                group.create_task(self._send(own[number::CONNECTIONS]))
            group.create_task(self._probe())
            group.create_task(self._sample())

    def _over(self) -> bool:
        return time.perf_counter() >= self._began_s + self.seconds

    async def _send(self, own: Sequence[Body]) -> None:
        """Send the requests that are due, one at a time."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        for turn in self._turns:
            due_s = self._began_s + turn * BATCH / EVENTS_S
            await asyncio.sleep(max(0.0, due_s - time.perf_counter()))
            if self._over():
                break
            body = own[turn % len(own)]
            probe = body.renew(turn * BATCH, iso_seconds(time.time_ns() // 1_000_000).encode())
            began_s = time.perf_counter()
            answer = await _exchange(reader, writer, self._signed(bytes(body.data)))
            now_s = time.perf_counter()
            self.seen.late_s.append(now_s - due_s)
            self.seen.answer_s.append(now_s - began_s)
            self.seen.sent += BATCH
            self.seen.accepted += msgspec.json.decode(answer)["accepted"]
            self.seen.latest = (probe, now_s)
        writer.close()

    def _signed(self, body: bytes) -> bytes:
        host = f"127.0.0.1:{self.server.port}"
        credentials = self.server.credentials
        headers = signed_headers(credentials, REGIONS[0], host, PATH, body, time.time())
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        head = f"POST {PATH} HTTP/1.1\r\n{lines}content-length: {len(body)}\r\n\r\n"
        return head.encode() + body

    async def _probe(self) -> None:
        """Look the newest event up again and again until it is there, and then the next; the last one, too."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        last, request, acknowledged_s = ("", 0.0), b"", 0.0
        while not self._over() or request or not self.seen.visible_s:
            late_s = time.perf_counter() - self._began_s - self.seconds
            assert late_s < VISIBLE_S_MAX, "an event that was acknowledged is not found"
            if not request and self.seen.latest != last:
                last = event_id, acknowledged_s = self.seen.latest
                request = lookup_request(self.server, Question("EventId", event_id))
            if request and b"CloudTrailEvent" in await _exchange(reader, writer, request):
                self.seen.visible_s.append(time.perf_counter() - acknowledged_s)
                request = b""
            await asyncio.sleep(POLL_S)
        writer.close()

    async def _sample(self) -> None:
        """Note the memory of both processes again and again."""
        front = self.server.process.pid
        back = back_pid(front)
        while not self._over():
            memory = [resident_mb(pid, kind) for pid in (front, back) for kind in MEMORY]
            self.seen.memory_mb.append(memory)
            await asyncio.sleep(SAMPLE_S)


def trail_call(server: Server, operation: str, **members: object) -> None:
    """Make a call of CloudTrail's."""
    key = (server.credentials.access_key_id, server.credentials.secret_access_key)
    target = TARGET.replace("LookupEvents", operation)
    body = msgspec.json.encode(members)
    request = signed_request(server.port, key, "cloudtrail", target, body)

    async def call() -> None:
        await _exchange(*await asyncio.open_connection("127.0.0.1", server.port), request)

    asyncio.run(call())


def log_files(bucket: Path) -> list[Path]:
    """Return the log files of a bucket, whole ones."""
    return [path for path in bucket.rglob("*.json.gz") if "Digest" not in path.name]


def delivery_lags_s(data: Path, bucket: Path) -> list[float]:
    """Return how long after its cut each file of one region was in the bucket, oldest first.

    A cut that nothing came before has no file.
    """
    cuts = [each for each in SegmentReader(data / "log").marks(0) if each.kind is MarkKind.CUT]
    filled = [
        after.append_ms / 1000
        for before, after in itertools.pairwise(cuts)
        if after.position - before.position > CUT_BYTES_MIN
    ]
    put = sorted(
        path.stat().st_mtime for path in log_files(bucket) if f"_{REGIONS[0]}_" in path.name
    )
    # From the newest on: a first cut may have what came before the load.
    pairs = list(zip(reversed(put), reversed(filled), strict=False))
    return [late - cut for late, cut in reversed(pairs)]


def delivered(bucket: Path) -> int:
    """Return how many records of the load lie in the bucket."""
    return sum(
        gzip.decompress(path.read_bytes()).count(b'"eventVersion":') for path in log_files(bucket)
    )


def wait_for_delivery(bucket: Path) -> None:
    """Wait until files have come, and no more do."""
    until_s = time.monotonic() + LAST_FILE_S_MAX
    last, quiet = -1, 0
    while quiet < QUIET_LOOKS and time.monotonic() < until_s:
        count = len(log_files(bucket))
        quiet = quiet + 1 if count and count == last else 0
        last = count
        time.sleep(FILE_INTERVAL_S)


def percentile(values: Sequence[float], percent: int) -> float:
    """Return a percentile of some values."""
    return sorted(values)[min(len(values) - 1, len(values) * percent // 100)]


def report(load: Load, lags_s: Sequence[float], cpu: tuple[float, float]) -> None:
    """Print what was seen."""
    seen, passed_s = load.seen, load.seconds
    print(f"\nendtoend: {EVENTS_S:,} events/s for {passed_s:.0f} s, one trail, files every second")
    print(f"  {'':34}{'median':>9}{'p99':>9}{'worst':>9}")
    rows = {
        "answered after it was due, ms": [1000 * each for each in seen.late_s],
        "a request's answer, ms": [1000 * each for each in seen.answer_s],
        "visible after its answer, ms": [1000 * each for each in seen.visible_s],
        "in the bucket after its cut, ms": [1000 * each for each in lags_s],
    }
    for name, values in rows.items():
        print(
            f"  {name:34}{percentile(values, 50):9.0f}{percentile(values, 99):9.0f}{max(values):9.0f}"
        )
    print(f"  {'':34}{'early':>9}{'late':>9}{'most':>9}")
    series = iter(zip(*seen.memory_mb, strict=True))
    for at, name in enumerate(("front", "back")):
        for what in MEMORY.values():
            memory = next(series)
            third = max(1, len(memory) // 3)
            early, late = statistics.median(memory[:third]), statistics.median(memory[-third:])
            print(f"  {f'{what} of {name}, MB':34}{early:9.0f}{late:9.0f}{max(memory):9.0f}")
        print(f"  {f'processor time of {name}, us':34}{cpu[at] / seen.sent * 1e6:9.1f}")


def bench(directory: Path, seconds: float) -> None:
    """Measure and print. Raises: AssertionError: something is missing."""
    data, bucket = directory / "data", directory / "bucket"
    bucket.mkdir()
    settings = directory / "opentrail.toml"
    settings.write_text(SETTINGS.replace("BUCKET", str(bucket)))
    server = Server(data, "--config", str(settings))
    try:
        wait_until_ready(server)
        trail_call(server, "CreateTrail", Name="all", S3BucketName="bench", IsMultiRegionTrail=True)
        trail_call(server, "StartLogging", Name="all")
        load = Load(server, seconds)
        front = server.process.pid
        back = back_pid(front)
        before = cpu_s(front), cpu_s(back)
        asyncio.run(load.run())
        used = cpu_s(front) - before[0], cpu_s(back) - before[1]
        wait_for_delivery(bucket)
    finally:
        server.stop()
    report(load, delivery_lags_s(data, bucket), used)
    sent, accepted, there = load.seen.sent, load.seen.accepted, delivered(bucket)
    print(
        f"  {sent:,} sent, {accepted:,} accepted, {there:,} in the bucket with the load's own calls"
    )
    assert accepted == sent, "not all were accepted"
    assert there >= sent, "not all were delivered"


def run(directory: Path, rounds: int, seconds: float) -> None:
    """Measure once: what lasts says more than what is repeated."""
    with tempfile.TemporaryDirectory(dir=directory) as name:
        bench(Path(name), max(SECONDS_MIN, rounds * seconds))


def main(arguments: Sequence[str]) -> None:
    """Measure for as long as is wanted."""
    parser = argparse.ArgumentParser(prog="python -m bench.endtoend", description=__doc__)
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--directory", type=Path, default=Path(tempfile.gettempdir()))
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(dir=given.directory) as name:
        before = machine.look(Path(name))
        bench(Path(name), given.seconds)
        machine.report(before, machine.look(Path(name)))


if __name__ == "__main__":
    main(sys.argv[1:])
