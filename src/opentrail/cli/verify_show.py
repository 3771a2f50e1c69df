# SPDX-License-Identifier: Apache-2.0
"""How ``opentrail verify`` shows what it finds, while it finds it."""

import importlib
import json
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol, cast

import click

from opentrail.verification.verdict import COVERED, NOTE, Finding, Tally, Verdict

WORDS = {Verdict.VALID: "valid", Verdict.INVALID: "INVALID", Verdict.UNKNOWN: "cannot tell"}
CHAINS_SHOWN_MAX = 5
"""Chains of digests that are named at the end: a trail has one for each account and region."""
_TERMINAL = "opentrail.cli.verify_table"
"""What shows it to people. It takes a tenth of a second to load, so it is, for them alone."""


class Form(Protocol):
    """One way to show findings."""

    def add(self, finding: Finding) -> None:
        """Take a finding; it may be shown at once."""
        ...

    def end(self, summary: list[str], verdict: Verdict) -> None:
        """Show what is said at the end."""
        ...


class Result:
    """Takes all findings, and says at the end what they come to."""

    def __init__(self, form: Form, *, verbose: bool, no_keys: bool) -> None:
        self.tally = Tally()
        self._form = form
        self._verbose = verbose
        self._no_keys = no_keys
        self._covered: list[tuple[str, str]] = []
        self._chains: list[str] = []

    def add(self, finding: Finding) -> None:
        """Take a finding."""
        self.tally.add(finding)
        if finding.kind == COVERED:
            begin, _, end = finding.subject.partition(" to ")
            self._covered.append((begin, end))
            self._chains.append(finding.reason)
        elif self._verbose or finding.kind == NOTE or finding.verdict is not Verdict.VALID:
            self._form.add(finding)

    def end(self) -> None:
        """Say what was found."""
        self._form.end(self._summary(), self.tally.verdict)

    def _summary(self) -> list[str]:
        """Return the lines at the end, in the AWS CLI's words where it has some."""
        counts = self.tally.counts
        lines = []
        for kind in sorted({kind for kind, _ in counts}):
            total = sum(counts[kind, verdict] for verdict in Verdict)
            said = [
                f"{counts[kind, verdict]}/{total} {kind.lower()}s {word}"
                for verdict, word in WORDS.items()
                if counts[kind, verdict]
            ]
            lines.append(", ".join(said))
        if not any(kind.endswith("igest file") for kind, _ in counts):
            lines.append("No digests found")
        if self._no_keys:
            lines.append(
                "no public keys: give --public-keys FILE, --fetch-keys, or --data of the server"
            )
        return lines + self._covering()

    def _covering(self) -> list[str]:
        if not self._covered:
            return []
        begins, ends = (sorted(each) for each in zip(*self._covered, strict=True))
        line = f"valid digests cover {begins[0]} to {ends[-1]}"
        line = line if ends[0] == ends[-1] else f"{line}; of one chain only to {ends[0]}"
        # All of a trail may be gone, and what is left be valid: so it is said what that is.
        shown, more = sorted(self._chains)[:CHAINS_SHOWN_MAX], len(self._chains) - CHAINS_SHOWN_MAX
        shown += [f"and {more} more"] if more > 0 else []
        return [line, safe(f"they are of {', '.join(shown)}")]


class Plain:
    """Tab-separated lines, in the AWS CLI's words."""

    def add(self, finding: Finding) -> None:
        """See ``Form``."""
        said = ": ".join(part for part in (word_of(finding), finding.reason) if part)
        click.echo("\t".join(map(safe, (finding.kind, finding.subject, said))))

    def end(self, summary: list[str], verdict: Verdict) -> None:
        """See ``Form``."""
        for line in (*summary, f"verdict: {WORDS[verdict]}"):
            click.echo(line)


class Json:
    """One JSON document."""

    def __init__(self) -> None:
        self._begun = False

    def add(self, finding: Finding) -> None:
        """See ``Form``."""
        self._begin()
        document = {
            "kind": finding.kind,
            "subject": finding.subject,
            "verdict": word_of(finding),
            "reason": finding.reason,
        }
        click.echo(json.dumps(document), nl=False)

    def end(self, summary: list[str], verdict: Verdict) -> None:
        """See ``Form``."""
        if not self._begun:
            click.echo('{"findings": [', nl=False)
        rest = json.dumps({"summary": summary, "verdict": WORDS[verdict]})
        click.echo(f"], {rest[1:]}")

    def _begin(self) -> None:
        click.echo(", " if self._begun else '{"findings": [', nl=False)
        self._begun = True


def form_of(name: str | None) -> Form:
    """Return the form of that name; None: a table on a terminal, else plain."""
    if name == "json":
        return Json()
    if name == "plain" or (name is None and not sys.stdout.isatty()):
        return Plain()
    return cast("Form", importlib.import_module(_TERMINAL).InTable())


def watched(findings: Iterator[Finding], digests: int) -> AbstractContextManager[Iterator[Finding]]:
    """Yield ``findings``, with a bar on standard error while they come in, if that is a terminal."""
    if not sys.stderr.isatty():
        return nullcontext(findings)
    bar = importlib.import_module(_TERMINAL).with_bar(findings, digests)
    return cast("AbstractContextManager[Iterator[Finding]]", bar)


def word_of(finding: Finding) -> str:
    """Return the verdict in a word; a note has none."""
    return "" if finding.kind == NOTE else WORDS[finding.verdict]


def safe(text: str) -> str:
    """Return ``text`` without what a terminal would act on: whoever can write there named it."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
