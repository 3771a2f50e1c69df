# SPDX-License-Identifier: Apache-2.0
"""The sandbox's tables against botocore's models, and its page against its tables."""

import re
from pathlib import Path

import botocore.session
import pytest
from botocore.model import ServiceModel, StringShape, StructureShape

from opentrail.sandbox import catalog
from opentrail.sandbox.crud import Special, kind_of
from opentrail.sandbox.document import document
from opentrail.sandbox.nouns import NOUNS, Noun
from opentrail.sandbox.shapes import find_operation

PAGE = Path(__file__).parents[2] / "docs" / "sandbox.md"
EVERY = [(service, noun) for service, nouns in NOUNS.items() for noun in nouns]
# Personalize's model has no enumeration of statuses: its API reference lists them.
NOT_IN_MODELS = {"personalize"}


def model_of(service: str) -> ServiceModel:
    return botocore.session.Session().get_service_model(service)


def test_the_page_is_the_code():
    assert PAGE.read_text() == document()


def test_every_operation_is_in_the_models():
    for service, operation in catalog.operations():
        assert find_operation(service, operation), operation


def test_operations_are_sorted_and_of_the_four_services():
    listed = catalog.operations()
    assert listed == sorted(set(listed))
    assert {service for service, _ in listed} == set(catalog.BY_HAND)


@pytest.mark.parametrize("pair", EVERY, ids=lambda pair: pair[1].name)
def test_statuses_are_the_models(pair: tuple[str, Noun]):
    service, noun = pair
    if noun.life is None or service in NOT_IN_MODELS:
        return
    kind = kind_of(service, noun, Special())
    output = model_of(service).operation_model(f"Describe{noun.name}").output_shape
    assert isinstance(output, StructureShape)
    shape = output.members[kind.status_member]
    assert isinstance(shape, StringShape)
    life = noun.life
    used = {life.first, life.settled, life.updating, life.stopping, life.stopped} - {""}
    assert used <= set(shape.enum)


@pytest.mark.parametrize("pair", EVERY, ids=lambda pair: pair[1].name)
def test_arns_fit_the_models_pattern(pair: tuple[str, Noun]):
    service, noun = pair
    create = model_of(service).operation_model(f"Create{noun.name}").output_shape
    assert isinstance(create, StructureShape)
    kind = kind_of(service, noun, Special())
    pattern = create.members[kind.arn_member].metadata.get("pattern", ".*")
    path = re.sub(r"\{[^}]*\}", "name", noun.path)
    arn = f"arn:aws:{service}:us-east-1:123456789012:{path}"
    assert re.fullmatch(pattern.replace(r"\p{L}", "a-z"), arn), pattern
