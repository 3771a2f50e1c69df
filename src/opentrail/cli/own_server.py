# SPDX-License-Identifier: Apache-2.0
"""``opentrail serve`` as a process of a command's own, which ends with the command."""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from opentrail.clock import Clock
from opentrail.config import ENV_PREFIX
from opentrail.errors import Unavailable
from opentrail.signals import unbroken

READY_S_MAX = 30.0
"""Until OpenTrail must have said that it is ready: it takes about a second on a quiet machine."""
POLL_S = 0.02
"""How long one look at what is awaited is put off: fine enough to time an event's way."""
STOP_S_MAX = 10.0
"""From SIGTERM to SIGKILL: OpenTrail answers what it has forwarded first."""
OUTPUT_SHOWN_BYTES = 500
"""Of what OpenTrail wrote before it died: its last line or two."""

_OTHERS = (ENV_PREFIX, "AWS_")
_PROXIES = frozenset({"http_proxy", "https_proxy", "all_proxy"})
_OUTPUT_READ_BYTES = 65_536
_READY = re.compile(rb"ready on (http://\S+)")


@dataclass(frozen=True, slots=True)
class Server:
    """The process ``opentrail serve``."""

    process: subprocess.Popen[bytes]
    output: IO[bytes]
    """What it writes to standard output and error."""

    def pause(self, seconds: float = POLL_S) -> None:
        """Let ``seconds`` go by. Raises: Unavailable: OpenTrail has ended."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return
        text = self._written()[-OUTPUT_SHOWN_BYTES:].decode("utf-8", "replace").strip()
        raise Unavailable(f"OpenTrail ended: {text}")

    def endpoint(self, clock: Clock) -> str:
        """Return where it answers, once it is ready. Raises: Unavailable."""
        deadline = clock.monotonic() + READY_S_MAX
        while clock.monotonic() < deadline:
            ready = _READY.search(self._written())
            if ready is not None:
                return ready[1].decode()
            self.pause()
        raise Unavailable(f"OpenTrail was not ready within {READY_S_MAX:g} s")

    def _written(self) -> bytes:
        # Not by seek and read: the process writes at the offset that both share.
        return os.pread(self.output.fileno(), _OUTPUT_READ_BYTES, 0)


@contextmanager
def own_server(config: Path) -> Iterator[Server]:
    """Run ``opentrail serve`` on a free port of the loopback, with the settings of ``config`` alone.

    It delivers to buckets, so the user's own AWS settings must not reach it either.

    At the end it is asked to stop, then made to; its other process ends with it.
    """
    with tempfile.TemporaryFile() as output, ExitStack() as undo:
        with unbroken():
            process = subprocess.Popen(  # noqa: S603 - the arguments are ours
                [sys.executable, "-m", "opentrail.cli.main", "serve", "--config", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=_environment(),
                process_group=0,  # Ctrl-C is not for it: who is served may still tidy up
            )
            undo.callback(_stop, process)
        yield Server(process, output)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_S_MAX)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _environment() -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(_OTHERS) and name.lower() not in _PROXIES
    }
    return kept | {
        "PYTHONUNBUFFERED": "1",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
