# SPDX-License-Identifier: Apache-2.0
"""``opentrail coverage``: what becomes of a call of any operation, and by which rule."""

import csv
import difflib
import io
from collections.abc import Iterable, Sequence

import click
import msgspec

from opentrail.aws.tables import index
from opentrail.capture.coverage import RULES, Covered, Field, coverage, services
from opentrail.capture.coverage_figures import Figures, figures_of, figures_of_all
from opentrail.cli.options import Command, json_option
from opentrail.errors import UsageError


@click.command("coverage", cls=Command)
@click.option(
    "--service",
    "names",
    multiple=True,
    metavar="NAME",
    help="Every operation of this service, as botocore calls it; may be repeated.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(("table", "json", "csv")),
    default="table",
    show_default=True,
    help="A table, one JSON document, or a line for each operation.",
)
@json_option
def command(names: tuple[str, ...], form: str) -> None:
    """Show what OpenTrail records of every AWS operation.

    Without --service: figures for each service. With it, for each operation: whether it is
    recorded, as a management or a data event, whether it is read-only and who says so (OpenTrail's
    table, the service's model, or the operation's name), and which members records hide or leave
    out. Nothing is asked of any server: it is in the tables that OpenTrail came with.

      opentrail coverage
      opentrail coverage --service sagemaker
      opentrail coverage --format csv > coverage.csv
      opentrail coverage --service kms --json
    """
    known = services()
    for name in names:
        if name not in known:
            raise UsageError(f"there is no service {name!r}{_nearest(name, known)}")
    if form == "csv":
        _print_csv(names or known)
    elif form == "json":
        click.echo(msgspec.json.encode(_document(names, known)))
    elif names:
        for name in names:
            _print_service(name)
    else:
        _print_figures([figures_of(coverage(name)) for name in known])


def _nearest(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f": did you mean {near[0]!r}?" if near else ": opentrail coverage lists all"


def _document(names: Sequence[str], known: Sequence[str]) -> dict[str, object]:
    found: dict[str, object] = {"botocore": index().botocore}
    if names:
        return found | {"operations": [one for name in names for one in coverage(name)]}
    each = [figures_of(coverage(name)) for name in known]
    return found | {"all": figures_of_all(each), "services": each}


def _print_figures(each: Sequence[Figures]) -> None:
    total = figures_of_all(each)
    width = max(len(one.service) for one in each)
    click.echo("  ".join([f"{'service':{width}}", *_FIGURES]))
    for one in (*each, total):
        numbers = (f"{getattr(one, name):>{len(text)},}" for text, name in _FIGURES.items())
        click.echo("  ".join([f"{one.service or 'all':{width}}", *numbers]))
    click.echo(
        f"\n{len(each)} services of botocore {index().botocore}. Counted calls are not recorded, as AWS"
        " does not; refused ones are not passed on.\nWhy members are hidden or left out:"
    )
    for rule, meaning in RULES.items():
        click.echo(f"  {rule:10}  {meaning}")


_FIGURES = {
    "operations": "operations",
    "management": "management",
    "  data": "data",
    "counted": "counted",
    "refused": "refused",
    "read-only": "read_only",
    "redacted": "redacted",
}
"""Heading to the name of the figure."""


def _print_service(name: str) -> None:
    operations = list(coverage(name))
    width = max(len(one.operation) for one in operations)
    click.echo(f"{name}: {operations[0].event_source}")
    for one in operations:
        kind = "read " if one.read_only else "write"
        renamed = f"  as {one.event_name}" if one.event_name != one.operation else ""
        said = f"{kind} ({one.read_only_by})"
        click.echo(f"  {one.operation:{width}}  {said:13}  {_kind(one)}{renamed}")
        for how, listed in (("hidden", one.hidden), ("left out", one.left_out)):
            for each in listed:
                answer = " of the answer" if each.part == "answer" else ""
                click.echo(f"      {how}: {each.path}{answer} ({each.rule})")


def _kind(one: Covered) -> str:
    if one.call == "refused":
        return "refused call"
    if one.recorded == "counted":
        return "counted only"
    return f"data: {one.resource_type or 'no resource'}" if one.category == "Data" else "management"


_COLUMNS = (
    "service",
    "operation",
    "protocols",
    "eventSource",
    "eventName",
    "call",
    "recorded",
    "category",
    "resourceType",
    "readOnly",
    "readOnlyBy",
    "requestParameters",
    "responseElements",
    "hidden",
    "leftOut",
)


def _print_csv(names: Iterable[str]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for name in names:
        writer.writerows(map(_row, coverage(name)))
        click.echo(text.getvalue(), nl=False)
        text.seek(0)
        text.truncate()


def _row(one: Covered) -> list[str]:
    return [
        one.service,
        one.operation,
        " ".join(one.protocols),
        one.event_source,
        one.event_name,
        one.call,
        one.recorded,
        one.category,
        one.resource_type,
        str(one.read_only).lower(),
        one.read_only_by,
        str(one.request_parameters).lower(),
        str(one.response_elements).lower(),
        " ".join(map(_cell, one.hidden)),
        " ".join(map(_cell, one.left_out)),
    ]


def _cell(one: Field) -> str:
    return f"{one.part}:{one.path}={one.rule}"
