# SPDX-License-Identifier: Apache-2.0
"""``opentrail sandbox``: run the stand-in services, or list what they answer."""

import json
import sys

import click
from rich.console import Console
from rich.table import Table

from opentrail.cli.options import Command
from opentrail.config import is_loopback, split_address
from opentrail.errors import UsageError
from opentrail.sandbox.catalog import operations
from opentrail.sandbox.serve import listen, serve

LISTEN_DEFAULT = "127.0.0.1:4541"
"""Beside OpenTrail's own port."""


@click.command("sandbox", cls=Command)
@click.option(
    "--listen",
    "address",
    metavar="HOST:PORT",
    default=LISTEN_DEFAULT,
    show_default=True,
    help="Address on the loopback; port 0 takes a free one.",
)
@click.option("--list", "listing", is_flag=True, help="Print the operations that it answers.")
@click.option("--json", "as_json", is_flag=True, help="Print the list as JSON.")
def command(address: str, *, listing: bool, as_json: bool) -> None:
    """Run stand-ins for services, to try OpenTrail with.

    They are SageMaker, Feature Store, Personalize and DevOps Guru. They keep what they are given in
    memory, train nothing and predict nothing. All else is answered with a 501, so is S3: name a
    directory for the bucket of a trail ([buckets.NAME] in the settings).

      opentrail sandbox
      opentrail serve --upstream http://127.0.0.1:4541
      opentrail sandbox --list
    """
    if listing or as_json:
        _print_operations(as_json=as_json)
        return
    host, port = split_address(address)
    if not is_loopback(host):
        raise UsageError(f"the sandbox checks no signatures: it listens on loopback, not on {host}")
    with listen(host, port) as listener:
        port = listener.getsockname()[1]
        shown = f"[{host}]" if ":" in host else host
        click.echo(f"The sandbox stands in on http://{shown}:{port}; Ctrl-C ends it.")
        sys.stdout.flush()
        serve(listener)


def _print_operations(*, as_json: bool) -> None:
    console = Console()
    if as_json:
        rows = [{"service": service, "operation": name} for service, name in operations()]
        click.echo(json.dumps(rows, indent=2))
    elif console.is_terminal:
        console.print(_table())
    else:
        for row in operations():
            click.echo("\t".join(row))


def _table() -> Table:
    table = Table("service", "operation", box=None, header_style="bold")
    before = ""
    for service, name in operations():
        table.add_row(service if service != before else "", name)
        before = service
    return table
