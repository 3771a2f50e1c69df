# SPDX-License-Identifier: Apache-2.0
"""Options that several commands share, and the settings that they make."""

import inspect
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from opentrail.config import (
    ACCOUNT_DEFAULT,
    DATA_DEFAULT,
    LISTEN_DEFAULT,
    REGION_DEFAULT,
    Settings,
    load,
)
from opentrail.errors import UsageError

_Command = Callable[..., Any]


class Command(click.Command):
    """A command whose help is shown as it is written: examples keep their lines."""

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the docstring, indented."""
        write_plain(self.help or "", formatter)
        del ctx


class Group(click.Group):
    """A command of commands, whose help is shown as it is written."""

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the docstring, indented."""
        write_plain(self.help or "", formatter)
        del ctx


def write_plain(text: str, formatter: click.HelpFormatter) -> None:
    """Write ``text`` into a help page without wrapping it anew."""
    formatter.write("\n")
    for line in inspect.cleandoc(text).splitlines():
        formatter.write(f"  {line}\n" if line else "\n")


def data_options(command: _Command) -> _Command:
    """Add the options that say where a server is and where its data lies."""
    return _with_options(
        command,
        click.option(
            "--config",
            type=click.Path(dir_okay=False, path_type=Path),
            envvar="OPENTRAIL_CONFIG",
            help="Settings file (TOML); see docs/configuration.md.",
        ),
        click.option("--data", help=f"Data directory.  [default: {DATA_DEFAULT}]"),
        click.option(
            "--listen",
            metavar="HOST:PORT",
            help=f"The server's address.  [default: {LISTEN_DEFAULT}]",
        ),
    )


def settings_options(command: _Command) -> _Command:
    """Add the options that several commands share."""
    more = (
        click.option("--account", help=f"Default account.  [default: {ACCOUNT_DEFAULT}]"),
        click.option("--region", help=f"Default region.  [default: {REGION_DEFAULT}]"),
    )
    return data_options(_with_options(command, *more))


_SHARED = {
    "data": "data",
    "listen": "listen.address",
    "account": "account",
    "region": "region",
}
"""Option of ``settings_options`` -> its setting."""


def json_option(command: _Command) -> _Command:
    """Add the short form of ``--format json``, beside a ``--format`` whose argument is ``form``."""
    flag = click.option("--json", "form", flag_value="json", help="The same as --format json.")
    return flag(command)


def upstream_option(command: _Command) -> _Command:
    """Add the option that names upstreams; ``upstream_flags`` makes settings of it."""
    return click.option(
        "--upstream",
        "upstreams",
        multiple=True,
        metavar="[SERVICE=]URL",
        help="Where calls go on to; repeatable. SERVICE is botocore's name or the signing name.",
    )(command)


def _with_options(command: _Command, *options: Callable[[_Command], _Command]) -> _Command:
    for option in reversed(options):
        command = option(command)
    return command


def shared_flags(flags: Mapping[str, object]) -> dict[str, object]:
    """Return the settings that the options of ``settings_options`` make."""
    return {setting: flags[name] for name, setting in _SHARED.items()}


def settings_of(config: Path | None, flags: dict[str, object]) -> Settings:
    """Return the settings of a command line; variables and the file fill what it leaves open."""
    return load(config, os.environ, flags)


def log_of(settings: Settings) -> Path:
    """Return the folder of the log. Raises: UsageError: there is none."""
    folder = settings.data_dir / "log"
    if not folder.is_dir():
        raise UsageError(
            f"no log in {settings.data_dir}: name the server's data directory (--data)"
        )
    return folder


def upstream_flags(upstreams: tuple[str, ...]) -> dict[str, object]:
    """Return the settings that ``--upstream URL`` and ``--upstream SERVICE=URL`` make."""
    flags: dict[str, object] = {}
    for text in upstreams:
        service, separator, url = text.partition("=")
        if not separator or "/" in service:
            service, url = "default", text
        if not service or not url:
            raise UsageError(f"--upstream {text!r} is not complete: write URL or SERVICE=URL")
        flags[f"upstream.{service}.url"] = url
    return flags
