# SPDX-License-Identifier: Apache-2.0
"""boto3 against the sandbox: every noun is made, shown, listed, changed and deleted."""

import zlib
from collections.abc import Iterator
from typing import Any

import pytest
from support.aws_clients import Key, client
from support.sandbox_calls import code_of, inputs, invoke, tuning_job

from opentrail.sandbox.catalog import operations
from opentrail.sandbox.crud import listed_member
from opentrail.sandbox.nouns import NOUNS, REFERS_BY_ARN, Noun
from opentrail.sandbox.process import start_sandbox
from opentrail.sandbox.shapes import find_operation

OFFERED = set(operations())
EVERY = [(service, noun) for service, nouns in NOUNS.items() for noun in nouns]
FEATURES = ("sample-RecordIdentifierFeatureName", "sample-EventTimeFeatureName")
GIVEN: dict[str, dict[str, Any]] = {
    "FeatureGroup": {
        "FeatureDefinitions": [{"FeatureName": name, "FeatureType": "String"} for name in FEATURES]
    },
    "HyperParameterTuningJob": tuning_job("sample", 2, 1),
    "Dataset": {"datasetType": "Interactions"},
}
"""What required members cannot be made up."""
SHOWN_OTHERWISE = {"UiTemplate"}
"""Members that a Describe answer has in another shape than the Create call."""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with start_sandbox() as running:
        yield running.url


@pytest.fixture
def key(request: pytest.FixtureRequest) -> Key:
    """An account of its own for each test: nothing that another made is there."""
    return Key(f"{zlib.crc32(request.node.nodeid.encode()):012d}", "secret-of-no-value")


def plural_of(noun: Noun) -> str:
    return f"List{noun.plural or noun.name + 's'}"


def make(made: Any, service: str, noun: Noun) -> tuple[dict[str, Any], dict[str, Any]]:
    """Create a noun, and first what it refers to; return the input, and it with the answer."""
    nouns = {item.name: item for item in NOUNS[service]}
    given: dict[str, Any] = dict(GIVEN.get(noun.name, {}))
    members = inputs(made, f"Create{noun.name}", **given) | given
    refers = REFERS_BY_ARN if service == "personalize" else noun.refers
    for member in refers.keys() & members.keys():
        members[member] = existing_or_made(made, service, nouns[refers[member]])[member]
    return members, members | invoke(made, f"Create{noun.name}", members)


def existing_or_made(made: Any, service: str, noun: Noun) -> dict[str, Any]:
    """Return the members of the one resource of a noun; two others may refer to the same."""
    plural = plural_of(noun)
    listing = find_operation(service, plural)
    assert listing is not None
    listed = invoke(made, plural, {})[listed_member(listing)]
    return listed[0] if listed else make(made, service, noun)[1]


@pytest.mark.parametrize("pair", EVERY, ids=lambda pair: f"{pair[0]}-{pair[1].name}")
def test_every_noun_lives_and_dies(url: str, key: Key, pair: tuple[str, Noun]):
    service, noun = pair
    made = client(service, url, key)
    members, named = make(made, service, noun)

    describe = inputs(made, f"Describe{noun.name}", **named)
    shown = invoke(made, f"Describe{noun.name}", describe)
    inner = next(iter(shown.values())) if len(shown) == 1 else shown
    for name in set(members) & set(inner) - SHOWN_OTHERWISE:
        assert inner[name] == members[name]
    assert any("Time" in name or "Date" in name for name in inner)

    plural = plural_of(noun)
    listing = find_operation(service, plural)
    assert listing is not None
    assert len(invoke(made, plural, {})[listed_member(listing)]) == 1

    for verb in ("Update", "Delete"):
        # A job that runs cannot be deleted.
        if (service, f"{verb}{noun.name}") in OFFERED and not noun.name.endswith("Job"):
            invoke(made, f"{verb}{noun.name}", inputs(made, f"{verb}{noun.name}", **named))
    if (service, f"Delete{noun.name}") in OFFERED and not noun.name.endswith("Job"):
        assert invoke(made, plural, {})[listed_member(listing)] == []
        method = made.meta.method_to_api_mapping
        name = next(at for at, found in method.items() if found == f"Describe{noun.name}")
        assert code_of(getattr(made, name), **describe) in (
            "ResourceNotFound",
            "ResourceNotFoundException",
            "ValidationException",
        )
