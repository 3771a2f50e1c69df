# SPDX-License-Identifier: Apache-2.0
"""The load: one request again and again over kept connections, and what it costs a process."""

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

WARM_UP_S = 0.5
READY_S_MAX = 30.0
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

    @property
    def calls_s_core(self) -> float:
        """Calls a second that one core would do."""
        return 1e6 / self.cpu_us if self.cpu_us else 0.0


def resident_mb(pid: int, kind: str = "VmRSS") -> float:
    """Return the resident memory of a process; "RssAnon": without the files that are mapped."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.split(f"{kind}:")[1].split()[0]) / 1024


@contextmanager
def started(
    *arguments: str, environment: Mapping[str, str] | None = None
) -> Iterator[tuple[int, int]]:
    """Run a program that prints its port; yield port and process id."""
    process = subprocess.Popen(
        [sys.executable, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **(environment or {})},
    )
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline().strip().rsplit(":", 1)[-1]), process.pid
    finally:
        process.terminate()
        process.wait()


def signed_request(
    port: int, key: tuple[str, str], service: str, target: str, body: bytes
) -> bytes:
    """Return the bytes of one JSON call, as botocore signs it."""
    url = f"http://127.0.0.1:{port}/"
    headers = {
        "X-Amz-Target": target,
        "Content-Type": "application/x-amz-json-1.1",
        "User-Agent": "Boto3/1.44.5 md/Botocore#1.44.5 ua/2.1 os/linux",
    }
    request = AWSRequest("POST", url, data=body, headers=headers)
    SigV4Auth(Credentials(*key), service, "us-east-1").add_auth(request)
    lines = [f"{name}: {value}" for name, value in request.headers.items()]
    lines += [f"Host: 127.0.0.1:{port}", f"Content-Length: {len(body)}"]
    return ("POST / HTTP/1.1\r\n" + "\r\n".join(lines) + "\r\n\r\n").encode() + body


async def load(
    port: int, request: bytes, connections: int, seconds: float, calls_s: float = 0.0
) -> list[float]:
    """Call as fast as ``connections`` connections can; return each call's seconds.

    With ``calls_s`` at that even pace, all together: what a call takes is then from when it was due.
    """
    took: list[float] = []
    began = time.perf_counter()
    until = began + seconds

    async def client(number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        called = False
        # Once at least: on a busy machine a short time may be over before there is a connection.
        while (begin := time.perf_counter()) < until or not called:
            called = True
            if calls_s:
                begin = began + number / calls_s
                number += connections
                await asyncio.sleep(max(0.0, begin - time.perf_counter()))
            writer.write(request)
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            at = head.find(b"content-length:")
            await reader.readexactly(int(head[at + 15 :].split(b"\r\n", 1)[0]))
            assert head[8:13] == b" 200 ", head
            if b"\r\nconnection: close\r\n" in head:
                writer.close()
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
            took.append(time.perf_counter() - begin)
        writer.close()

    await asyncio.gather(*(client(number) for number in range(connections)))
    return took


def cpu_s(pid: int) -> float:
    """Return the CPU seconds that a process has used (user and system)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def back_pid(front_pid: int) -> int:
    """Return the process that indexes and answers lookups, of a server."""
    children = Path(f"/proc/{front_pid}/task/{front_pid}/children").read_text().split()
    for child in map(int, children):
        if b"opentrail.back" in Path(f"/proc/{child}/cmdline").read_bytes():
            return child
    raise RuntimeError("there is no back process")


def measure(
    target: Target, request: bytes, connections: int, seconds: float, calls_s: float = 0.0
) -> Figures:
    """Measure ``target`` once, as ``load`` calls it."""
    asyncio.run(load(target.port, request, connections, min(WARM_UP_S, seconds)))
    before = cpu_s(target.pid)
    took = sorted(asyncio.run(load(target.port, request, connections, seconds, calls_s)))
    used = cpu_s(target.pid) - before
    assert took, "not one call was answered"
    return Figures(
        calls_s=len(took) / seconds,
        p50_ms=took[len(took) // 2] * 1000,
        p99_ms=took[len(took) * 99 // 100] * 1000,
        cpu_us=used / len(took) * 1e6,
    )


def free_port() -> int:
    """Return a port on which nobody listens now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def wait_for_port(port: int) -> None:
    """Wait until somebody takes connections at ``port``."""
    deadline = time.monotonic() + READY_S_MAX
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return
