# SPDX-License-Identifier: Apache-2.0
"""``opentrail verify``: check delivered log files and their digests, with or without a server."""

import json
import math
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from opentrail.cli.options import Command, data_options, settings_of
from opentrail.cli.times import seconds_of
from opentrail.cli.verify_target import Place, target_of
from opentrail.clock import SystemClock
from opentrail.errors import UsageError
from opentrail.trails.verdict import NOTE, Finding, KeyRing, Verdict, overall, read_key_ring
from opentrail.trails.verify import END_ANY, Asked, Verifier, survey, verify

_WORDS = {Verdict.VALID: "valid", Verdict.INVALID: "INVALID", Verdict.UNKNOWN: "cannot tell"}
_STYLES = {Verdict.VALID: "green", Verdict.INVALID: "red", Verdict.UNKNOWN: "yellow"}


@click.command("verify", cls=Command)
@data_options
@click.argument("target")
@click.option("--account", help="Only files of this account.")
@click.option("--region", help="Only files of this region.")
@click.option("--trail", default="", help="Only this trail's digests.")
@click.option("--bucket", default="", help="Of a copy: the name of the bucket that it is of.")
@click.option(
    "--start-time", help="Digests from then on: 2026-01-31, 2026-01-31T10:00:00Z or epoch."
)
@click.option("--end-time", help="Digests up to then, inclusive.")
@click.option(
    "--public-keys",
    "keys_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="What aws cloudtrail list-public-keys printed.",
)
@click.option("--endpoint-url", default="", help="S3 endpoint of an s3:// target.")
@click.option("--profile", default="", help="AWS profile for an s3:// target.")
@click.option("--allow-unlisted", is_flag=True, help="Do not look for files that no digest lists.")
@click.option("--verbose", is_flag=True, help="Show valid files too.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "plain", "json"]),
    help="Default: table on a terminal.",
)
@click.option("--json", "form", flag_value="json", help="The same as --format json.")
def command(config: Path | None, target: str, keys_file: Path | None, **flags: str | None) -> None:
    """Check the digests and log files of a trail, an S3 location or a directory.

    Exit code 0: all is valid. 1: something is not. 2: it cannot be told, for example because a key
    is not known. It finds what the AWS CLI does not: missing newest digests, replaced digests, and
    files that no digest lists.

      opentrail verify my-trail                          with the keys of the server here
      opentrail verify s3://my-bucket --public-keys keys.json
      opentrail verify ./copy-of-a-bucket --public-keys keys.json
    """
    settings = settings_of(config, {"data": flags["data"], "listen.address": flags["listen"]})
    asked = Asked(
        bucket=flags["bucket"] or "",
        account=flags["account"] or "",
        region=flags["region"] or "",
        trail=flags["trail"] or "",
        start_s=math.ceil(seconds_of(flags["start_time"], 0)),
        end_s=math.floor(seconds_of(flags["end_time"], END_ANY)),
    )
    clock = SystemClock()
    place = Place(settings, clock, flags["endpoint_url"] or "", flags["profile"] or "")
    found = target_of(target, asked, _keys(keys_file), place)
    verifier = Verifier(found.bucket, found.elsewhere, found.keys, found.asked)
    unlisted = None if flags["allow_unlisted"] else clock.now_ms() // 1000
    there = survey(found.bucket, found.asked)
    findings = list(verify(verifier, there, found.ends, found.asked, unlisted=unlisted))
    shown = _Result(findings, found.asked, no_keys=not found.keys.keys)
    form = flags["form"] or ("table" if Console().is_terminal else "plain")
    _FORMS[form](shown, verbose=bool(flags["verbose"]))
    sys.exit(int(overall(findings)))


def _keys(file: Path | None) -> KeyRing | None:
    if file is None:
        return None
    try:
        return read_key_ring(file.read_bytes(), str(file))
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror}") from error


@dataclass(frozen=True, slots=True)
class _Result:
    """What is shown."""

    findings: list[Finding]
    asked: Asked
    no_keys: bool

    def shown(self, *, verbose: bool) -> list[Finding]:
        """Return the findings that are a line."""
        return [each for each in self.findings if verbose or _tells(each)]

    def summary(self) -> list[str]:
        """Return the lines at the end, in the AWS CLI's words where it has some."""
        counts = Counter((each.kind, each.verdict) for each in self.findings if each.kind != NOTE)
        lines = []
        for kind in sorted({kind for kind, _ in counts}):
            total = sum(counts[kind, verdict] for verdict in Verdict)
            said = [
                f"{counts[kind, verdict]}/{total} {kind.lower()}s {word}"
                for verdict, word in _WORDS.items()
                if counts[kind, verdict]
            ]
            lines.append(", ".join(said))
        if not lines:
            lines.append("No digests found")
        if self.no_keys:
            lines.append("no public keys: give --public-keys FILE, or --data of the server")
        return lines


def _tells(finding: Finding) -> bool:
    return finding.kind == NOTE or finding.verdict is not Verdict.VALID


def _word(finding: Finding) -> str:
    return "" if finding.kind == NOTE else _WORDS[finding.verdict]


def _plain(result: _Result, *, verbose: bool) -> None:
    for each in result.shown(verbose=verbose):
        said = ": ".join(part for part in (_word(each), each.reason) if part)
        click.echo("\t".join(map(_safe, (each.kind, each.subject, said))))
    for line in (*result.summary(), _verdict_line(result)):
        click.echo(line)


def _table(result: _Result, *, verbose: bool) -> None:
    console = Console()
    rows = result.shown(verbose=verbose)
    if rows:
        table = Table(box=None, header_style="bold")
        for title in ("What", "Verdict", "Why", "Where"):
            table.add_column(title, overflow="fold")
        for each in rows:
            verdict = Text(_word(each), style=_STYLES[each.verdict])
            table.add_row(each.kind, verdict, Text(_safe(each.reason)), Text(_safe(each.subject)))
        console.print(table)
    for line in result.summary():
        console.print(line, markup=False, highlight=False)
    console.print(_verdict_line(result), style=_STYLES[overall(result.findings)], highlight=False)


def _json(result: _Result, *, verbose: bool) -> None:
    del verbose  # a machine gets all
    document = {
        "verdict": _WORDS[overall(result.findings)],
        "findings": [
            {
                "kind": each.kind,
                "subject": each.subject,
                "verdict": _word(each),
                "reason": each.reason,
            }
            for each in result.findings
        ],
        "summary": result.summary(),
    }
    click.echo(json.dumps(document))


_FORMS = {"plain": _plain, "table": _table, "json": _json}


def _verdict_line(result: _Result) -> str:
    return f"verdict: {_WORDS[overall(result.findings)]}"


def _safe(text: str) -> str:
    """Return ``text`` without what a terminal would act on: whoever can write there named it."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
