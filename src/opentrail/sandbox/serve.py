# SPDX-License-Identifier: Apache-2.0
"""Runs the stand-in's HTTP server in this process; ``opentrail.sandbox.process`` starts another."""

import socket
import sys

import uvicorn

from opentrail.clock import SystemClock, SystemIds
from opentrail.errors import UsageError
from opentrail.sandbox.app import Sandbox

BACKLOG = 128
"""Connections that wait to be accepted: more than the tests open at once."""


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; port 0 takes a free one. Raises: UsageError: cannot listen."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        text = f"cannot listen on {host}:{port}: {error.strerror}; choose another port"
        raise UsageError(text) from error


def serve(listener: socket.socket) -> None:
    """Answer on ``listener`` until SIGINT or SIGTERM."""
    config = uvicorn.Config(
        Sandbox(SystemClock(), SystemIds()),
        lifespan="off",
        ws="none",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=2,
    )
    uvicorn.Server(config).run(sockets=[listener])


def main() -> None:
    """Serve on the listening socket whose descriptor is the one argument."""
    with socket.socket(fileno=int(sys.argv[1])) as listener:
        serve(listener)


if __name__ == "__main__":
    main()
