# SPDX-License-Identifier: Apache-2.0
"""Starts moto's server, the upstream for what it has: S3, IAM, STS, SNS, Logs, KMS and more."""

import importlib.util

from opentrail.clock import Clock, SystemClock
from opentrail.errors import UsageError
from opentrail.sandbox.process import HOST, Running, spawn, wait_until_ready
from opentrail.sandbox.serve import listen

READY_PATH = "/moto-api/"


def start_moto(clock: Clock | None = None) -> Running:
    """Start moto's server on a free port and wait until it answers.

    Raises: UsageError: moto is not installed; Unavailable: it did not start (also when another
    process took the port in the moment between its choice and its use).
    """
    if importlib.util.find_spec("moto") is None or importlib.util.find_spec("flask") is None:
        raise UsageError("moto is not installed: pip install 'opentrail[demo]'")
    with listen(HOST, 0) as listener:
        port = listener.getsockname()[1]
    arguments = ["-m", "moto.server", "-H", HOST, "-p", str(port)]
    running = spawn(arguments, f"http://{HOST}:{port}")
    return wait_until_ready(running, READY_PATH, clock or SystemClock())
