# SPDX-License-Identifier: Apache-2.0
"""Many clients, some of bad manners, before an upstream of bad manners: nothing lost, nothing kept.

``python -m bench.soak [CALLS] [CLIENTS]`` makes so many calls (200,000 by 2,000 clients) and then
checks: every call was answered as it should be, and with the answer that was meant for it; every one has
exactly one record, with its own request beside its own answer; memory, descriptors and connections are
what they were. Exits with 1 when anything is not so.
"""

import asyncio
import collections
import json
import re
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from urllib.request import urlopen

import uvloop

from bench.chaos import BIG_BYTES
from bench.gateway import BENCH, admin_key, create_model, server
from bench.load import started
from opentrail.capture.upstream import KEEPALIVE_S
from opentrail.eventlog.reader import SegmentReader

CALLS, CLIENTS = 200_000, 2_000
STUCK_S = 60.0
"""No call takes longer, with 2,000 clients and an upstream that hangs for the timeout."""
TIMEOUT_S = 2.0
"""After which an upstream that hangs is given up."""
GROWTH_MAX = 12 * 1024 * 1024
"""How much resident memory may grow after the first fifth: the allocator's slack, segments' maps."""
SAMPLES = 10
IDLE_S_MAX, LOOK_S = 20.0, 0.2
KINDS = (
    *("ok",) * 160,
    *("chunked", "slow", "early", "garbage", "half", "left", "gone") * 5,
    *("big",) * 4,
    "hang",
)
"""What a call and its upstream are like, in turn; two in a hundred hang or are big."""
GOOD = frozenset({"ok", "chunked", "slow", "big"})
BAD = frozenset({"early", "garbage", "hang"})
_STATUS = re.compile(rb"HTTP/1\.1 (\d{3})")


@dataclass
class Soak:
    """What has happened so far."""

    port: int
    pid: int
    request: bytes
    """A signed request without its body; its length is right for every name."""
    calls: int
    number: int = 0
    wrong: collections.Counter[str] = field(default_factory=collections.Counter)
    made: collections.Counter[str] = field(default_factory=collections.Counter)
    resident: list[int] = field(default_factory=list)

    def numbers(self) -> Iterator[int]:
        """Yield the numbers of calls; all clients share them."""
        while self.number < self.calls:
            self.number += 1
            if self.number % max(1, self.calls // SAMPLES) == 0:
                self.resident.append(resident_bytes(self.pid))
            yield self.number

    def data(self, kind: str, number: int) -> bytes:
        """Return the bytes of one call."""
        body = b'{"ModelName": "%b-%d", "ExecutionRoleArn": "arn:aws:iam::1:role/r"}' % (
            kind.encode(),
            number,
        )
        return self.request + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)


def resident_bytes(pid: int) -> int:
    """Return the resident memory of a process."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.split("VmRSS:")[1].split()[0]) * 1024


def descriptors(pid: int) -> int:
    """Return how many files a process has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


async def read(reader: asyncio.StreamReader, *, slowly: bool) -> tuple[int, bytes]:
    """Read one answer; return status and body."""
    top = await reader.readuntil(b"\r\n\r\n")
    found = _STATUS.match(top)
    status = int(found[1]) if found else 0
    lower = top.lower()
    if b"transfer-encoding: chunked" in lower:
        body = b""
        while size := int(await reader.readuntil(b"\r\n"), 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readexactly(2)
        return status, body
    left = int(lower.split(b"content-length:")[1].split(b"\r\n")[0])
    pieces = []
    while left:
        pieces.append(await reader.readexactly(min(left, 32_768 if slowly else left)))
        left -= len(pieces[-1])
        if slowly:
            await asyncio.sleep(0.01)
    return status, b"".join(pieces)


async def call(
    soak: Soak,
    kind: str,
    number: int,
    connection: tuple[asyncio.StreamReader, asyncio.StreamWriter],
) -> bool:
    """Make one call and look at its answer; return whether the connection stays open."""
    reader, writer = connection
    data = soak.data(kind, number)
    if kind == "gone":
        writer.write(data[:-10])
        return False
    writer.write(data)
    if kind == "left":
        await writer.drain()
        return False
    try:
        status, body = await read(reader, slowly=kind == "big")
    except (asyncio.IncompleteReadError, ConnectionError):
        if kind != "half":
            soak.wrong[f"{kind}: broken off"] += 1
        return False
    named = b"model/%b-%d" % (kind.encode(), number) in body
    if kind in GOOD and not (status == HTTPStatus.OK and named):
        soak.wrong[f"{kind}: status {status}, {'its own' if named else 'no'} answer"] += 1
    if kind == "big" and len(body) != BIG_BYTES:
        soak.wrong["big: cut short"] += 1
    if kind in BAD and status != HTTPStatus.SERVICE_UNAVAILABLE:
        soak.wrong[f"{kind}: status {status}"] += 1
    return True


async def client(soak: Soak) -> None:
    """Make calls until all are made."""
    connection = None
    for number in soak.numbers():
        kind = KINDS[number % len(KINDS)]
        soak.made[kind] += 1
        if connection is None:
            connection = await asyncio.open_connection("127.0.0.1", soak.port)
        try:
            async with asyncio.timeout(STUCK_S):
                open_ = await call(soak, kind, number, connection)
        except TimeoutError:
            soak.wrong[f"{kind}: stuck"] += 1
            open_ = False
        if not open_:
            connection[1].close()
            connection = None
    if connection is not None:
        connection[1].close()


async def all_clients(soak: Soak, clients: int) -> None:
    """Run all clients to their end."""
    await asyncio.gather(*(client(soak) for _ in range(clients)))


def check_records(soak: Soak, log: Path) -> None:
    """Check that each call has one record, which has its own answer."""
    reader = SegmentReader(log)
    records: collections.Counter[str] = collections.Counter()
    for entry in reader.entries(0):
        event = json.loads(entry.data)
        if event["eventName"] != "CreateModel":
            continue
        name = event["requestParameters"]["modelName"]
        records[name] += 1
        answer = event["responseElements"]
        if name.split("-")[0] in GOOD - {"big"} and not answer["modelArn"].endswith(f"/{name}"):
            soak.wrong["a record with another call's answer"] += 1
    reader.close()
    for number in range(1, soak.calls + 1):
        kind = KINDS[number % len(KINDS)]
        wanted = 0 if kind == "gone" else 1
        if records[f"{kind}-{number}"] != wanted:
            soak.wrong[f"{kind}: {records[f'{kind}-{number}']} records"] += 1


def metrics(port: int) -> dict[str, float]:
    """Return what the server counts."""
    with urlopen(f"http://127.0.0.1:{port}/_opentrail/metrics") as found:
        lines = found.read().decode().splitlines()
    return {
        name: float(value)
        for name, value in (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    }


def wait_until_idle(port: int) -> None:
    """Wait until what the clients left behind has ended, and idle connections are dropped."""
    for _ in range(int(IDLE_S_MAX / LOOK_S)):
        counted = metrics(port)
        if not counted["opentrail_calls_in_flight"] and counted["opentrail_connections"] <= 1:
            break
        time.sleep(LOOK_S)
    time.sleep(KEEPALIVE_S + 1)


def check_leftovers(soak: Soak, files_before: int) -> None:
    """Check that nothing is left of the calls: memory, descriptors, connections, calls in flight."""
    counted = metrics(soak.port)
    if counted["opentrail_calls_in_flight"]:
        soak.wrong["calls still in flight"] = int(counted["opentrail_calls_in_flight"])
    if counted["opentrail_connections"] > 1:
        soak.wrong["connections still open"] = int(counted["opentrail_connections"])
    if counted["opentrail_calls_seen_total"] != soak.calls:
        soak.wrong["calls not seen"] = soak.calls - int(counted["opentrail_calls_seen_total"])
    # Idle connections to the upstream are dropped within seconds; log segments may be one more.
    if descriptors(soak.pid) > files_before + 4:
        soak.wrong["descriptors more than before"] = descriptors(soak.pid) - files_before
    growth = max(soak.resident[SAMPLES // 5 :], default=0) - soak.resident[SAMPLES // 5 - 1]
    if growth > GROWTH_MAX:
        soak.wrong[f"bytes that memory grew after the first fifth: {growth}"] = 1


def main() -> int:
    """Run the soak; return the exit code."""
    calls, clients = (*map(int, sys.argv[1:]), *(CALLS, CLIENTS)[len(sys.argv) - 1 :])
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 65_536)), hard))
    with tempfile.TemporaryDirectory() as name, started(str(BENCH / "chaos.py")) as (there, _):
        data = Path(name) / "data"
        flags = {"OPENTRAIL_FORWARD_TIMEOUT_S": str(TIMEOUT_S)}
        with server(data, there, "opentrail", flags) as target:
            signed = create_model(target.port, admin_key(data)).partition(b"\r\n\r\n")[0]
            lines = [line for line in signed.split(b"\r\n") if b"Content-Length" not in line]
            soak = Soak(target.port, target.pid, b"\r\n".join(lines) + b"\r\n", calls)
            files = descriptors(target.pid)
            uvloop.run(all_clients(soak, clients))
            wait_until_idle(target.port)
            check_leftovers(soak, files)
            check_records(soak, data / "log")
    resident = " ".join(f"{each / 2**20:.0f}" for each in soak.resident)
    print(f"{calls} calls by {clients} clients: {dict(sorted(soak.made.items()))}")
    print(f"resident MB after each {100 // SAMPLES} %: {resident}")
    for what, count in sorted(soak.wrong.items()):
        print(f"WRONG  {what}: {count}")
    print("nothing was wrong" if not soak.wrong else "not as it should be")
    return 1 if soak.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
