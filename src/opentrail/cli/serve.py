# SPDX-License-Identifier: Apache-2.0
"""``opentrail serve``: run OpenTrail."""

import difflib
import logging
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import click

from opentrail.aws import catalog, tables
from opentrail.cli.colour import coloured
from opentrail.cli.env import eval_command, host_and_port
from opentrail.cli.options import (
    Command,
    settings_of,
    settings_options,
    shared_flags,
    upstream_flags,
    upstream_option,
)
from opentrail.cli.profiles import missing
from opentrail.config import Settings, is_loopback
from opentrail.config.ownlog import JSON, TEXT, log_to_stderr
from opentrail.front.exclusions import exclusions_of, in_words
from opentrail.front.hello import endpoint_of
from opentrail.front.process import Started, run
from opentrail.front.server import connections_max

CONNECTIONS_FEW = 1000
"""Fewer are told at the start: a machine that was not made tighter on purpose has many more."""

_log = logging.getLogger("opentrail.serve")


@click.command("serve", cls=Command)
@settings_options
@upstream_option
@click.option("--auth", type=click.Choice(["verify", "off"]), help="Who may use CloudTrail's API.")
@click.option("--default-identity", metavar="ARN", help="With --auth off: who an unknown key is.")
@click.option("--allow-insecure", is_flag=True, default=None, help="Listen beyond loopback.")
@click.option("--allow-reset", is_flag=True, default=None, help="Offer POST /_opentrail/reset.")
@click.option(
    "--log-format",
    type=click.Choice([TEXT, JSON]),
    default=TEXT,
    show_default=True,
    help="Form of the server's own log, on standard error.",
)
def command(
    config: Path | None, upstreams: tuple[str, ...], log_format: str, **flags: str | bool | None
) -> None:
    """Run OpenTrail in front of your services.

    Every call goes on to its upstream and is recorded before it is answered. Calls of CloudTrail
    itself are answered here. Settings rise from the file over OPENTRAIL_... variables to flags.

      opentrail serve --upstream http://localhost:5000
      opentrail serve --upstream sagemaker=http://localhost:5001 --upstream http://localhost:5000
    """
    named = {
        **shared_flags(flags),
        "api.auth": flags["auth"],
        "api.default_identity": flags["default_identity"],
        "listen.allow_insecure": flags["allow_insecure"],
        "listen.allow_reset": flags["allow_reset"],
    }
    settings = settings_of(config, {**named, **upstream_flags(upstreams)})
    log_to_stderr(log_format)
    as_json = log_format == JSON
    run(settings, log_format, lambda started: _announce(settings, started, as_json=as_json))


def _announce(settings: Settings, started: Started, *, as_json: bool) -> None:
    """Say what an operator wants to know of a server that has just started."""
    scheme = "https" if settings.listen.tls_cert else "http"
    lines = [f"OpenTrail is ready on {scheme}://{host_and_port(started.host, started.port)}"]
    lines += [f"  {title:<10}{text}" for title, text in _facts(settings, started)]
    click.echo("\n".join(lines))
    for warning in _warnings(settings, started):
        if as_json:  # whoever reads the log reads JSON there
            _log.warning("%s", warning)
        else:
            click.echo(coloured(f"  warning   {warning}", "red"), err=True)
    sys.stdout.flush()


def _at_most(bytes_max: int) -> str:
    return f" and {bytes_max:,} bytes with its index" if bytes_max else ""


def _facts(settings: Settings, started: Started) -> list[tuple[str, str]]:
    log, history = settings.log, settings.history
    upstreams = [f"{name} -> {upstream.url}" for name, upstream in settings.upstream.items()]
    facts = [
        ("data", f"{settings.data_dir.resolve()}"),
        (
            "retention",
            (
                f"log {log.retention_days:g} days{_at_most(log.retention_bytes_max)}, LookupEvents "
                f"{history.lookup_window_days:g} days; refuses below "
                f"{log.disk_reserve_bytes // 2**20} MiB of free disk"
            ),
        ),
        ("records", _recorded(settings)),
        ("account", f"{settings.account}, region {settings.region}"),
        ("upstream", "; ".join(upstreams) or "none: every call is answered with an error"),
    ]
    if settings.exclude:
        excluded = "; ".join(map(in_words, exclusions_of(settings)))
        facts.append(("excluded", f"only counted, not recorded: {excluded}"))
    facts.append(("clients", eval_command(settings, started.host, started.port)))
    if started.recovered:
        facts.append(("recovered", f"{started.recovered} records of the last run, made at start"))
    return facts


def _recorded(settings: Settings) -> str:
    forward = settings.forward
    text = "management and data events of every service"
    if forward.service_profile == "2023":
        text += "; not InvokeEndpoint (service_profile 2023)"
    if forward.on_log_failure == "forward":
        text += "; calls pass while the log cannot be written"
    if not forward.record_unlogged:
        text += "; counted only: Personalize runtime and events"
    return text


def _warnings(settings: Settings, started: Started) -> list[str]:
    warnings = []
    if started.refuses:
        warnings.append(f"no call is taken: {started.refuses}")
    if started.certificate:
        warnings.append(started.certificate)
    if not (is_loopback(started.host) or settings.listen.tls_cert):
        warnings.append("listening without TLS beyond loopback: calls can be read and forged")
    if connections_max() < CONNECTIONS_FEW:
        warnings.append(
            f"{connections_max()} connections at most: the system allows this process too few open"
            " files (ulimit -Hn); each connection takes two"
        )
    if settings.api.auth == "off":
        warnings.append("auth is off: whoever reaches this port can read the whole history")
    if settings.listen.allow_reset:
        warnings.append("reset is allowed: whoever reaches this port can empty the log")
    if endpoint_of(settings, "sagemaker") and not _watches_tuning(settings):
        warnings.append(
            "training jobs that tuning jobs start and stop are not recorded: name an AWS profile"
            " that may list them, tuning.credentials_profile"
        )
    return [*warnings, *_of_no_service(settings.upstream), *missing(settings)]


def _of_no_service(upstreams: Iterable[str]) -> Iterator[str]:
    """Tell of upstreams whose name is no service's, likely mistyped: its calls go elsewhere then.

    They are no errors: services of one's own may sign for names of their own.
    """
    known = {*tables.services(), *(row.signing_name for row in tables.services().values())}
    for name in upstreams:
        if name != "default" and name not in known and catalog.by_signing_name(name) is None:
            near = difflib.get_close_matches(name, known, n=1)
            meant = f" (did you mean {near[0]}?)" if near else ""
            yield f"no service of AWS is called {name}{meant}: its upstream gets only what signs so"


def _watches_tuning(settings: Settings) -> bool:
    return bool(settings.tuning.credentials_profile or settings.tuning.profiles)
