# SPDX-License-Identifier: Apache-2.0
"""Other servers that answer AWS calls, run as their own documents say: what one call costs them.

They answer the call themselves, out of memory; OpenTrail passes it on and writes it to disk first.
MiniStack with CLOUDTRAIL_RECORDING=1 keeps the last 10,000 events in memory; moto records nothing.
"""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from botocore.client import BaseClient
from botocore.config import Config
from botocore.exceptions import ClientError, ParamValidationError
from botocore.parsers import ResponseParserError
from botocore.session import get_session

from bench.load import Target, free_port, signed_request, wait_for_port

VENV = Path(__file__).parents[1] / ".venv-bench"
"""Installed on demand: no dependency of the project."""
_PROGRAM = VENV / "bin" / "ministack"
MINISTACK = "ministack==1.5.33"
MINISTACK_ROW = "MiniStack, recording"
MOTO_ROW = "moto, records nothing"
SECONDS_MIN = 1.0
"""Of one measurement: shorter ones only see that it works, and install nothing."""
TARGET = "AmazonSSM.DescribeParameters"
BODY = b"{}"
SERVICES = [
    "sagemaker",
    "personalize",
    "devops-guru",
    "s3",
    "iam",
    "sts",
    "sqs",
    "sns",
    "dynamodb",
    "kms",
    "logs",
    "events",
    "lambda",
    "ec2",
    "cloudwatch",
    "secretsmanager",
    "ssm",
    "ecr",
    "rds",
    "route53",
]
"""Twenty services whose models OpenTrail has to have at hand at once."""
CALLS_A_SERVICE = 5


def request(port: int) -> bytes:
    """Return the bytes of a small JSON call that all of them answer."""
    return signed_request(port, ("AKIAIOSFODNN7EXAMPLE", "secret"), "ssm", TARGET, BODY)


def installed() -> bool:
    """Install MiniStack beside the project, once; False when that cannot be done now."""
    for command in (
        [sys.executable, "-m", "venv", str(VENV)],
        [str(VENV / "bin" / "python"), "-m", "pip", "install", "--quiet", MINISTACK],
    ):
        if subprocess.run(command, check=False).returncode:
            return False
    return True


@contextmanager
def _running(name: str, port: int, command: list[str], **environment: str) -> Iterator[Target]:
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={"PATH": "/usr/bin:/bin", "HOME": str(VENV), **environment},
    )
    try:
        wait_for_port(port)
        yield Target(name, port, process.pid)
    finally:
        process.terminate()
        process.wait()


@contextmanager
def peers(*, install: bool) -> Iterator[list[Target]]:
    """Run moto's server and, where it is or can be installed, MiniStack."""
    with ExitStack() as stack:
        port = free_port()
        command = [sys.executable, "-m", "moto.server", "-p", str(port)]
        found = [stack.enter_context(_running(MOTO_ROW, port, command))]
        if _PROGRAM.exists() or (install and installed()):
            port = free_port()
            settings = {"GATEWAY_PORT": str(port), "CLOUDTRAIL_RECORDING": "1"}
            running = _running(MINISTACK_ROW, port, [str(_PROGRAM)], **settings)
            found.append(stack.enter_context(running))
        else:
            print(f"{MINISTACK} is not installed: its row is missing", file=sys.stderr)
        yield found


def use_services(port: int) -> int:
    """Make calls of twenty services; return how many operations were called."""
    session = get_session()
    session.set_credentials("AKIAIOSFODNN7EXAMPLE", "secret")
    config = Config(retries={"total_max_attempts": 1}, inject_host_prefix=False, proxies={})
    called = 0
    for service in SERVICES:
        client = session.create_client(
            service, "us-east-1", endpoint_url=f"http://127.0.0.1:{port}", config=config
        )
        for method in _without_parameters(client)[:CALLS_A_SERVICE]:
            # The upstream of the benchmarks answers everything with the same JSON.
            with contextlib.suppress(ClientError, ParamValidationError, ResponseParserError):
                getattr(client, method)()
            called += 1
    return called


def _without_parameters(client: BaseClient) -> list[str]:
    """Return the methods of a client that need no parameters."""
    found = []
    for method, operation in client.meta.method_to_api_mapping.items():
        shape = client.meta.service_model.operation_model(operation).input_shape
        if shape is None or not shape.required_members:
            found.append(method)
    return found
