# SPDX-License-Identifier: Apache-2.0
"""What the gateway costs: latency and CPU a call, beside the upstream itself and a bare proxy.

Every round measures all of them in turn; figures are medians over the rounds, with the spread.
"""

import asyncio
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from bench.machine import spread_percent
from bench.sample import write_log

BENCH = Path(__file__).parent
UPSTREAM = "upstream itself"
BARE = "bare pass-through proxy"
OPENTRAIL = "opentrail"
INDEXING = "opentrail, back indexing"
BACKLOG_RECORDS_S = 150_000
"""More than back indexes in a second, so that it is at it as long as is measured."""
CAUGHT_UP = 0.98
"""Of the log: past it, back only follows what is measured."""
BODY = (
    b'{"ModelName":"bench","PrimaryContainer":{"Image":"kmeans:latest","Environment":{"A":"b"}},'
    b'"ExecutionRoleArn":"arn:aws:iam::123456789012:role/bench-role"}'
)
WARM_UP_S = 0.5
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Target:
    """Something that is measured."""

    name: str
    port: int
    pid: int


@dataclass(frozen=True)
class Figures:
    """One measurement."""

    calls_s: float
    p50_ms: float
    p99_ms: float
    cpu_us: float
    """Of the process that is measured, a call."""


@contextmanager
def started(*arguments: str) -> Iterator[tuple[int, int]]:
    """Run a program that prints its port; yield port and process id."""
    process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline().strip().rsplit(":", 1)[-1]), process.pid
    finally:
        process.terminate()
        process.wait()


def signed_request(port: int, key: tuple[str, str]) -> bytes:
    """Return the bytes of one CreateModel call, as botocore signs it."""
    url = f"http://127.0.0.1:{port}/"
    headers = {
        "X-Amz-Target": "SageMaker.CreateModel",
        "Content-Type": "application/x-amz-json-1.1",
        "User-Agent": "Boto3/1.44.5 md/Botocore#1.44.5 ua/2.1 os/linux",
    }
    request = AWSRequest("POST", url, data=BODY, headers=headers)
    SigV4Auth(Credentials(*key), "sagemaker", "us-east-1").add_auth(request)
    lines = [f"{name}: {value}" for name, value in request.headers.items()]
    lines += [f"Host: 127.0.0.1:{port}", f"Content-Length: {len(BODY)}"]
    return ("POST / HTTP/1.1\r\n" + "\r\n".join(lines) + "\r\n\r\n").encode() + BODY


async def load(port: int, request: bytes, connections: int, seconds: float) -> list[float]:
    """Call as fast as ``connections`` connections can; return each call's seconds."""
    took: list[float] = []
    until = time.perf_counter() + seconds

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while time.perf_counter() < until:
            begin = time.perf_counter()
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            at = head.lower().find(b"content-length:")
            await reader.readexactly(int(head[at + 15 :].split(b"\r\n", 1)[0]))
            assert head.startswith(b"HTTP/1.1 200"), head
            took.append(time.perf_counter() - begin)
        writer.close()

    await asyncio.gather(*(client() for _ in range(connections)))
    return took


def cpu_s(pid: int) -> float:
    """Return the CPU seconds that a process has used (user and system)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def measure(target: Target, request: bytes, connections: int, seconds: float) -> Figures:
    """Measure ``target`` once."""
    asyncio.run(load(target.port, request, connections, min(WARM_UP_S, seconds)))
    before = cpu_s(target.pid)
    took = sorted(asyncio.run(load(target.port, request, connections, seconds)))
    used = cpu_s(target.pid) - before
    assert took, "not one call was answered"
    return Figures(
        calls_s=len(took) / seconds,
        p50_ms=took[len(took) // 2] * 1000,
        p99_ms=took[len(took) * 99 // 100] * 1000,
        cpu_us=used / len(took) * 1e6,
    )


def admin_key(data: Path) -> tuple[str, str]:
    """Return the administrator's key that the server has made."""
    lines = (data / "credentials").read_text().splitlines()
    values = dict(line.split(" = ") for line in lines if " = " in line)
    return values["aws_access_key_id"], values["aws_secret_access_key"]


@contextmanager
def server(data: Path, upstream_port: int, name: str) -> Iterator[Target]:
    """Start OpenTrail over the directory ``data`` in front of the upstream."""
    arguments = ["-m", "opentrail.cli.main", "serve", "--data", str(data)]
    arguments += ["--listen", "127.0.0.1:0", "--upstream", f"http://127.0.0.1:{upstream_port}"]
    with started(*arguments) as (port, pid):
        yield Target(name, port, pid)


@contextmanager
def all_targets(data: Path) -> Iterator[list[Target]]:
    """Start the upstream, the bare proxy and OpenTrail."""
    with ExitStack() as stack:
        upstream = stack.enter_context(started(str(BENCH / "responder.py")))
        url = f"http://127.0.0.1:{upstream[0]}"
        proxy = stack.enter_context(started(str(BENCH / "passthrough.py"), url))
        opentrail = stack.enter_context(server(data, upstream[0], OPENTRAIL))
        yield [Target(UPSTREAM, *upstream), Target(BARE, *proxy), opentrail]


class Backlog:
    """A long log without an index: back has to read all of it, as fast as it can.

    Each measurement starts the server anew, and the index with it.
    """

    def __init__(self, data: Path, records: int) -> None:
        """Write the log to the new directory ``data``."""
        self._data = data
        self.still_indexing: list[bool] = []
        """Whether back was still at it when a measurement ended."""
        write_log(data, records)

    def measure(self, upstream_port: int, connections: int, seconds: float) -> Figures:
        """Measure OpenTrail while back indexes."""
        shutil.rmtree(self._data / "history", ignore_errors=True)
        with server(self._data, upstream_port, INDEXING) as target:
            request = signed_request(target.port, admin_key(self._data))
            figures = measure(target, request, connections, seconds)
            with urlopen(f"http://127.0.0.1:{target.port}/_opentrail/health") as answer:
                health = json.load(answer)
        self.still_indexing.append(health["back"]["indexed_to"] < self._backlog_end(health))
        return figures

    def _backlog_end(self, health: dict[str, Any]) -> int:
        """Return where back is done with all but what came just now."""
        return int(health["log"]["durable_end"] * CAUGHT_UP)


def report(connections: int, all_figures: dict[str, list[Figures]]) -> None:
    """Print medians, spread, and ratios to the bare proxy."""
    print(f"\ngateway: {connections} connection(s)")
    print(
        f"  {'':28}{'calls/s':>9}{'p50 ms':>9}{'added':>9}{'p99 ms':>9}"
        f"{'CPU us':>9}{'spread':>8}{'ratio':>8}"
    )
    bare_us = _median(all_figures[BARE], "cpu_us")
    direct_ms = _median(all_figures[UPSTREAM], "p50_ms")
    for name, rounds in all_figures.items():
        cpu_us, p50_ms = _median(rounds, "cpu_us"), _median(rounds, "p50_ms")
        ratio = f"{cpu_us / bare_us:.2f}x" if bare_us else "-"
        print(
            f"  {name:28}{_median(rounds, 'calls_s'):9.0f}{p50_ms:9.3f}{p50_ms - direct_ms:9.3f}"
            f"{_median(rounds, 'p99_ms'):9.3f}{cpu_us:9.0f}"
            f"{spread_percent([each.cpu_us for each in rounds]):7.0f}%{ratio:>8}"
        )


def _median(rounds: list[Figures], name: str) -> float:
    return statistics.median(float(getattr(each, name)) for each in rounds)


def run(directory: Path, rounds: int, seconds: float) -> None:
    """Measure and print."""
    data = directory / "gateway"
    backlog = Backlog(directory / "backlog", int(BACKLOG_RECORDS_S * (seconds + WARM_UP_S)))
    with all_targets(data) as targets:
        key = admin_key(data)
        for connections in (1, 16):
            figures: dict[str, list[Figures]] = {target.name: [] for target in targets}
            figures[INDEXING] = []
            for _ in range(rounds):
                for target in targets:
                    request = signed_request(target.port, key)
                    figures[target.name].append(measure(target, request, connections, seconds))
                figures[INDEXING].append(backlog.measure(targets[0].port, connections, seconds))
            report(connections, figures)
        rss = Path(f"/proc/{targets[-1].pid}/status").read_text().split("VmRSS:")[1].split()[0]
    busy = sum(backlog.still_indexing)
    print(f"\nback was still indexing at the end of {busy} of {len(backlog.still_indexing)} rounds")
    print(f"opentrail front, resident: {int(rss) / 1024:.0f} MB")
