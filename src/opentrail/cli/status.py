# SPDX-License-Identifier: Apache-2.0
"""``opentrail status``: how a server is, and what waits."""

import json
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from opentrail.cli.colour import coloured
from opentrail.cli.exits import EXIT_NO, EXIT_UNAVAILABLE
from opentrail.cli.options import Command, log_of, settings_of, settings_options, shared_flags
from opentrail.cli.probe import Answer, ask, metrics_of, no_answer, not_done, other_log, url_of
from opentrail.cli.trails_here import Delivered, TrailsHere, trails_here
from opentrail.clock import SystemClock, iso_seconds
from opentrail.config import Settings
from opentrail.errors import Corrupt, Unavailable
from opentrail.event.safe import safe
from opentrail.eventlog.counts import Accounts
from opentrail.eventlog.reader import SegmentReader
from opentrail.front.exclusions import exclusions_of, in_words
from opentrail.trails.backlog import Patience
from opentrail.trails.trail import Trail

MIB = 1024 * 1024
HOUR_MS = 3_600_000
OF_RECORDS = frozenset({"delivery", "logs", "events"})
"""What is counted in records; other targets are told of files."""


@dataclass(frozen=True, slots=True)
class Line:
    """One fact."""

    title: str
    text: str
    wrong: bool = False
    """Whether somebody should look at it."""


@click.command("status", cls=Command)
@settings_options
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def command(config: Path | None, *, as_json: bool, **flags: str | None) -> None:
    """Say how the server is, what waits, and what is kept.

    It asks the server, and reads its data directory: what waits to be indexed and delivered, how
    long records are kept, how full the disk is. Exit code 0: all is well. 1: something should be
    looked at. 3: the server does not answer, or a file cannot be read now. 4: stored data is damaged.

      opentrail status
      opentrail status --json
    """
    settings = settings_of(config, shared_flags(flags))
    log_of(settings)
    health = ask(settings, "health")
    lines: list[Line] = []
    parts = (_server(settings, health), _log(settings), _kept(settings), _trails(settings))
    damages = [damage for part in parts if (damage := _added(lines, part)) is not None]
    if as_json:
        click.echo(json.dumps([{"fact": x.title, "text": x.text, "wrong": x.wrong} for x in lines]))
    else:
        for line in lines:
            text = f"{line.title:<11}{safe(line.text)}"
            click.echo(coloured(text, "red" if line.wrong else None))
    if damages:
        raise damages[0]
    if not health.status:
        sys.exit(EXIT_UNAVAILABLE)
    if any(line.wrong for line in lines):
        sys.exit(EXIT_NO)


def _added(lines: list[Line], part: Iterator[Line]) -> Corrupt | Unavailable | None:
    """Add ``part`` to ``lines``, as far as it can be read; return why the rest cannot be."""
    try:
        lines.extend(part)
    except (Corrupt, Unavailable) as error:
        return error
    return None


def _server(settings: Settings, health: Answer) -> Iterator[Line]:
    """Yield what the server itself says."""
    if not health.status:
        yield Line("server", no_answer(settings, health), wrong=True)
        return
    said = health.json()
    if "status" not in said:
        yield Line("server", f"{url_of(settings)} is no OpenTrail", wrong=True)
        return
    status = str(said["status"])
    yield Line("server", f"{status} at {url_of(settings)}", wrong=status != "ok")
    log = said.get("log")
    if isinstance(log, dict) and log.get("refuses"):
        yield Line("refuses", str(log["refuses"]), wrong=True)
    for each in not_done(said):
        yield Line("back", each, wrong=True)
    yield from _counted(ask(settings, "metrics"))
    if other := other_log(settings, health):
        yield Line("server", other, wrong=True)


def _counted(answer: Answer) -> Iterator[Line]:
    """Yield what the server's metrics say."""
    metrics = metrics_of(answer)
    end = metrics.get("opentrail_log_durable_end")
    if end is None:
        yield Line("metrics", answer.why or f"none in an answer of {answer.status}", wrong=True)
        return
    behind = end - metrics.get("opentrail_history_indexed_to", 0)
    yield Line("history", "all is indexed" if behind <= 0 else f"{behind:,.0f} bytes behind")
    yield from _records(metrics, indexed=behind <= 0)
    yield _calls(metrics)


def _records(metrics: dict[str, float], *, indexed: bool) -> Iterator[Line]:
    """Yield whether the records add up, if the server says so."""
    states = ("indexed", "no_event", "beyond_retention", "waiting")
    values = [metrics.get(f'opentrail_log_records{{state="{state}"}}') for state in states]
    found = [int(value) for value in values if value is not None]
    if len(found) == len(states):
        accounts = Accounts(int(metrics["opentrail_log_records_appended"]), *found)
        waiting = accounts.waiting
        yield Line("records", accounts.words, wrong=waiting < 0 or (indexed and waiting > 0))


def _calls(metrics: dict[str, float]) -> Line:
    """Return whether the calls add up: seen = recorded + excluded + failed + in flight."""

    def total(name: str) -> int:
        prefixes = (f"opentrail_calls_{name}_total{{", f"opentrail_calls_{name}_total ")
        return int(sum(v for k, v in metrics.items() if f"{k} ".startswith(prefixes)))

    seen, recorded = total("seen"), total("recorded")
    excluded, failed = total("excluded"), total("failed")
    flying = int(metrics.get("opentrail_calls_in_flight", 0))
    text = (
        f"{seen:,} seen = {recorded:,} recorded + {excluded:,} excluded + {failed:,} failed"
        f" + {flying:,} in flight"
    )
    return Line("calls", text, wrong=failed > 0 or seen != recorded + excluded + failed + flying)


def _log(settings: Settings) -> Iterator[Line]:
    """Yield what the log holds. Raises: Corrupt."""
    log = SegmentReader(settings.data_dir / "log")
    first = next(log.entries(log.first()), None)
    since = f" since {iso_seconds(first.append_ms)}" if first else ""
    yield Line("log", f"{log.durable_end() - log.first():,} bytes{since}, {settings.data_dir}")
    log.close()


def _kept(settings: Settings) -> Iterator[Line]:
    """Yield how much room there is, how long records are kept, and which calls are not recorded."""
    free = shutil.disk_usage(settings.data_dir).free
    reserve = settings.log.disk_reserve_bytes
    yield Line(
        "disk",
        f"{free // MIB:,} MiB free; calls are refused below {reserve // MIB:,} MiB",
        wrong=free < 2 * reserve,
    )
    kept = f"records {settings.log.retention_days:g} days"
    if settings.log.retention_bytes_max:
        kept += f" and {settings.log.retention_bytes_max:,} bytes with their index"
    yield Line("retention", f"{kept}, LookupEvents {settings.history.lookup_window_days:g} days")
    for exclusion in exclusions_of(settings):
        yield Line("excluded", in_words(exclusion))


def _trails(settings: Settings) -> Iterator[Line]:
    """Yield how far each trail is delivered. Raises: Corrupt."""
    log = SegmentReader(settings.data_dir / "log")
    end, now_ms = log.durable_end(), SystemClock().now_ms()
    log.close()
    with trails_here(settings) as here:
        if here is None:
            return
        for trail in (*here.trails(), *here.departed()):
            yield _trail(here, trail, end, now_ms)
            yield from _backlog(here, trail, end, settings)
        yield from _shared(here, now_ms)


def _trail(here: TrailsHere, trail: Trail, end: int, now_ms: int) -> Line:
    said = "logs" if trail.logging else "deleted, not done" if trail.deleted else "stopped"
    behind = here.behind(trail, end)
    if behind is not None and (trail.logging or trail.deleted):
        said += f", {behind:,} bytes of log behind"
    wrong = False
    for what, status in here.statuses(trail.id):
        if status.error:
            said += f"; {what}: {status.error}"
            wrong = True
        elif status.delivered_ms:
            said += f"; {what} {(now_ms - status.delivered_ms) // 1000:,} s ago"
    return Line("trail", f"{trail.name} ({trail.home_region}) {said}", wrong=wrong)


def _backlog(here: TrailsHere, trail: Trail, end: int, settings: Settings) -> Iterator[Line]:
    """Yield what waits too much, and what was given up."""
    delivery = settings.delivery
    if (here.behind(trail, end) or 0) > delivery.backlog_bytes_max:
        patience = Patience(give_up=delivery.give_up)
        fate = "the oldest is given up" if patience.gives_up(trail) else "all of it is held"
        text = f"{trail.name}: more than {delivery.backlog_bytes_max:,} bytes of log wait; {fate}"
        yield Line("backlog", text, wrong=True)
    for what, status in here.statuses(trail.id):
        yield from _refused(f"{trail.name}, {what}", what, status)


def _refused(whose: str, what: str, status: Delivered) -> Iterator[Line]:
    """Yield what a target has not taken for long, or never took."""
    if status.failing_ms > HOUR_MS:
        hours = status.failing_ms // HOUR_MS
        yield Line("backlog", f"{whose}: refused for {hours:,} hours", wrong=True)
    if status.given_up:
        files = f" in {status.given_up_files:,} files" if status.given_up_files else ""
        things = "records" if what in OF_RECORDS else "files"
        text = f"{whose}: {status.given_up:,} {things}{files} never delivered"
        yield Line("given up", text, wrong=True)


def _shared(here: TrailsHere, now_ms: int) -> Iterator[Line]:
    """Yield how the copies are that are made once for an account: of an organization's, what is wrong."""
    last_ms: dict[str, int] = {}
    for account in here.accounts():
        for what, status in here.statuses(account):
            last_ms[what] = max(last_ms.get(what, 0), status.delivered_ms)
            if status.error:
                yield Line(what, f"of account {account}: {status.error}", wrong=True)
            yield from _refused(f"account {account}, {what}", what, status)
    for what, at_ms in last_ms.items():
        if at_ms:
            yield Line(what, f"{(now_ms - at_ms) // 1000:,} s ago")
