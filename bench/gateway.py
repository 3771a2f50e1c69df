# SPDX-License-Identifier: Apache-2.0
"""What the gateway costs: latency and CPU a call, beside the upstream itself and a bare proxy.

Every round measures all of them in turn; figures are medians over the rounds, with the spread.
"""

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

BENCH = Path(__file__).parent
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
    asyncio.run(load(target.port, request, connections, WARM_UP_S))
    before = cpu_s(target.pid)
    took = sorted(asyncio.run(load(target.port, request, connections, seconds)))
    used = cpu_s(target.pid) - before
    return Figures(
        calls_s=len(took) / seconds,
        p50_ms=took[len(took) // 2] * 1000,
        p99_ms=took[len(took) * 99 // 100] * 1000,
        cpu_us=used / len(took) * 1e6,
    )


def fdatasync_ms(directory: Path, rounds: int = 200) -> float:
    """Return the median of a bare write and fdatasync of one record's size."""
    took = []
    with (directory / "bare").open("wb", buffering=0) as file:
        for _ in range(rounds):
            begin = time.perf_counter()
            file.write(b"x" * 300)
            os.fdatasync(file.fileno())
            took.append(time.perf_counter() - begin)
    return statistics.median(took) * 1000


def admin_key(data: Path) -> tuple[str, str]:
    """Return the administrator's key that the server has made."""
    lines = (data / "credentials").read_text().splitlines()
    values = dict(line.split(" = ") for line in lines if " = " in line)
    return values["aws_access_key_id"], values["aws_secret_access_key"]


@contextmanager
def all_targets(data: Path) -> Iterator[list[Target]]:
    """Start the upstream, the bare proxy and OpenTrail."""
    with ExitStack() as stack:
        upstream = stack.enter_context(started(str(BENCH / "responder.py")))
        url = f"http://127.0.0.1:{upstream[0]}"
        proxy = stack.enter_context(started(str(BENCH / "passthrough.py"), url))
        serve = ["-m", "opentrail.cli.main", "serve", "--data", str(data)]
        serve += ["--listen", "127.0.0.1:0", "--upstream", url]
        opentrail = stack.enter_context(started(*serve))
        yield [
            Target("upstream itself", *upstream),
            Target("bare pass-through proxy", *proxy),
            Target("opentrail", *opentrail),
        ]


def report(connections: int, all_figures: dict[str, list[Figures]]) -> None:
    """Print medians, spread, and ratios to the bare proxy."""
    print(f"\n{connections} connection(s)")
    print(f"  {'':26}{'calls/s':>9}{'p50 ms':>9}{'p99 ms':>9}{'CPU us':>9}   CPU min-max, ratio")
    bare = statistics.median(each.cpu_us for each in all_figures["bare pass-through proxy"])
    for name, rounds in all_figures.items():
        cpu = [each.cpu_us for each in rounds]
        print(
            f"  {name:26}"
            f"{statistics.median(each.calls_s for each in rounds):9.0f}"
            f"{statistics.median(each.p50_ms for each in rounds):9.3f}"
            f"{statistics.median(each.p99_ms for each in rounds):9.3f}"
            f"{statistics.median(cpu):9.0f}"
            f"   {min(cpu):.0f}-{max(cpu):.0f}, {statistics.median(cpu) / bare:.2f}x"
        )


def main(rounds: int, seconds: float) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder, all_targets(Path(folder) / "data") as targets:
        sync_before = fdatasync_ms(Path(folder))
        for connections in (1, 16):
            figures: dict[str, list[Figures]] = {target.name: [] for target in targets}
            for _ in range(rounds):
                for target in targets:
                    request = signed_request(target.port, admin_key(Path(folder) / "data"))
                    figures[target.name].append(measure(target, request, connections, seconds))
            report(connections, figures)
        sync_after = fdatasync_ms(Path(folder))
        rss = Path(f"/proc/{targets[-1].pid}/status").read_text().split("VmRSS:")[1].split()[0]
    print(f"\none bare write+fdatasync: {sync_before:.3f} ms before, {sync_after:.3f} ms after")
    print(f"opentrail front, resident: {int(rss) / 1024:.0f} MB")


if __name__ == "__main__":
    main(rounds=5, seconds=3.0)
