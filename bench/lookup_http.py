# SPDX-License-Identifier: Apache-2.0
"""LookupEvents over HTTP: signed calls over kept connections, alone and while events arrive.

Each call is answered with a page of 50 events, and is itself recorded before its answer, as every
call is. ``python -m bench.lookup_http EVENTS DIRECTORY`` takes a directory that is kept.
"""

import asyncio
import itertools
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec

from bench import load as bench_load
from bench import machine
from bench.intake import Requests, Sender, Server
from bench.load import back_pid, cpu_s, signed_request
from bench.lookup_data import PAGE, Made, Question, kept_options, made
from bench.machine import spread_percent
from bench.peers import MINISTACK_ROW, SECONDS_MIN, peers
from bench.peers import request as peer_request

EVENTS, QUICK_EVENTS = 1_000_000, 3_000
TARGET = "CloudTrail_20131101.LookupEvents"
ARRIVING_S = 10_000
"""Events a second that arrive meanwhile, in requests of 100."""
PACED_S = 1_000
"""Calls a second at an even pace: without, clients that wait for each other measure their queue."""
BATCH = 100
ARRIVED_SHARE_MIN = 0.9
"""Of the events that should have arrived: with fewer the row would not mean what it says."""
WARM_UP_S = 0.5
READY_S_MAX = 180.0
FILL_S = 10.0
"""For so long MiniStack records calls; it keeps the last 10,000."""
SETTLED_S = 0.05
"""Processor time in half a second, below which nothing is done any more."""


@dataclass(frozen=True)
class Figures:
    """One measurement."""

    calls_s: float
    p50_ms: float
    p99_ms: float
    front_us: float
    """Processor time of each process for one call; with arriving events, theirs is in it."""
    back_us: float


def lookup_request(server: Server, question: Question | None) -> bytes:
    """Return a signed call for the newest page of what is asked; None: of everything."""
    asked: dict[str, object] = {"MaxResults": PAGE}
    if question is not None:
        pair = {"AttributeKey": question.attribute, "AttributeValue": question.value}
        asked["LookupAttributes"] = [pair]
    key = (server.credentials.access_key_id, server.credentials.secret_access_key)
    return signed_request(server.port, key, "cloudtrail", TARGET, msgspec.json.encode(asked))


def wait_until_ready(server: Server) -> None:
    """Wait until the back process has its index: calls are refused before."""
    request = lookup_request(server, None)
    until_s = time.perf_counter() + READY_S_MAX
    while True:
        with socket.create_connection(("127.0.0.1", server.port), READY_S_MAX) as connection:
            connection.sendall(request)
            if connection.recv(12).endswith(b" 200"):
                break
        if time.perf_counter() > until_s:
            raise RuntimeError("the server does not become ready")
        time.sleep(0.05)
    # A log that was just made is read as what may have come in while the server was down.
    pids = (server.process.pid, back_pid(server.process.pid))
    used_s = -1.0
    while (now_s := sum(map(cpu_s, pids))) > used_s + SETTLED_S and time.perf_counter() < until_s:
        used_s = now_s
        time.sleep(0.5)


class Paced(Sender):
    """Sends each request when it is due, or as soon after as it can; how long it took is from when it was due."""

    def __init__(self, requests: Iterator[bytes], until_s: float, due_s: Iterator[float]) -> None:
        super().__init__(requests, until_s)
        self._due_s = due_s

    def _next(self) -> None:
        due_s = next(self._due_s)
        wait_s = max(0.0, due_s - time.perf_counter())
        asyncio.get_running_loop().call_later(wait_s, self._go, due_s)

    def _go(self, due_s: float) -> None:
        super()._next()
        self._began_s = due_s


def _sender(
    requests: Sequence[bytes], number: int, connections: int, seconds: float, calls_s: float
) -> Sender:
    """Return connection ``number`` of so many; ``calls_s``: of all together, 0: as fast as can be."""
    asked = itertools.islice(itertools.cycle(requests), number, None)
    now_s = time.perf_counter()
    if not calls_s:
        return Sender(asked, now_s + seconds)
    due_s = itertools.count(now_s + number / calls_s, connections / calls_s)
    return Paced(asked, now_s + seconds, due_s)


async def _call(
    port: int, requests: Sequence[bytes], connections: int, seconds: float, calls_s: float = 0.0
) -> list[float]:
    """Call over so many connections; return the seconds of each call."""
    loop = asyncio.get_running_loop()
    senders = []
    for number in range(connections):
        make = partial(_sender, requests, number, connections, seconds, calls_s)
        _, sender = await loop.create_connection(make, "127.0.0.1", port)
        senders.append(sender)
    await asyncio.gather(*(sender.done for sender in senders))
    return [each for sender in senders for each in sender.took]


async def arrive(port: int, requests: Iterator[bytes], events_s: int, until_s: float) -> int:
    """Send events at an even pace, in requests of BATCH; return how many were accepted."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    sent, began_s = 0, time.perf_counter()
    for request in requests:
        due_s = began_s + sent / events_s
        await asyncio.sleep(max(0.0, due_s - time.perf_counter()))
        if time.perf_counter() >= until_s:
            break
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        assert head.startswith(b"http/1.1 200"), head
        length = head.split(b"content-length: ")[1].split(b"\r\n")[0]
        await reader.readexactly(int(length))
        sent += BATCH
    writer.close()
    return sent


async def _both(
    server: Server,
    asked: Sequence[bytes],
    load: tuple[int, float],
    seconds: float,
    events: list[bytes],
) -> tuple[list[float], int]:
    until_s = time.perf_counter() + seconds
    connections, calls_s = load
    took, sent = await asyncio.gather(
        _call(server.port, asked, connections, seconds, calls_s),
        arrive(server.port, iter(events), ARRIVING_S, until_s),
    )
    return took, sent


def measure(
    server: Server,
    asked: Sequence[bytes],
    load: tuple[int, float],
    seconds: float,
    events: list[bytes],
) -> Figures:
    """Measure once; ``load``: connections, and calls a second of all, 0: as fast as can be.

    ``events`` are requests that arrive meanwhile, if there are any.
    """
    asyncio.run(_call(server.port, asked, load[0], min(WARM_UP_S, seconds)))
    front, back = server.process.pid, back_pid(server.process.pid)
    before = cpu_s(front), cpu_s(back)
    took, sent = asyncio.run(_both(server, asked, load, seconds, events))
    used = cpu_s(front) - before[0], cpu_s(back) - before[1]
    if events and sent < ARRIVING_S * seconds * ARRIVED_SHARE_MIN:
        print(f"only {sent:,} events arrived in {seconds} s: the machine is too busy for that row")
    took.sort()
    return Figures(
        len(took) / seconds,
        took[len(took) // 2] * 1000,
        took[len(took) * 99 // 100] * 1000,
        used[0] / len(took) * 1e6,
        used[1] / len(took) * 1e6,
    )


def rows(server: Server, data: Made, rounds: int, seconds: float) -> dict[str, list[Figures]]:
    """Measure all rows in turn, in each round."""
    every = [lookup_request(server, None)]
    common = [lookup_request(server, each) for each in data.questions["common"]]
    rare = [lookup_request(server, each) for each in data.questions["rare"]] or common
    found: dict[str, list[Figures]] = {}

    def add(
        name: str, asked: list[bytes], connections: int, events: list[bytes], calls_s: float = 0.0
    ) -> None:
        figures = measure(server, asked, (connections, calls_s), seconds, events)
        found.setdefault(name, []).append(figures)

    for _ in range(rounds):
        add("newest, 1 connection", every, 1, [])
        add("newest, 16", every, 16, [])
        add("common, 1", common, 1, [])
        add("common, 4", common, 4, [])
        add("common, 16", common, 16, [])
        add(f"common, 16, {PACED_S:,} a second", common, 16, [], PACED_S)
        add("rare, 4", rare, 4, [])
        arriving = Requests(server, BATCH, int(ARRIVING_S * seconds * 1.1 / BATCH) + 1).items
        add("common, 4, events arriving", common, 4, arriving)
    return found


def ministack(rounds: int, seconds: float) -> tuple[int, list[bench_load.Figures]]:
    """Let MiniStack record calls for a while, and look them up; return how many, and the figures."""
    with peers(install=True) as found:
        for target in found:
            if target.name == MINISTACK_ROW:
                call = peer_request(target.port)
                made = len(asyncio.run(bench_load.load(target.port, call, 4, FILL_S)))
                pair = {"AttributeKey": "EventName", "AttributeValue": "DescribeParameters"}
                body = msgspec.json.encode({"MaxResults": PAGE, "LookupAttributes": [pair]})
                key = ("AKIAIOSFODNN7EXAMPLE", "secret")
                asked = signed_request(target.port, key, "cloudtrail", TARGET, body)
                figures = [bench_load.measure(target, asked, 4, seconds) for _ in range(rounds)]
                return made, figures
    return 0, []


def bench(directory: Path, events: int, rounds: int, seconds: float) -> None:
    """Measure and print."""
    data = made(directory, events)
    server = Server(data.path)
    try:
        wait_until_ready(server)
        found = rows(server, data, rounds, seconds)
    finally:
        server.stop()
    print(f"\nlookup-http: LookupEvents, signed, pages of {PAGE} of {events:,} events")
    print(
        f"  {'':28}{'calls/s':>9}{'spread':>8}{'p50 ms':>9}{'p99 ms':>9}{'front us':>10}{'back us':>9}"
    )
    for name, each in found.items():
        rates = [one.calls_s for one in each]
        print(
            f"  {name:28}{statistics.median(rates):9,.0f}{spread_percent(rates):7.0f}%"
            f"{statistics.median(one.p50_ms for one in each):9.2f}"
            f"{statistics.median(one.p99_ms for one in each):9.2f}"
            f"{statistics.median(one.front_us for one in each):10.0f}"
            f"{statistics.median(one.back_us for one in each):9.0f}"
        )

    if seconds >= SECONDS_MIN:
        made_calls, theirs = ministack(rounds, seconds)
        if theirs:
            rates = [one.calls_s for one in theirs]
            print(
                f"  {'MiniStack, 4':28}{statistics.median(rates):9,.0f}{spread_percent(rates):7.0f}%"
                f"{statistics.median(one.p50_ms for one in theirs):9.2f}"
                f"{statistics.median(one.p99_ms for one in theirs):9.2f}"
                f"{statistics.median(one.cpu_us for one in theirs):10.0f}{'':>9}"
                f"  over {made_calls:,} events in memory"
            )


def run(directory: Path, rounds: int, seconds: float) -> None:
    """Measure a million events, made for this alone."""
    events = EVENTS if seconds >= SECONDS_MIN else QUICK_EVENTS
    with tempfile.TemporaryDirectory(dir=directory) as name:
        bench(Path(name), events, rounds, seconds)


def main(arguments: Sequence[str]) -> None:
    """Measure events that are kept."""
    given = kept_options("bench.lookup_http", __doc__).parse_args(arguments)
    before = machine.look(given.directory)
    bench(given.directory, given.events, given.rounds, given.seconds)
    machine.report(before, machine.look(given.directory))


if __name__ == "__main__":
    main(sys.argv[1:])
