# SPDX-License-Identifier: Apache-2.0
"""Real clients for the tests: boto3 and the AWS CLI, set up as `opentrail env` sets them up.

They see nothing of the machine's own AWS settings and do not retry, so that a test sees each answer.
"""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import botocore.loaders
import botocore.session
import pytest
from botocore.config import Config

CONNECT_TIMEOUT_S = 3
READ_TIMEOUT_S = 20
CLI_TIMEOUT_S = 60
LOADER = botocore.loaders.create_loader()
"""Of all sessions: each would read the models of services and endpoints again."""


@dataclass(frozen=True)
class Key:
    """An access key of a test."""

    access_key_id: str
    secret_access_key: str
    session_token: str | None = None


def without_aws(patch: pytest.MonkeyPatch) -> None:
    """Let nothing of the machine's own AWS and OpenTrail settings reach what runs in this process."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "OPENTRAIL_"))]:
        patch.delenv(name)
    patch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    patch.setenv("AWS_CONFIG_FILE", os.devnull)
    patch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def client(
    service: str,
    endpoint: str,
    key: Key,
    region: str = "us-east-1",
    *,
    validate: bool = True,
    **config: Any,
) -> Any:
    """Return a boto3 client; ``validate=False`` lets input pass that boto3 would stop."""
    core = botocore.session.Session()
    core.register_component("data_loader", LOADER)
    core.set_config_variable("config_file", os.devnull)
    core.set_config_variable("credentials_file", os.devnull)
    core.set_config_variable("profile", None)
    session = boto3.session.Session(
        aws_access_key_id=key.access_key_id,
        aws_secret_access_key=key.secret_access_key,
        aws_session_token=key.session_token,
        region_name=region,
        botocore_session=core,
    )
    settings: dict[str, Any] = {
        "connect_timeout": CONNECT_TIMEOUT_S,
        "read_timeout": READ_TIMEOUT_S,
        "retries": {"total_max_attempts": 1},
        "inject_host_prefix": False,
        "parameter_validation": validate,
        "proxies": {},
        "s3": {"addressing_style": "path"},
    }
    return session.client(service, endpoint_url=endpoint, config=Config(**(settings | config)))


def cli_environment(endpoint: str, key: Key, region: str, home: Path) -> dict[str, str]:
    """Return the whole environment of an AWS CLI that knows only ``endpoint`` and ``key``."""
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(home),
        "LC_ALL": "C.UTF-8",
        "AWS_ACCESS_KEY_ID": key.access_key_id,
        "AWS_SECRET_ACCESS_KEY": key.secret_access_key,
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_DEFAULT_OUTPUT": "json",
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_DISABLE_HOST_PREFIX_INJECTION": "true",
        "AWS_MAX_ATTEMPTS": "1",
        "AWS_PAGER": "",
        "NO_PROXY": "*",
    }
    if key.session_token is not None:
        environment["AWS_SESSION_TOKEN"] = key.session_token
    return environment


def aws(
    *arguments: str, endpoint: str, key: Key, home: Path, region: str = "us-east-1"
) -> subprocess.CompletedProcess[str]:
    """Run ``aws`` of this Python's environment; the caller looks at the exit code."""
    return subprocess.run(
        [str(Path(sys.executable).parent / "aws"), *arguments],
        env=cli_environment(endpoint, key, region, home),
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
        timeout=CLI_TIMEOUT_S,
    )
