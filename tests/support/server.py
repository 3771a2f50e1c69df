# SPDX-License-Identifier: Apache-2.0
"""The real server for the tests: `opentrail serve` in processes of its own, on a real port.

Nothing of the machine's own settings reaches it. A test says what it wants to know by asking the
server (LookupEvents, health, metrics) or by reading its log as any other reader would.
"""

import configparser
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self
from urllib.request import ProxyHandler, build_opener

from support.aws_clients import Key, client

from opentrail.eventlog.reader import SegmentReader

PROGRAM = str(Path(sys.executable).parent / "opentrail")
READY_S_MAX = 30.0
STOP_S_MAX = 30.0
ADDRESS = re.compile(r"ready on (https?://127\.0\.0\.1:(\d+))")
_open = build_opener(ProxyHandler({})).open


class OpenTrail:
    """One server over one data directory. Start it, kill it, start it again; then it ends.

    ``upstream`` is the default upstream's URL; ``config`` the text of the settings file;
    ``arguments`` more flags. The port, if none is given, is a free one and stays the same.
    """

    def __init__(
        self,
        data: Path,
        *arguments: str,
        upstream: str = "",
        config: str = "",
        port: int = 0,
    ) -> None:
        self.data = data
        self.ready_lines: list[str] = []
        self.endpoint = ""
        self._arguments = [*(("--upstream", upstream) if upstream else ()), *arguments]
        self._config = config
        self._port = port
        self._process: subprocess.Popen[str] | None = None
        self._errors = data.with_name(data.name + ".stderr")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def command(self) -> list[str]:
        """Return the command line."""
        command = [PROGRAM, "serve", "--data", str(self.data)]
        command += ["--listen", f"127.0.0.1:{self._port}"]
        if self._config:
            file = self.data.with_name(self.data.name + ".toml")
            file.write_text(self._config, encoding="utf-8")
            command += ["--config", str(file)]
        return [*command, *self._arguments]

    def start(self) -> None:
        """Start the server and wait until it takes calls."""
        with self._errors.open("ab") as errors:
            self._process = subprocess.Popen(
                self.command(),
                env=clean_environment(self.data.parent),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        self.ready_lines = self._read_ready_lines()

    def _read_ready_lines(self) -> list[str]:
        """Return what the server says at its start; the last line says how to set up a client."""
        assert self._process is not None
        assert self._process.stdout is not None
        lines: list[str] = []
        for line in self._process.stdout:
            lines.append(line.rstrip("\n"))
            found = ADDRESS.search(line)
            if found is not None:
                self.endpoint, self._port = found[1], int(found[2])
            if line.strip().startswith("clients"):
                return lines
        raise AssertionError(f"the server did not start: {lines} {self.errors()}")

    def errors(self) -> str:
        """Return what the server wrote on standard error so far."""
        return self._errors.read_text(encoding="utf-8")

    def failures(self) -> str:
        """Return what the server wrote on standard error so far, but for warnings at its start."""
        lines = self.errors().splitlines()
        return "\n".join(line for line in lines if not line.startswith("  warning "))

    @property
    def pid(self) -> int:
        """Return the front process's id."""
        assert self._process is not None
        return self._process.pid

    @property
    def back_pid(self) -> int:
        """Return the back process's id; waits for it while it is being started again."""
        found: list[int] = []

        def there() -> bool:
            found.extend(_children(self.pid))
            return bool(found)

        wait_until(there)
        return found[0]

    @property
    def admin(self) -> Key:
        """Return the administrator's key, as the server wrote it at its first start."""
        file = configparser.ConfigParser()
        file.read(self.data / "credentials")
        return Key(file["default"]["aws_access_key_id"], file["default"]["aws_secret_access_key"])

    def client(self, service: str, key: Key | None = None, **config: Any) -> Any:
        """Return a boto3 client of this server, the administrator's unless ``key`` is given."""
        return client(service, self.endpoint, key or self.admin, **config)

    def lookup(self, *, region: str = "us-east-1", **query: Any) -> list[dict[str, Any]]:
        """Return the events of LookupEvents, all pages, once all that is durable is indexed."""
        self.wait_indexed()
        pages = self.client("cloudtrail", region=region).get_paginator("lookup_events")
        return [event for page in pages.paginate(**query) for event in page["Events"]]

    def events(self) -> list[dict[str, Any]]:
        """Return all records of the log, in its order."""
        reader = SegmentReader(self.data / "log")
        try:
            return [json.loads(entry.data) for entry in reader.entries(0)]
        finally:
            reader.close()

    def get(self, path: str) -> bytes:
        """Return the body of one of the unsigned endpoints."""
        with _open(f"{self.endpoint}{path}", timeout=READY_S_MAX) as answer:
            body: bytes = answer.read()
            return body

    def health(self) -> dict[str, Any]:
        """Return what /_opentrail/health says."""
        found: dict[str, Any] = json.loads(self.get("/_opentrail/health"))
        return found

    def metrics(self) -> dict[str, float]:
        """Return the metrics, by name and labels as they are written."""
        lines = self.get("/_opentrail/metrics").decode().splitlines()
        pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        return {name: float(value) for name, value in pairs}

    def accounted(self) -> tuple[float, float]:
        """Return how many calls were seen, and how many of them were accounted for."""
        metrics = self.metrics()
        kinds = ("recorded_total", "excluded_total{", "failed_total{")
        names = tuple(f"opentrail_calls_{kind}" for kind in kinds)
        return metrics["opentrail_calls_seen_total"], sum(
            value for name, value in metrics.items() if name.startswith(names)
        )

    def wait_indexed(self) -> None:
        """Wait until the API answers and all that is durable is indexed."""

        def indexed() -> bool:
            health = self.health()
            back, log = health["back"], health["log"]
            return bool(back["up"] and back["indexed_to"] == log["durable_end"])

        wait_until(indexed)

    def resident_bytes(self) -> int:
        """Return the front process's resident memory."""
        return int(self.metrics()["process_resident_memory_bytes"])

    def kill(self) -> None:
        """Kill the front process with SIGKILL; its back process ends by itself."""
        self._signal(signal.SIGKILL)

    def kill_back(self) -> None:
        """Kill the back process with SIGKILL; the front process starts another."""
        os.kill(self.back_pid, signal.SIGKILL)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Stop the server; return its exit code."""
        return self._signal(number)

    def _signal(self, number: signal.Signals) -> int:
        assert self._process is not None
        if self._process.poll() is None:
            self._process.send_signal(number)
        code = self._process.wait(STOP_S_MAX)
        if self._process.stdout is not None:
            self._process.stdout.close()
        return code

    def restart(self) -> None:
        """Stop the server and start it again on the same port."""
        self.stop()
        self.start()

    def end(self) -> None:
        """Stop the server, whatever became of it, for the last time."""
        try:
            if self._process is not None:
                self.stop()
        except subprocess.TimeoutExpired:
            self.kill()
            raise


def _children(parent: int) -> list[int]:
    listed = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True
    )
    rows = [line.split() for line in listed.stdout.splitlines()]
    return [int(pid) for pid, its_parent in rows if int(its_parent) == parent]


def clean_environment(home: Path) -> dict[str, str]:
    """Return an environment without anybody's AWS or OpenTrail settings."""
    return {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(home), "LC_ALL": "C.UTF-8"}


def run(
    *arguments: str, home: Path, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run ``opentrail`` to its end; the caller looks at the exit code."""
    return subprocess.run(
        [PROGRAM, *arguments],
        env={**clean_environment(home), **(environment or {})},
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
        timeout=READY_S_MAX,
    )


def wait_until(holds: Callable[[], object], *, seconds_max: float = 10.0) -> None:
    """Wait until ``holds()`` is true; fail when it never is."""
    deadline = time.monotonic() + seconds_max
    while not holds():
        if time.monotonic() > deadline:
            raise AssertionError(f"it did not come true within {seconds_max} s")
        time.sleep(0.01)
