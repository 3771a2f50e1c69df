# SPDX-License-Identifier: Apache-2.0
"""``opentrail demo``: see all of it work, on free ports, without leaving anything behind."""

import importlib
import importlib.util
import signal
import sys
from types import FrameType
from typing import Literal

import click

from opentrail.cli.exits import EXIT_NO
from opentrail.cli.options import Command, json_option
from opentrail.clock import SystemClock, SystemIds
from opentrail.errors import UsageError

EXTRA = ("boto3", "awscli", "moto", "flask", "flask_cors")
"""What the demo extra brings, as far as the demo uses it."""

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@click.command("demo", cls=Command)
@click.option("--keep", is_flag=True, help="Leave it running until Ctrl-C; print client settings.")
@click.option(
    "--bucket",
    type=click.Choice(["upstream", "directory"]),
    default="upstream",
    show_default=True,
    help="Where the trail delivers: to the S3 behind OpenTrail, or to a directory.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="json: one document with calls, events and files.",
)
@json_option
def command(form: str, bucket: Literal["upstream", "directory"], *, keep: bool) -> None:
    """Make real calls through OpenTrail, and find each one again.

    Starts OpenTrail and stand-ins for the services on free ports, over a temporary directory.
    Calls SageMaker, Feature Store, Personalize and DevOps Guru with boto3 as an IAM user, as an
    assumed role and as root. A trail delivers the events as log files and signs them; the AWS CLI's
    validate-logs checks those. Exit code 0 only if every call was recorded, found, delivered and as
    it must be.

      opentrail demo
      opentrail demo --bucket directory
      opentrail demo --keep
      opentrail demo --json | jq .events[0]
    """
    check_extra(EXTRA)
    for number in _ENDING:
        signal.signal(number, _interrupted)
    demo = importlib.import_module("opentrail.cli.demo_run")
    if not demo.run(form, bucket, SystemClock(), SystemIds(), keep=keep):
        sys.exit(EXIT_NO)


def check_extra(modules: tuple[str, ...]) -> None:
    """Check that what only the demo needs is installed. Raises: UsageError."""
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(
            f"the demo needs {', '.join(missing)}, which is not installed:"
            " pip install 'opentrail[demo]'"
        )


def _interrupted(number: int, frame: FrameType | None) -> None:
    """End by way of every ``finally``; a second signal must not stop the tidying up."""
    del number, frame
    for ending in _ENDING:
        signal.signal(ending, signal.SIG_IGN)
    raise KeyboardInterrupt
