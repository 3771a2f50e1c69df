# SPDX-License-Identifier: Apache-2.0
"""Many commands of the AWS CLI in one process: loading it once takes longer than all of them.

Run as a program: a JSON list of argument lists on standard input, a JSON list of [exit code, output,
errors] on standard output.
"""

import contextlib
import io
import json
import subprocess
import sys
from pathlib import Path

from awscli.clidriver import create_clidriver
from support.aws_clients import Key, cli_environment

TIMEOUT_S = 120


def aws_many(
    commands: list[list[str]], endpoint: str, key: Key, region: str, home: Path
) -> list[tuple[int, str, str]]:
    """Return (exit code, output, errors) of each command."""
    environment = cli_environment(endpoint, key, region, home)
    environment["PYTHONPATH"] = str(Path(__file__).parent.parent)
    done = subprocess.run(
        [sys.executable, __file__],
        env=environment,
        cwd=home,
        input=json.dumps(commands),
        capture_output=True,
        text=True,
        check=True,
        timeout=TIMEOUT_S,
    )
    return [(code, out, err) for code, out, err in json.loads(done.stdout)]


def main() -> None:
    """Run all commands of standard input."""
    answers: list[tuple[int, str, str]] = []
    for arguments in json.load(sys.stdin):
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                code = create_clidriver().main(arguments)
            except SystemExit as ended:  # what argparse does with what it cannot read
                code = ended.code
        answers.append((code, out.getvalue(), err.getvalue()))
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
