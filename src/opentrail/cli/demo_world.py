# SPDX-License-Identifier: Apache-2.0
"""What the demo runs: OpenTrail itself and the services behind it, each a process of its own."""

import base64
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from opentrail.access.credentials import read_credentials
from opentrail.access.keys import AccessKey, make_access_key_id
from opentrail.cli.env import Variables, client_variables
from opentrail.clock import Clock, Ids
from opentrail.config import ENV_PREFIX, Settings, load
from opentrail.errors import Unavailable
from opentrail.front.keys import credentials_file
from opentrail.sandbox.moto import start_moto
from opentrail.sandbox.process import start_sandbox

ACCOUNT = "123456789012"
REGION = "us-east-1"
USER = "ada"
ROLE = "TrainingPipeline"
SESSION = "nightly"
ROLE_ARN = f"arn:aws:iam::{ACCOUNT}:role/{ROLE}"

READY_S_MAX = 30.0
"""Until OpenTrail must have said that it is ready: it takes about a second on a quiet machine."""
POLL_S = 0.02
"""How long one look at what is awaited is put off: fine enough to time an event's way."""
STOP_S_MAX = 10.0
"""From SIGTERM to SIGKILL: OpenTrail answers what it has forwarded first."""
OUTPUT_SHOWN_BYTES = 500
"""Of what OpenTrail wrote before it died: its last line or two."""

_SECRET_BYTES = 30
_OUTPUT_READ_BYTES = 65_536
_READY = re.compile(rb"ready on (http://\S+)")


@dataclass(frozen=True, slots=True)
class Key:
    """What signs the calls of one actor."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)


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
def _serve(config: Path) -> Iterator[Server]:
    """Run ``opentrail serve`` on a free port of the loopback, with the settings of ``config`` alone.

    At the end it is asked to stop, then made to; its other process ends with it.
    """
    environment = {k: v for k, v in os.environ.items() if not k.startswith(ENV_PREFIX)}
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(  # noqa: S603 - the arguments are ours
            [sys.executable, "-m", "opentrail.cli.main", "serve", "--config", str(config)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment | {"PYTHONUNBUFFERED": "1"},
        )
        try:
            yield Server(process, output)
        finally:
            process.terminate()
            try:
                process.wait(STOP_S_MAX)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@dataclass(frozen=True, slots=True)
class World:
    """All that runs."""

    endpoint: str
    """Of OpenTrail."""
    settings: Settings
    server: Server
    user: Key
    root: Key

    @property
    def admin(self) -> Key:
        """The administrator's key, which may ask CloudTrail's API."""
        key: AccessKey = read_credentials(credentials_file(self.settings), ACCOUNT)
        return Key(key.access_key_id, key.secret_access_key)

    def client_settings(self) -> Variables:
        """Return the environment of a client, with the administrator's secret key."""
        return client_variables(self.settings)


@contextmanager
def world(clock: Clock, ids: Ids) -> Iterator[World]:
    """Start everything on free ports, over a temporary directory; at the end nothing is left.

    Raises: Unavailable: something did not start.
    """
    with ExitStack() as running:
        directory = Path(
            running.enter_context(tempfile.TemporaryDirectory(prefix="opentrail-demo-"))
        )
        sandbox = running.enter_context(start_sandbox(clock))
        moto = running.enter_context(start_moto(clock))
        user, root = _new_key(ids), _new_key(ids)
        config = directory / "opentrail.toml"
        config.write_text(_config(directory / "data", sandbox.url, moto.url, user, root))
        server = running.enter_context(_serve(config))
        endpoint = server.endpoint(clock)
        address = {"listen.address": endpoint.removeprefix("http://")}
        yield World(endpoint, load(config, {}, address), server, user, root)


def _new_key(ids: Ids) -> Key:
    secret = base64.b64encode(ids.random_bytes(_SECRET_BYTES)).decode()
    return Key(make_access_key_id(ACCOUNT, ids), secret)


def _config(data: Path, sandbox: str, moto: str, user: Key, root: Key) -> str:
    """Return the server's settings; a JSON string is a TOML string too."""
    return f"""\
data = {json.dumps(str(data))}
account = "{ACCOUNT}"
region = "{REGION}"

[listen]
address = "127.0.0.1:0"

[forward]
verify = true


[upstream]
default = "{moto}"
sagemaker = "{sandbox}"
personalize = "{sandbox}"
devops-guru = "{sandbox}"

[upstream.sts]
url = "{moto}"
trusted_identity = true

[access_keys.{user.access_key_id}]
secret_access_key = "{user.secret_access_key}"
type = "IAMUser"
user_name = "{USER}"
principal_id = "AIDAQDEMOADA000000000"

[access_keys.{root.access_key_id}]
secret_access_key = "{root.secret_access_key}"
type = "Root"
"""
