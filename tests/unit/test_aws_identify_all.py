# SPDX-License-Identifier: Apache-2.0
"""Every operation of botocore, in every protocol it lists, is named right from its request."""

import random
from collections import Counter
from pathlib import Path

import pytest
from support.aws_requests import load_model, operations, request, sample, scope, service_names

from opentrail.aws.route import identify, parse_credential

PAGE = Path(__file__).parents[2] / "docs" / "coverage.md"
TWINS_APART_BY_HOST_ONLY = {("lex-models", "StartImport")}
DEPRECATED_TWINS = {
    ("s3", "GetBucketLifecycle"),
    ("s3", "GetBucketNotification"),
    ("s3", "PutBucketLifecycle"),
    ("s3", "PutBucketNotification"),
}
SAME_REQUEST = {("s3", "ListDirectoryBuckets")}


@pytest.fixture(scope="module")
def outcomes():
    """Count the requests, those named exactly, and collect those with a wrong operation."""
    counts: Counter[str] = Counter()
    wrong = set()
    for service in service_names():
        model = load_model(service)
        spoken = (model.resolved_protocol, *model.metadata.get("protocols", ()))
        for operation in operations(model):
            params = sample(operation.input_shape, random.Random(1), full=False)
            for protocol in dict.fromkeys((*spoken, model.metadata["protocol"])):
                head, body = request(
                    operation, params, protocol, authorization=scope(model.signing_name)
                )
                found = identify(head, parse_credential(head), body)
                counts["requests"] += 1
                counts["exact"] += (found.service, found.operation) == (service, operation.name)
                if found.operation != operation.name or not found.known:
                    wrong.add((service, operation.name))
                counts["protocol"] += found.protocol == protocol
    return counts, wrong


def test_accuracy_over_all_of_botocore(outcomes):
    counts, wrong = outcomes
    total = counts["requests"]
    named = (total - len(wrong)) / total
    said = (
        f"{total:,} requests, the operation's name right in {named:.2%},"
        f" service and operation in {counts['exact'] / total:.2%}"
    )
    page = " ".join(PAGE.read_text(encoding="utf-8").split())
    assert f"in the tests: {said}." in page, f"docs/coverage.md: {said}"
    assert total > 21_000
    assert len(wrong) / total < 0.001
    assert counts["exact"] / total >= 0.98
    assert counts["protocol"] == total


def test_what_is_named_wrong_is_known_and_nothing_else(outcomes):
    _, wrong = outcomes
    assert wrong == TWINS_APART_BY_HOST_ONLY | DEPRECATED_TWINS | SAME_REQUEST


@pytest.mark.parametrize(("service", "name"), sorted(TWINS_APART_BY_HOST_ONLY))
def test_the_host_name_tells_twins_apart(service, name):
    model = load_model(service)
    operation = model.operation_model(name)
    params = sample(operation.input_shape, random.Random(1), full=False)
    head, body = request(
        operation,
        params,
        "rest-json",
        authorization=scope(model.signing_name),
        host=f"{model.endpoint_prefix}.us-east-1.amazonaws.com",
    )
    found = identify(head, parse_credential(head), body)
    assert (found.service, found.operation) == (service, name)
