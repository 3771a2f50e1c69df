# SPDX-License-Identifier: Apache-2.0
"""``opentrail``: the commands, and what becomes of their errors."""

import difflib
import fcntl
import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import NoReturn, TextIO

import click

from opentrail import __version__
from opentrail.cli.exits import EXIT_INTERRUPTED, EXIT_PIPE, EXIT_UNAVAILABLE, exit_code
from opentrail.cli.options import write_plain
from opentrail.errors import OpenTrailError
from opentrail.event.safe import safe

COMMANDS = {
    "serve": "opentrail.cli.serve",
    "env": "opentrail.cli.env",
    "search": "opentrail.cli.search",
    "lookup": "opentrail.cli.search",
    "access-keys": "opentrail.cli.access_keys",
    "tail": "opentrail.cli.tail",
    "expect": "opentrail.cli.expect",
    "import": "opentrail.cli.import_",
    "status": "opentrail.cli.status",
    "doctor": "opentrail.cli.doctor",
    "selectors": "opentrail.cli.selectors",
    "fsck": "opentrail.cli.fsck",
    "verify": "opentrail.cli.verify",
    "validate-logs": "opentrail.cli.verify",
    "receipt": "opentrail.cli.receipt",
    "public-keys": "opentrail.cli.public_keys",
    "compare": "opentrail.cli.compare",
    "coverage": "opentrail.cli.coverage",
    "record": "opentrail.cli.record",
    "demo": "opentrail.cli.demo",
    "sandbox": "opentrail.cli.sandbox",
}
"""Command -> the module whose ``command`` it is; loaded when it is asked for."""
ALIASES = frozenset({"lookup", "validate-logs"})
"""Other names, for the habits of hands; not listed."""
_NOT_YOURS = "run it as the user whose file that is, or mend its permissions"


class _Commands(click.Group):
    """Loads a command's module only when the command is used or listed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the table: the order in which one meets them."""
        del ctx
        return [name for name in COMMANDS if name not in ALIASES]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command:
        """Return one command; of an unknown name, say which is nearest."""
        module = COMMANDS.get(cmd_name)
        if module is None:
            near = difflib.get_close_matches(cmd_name, COMMANDS, n=1, cutoff=0.0)[0]
            ctx.fail(f"No such command {cmd_name!r}. Did you mean {near}?")
        command: click.Command = importlib.import_module(module).command
        return command

    def invoke(self, ctx: click.Context) -> object:
        """Run the command."""
        with _reader_may_go():
            return super().invoke(ctx)

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: object,
    ) -> click.Context:
        """Read the command line: that prints the help, too."""
        with _reader_may_go():
            return super().make_context(info_name, args, parent, **extra)

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the docstring as it is written."""
        write_plain(self.help or "", formatter)
        del ctx


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="opentrail")
def cli() -> None:
    """Record the API calls of AWS-style services, and find them again.

    OpenTrail stands in front of your services and speaks AWS CloudTrail:
      opentrail demo                                    see all of it work, on free ports
      opentrail serve --upstream http://localhost:5000  put it in front of your services
      eval "$(opentrail env)"                           point a shell's clients at it
      aws cloudtrail lookup-events                      find what was called
    """


def main() -> None:
    """Run the command line."""
    _open_standard_files()
    _write_any_text()
    try:
        cli.main(standalone_mode=False)
    except click.exceptions.Abort:
        _drop(sys.stdout)  # whoever reads it may stand still: nobody waits for that
        sys.exit(EXIT_INTERRUPTED)
    except click.exceptions.NoArgsIsHelpError as error:
        _end(error.format_message(), error.exit_code)
    except click.ClickException as error:
        _end(f"opentrail: {error.format_message()}{_help_for(error)}", error.exit_code)
    except OpenTrailError as error:
        _end(f"opentrail: {error}", exit_code(error))
    except OSError as error:  # a file that may not be read, an output that is full
        where = f"{error.filename}: " if error.filename else ""
        advice = f"; {_NOT_YOURS}" if isinstance(error, PermissionError) else ""
        _drop(sys.stdout)
        _end(f"opentrail: {where}{error.strerror}{advice}", EXIT_UNAVAILABLE)


def _end(why: str, code: int) -> NoReturn:
    """Say why, if anybody reads that, and end with ``code``."""
    try:
        # Names of files, and what was asked for, may have in them what a terminal acts on.
        click.echo("\n".join(map(safe, why.split("\n"))), err=True)
    except BrokenPipeError:
        _drop(sys.stderr)
    sys.exit(code)


def _open_standard_files() -> None:
    """Have descriptors 0, 1 and 2 be what every program takes them for.

    Whoever closed one (``<&-``, ``>&-``, some supervisors) gets /dev/null: the next file that is
    opened, a segment of the log, say, would else have the number that errors are printed to.
    """
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        try:
            os.fstat(number)
        except OSError:  # the lowest free number is the one that was asked for
            nowhere = os.open(os.devnull, os.O_RDWR)
            fcntl.fcntl(nowhere, fcntl.F_SETFD, 0)  # back's and a command's too
            setattr(sys, name, os.fdopen(nowhere, mode, encoding="utf-8", closefd=False))


def _write_any_text() -> None:
    """Have what the output's encoding lacks be written with escapes, as standard error does.

    Names hold any character, and not every terminal and pipe is UTF-8: that ends no command.
    """
    if isinstance(sys.stdout, TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")


@contextmanager
def _reader_may_go() -> Iterator[None]:
    """Whoever reads the output may go: that is no answer, as with SIGPIPE."""
    try:
        yield
    except BrokenPipeError:
        _drop(sys.stdout)
        _drop(sys.stderr)  # the two may be one pipe
        sys.exit(EXIT_PIPE)


def _drop(output: TextIO) -> None:
    """Let what is still buffered go nowhere: Python would complain once more at its exit."""
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), output.fileno())


def _help_for(error: click.ClickException) -> str:
    context = error.ctx if isinstance(error, click.UsageError) else None
    return f" See {context.command_path} --help." if context is not None else ""


if __name__ == "__main__":
    main()
