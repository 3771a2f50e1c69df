# SPDX-License-Identifier: Apache-2.0
"""Runs the real ``aws cloudtrail validate-logs`` over what the demo's trail delivered."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from opentrail.cli.env import Variables
from opentrail.errors import Unavailable

VALIDATE_S_MAX = 40.0
"""The AWS CLI takes 1 to 2 s on a quiet machine, most of it to start."""


@dataclass(frozen=True, slots=True)
class Validated:
    """What the AWS CLI said."""

    exit_code: int
    lines: tuple[str, ...]
    """All that it wrote, without empty lines."""

    def problems(self, digests: int, files: int) -> Iterator[str]:
        """Say what is missing: it must find so many digests and log files, and all of them valid.

        Its exit code alone is no proof: it is 0 too when there is nothing to validate.
        """
        if self.exit_code != 0:
            yield f"validate-logs ended with {self.exit_code}"
        for count, kind in ((digests, "digest"), (files, "log")):
            wanted = f"{count}/{count} {kind} files valid"
            if wanted not in self.lines:
                yield f"validate-logs does not say: {wanted}"


def validate_logs(trail_arn: str, start: str, end: str, client: Variables) -> Validated:
    """Validate the digests that end between ``start`` and ``end`` (ISO 8601) and their files.

    Raises: Unavailable: the AWS CLI does not end.
    """
    command = [sys.executable, "-m", "awscli", "cloudtrail", "validate-logs"]
    command += ["--trail-arn", trail_arn, "--start-time", start, "--end-time", end]
    try:
        done = subprocess.run(  # noqa: S603 - the arguments are ours
            command,
            env=_environment(client),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=VALIDATE_S_MAX,
        )
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"the AWS CLI did not end within {VALIDATE_S_MAX:g} s") from error
    return Validated(done.returncode, tuple(filter(None, map(str.strip, done.stdout.splitlines()))))


def _environment(client: Variables) -> Variables:
    """Return the CLI's whole environment: the user's own AWS settings must not reach it."""
    return client | {
        "PATH": os.environ.get("PATH", os.defpath),
        "LC_ALL": "C.UTF-8",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_PAGER": "",
    }
