# SPDX-License-Identifier: Apache-2.0
"""The service tables name only what the models have: a word misspelt there would hide nothing."""

from collections.abc import Iterator

import pytest

from opentrail.aws.model import Operation, Shape, operation
from opentrail.aws.request import Target
from opentrail.capture.rules import OperationRules
from opentrail.capture.services import SERVICES, rules_for

ROWS = [
    (service, name, rules)
    for service, row in SERVICES.items()
    for name, rules in row.operations.items()
]


def model_of(service: str, name: str) -> Operation | None:
    return operation(Target(service, "", name, ""))


def names_in(shape: Shape | None, met: set[Shape]) -> Iterator[str]:
    if shape is None or shape in met:
        return
    met.add(shape)
    for member in shape.members.values():
        yield member.name
        yield from names_in(member.shape, met)


def names_of(model: Operation) -> set[str]:
    met: set[Shape] = set()
    return {*names_in(model.input, met), *names_in(model.output, met)}


@pytest.mark.parametrize(("service", "name", "rules"), ROWS, ids=lambda value: str(value)[:30])
def test_every_row_is_of_an_operation_and_its_members(
    service: str, name: str, rules: OperationRules
):
    model = model_of(service, name)
    assert model is not None
    top = set(model.input.members) if model.input is not None else set()
    assert (rules.keep or frozenset()) & top or not rules.keep
    assert rules.drop <= names_of(model)
    assert rules.hide <= names_of(model)
    if rules.data is not None and rules.data.members:
        assert rules.data.members[0] in top
        assert set(rules.data.members) <= names_of(model)


def test_what_a_service_hides_is_somewhere_in_its_model():
    somewhere = {
        "sagemaker": ["CreatePresignedDomainUrl", "SendPipelineExecutionStepSuccess"],
        "sagemaker-a2i-runtime": ["StartHumanLoop"],
        "ec2": ["RunInstances"],
        "ses": ["SendBulkTemplatedEmail", "SendEmail", "SendRawEmail", "SendTemplatedEmail"],
        "sesv2": ["SendBulkEmail", "SendEmail"],
        "ssm": ["StartSession"],
        "sts": ["AssumeRole"],
    }
    for service, row in SERVICES.items():
        names: set[str] = set()
        for name in somewhere.get(service, []):
            model = model_of(service, name)
            assert model is not None
            names |= names_of(model)
        assert row.hide <= names, service


def test_every_kept_member_is_in_some_operation_of_its_service():
    for service, row in SERVICES.items():
        tops: set[str] = set()
        for name in row.operations:
            model = model_of(service, name)
            if model is not None and model.input is not None:
                tops |= set(model.input.members)
        for rules in row.operations.values():
            assert (rules.keep or frozenset()) <= tops, service


def test_an_unlisted_service_follows_the_rules():
    assert rules_for("glue") == rules_for("")


def test_data_event_arns_can_be_filled():
    places = {"partition": "aws", "region": "r", "account": "a", "name": "n"}
    for service, name, rules in ROWS:
        if rules.data is not None and rules.data.arn:
            assert rules.data.arn.format(**places).startswith("arn:aws:"), (service, name)
            assert "{name}" in rules.data.arn


def test_the_table_is_in_order():
    assert list(SERVICES) == sorted(SERVICES)
