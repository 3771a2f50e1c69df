# SPDX-License-Identifier: Apache-2.0
"""``opentrail import``: take CloudTrail log files that were made elsewhere into a log."""

import importlib
import json
import math
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict
from functools import partial
from itertools import chain
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Self

import click
import msgspec
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from opentrail.access.keys import is_account
from opentrail.cli.exits import EXIT_INTERRUPTED, EXIT_NO
from opentrail.cli.options import Command, json_option
from opentrail.cli.times import seconds_of
from opentrail.clock import SystemClock, SystemIds
from opentrail.durable import OS_FILES, make_dir
from opentrail.errors import Unavailable, UsageError
from opentrail.event.safe import safe
from opentrail.eventlog.segments import Segments
from opentrail.eventlog.training import UNATTENDED, train
from opentrail.history.alone import hold
from opentrail.history.index import History
from opentrail.imports.importer import Importer, Quarantined
from opentrail.imports.paths import Wanted
from opentrail.imports.run import Summary, import_all
from opentrail.imports.sink_log import LogSink
from opentrail.imports.sources import File, LeftOut, Listing, in_bucket, local
from opentrail.objects.base import Bucket
from opentrail.state.base import Change, State
from opentrail.state.sqlite import SqliteState
from opentrail.trails.followed import imported_key, lost

if TYPE_CHECKING:
    from opentrail.imports.sink_server import ServerSink

DATA_DEFAULT = "opentrail-import"
"""A directory of its own: what was imported does not mix with what a server here records."""
QUARANTINE = "quarantine.ndjson"
FOLDERS_SHOWN = 20
ENDINGS_SHOWN = 5
INTERRUPTED = "interrupted: what is counted is done; run the same again to go on"
WINDOW_S = 1 << 40
"""All of it is looked at for duplicates, however old."""
_SCHEME = "s3://"


@click.command("import", cls=Command)
@click.argument("paths", nargs=-1, required=True, metavar="PATH|s3://BUCKET/PREFIX...")
@click.option(
    "--data",
    default=DATA_DEFAULT,
    show_default=True,
    help="Data directory that takes the records; search reads it with the same option.",
)
@click.option("--from", "start", help="Oldest eventTime: 2026-01-31, 2026-01-31T10:00:00Z, epoch.")
@click.option("--to", "end", help="Newest eventTime, inclusive.")
@click.option("--account", "accounts", multiple=True, help="Only this account's; repeatable.")
@click.option("--region", "regions", multiple=True, help="Only of this region; repeatable.")
@click.option(
    "--server",
    metavar="URL",
    default="",
    help="Import into the log of this running server, with the keys of this shell.",
)
@click.option("--endpoint-url", default="", help="S3 endpoint of s3:// locations.")
@click.option("--profile", default="", help="AWS profile for s3:// locations.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Form of the summary.",
)
@json_option
def command(paths: tuple[str, ...], data: str, form: str, **flags: str | tuple[str, ...]) -> None:
    """Take in CloudTrail log files made elsewhere, to search them.

    Reads files, folders, pipes and buckets: log files as CloudTrail delivers them, one record a
    line, and what services, queues and log tools wrap around records, gzipped or not. Each record
    keeps its bytes. Nothing is taken twice: run it again after an interruption, or when there are
    more files. Imported records are never delivered by trails. What cannot be read is listed in
    quarantine.ndjson in the data directory. Exit code 1 when there is any.

    With --server the records go into that server's log, marked as imported, and are found there by
    LookupEvents and search; the data directory keeps which files are done, and the quarantine. The
    keys are those of AWS clients (opentrail env prints them) and must be allowed
    opentrail:ImportRecords.

      opentrail import ./AWSLogs
      opentrail import s3://my-trail-bucket/AWSLogs --from 2026-01-31 --region eu-west-1
      opentrail search --data opentrail-import --event-name ConsoleLogin
      opentrail import ./AWSLogs --server http://127.0.0.1:4540
    """
    wanted, out, summary = _wanted(flags), LeftOut(), Summary()
    where = (str(flags["endpoint_url"]), str(flags["profile"]))
    found = (file for path in paths for file in _files(path, wanted, out, Path(data), where))
    server = str(flags["server"])
    into = _into_server if server else _into_log
    with tempfile.TemporaryFile() as kept:
        files = Listing(kept, found)
        try:
            into(Path(data), files, wanted, server, summary)
        except (KeyboardInterrupt, Unavailable) as error:
            done = summary.files + summary.files_before + summary.files_failed
            summary.files_left = files.count - done
            if done or isinstance(error, KeyboardInterrupt):
                _FORMS[form](summary, out, Path(data))
            if isinstance(error, Unavailable):
                raise
            click.secho(INTERRUPTED, fg="red", err=True)
            sys.exit(EXIT_INTERRUPTED)
    _FORMS[form](summary, out, Path(data))
    if summary.quarantined or summary.files_failed or out.folders or out.archives:
        sys.exit(EXIT_NO)


def _wanted(flags: dict[str, str | tuple[str, ...]]) -> Wanted:
    """Return what is to be imported. Raises: UsageError: nothing can be what is asked for."""
    start, end = _text(flags["start"]), _text(flags["end"])
    wanted = Wanted(
        frozenset(flags["accounts"]),
        frozenset(flags["regions"]),
        math.ceil(seconds_of(start, 0)),
        math.floor(seconds_of(end, 1 << 60)),
    )
    for account in wanted.accounts:
        if not is_account(account):
            raise UsageError(f"--account {safe(account)!r} is not twelve digits")
    if wanted.start_s > wanted.end_s:
        raise UsageError(f"--from {start} is later than --to {end}: no time is between")
    return wanted


def _text(flag: str | tuple[str, ...] | None) -> str | None:
    return flag if isinstance(flag, str) else None


def _files(
    path: str, wanted: Wanted, out: LeftOut, into: Path, where: tuple[str, str]
) -> Iterator[File]:
    """Yield what there is to read at ``path``; ``where``: endpoint and profile.

    Raises: UsageError. ClientError. Unavailable.
    """
    if not path:
        raise UsageError("a path is empty: write . for this directory")
    if path.startswith(_SCHEME):
        name, _, prefix = path.removeprefix(_SCHEME).partition("/")
        bucket: Bucket = _far().bucket(name, *where)
        yield from in_bucket(bucket, prefix, wanted, out)
    else:
        yield from local(Path(path), wanted, out, into)


def _make(data: Path) -> None:
    """Make the data directory. Raises: UsageError."""
    try:
        make_dir(data)
    except OSError as error:
        advice = "choose another with --data"
        why = f"the data directory {data} cannot be made: {error.strerror}; {advice}"
        raise UsageError(why) from error


def _into_log(data: Path, files: Listing, wanted: Wanted, _: str, summary: Summary) -> None:
    """Import ``files`` into the log of ``data``. Raises: UsageError: a server has it. Unavailable."""
    _make(data)
    clock = SystemClock()
    with closing(Segments.open(data, clock, SystemIds())) as log:
        if log.damage is not None:
            raise log.damage
        alone = hold(data / "history")
        state = SqliteState.open(data / "state.db")
        with closing(alone), closing(state), _Quarantine(data, summary) as quarantine:
            _whole(state, log)
            history = History.open(data / "history", log, clock, WINDOW_S)
            while history.step():
                pass
            with LogSink(log, history, partial(_train, data, log)) as sink, _Bar(files) as bar:
                importer = partial(Importer, sink, state, wanted, place=f"import/{log.log_id}")
                import_all(files, importer, quarantine.add, partial(bar.told, summary), summary)
            while history.step():
                pass
            _whole(state, log)


def _train(data: Path, log: Segments) -> None:
    """Have what is still to come compressed by what the newest records have in common.

    Raises: Unavailable. Corrupt.
    """
    train(data, UNATTENDED)
    log.renew()


def _whole(state: State, log: Segments) -> None:
    """Note how far the log goes. Raises: Corrupt: it went further once. Unavailable."""
    found = lost(state, log)
    if found is not None:
        raise found
    end = str(log.durable_end()).encode()
    state.commit([Change(imported_key(log.log_id), end, None)])


def _into_server(data: Path, files: Listing, wanted: Wanted, server: str, summary: Summary) -> None:
    """Import ``files`` into the log of a server. Raises: UsageError. ClientError. Unavailable."""
    sink: ServerSink = _far().server_sink(server)
    with sink:
        _make(data)
        # Not the state of a server that may have this very directory.
        state = SqliteState.open(data / "imports.db")
        with closing(state), _Quarantine(data, summary) as quarantine, _Bar(files) as bar:
            importer = partial(Importer, sink, state, wanted, place=f"import/{sink.log_id}")
            import_all(files, importer, quarantine.add, partial(bar.told, summary), summary)


def _far() -> ModuleType:
    """Return ``cli.import_far``: botocore takes as long to load as ten thousand records to import."""
    return importlib.import_module("opentrail.cli.import_far")


class _Quarantine:
    """The list of what could not be read: appended to, one JSON object a line."""

    def __init__(self, data: Path, summary: Summary) -> None:
        """``summary`` is told how many there are of earlier imports."""
        path = data / QUARANTINE
        self._file = path.open("a+b")
        OS_FILES.sync_dir(data)
        self._file.seek(0)
        ended = True
        for line in self._file:
            summary.quarantined_before += 1
            ended = line.endswith(b"\n")
        # A line of which the end is missing, as the power failed, must not spoil the next.
        self._file.write(b"" if ended else b"\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, unread: list[Quarantined]) -> None:
        """Add what is in ``unread``, durably. Raises: OSError."""
        lines = (msgspec.json.encode(each) for each in unread)
        self._file.write(b"\n".join(chain(lines, (b"",))))
        self._file.flush()
        OS_FILES.sync(self._file.fileno())


class _Bar:
    """A progress bar on a terminal's standard error; nothing elsewhere."""

    def __init__(self, files: Listing) -> None:
        console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("[progress.description]{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[records]} records"),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("importing", total=files.bytes, records="0")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def told(self, summary: Summary, file: File) -> None:
        """Move on by ``file``."""
        records = f"{summary.records:,}"
        self._progress.update(self._task, advance=file.size, records=records)


def _show_text(summary: Summary, out: LeftOut, data: Path) -> None:
    quarantine = data / QUARANTINE
    rows = (
        ("files", f"{summary.files:,} read, {summary.bytes / 2**20:,.1f} MiB"),
        ("", _some(summary.files_before, "imported before, unchanged")),
        ("", _some(out.pruned, "left out by account, region or time in their path")),
        ("", _some(out.digests, "digests")),
        ("", _some(out.other, f"with other names, not read{_endings(out.endings)}")),
        ("", _some(out.links, "links, not followed")),
        ("", _some(summary.files_left, "not done yet")),
        ("", _some(summary.files_failed, "could not be read")),
        ("", _some(len(out.folders), "folders that could not be read")),
        ("", _some(len(out.archives), "archives, of which nothing was read: unpack them first")),
        ("records", f"{summary.records:,}"),
        ("", f"{summary.imported:,} imported"),
        ("", _some(summary.duplicates, "there already")),
        ("", _some(summary.outside, "not asked for")),
        ("", _some(summary.beside, "lines of tools beside them, not counted")),
        ("", _some(summary.quarantined, f"could not be read: {quarantine}")),
        ("earlier", _some(summary.quarantined_before, f"that could not be read: {quarantine}")),
    )
    for title, text in rows:
        if text:
            click.echo(f"{title:<9}{text}")
    for path in (*out.folders[:FOLDERS_SHOWN], *out.archives[:FOLDERS_SHOWN]):
        click.secho(f"  {safe(path)}", fg="red", err=True)
    for each in summary.failures:
        where = f"{each.file}, record {each.record}"
        click.secho(f"  {safe(where)}: {safe(each.reason)}", fg="red", err=True)


def _endings(endings: dict[str, int]) -> str:
    """Return the most frequent endings of what was not read, that nobody misses records without a word."""
    most = sorted(endings, key=lambda ending: -endings[ending])[:ENDINGS_SHOWN]
    shown = ", ".join(safe(ending) if ending else "no ending" for ending in most)
    return f": {shown}{', …' if len(endings) > len(most) else ''}" if shown else ""


def _some(count: int, what: str) -> str:
    return f"{count:,} {what}" if count else ""


def _show_json(summary: Summary, out: LeftOut, data: Path) -> None:
    shown = asdict(summary)
    shown["failures"] = [msgspec.to_builtins(each) for each in summary.failures]
    click.echo(json.dumps({"data": str(data), **shown, "left_out": asdict(out)}))


_FORMS: dict[str, Callable[[Summary, LeftOut, Path], None]] = {
    "text": _show_text,
    "json": _show_json,
}
