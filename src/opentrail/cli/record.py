# SPDX-License-Identifier: Apache-2.0
"""``opentrail record``: run a command and show every AWS call that it made."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import FrameType

import click

from opentrail.cli.options import Command, json_option, upstream_flags
from opentrail.cli.own_server import own_server
from opentrail.cli.search_forms import FORMS, Found
from opentrail.clock import SystemClock
from opentrail.errors import UsageError
from opentrail.eventlog.reader import SegmentReader
from opentrail.history.search import Question, Searcher
from opentrail.signals import unbroken

ENDPOINT = "AWS_ENDPOINT_URL"
CALLS_SHOWN_MAX = 100_000
"""More than anybody reads; they are held in memory, some 1 KB each."""
EXIT_NOT_STARTED = 127
"""As shells say it of a command that cannot be started."""
_ENDING = (signal.SIGTERM, signal.SIGHUP)


@click.command("record", cls=Command, context_settings={"ignore_unknown_options": True})
@click.option(
    "--upstream",
    "upstreams",
    multiple=True,
    metavar="[SERVICE=]URL",
    help=f"Where calls go on to; repeatable.  [default: {ENDPOINT} of the environment]",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json", "records", "ndjson"]),
    default="table",
    show_default=True,
    help='json, records: {"Records": [...]} as log files have it; ndjson: one a line.',
)
@json_option
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the calls to this file.  [default: standard output]",
)
@click.argument("arguments", metavar="-- COMMAND [ARG]...", nargs=-1, required=True)
def command(
    upstreams: tuple[str, ...], form: str, output: Path | None, arguments: tuple[str, ...]
) -> None:
    """Run a command and show every AWS call that it made.

    A temporary OpenTrail stands in front of the command's endpoint while it runs, and nothing of
    it is left behind. The exit code is the command's. SIGTERM and SIGHUP are passed on to it.

      opentrail record -- aws sagemaker list-models
      opentrail record --format records --output calls.json -- terraform apply
    """
    urls = upstream_flags(upstreams) or _from_environment(os.environ)
    passing = _Passing()
    for number in _ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
            signal.signal(number, passing)
    with tempfile.TemporaryDirectory(prefix="opentrail-record-") as folder:
        data = Path(folder) / "data"
        config = Path(folder) / "opentrail.toml"
        config.write_text(_config(data, urls))
        code = _run(config, arguments, passing)
        searcher = Searcher(SegmentReader(data / "log"), (), 0)
        calls = list(searcher.newest(Question(), CALLS_SHOWN_MAX))
    calls.reverse()  # in the order in which they were made
    FORMS[form](Found(iter(calls), len(calls)), output)
    if searcher.damage is not None:
        raise searcher.damage
    sys.exit(code)


def _from_environment(environ: Mapping[str, str]) -> dict[str, object]:
    """Return the upstreams that the environment names for AWS clients. Raises: UsageError."""
    urls: dict[str, object] = {}
    for name, url in environ.items():
        if name == ENDPOINT:
            urls["upstream.default.url"] = url
        elif name.startswith(ENDPOINT + "_"):
            service = name.removeprefix(ENDPOINT + "_").lower().replace("_", "-")
            urls[f"upstream.{service}.url"] = url
    if not urls:
        raise UsageError(
            f"there is no endpoint to stand in front of: set {ENDPOINT}, or name it with"
            " --upstream (calls to AWS itself would have to be signed anew, which is not offered)"
        )
    return urls


def _config(data: Path, urls: Mapping[str, object]) -> str:
    """Return the temporary server's settings; a JSON string is a TOML string too."""
    lines = [
        f"data = {json.dumps(str(data))}",
        '[listen]\naddress = "127.0.0.1:0"',
        '[api]\nauth = "off"',
        "[upstream]",
    ]
    for name, url in urls.items():
        service = name.split(".")[1]
        lines.append(f"{json.dumps(service)} = {json.dumps(url)}")
    return "\n".join(lines) + "\n"


class _Passing:
    """Passes signals that end a program on to the command; before there is one they end us."""

    def __init__(self) -> None:
        self.command: subprocess.Popen[bytes] | None = None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Take a signal. What the command did until its end is still shown, its end is ours."""
        del frame
        if self.command is not None:
            self.command.send_signal(number)  # to one that has ended nothing is sent
            return
        for each in _ENDING:  # a second one must not stop the tidying up
            signal.signal(each, signal.SIG_IGN)
        sys.exit(128 + number)


def _run(config: Path, arguments: tuple[str, ...], passing: _Passing) -> int:
    """Run the command behind a server of its own; return its exit code."""
    with own_server(config) as server:
        environment = _environment(os.environ, server.endpoint(SystemClock()))
        # Ctrl-C is for the command; what it did until then is still shown.
        before = signal.signal(signal.SIGINT, lambda *_: None)
        try:
            with unbroken():
                command = subprocess.Popen(arguments, env=environment)  # noqa: S603 - asked for
                passing.command = command
            code = command.wait()
        except OSError as error:
            click.echo(f"opentrail: cannot run {arguments[0]}: {error.strerror}", err=True)
            return EXIT_NOT_STARTED
        finally:
            signal.signal(signal.SIGINT, before)
    return code if code >= 0 else 128 - code


def _environment(environ: Mapping[str, str], endpoint: str) -> dict[str, str]:
    """Return the command's environment: every service behind ``endpoint``."""
    kept = {name: text for name, text in environ.items() if not name.startswith(ENDPOINT)}
    direct = ",".join(filter(None, (environ.get("NO_PROXY", environ.get("no_proxy")), "127.0.0.1")))
    return kept | {
        ENDPOINT: endpoint,
        "NO_PROXY": direct,
        "no_proxy": direct,
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "false",
        "AWS_DISABLE_HOST_PREFIX_INJECTION": "true",
    }
