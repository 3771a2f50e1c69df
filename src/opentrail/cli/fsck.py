# SPDX-License-Identifier: Apache-2.0
"""``opentrail fsck``: check the data directory."""

import json
import shutil
import sys
from dataclasses import asdict
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.progress import Progress

from opentrail.cli.audit import Audit
from opentrail.cli.colour import coloured
from opentrail.cli.exits import EXIT_CORRUPT, EXIT_NO
from opentrail.cli.options import Command, log_of, settings_of, settings_options, shared_flags
from opentrail.cli.train import as_table
from opentrail.clock import SystemClock
from opentrail.config import Settings
from opentrail.errors import UsageError
from opentrail.eventlog.lock import DataLock
from opentrail.eventlog.reader import SegmentReader
from opentrail.eventlog.training import train
from opentrail.history.index import History


@click.command("fsck", cls=Command)
@settings_options
@click.option(
    "--rebuild", is_flag=True, help="Build event history anew (the server must be stopped)."
)
@click.option(
    "--train", "training", is_flag=True, help="Make a compression dictionary of these records."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def command(
    config: Path | None, *, rebuild: bool, training: bool, as_json: bool, **flags: str | None
) -> None:
    """Check the data directory, and that all records add up.

    Every frame of the log up to its durable end is read, and the index is held against it. Each
    record that was ever appended must be found by event history, be no event, be beyond the
    retention, or wait to be indexed. It reads beside a running server. Exit code 0: all checks out.
    4: something does not, and the lines say where and how to go on.

      opentrail fsck
      opentrail fsck --rebuild     throw event history's index away and build it from the log
      opentrail fsck --train       compress new segments by what these records have in common

    --train checks nothing. It prints what the new dictionary saves on records that it was not made
    of, and keeps it if that is worth it (exit code 1: it is not).
    """
    if training and rebuild:
        raise UsageError("--train checks and rebuilds nothing: run it by itself")
    settings = settings_of(config, shared_flags(flags))
    data = log_of(settings).parent
    if training:
        _train(data, as_json=as_json)
    rebuilt = _rebuild(settings) if rebuild else None
    audit = Audit(data)
    findings = list(audit.findings())
    if as_json:
        totals, accounts = asdict(audit.walk.totals), audit.accounts
        known = None if accounts is None else msgspec.structs.asdict(accounts)
        shown = {"log": totals, "records": known, "rebuilt": rebuilt, "findings": findings}
        click.echo(json.dumps(shown))
    else:
        _print(audit, findings, rebuilt)
    sys.exit(EXIT_CORRUPT if findings else 0)


def _train(data: Path, *, as_json: bool) -> None:
    found = train(data)
    if as_json:
        click.echo(json.dumps(asdict(found)))
    else:
        for line in as_table(found):
            click.echo(line)
    sys.exit(0 if found.kept else EXIT_NO)


def _rebuild(settings: Settings) -> int:
    """Throw the index away and build it from the log; return how many bytes of log it covers.

    A crash in between leaves a part of an index, or none: the next start goes on from there.
    """
    data = settings.data_dir
    lock = DataLock.take(data, "opentrail fsck --rebuild")
    try:
        shutil.rmtree(data / "history", ignore_errors=True)
        log = SegmentReader(data / "log")
        history = History.open(data / "history", log, SystemClock())
        first, end = log.first(), log.durable_end()
        with Progress(console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task("building event history", total=max(end - first, 1))
            while history.step():
                progress.update(task, completed=history.indexed_to() - first)
    finally:
        lock.release()
    return history.indexed_to() - first


def _print(audit: Audit, findings: list[dict[str, str]], rebuilt: int | None) -> None:
    totals = audit.walk.totals
    if rebuilt is not None:
        click.echo(f"event history is built anew over {rebuilt:,} bytes of log")
    click.echo(
        f"{audit.data}: {_many(totals.records, 'record')} in {_many(totals.frames, 'frame')},"
        f" {_many(totals.segments, 'segment')}, {_many(totals.file_bytes, 'byte')}"
    )
    if audit.accounts is not None:
        click.echo(audit.accounts.words)
    if totals.unacknowledged_bytes:
        past = _many(totals.unacknowledged_bytes, "byte")
        click.echo(f"{past} past the durable end: being written, or looked at by the next start")
    for finding in findings:
        found = f"{finding['part']}: {finding['where']}: {finding['what']}"
        click.echo(coloured(found, "red"))
        click.echo(f"  {finding['hint']}")
    click.echo(_many(len(findings), "finding") if findings else "all of it checks out")


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}" + ("" if count == 1 else "s")
