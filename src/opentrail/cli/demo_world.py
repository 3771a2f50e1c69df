# SPDX-License-Identifier: Apache-2.0
"""What the demo runs: OpenTrail itself and the services behind it, each a process of its own."""

import base64
import json
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from opentrail.access.credentials import read_credentials
from opentrail.access.keys import AccessKey, make_access_key_id
from opentrail.cli.env import Variables, client_variables
from opentrail.cli.own_server import Server, own_server
from opentrail.clock import Clock, Ids
from opentrail.config import Settings, load
from opentrail.front.keys import credentials_file
from opentrail.sandbox.moto import start_moto
from opentrail.sandbox.process import start_sandbox

ACCOUNT = "123456789012"
REGION = "us-east-1"
USER = "ada"
ROLE = "TrainingPipeline"
SESSION = "nightly"
BUCKET = "opentrail-demo-logs"
"""Where the demo's trail delivers to."""
BucketKind = Literal["upstream", "directory"]
"""Where that bucket is: at the S3 behind OpenTrail, or a directory of OpenTrail's own."""
ROLE_ARN = f"arn:aws:iam::{ACCOUNT}:role/{ROLE}"

_SECRET_BYTES = 30


@dataclass(frozen=True, slots=True)
class Key:
    """What signs the calls of one actor."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)


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
def world(clock: Clock, ids: Ids, bucket: BucketKind = "upstream") -> Iterator[World]:
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
        text = _config(directory / "data", sandbox.url, moto.url, user, root)
        if bucket == "directory":
            text += _bucket(directory / BUCKET)
        config.write_text(text)
        server = running.enter_context(own_server(config))
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

[delivery]
file_interval_s = 1
digest_interval_s = 2

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


def _bucket(path: Path) -> str:
    """Make the directory of a bucket and return its settings."""
    path.mkdir()
    return f"""
[buckets.{BUCKET}]
directory = {json.dumps(str(path))}
"""
