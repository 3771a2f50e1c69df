# SPDX-License-Identifier: Apache-2.0
"""What the gateway costs: latency and CPU a call, beside the upstream itself and a bare proxy.

Every round measures all of them in turn; figures are medians over the rounds, with the spread.
"""

import json
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, cast
from urllib.request import urlopen

from bench import peers
from bench.load import (
    WARM_UP_S,
    Figures,
    Target,
    free_port,
    measure,
    resident_mb,
    signed_request,
    started,
    wait_for_port,
)
from bench.machine import spread_percent
from bench.sample import write_log

BENCH = Path(__file__).parent
UPSTREAM = "upstream itself"
BARE = "bare pass-through proxy"
OWN = "opentrail's HTTP alone"
OPENTRAIL = "opentrail"
INDEXING = "opentrail, back indexing"
BACKLOG_RECORDS_S = 300_000
"""More than back indexes in a second, so that it is at it as long as is measured."""
START_S = 1.0
"""About how long front reads the log at its start, while back begins."""
PACED_S = 1_000
"""Calls a second at an even pace: what is added to a call where none waits for its turn. Connections
that call as fast as they can measure how long they wait for each other."""
CAUGHT_UP = 0.98
"""Of the log: past it, back only follows what is measured."""
BODY = (
    b'{"ModelName":"bench","PrimaryContainer":{"Image":"kmeans:latest","Environment":{"A":"b"}},'
    b'"ExecutionRoleArn":"arn:aws:iam::123456789012:role/bench-role"}'
)


def create_model(port: int, key: tuple[str, str]) -> bytes:
    """Return the bytes of one signed CreateModel call."""
    return signed_request(port, key, "sagemaker", "SageMaker.CreateModel", BODY)


def admin_key(data: Path) -> tuple[str, str]:
    """Return the administrator's key that the server has made."""
    lines = (data / "credentials").read_text().splitlines()
    values = dict(line.split(" = ") for line in lines if " = " in line)
    return values["aws_access_key_id"], values["aws_secret_access_key"]


@contextmanager
def server(
    data: Path, upstream_port: int, name: str, environment: Mapping[str, str] | None = None
) -> Iterator[Target]:
    """Start OpenTrail over the directory ``data`` in front of the upstream."""
    arguments = ["-m", "opentrail.cli.main", "serve", "--data", str(data)]
    arguments += ["--listen", "127.0.0.1:0", "--upstream", f"http://127.0.0.1:{upstream_port}"]
    with started(*arguments, environment=environment) as (port, pid):
        yield Target(name, port, pid)


@contextmanager
def busy_server(data: Path, upstream_port: int) -> Iterator[Target]:
    """As ``server``, but without waiting until back has read the log."""
    port = free_port()
    command = [sys.executable, "-m", "opentrail.cli.main", "serve", "--data", str(data)]
    command += ["--listen", f"127.0.0.1:{port}", "--upstream", f"http://127.0.0.1:{upstream_port}"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        wait_for_port(port)
        # What front itself reads at its start is another matter than what back reads beside it.
        while not _health(port)["intake"]["ready"]:
            time.sleep(0.02)
        yield Target(INDEXING, port, process.pid)
    finally:
        process.terminate()
        process.wait()


def _health(port: int) -> dict[str, Any]:
    """Return what the server says of itself."""
    with urlopen(f"http://127.0.0.1:{port}/_opentrail/health") as answer:
        return cast(dict[str, Any], json.load(answer))


@contextmanager
def all_targets(data: Path) -> Iterator[list[Target]]:
    """Start the upstream, the bare proxy and OpenTrail."""
    with ExitStack() as stack:
        upstream = stack.enter_context(started(str(BENCH / "responder.py")))
        url = f"http://127.0.0.1:{upstream[0]}"
        proxy = stack.enter_context(started(str(BENCH / "passthrough.py"), url))
        own = stack.enter_context(started(str(BENCH / "forward.py"), url))
        opentrail = stack.enter_context(server(data, upstream[0], OPENTRAIL))
        yield [Target(UPSTREAM, *upstream), Target(BARE, *proxy), Target(OWN, *own), opentrail]


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
        with busy_server(self._data, upstream_port) as target:
            request = create_model(target.port, admin_key(self._data))
            figures = measure(target, request, connections, seconds)
            health = _health(target.port)
        self.still_indexing.append(health["back"]["indexed_to"] < self._backlog_end(health))
        return figures

    def _backlog_end(self, health: dict[str, Any]) -> int:
        """Return where back is done with all but what came just now."""
        return int(health["log"]["durable_end"] * CAUGHT_UP)


def report(title: str, all_figures: dict[str, list[Figures]]) -> None:
    """Print medians, spread, what is added to the upstream itself, and ratios to the bare proxy."""
    print(f"\ngateway: {title}")
    print(
        f"  {'':28}{'calls/s':>9}{'p50 ms':>9}{'added':>9}{'p99 ms':>9}{'added':>9}"
        f"{'CPU us':>9}{'a core':>9}{'spread':>8}{'ratio':>8}"
    )
    bare_us = _median(all_figures[BARE], "cpu_us")
    direct = all_figures.get(UPSTREAM)
    for name, rounds in all_figures.items():
        cpu_us = _median(rounds, "cpu_us")
        ratio = f"{cpu_us / bare_us:.2f}x" if bare_us else "-"
        print(
            f"  {name:28}{_median(rounds, 'calls_s'):9.0f}"
            f"{_with_added(rounds, direct, 'p50_ms')}{_with_added(rounds, direct, 'p99_ms')}"
            f"{cpu_us:9.0f}{_median(rounds, 'calls_s_core'):9.0f}"
            f"{spread_percent([each.cpu_us for each in rounds]):7.0f}%{ratio:>8}"
        )


def _with_added(rounds: list[Figures], direct: list[Figures] | None, name: str) -> str:
    """Return a figure, and how much more it is than the upstream's own."""
    figure = _median(rounds, name)
    added = "-" if direct is None else f"{figure - _median(direct, name):.3f}"
    return f"{figure:9.3f}{added:>9}"


def _median(rounds: list[Figures], name: str) -> float:
    return statistics.median(float(getattr(each, name)) for each in rounds)


Measuring = Callable[[], Figures]


def in_turn(measuring: Mapping[str, Measuring], rounds: int) -> dict[str, list[Figures]]:
    """Measure everything in turn, ``rounds`` times."""
    figures: dict[str, list[Figures]] = {name: [] for name in measuring}
    for _ in range(rounds):
        for name, measure_it in measuring.items():
            figures[name].append(measure_it())
    return figures


def _create_models(
    targets: list[Target], key: tuple[str, str], load: tuple[int, float], calls_s: float = 0.0
) -> dict[str, Measuring]:
    """Return what calls each of ``targets`` over so many connections for so many seconds."""
    return {
        each.name: partial(measure, each, create_model(each.port, key), *load, calls_s)
        for each in targets
    }


def run(directory: Path, rounds: int, seconds: float) -> None:
    """Measure and print."""
    data = directory / "gateway"
    backlog = Backlog(
        directory / "backlog", int(BACKLOG_RECORDS_S * (seconds + START_S + WARM_UP_S))
    )
    with all_targets(data) as targets:
        key = admin_key(data)
        for connections in (1, 16):
            load = connections, seconds
            measuring = _create_models(targets, key, load)
            measuring[INDEXING] = partial(backlog.measure, targets[0].port, *load)
            report(f"CreateModel, {connections} connection(s)", in_turn(measuring, rounds))
        paced = _create_models(targets, key, (16, seconds), PACED_S)
        report(f"CreateModel, 16 connections, {PACED_S:,} a second", in_turn(paced, rounds))
        busy = sum(backlog.still_indexing)
        all_rounds = len(backlog.still_indexing)
        print(f"\nback was still indexing at the end of {busy} of {all_rounds} rounds")
        beside_peers(targets, rounds, seconds)
        opentrail = targets[-1]
        print(f"\nopentrail front, resident: {resident_mb(opentrail.pid):.0f} MB", end="")
        called = peers.use_services(opentrail.port)
        resident = resident_mb(opentrail.pid)
        print(f"; after {called} operations of {len(peers.SERVICES)} services: {resident:.0f} MB")


def beside_peers(targets: list[Target], rounds: int, seconds: float) -> None:
    """Measure other servers that answer AWS calls, with a call that all of them know."""
    with peers.peers(install=seconds >= peers.SECONDS_MIN) as others:
        measuring = {
            target.name: partial(measure, target, peers.request(target.port), 16, seconds)
            for target in (*targets[1:], *others)
        }
        report("DescribeParameters, 16 connection(s)", in_turn(measuring, rounds))
        for target in others:
            print(f"  {target.name}, resident: {resident_mb(target.pid):.0f} MB")
