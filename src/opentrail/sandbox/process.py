# SPDX-License-Identifier: Apache-2.0
"""A server in a process of its own, on a free port of the loopback, for demonstrations and tests."""

import http.client
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import IO, Self

from opentrail.clock import Clock, SystemClock
from opentrail.errors import Unavailable
from opentrail.sandbox.serve import listen
from opentrail.signals import unbroken

HOST = "127.0.0.1"
READY_S_MAX = 30.0
"""Until a started server must answer: moto takes 2 s on a quiet machine."""
POLL_S = 0.05
STOP_S_MAX = 5.0
"""From SIGTERM to SIGKILL."""
OUTPUT_SHOWN_BYTES = 500
"""Of what a server wrote before it died: the end of a traceback."""


@dataclass(frozen=True, slots=True)
class Running:
    """A server that answers at ``url``; stopped by ``stop`` or at the end of a ``with``."""

    url: str
    process: subprocess.Popen[bytes]
    output: IO[bytes]
    """What it writes to standard output and error."""
    held: ExitStack
    """What is let go when it stops."""

    def stop(self) -> None:
        """End the process: asked first, then made to. Stopping twice is no fault."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(STOP_S_MAX)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.held.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def start_sandbox(clock: Clock | None = None) -> Running:
    """Start the stand-in and wait until it answers. Raises: Unavailable: it does not.

    The socket listens before the process starts and is handed over, so no other process can take
    the port in between.
    """
    with listen(HOST, 0) as listener:
        port = listener.getsockname()[1]
        descriptor = listener.fileno()
        arguments = ["-m", "opentrail.sandbox.serve", str(descriptor)]
        running = spawn(arguments, f"http://{HOST}:{port}", (descriptor,))
    return wait_until_ready(running, "/", clock or SystemClock())


def spawn(arguments: list[str], url: str, descriptors: tuple[int, ...] = ()) -> Running:
    """Start this Python with ``arguments``; the child keeps the open ``descriptors``."""
    with ExitStack() as undo:
        held = undo.enter_context(ExitStack())
        output = held.enter_context(tempfile.TemporaryFile())
        with unbroken():
            process = subprocess.Popen(  # noqa: S603 - the arguments are ours
                [sys.executable, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=descriptors,
            )
            running = Running(url, process, output, held)
            undo.callback(running.stop)
        undo.pop_all()
    return running


def wait_until_ready(running: Running, path: str, clock: Clock) -> Running:
    """Return ``running`` when it answers ``path``; stop it and raise when it does not.

    Raises: Unavailable: it ended, or did not answer within READY_S_MAX.
    """
    deadline = clock.monotonic() + READY_S_MAX
    with ExitStack() as undo:
        undo.callback(running.stop)  # also when Ctrl-C ends the wait
        while not _answers(running.url, path):
            try:
                running.process.wait(POLL_S)
            except subprocess.TimeoutExpired:
                if clock.monotonic() < deadline:
                    continue
            text = _last_output(running)
            raise Unavailable(f"a server for {running.url} did not start: {text}")
        undo.pop_all()
    return running


def _answers(url: str, path: str) -> bool:
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=READY_S_MAX)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.client.OK
    except OSError:
        return False
    finally:
        connection.close()


def _last_output(running: Running) -> str:
    running.output.seek(0)
    return running.output.read()[-OUTPUT_SHOWN_BYTES:].decode("utf-8", "replace").strip()
