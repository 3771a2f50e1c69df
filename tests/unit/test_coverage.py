# SPDX-License-Identifier: Apache-2.0
"""The coverage map says of every operation what its records really do."""

import csv
import io
import itertools
import json
import re
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from support.calls import Made

from opentrail.aws import catalog
from opentrail.aws.model import Operation, Shape, operation
from opentrail.aws.request import Target
from opentrail.aws.tables import index, services
from opentrail.capture.coverage import RULES, Covered, coverage
from opentrail.capture.coverage_figures import figures_of, figures_of_all
from opentrail.capture.plan import plan
from opentrail.cli import coverage as cli_coverage
from opentrail.cli.coverage import command
from opentrail.errors import UsageError

SCRIPT = runpy.run_path(str(Path(__file__).parents[2] / "scripts" / "coverage.py"))

NESTING_MAX = 5
LOOKED_INTO = (
    "apigateway",
    "bedrock-runtime",
    "cognito-idp",
    "devops-guru",
    "dynamodb",
    "ec2",
    "iam",
    "kms",
    "lambda",
    "personalize",
    "personalize-events",
    "rds",
    "quicksight",
    "resource-explorer-2",
    "s3",
    "s3control",
    "sagemaker",
    "sagemaker-featurestore-runtime",
    "secretsmanager",
    "ses",
    "sns",
    "sqs",
    "ssm",
    "sts",
)


class Marked:
    """Members with a text of its own in every place, and where each of them stands."""

    def __init__(self, shape: Shape | None) -> None:
        self._numbers = itertools.count()
        self.places: dict[str, tuple[str, ...]] = {}
        """Text to the paths of the member that it stands in and of all above."""
        self.members: Any = self._value(shape, (), 0) if shape is not None else {}

    def _value(self, shape: Shape, at: tuple[str, ...], depth: int) -> Any:
        before = at[-1] if at else ""
        if shape.kind == "structure":
            return {
                name: self._value(m.shape, (*at, f"{before}.{name}".lstrip(".")), depth + 1)
                for name, m in shape.members.items()
                if depth < NESTING_MAX and not shape.document
            }
        if shape.kind == "list":
            return [self._value(shape.members["member"].shape, (*at, f"{before}[]"), depth)]
        if shape.kind == "map":
            inner = self._value(shape.members["value"].shape, (*at, f"{before}{{}}"), depth)
            return {"key": inner}
        return self._text(at) if shape.kind in ("string", "blob") else None

    def _text(self, at: tuple[str, ...]) -> str:
        text = f"mark{next(self._numbers)}x"
        self.places[text] = at
        return text


def last_name(path: str) -> str:
    return re.split(r"[.\[{]", path.rstrip("[]{}"))[-1]


def wrong(covered: Covered) -> Iterator[str]:
    """Yield what the map says of one operation's parameters and its records do not do."""
    target = Target(covered.service, covered.event_source, covered.operation, covered.protocols[0])
    model, how = operation(target), plan(target)
    assert model is not None
    marked = Marked(model.input)
    shown = ""
    if how.request is not None:
        shown = json.dumps(
            how.request(marked.members, Made(covered.service, covered.operation).call())
        )
    claims = {one.path for one in covered.hidden + covered.left_out if one.part == "request"}
    names = {last_name(path) for path in claims}
    for text, places in marked.places.items():
        is_shown = f"{text}" in shown
        if is_shown and claims & set(places):
            yield f"{places[-1]} is shown"
        if covered.service == "dynamodb" and "Key" in map(last_name, places):
            continue  # a key's value is a text or a number
        if not is_shown and not names & set(map(last_name, places)):
            yield f"{places[-1]} is not shown"


@pytest.mark.parametrize("service", LOOKED_INTO)
def test_the_map_is_what_records_do(service):
    found = [f"{one.operation}: {line}" for one in coverage(service) for line in wrong(one)]
    assert not found


@pytest.fixture(scope="module")
def everything():
    """Return the figures of every service, and the streaming answers, by whether they are held."""
    figures, held = [], {}
    for name, row in sorted(services().items()):
        operations = list(coverage(name))
        figures.append(figures_of(operations))
        for one in operations:
            how = plan(catalog.target(row, one.operation, row.protocol))
            if streams(how.operation):
                held[name, one.operation] = how.response_body
    return figures, held


def streams(model: Operation | None) -> bool:
    output = model.output if model is not None else None
    members = output.members.values() if output is not None else ()
    return any(member.shape.streaming or member.shape.event_stream for member in members)


@pytest.fixture
def figures(everything):
    return everything[0]


def test_no_answer_that_streams_is_waited_for(everything):
    _, held = everything
    assert len(held) > 40
    assert not [pair for pair, waits in held.items() if waits]


def test_the_page_is_what_the_tables_say(figures):
    text = SCRIPT["OUTPUT"].read_text(encoding="utf-8")
    assert SCRIPT["render"](figures, SCRIPT["accuracy_in"](text)) == text


def test_every_operation_is_counted_once(figures):
    total = figures_of_all(figures)
    assert total.operations == sum(row.operations for row in services().values())
    assert total.operations == total.management + total.data + total.counted
    assert [one.service for one in figures] == sorted(services())


def run(*arguments: str) -> str:
    done = CliRunner().invoke(command, arguments)
    assert done.exit_code == 0, done.output
    return done.output


def test_the_figures_as_a_table_and_as_json(monkeypatch):
    monkeypatch.setattr(cli_coverage, "services", lambda: ["kms", "sts"])
    lines = run().splitlines()
    assert lines[1].split() == ["kms", "56", "56", "0", "0", "0", *lines[1].split()[6:]]
    assert lines[3].split()[:2] == ["all", "68"]
    found = json.loads(run("--json"))
    assert found["botocore"] == index().botocore
    assert [one["service"] for one in found["services"]] == ["kms", "sts"]
    assert found["all"]["operations"] == 68


def test_one_service():
    lines = run("--service", "sts", "--service", "personalize-events").splitlines()
    assert lines[0] == "sts: sts.amazonaws.com"
    at = next(n for n, line in enumerate(lines) if line.strip().startswith("AssumeRole "))
    assert lines[at].split() == ["AssumeRole", "read", "(table)", "management"]
    assert [line.strip() for line in lines[at + 1 : at + 3]] == [
        "hidden: ProvidedContexts[].ContextAssertion (credential)",
        "hidden: Credentials.SessionToken of the answer (credential)",
    ]
    assert any(
        line.split() == ["PutEvents", "write", "(name)", "counted", "only"] for line in lines
    )


def test_one_service_as_json_and_csv():
    found = json.loads(run("--service", "sagemaker-featurestore-runtime", "--json"))
    put = next(one for one in found["operations"] if one["operation"] == "PutRecord")
    assert put["resource_type"] == "AWS::SageMaker::FeatureGroup"
    assert {"part": "request", "path": "Record", "rule": "not-kept"} in put["left_out"]
    names = ("qbusiness", "lambda", "cloudtrail")
    arguments = [part for name in names for part in ("--service", name)]
    rows = list(csv.DictReader(io.StringIO(run("--format", "csv", *arguments))))
    assert len(rows) == sum(services()[name].operations for name in names)
    by_name = {row["operation"]: row for row in rows}
    assert by_name["Chat"]["call"] == "refused"
    assert by_name["LookupEvents"]["call"] == "answered"
    assert by_name["ListFunctions"]["eventName"] == "ListFunctions20150331"
    assert {row["readOnly"] for row in rows} == {"true", "false"}


def test_a_service_that_is_none():
    done = CliRunner().invoke(command, ["--service", "sagemakr"])
    assert isinstance(done.exception, UsageError)
    assert "did you mean 'sagemaker'" in str(done.exception)


def test_every_rule_is_explained():
    said = {field.rule for name in LOOKED_INTO for one in coverage(name) for field in one.left_out}
    assert said <= set(RULES)
