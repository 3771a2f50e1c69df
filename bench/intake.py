# SPDX-License-Identifier: Apache-2.0
"""What the intake takes a second: signed requests over kept connections, durable when answered."""

import asyncio
import itertools
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.load import back_pid, cpu_s
from bench.machine import spread_percent
from bench.sample import drafts
from opentrail.access.credentials import read_credentials
from opentrail.sdk.post import PATH
from opentrail.sdk.signing import Credentials, signed_headers

RECORDS = 20_000
"""Different records; their eventIDs are made anew for each request."""
START_S_MAX = 60.0
PIECES = 64


@dataclass(frozen=True)
class Subject:
    """A way to send."""

    name: str
    batch: int
    connections: int
    goal: int


SUBJECTS = (
    Subject("1 record a request", 1, 64, 25_000),
    Subject("100 records a request", 100, 8, 200_000),
    Subject("1000 records a request", 1000, 4, 200_000),
)


@dataclass(frozen=True)
class Figures:
    """One measurement."""

    events_s: float
    p50_ms: float
    p99_ms: float
    cpu_us: float
    """Processor time of the front process for one record."""
    back_us: float
    """Of the back process meanwhile, which indexes: the other core has that and the client to bear."""


class Server:
    """``opentrail serve`` on a port of its own."""

    def __init__(self, directory: Path, *arguments: str) -> None:
        self.directory = directory
        program = str(Path(sys.executable).parent / "opentrail")
        command = [
            program,
            "serve",
            "--data",
            str(directory),
            "--listen",
            "127.0.0.1:0",
            *arguments,
        ]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.port = self._port()
        key = read_credentials(directory / "credentials", "123456789012")
        self.credentials = Credentials(key.access_key_id, key.secret_access_key)

    def _port(self) -> int:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if "http://127.0.0.1:" in line:
                return int(line.split("http://127.0.0.1:")[1].split()[0].strip("/,"))
        raise RuntimeError("the server did not start")

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait(START_S_MAX)


class Requests:
    """Signed requests, made before they are measured: each record with an eventID of its own."""

    def __init__(self, server: Server, batch: int, count: int) -> None:
        records = [draft.data for draft in drafts(RECORDS)]
        source = itertools.cycle(records)
        number = itertools.count(time.time_ns())
        self.items = [self._signed(server, batch, source, number) for _ in range(count)]

    def _signed(
        self, server: Server, batch: int, source: Iterator[bytes], number: Iterator[int]
    ) -> bytes:
        pieces = [_renamed(next(source), next(number)) for _ in range(batch)]
        body = b"[" + b",".join(pieces) + b"]" if batch > 1 else pieces[0]
        host = f"127.0.0.1:{server.port}"
        headers = signed_headers(server.credentials, "us-east-1", host, PATH, body, time.time())
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        head = f"POST {PATH} HTTP/1.1\r\n{lines}content-length: {len(body)}\r\n\r\n"
        return head.encode() + body


def _renamed(record: bytes, number: int) -> bytes:
    at = record.index(b'"eventID":"') + len(b'"eventID":"')
    return record[:at] + b"%032x" % number + record[at + 32 :]


class Sender(asyncio.Protocol):
    """One connection: sends the next request once the last is answered."""

    def __init__(self, requests: Iterator[bytes], until_s: float) -> None:
        self._requests = requests
        self._until_s = until_s
        self._began_s = 0.0
        self._left = 0
        self._head = b""
        self.took: list[float] = []
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._next()

    def _next(self) -> None:
        request = next(self._requests, None)
        now_s = time.perf_counter()
        if request is None or now_s >= self._until_s:
            self._transport.close()
            self.done.set_result(request is None)
            return
        self._began_s = now_s
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Read an answer."""
        if self._left == 0:
            data = self._head + data
            head, end, body = data.partition(b"\r\n\r\n")
            if not end:
                self._head = data
                return
            self._head = b""
            if not head.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(data.decode())
            lower = head.lower()
            at = lower.index(b"content-length: ") + len(b"content-length: ")
            self._left = int(lower[at:].split(b"\r\n")[0])
            data = body
        self._left -= len(data)
        if self._left == 0:
            self.took.append(time.perf_counter() - self._began_s)
            self._next()


async def _load(server: Server, subject: Subject, requests: Requests, seconds: float) -> Figures:
    loop = asyncio.get_running_loop()
    items = iter(requests.items)
    front, back = server.process.pid, back_pid(server.process.pid)
    began_s, before_s = time.perf_counter(), (cpu_s(front), cpu_s(back))
    until_s = began_s + seconds
    senders = []
    for _ in range(subject.connections):
        _, sender = await loop.create_connection(
            lambda: Sender(items, until_s), "127.0.0.1", server.port
        )
        senders.append(sender)
    await asyncio.gather(*(sender.done for sender in senders))
    passed_s = time.perf_counter() - began_s
    took = sorted(each for sender in senders for each in sender.took)
    events = len(took) * subject.batch
    return Figures(
        events / passed_s,
        statistics.median(took) * 1000,
        took[int(len(took) * 0.99)] * 1000,
        (cpu_s(front) - before_s[0]) / events * 1e6,
        (cpu_s(back) - before_s[1]) / events * 1e6,
    )


def run(directory: Path, rounds: int, seconds: float) -> None:
    """Measure and print."""
    figures: dict[str, list[Figures]] = {subject.name: [] for subject in SUBJECTS}
    for number in range(rounds):
        for at, subject in enumerate(SUBJECTS):
            server = Server(directory / f"intake-{number}-{at}")
            try:
                count = max(PIECES, int(subject.goal * seconds / subject.batch))
                requests = Requests(server, subject.batch, count)
                figures[subject.name].append(asyncio.run(_load(server, subject, requests, seconds)))
            finally:
                server.stop()
    print("\nintake: signed, durable records a second")
    print(
        f"  {'':24}{'records/s':>11}{'spread':>8}{'p50 ms':>9}{'p99 ms':>9}"
        f"{'front us':>10}{'a core':>10}{'back us':>9}{'goal':>10}"
    )
    for subject in SUBJECTS:
        each = figures[subject.name]
        rates = [one.events_s for one in each]
        front_us = statistics.median(one.cpu_us for one in each)
        print(
            f"  {subject.name:24}{statistics.median(rates):11,.0f}{spread_percent(rates):7.0f}%"
            f"{statistics.median(one.p50_ms for one in each):9.2f}"
            f"{statistics.median(one.p99_ms for one in each):9.2f}"
            f"{front_us:10.1f}{1e6 / front_us:10,.0f}"
            f"{statistics.median(one.back_us for one in each):9.1f}{subject.goal:10,}"
        )
