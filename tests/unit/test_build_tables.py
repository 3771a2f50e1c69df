# SPDX-License-Identifier: Apache-2.0
"""The service tables name only what the models have: a word misspelt there would hide nothing."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.calls import ACCOUNT, REGION, Made

from opentrail.aws import tables
from opentrail.aws.model import Operation, Shape, operation
from opentrail.aws.post_form import POST_OBJECT
from opentrail.aws.request import Target
from opentrail.capture import readonly
from opentrail.capture.data_events import ALL, Block, blocks
from opentrail.capture.plan import plan
from opentrail.capture.readonly import named_as_read, reads
from opentrail.capture.rules import OperationRules
from opentrail.capture.services import SERVICES, rules_for

SHARED = Path(os.environ.get("OPENTRAIL_SHARED", Path(__file__).parents[3] / "shared"))
TYPES = SHARED / "reference" / "resource_types.json"
READ_ONLY = json.loads(Path(readonly.__file__).with_name("readonly.json").read_bytes())
ROWS = [
    (service, name, rules)
    for service, row in SERVICES.items()
    for name, rules in row.operations.items()
    if name != POST_OBJECT.operation  # which no model has
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
    assert set(rules.beside) <= (set(model.output.members) if model.output is not None else set())
    if rules.data is not None and rules.data.members:
        assert rules.data.members[0] in top
        assert set(rules.data.members) <= names_of(model)


def test_what_a_service_hides_is_somewhere_in_its_model():
    somewhere = {
        "athena": ["StartQueryExecution"],
        "codebuild": ["CreateWebhook"],
        "cognito-idp": ["VerifyUserAttribute"],
        "comprehend": ["DetectPiiEntities"],
        "comprehendmedical": ["InferICD10CM"],
        "connectparticipant": ["SendMessage"],
        "directconnect": ["CreateBGPPeer"],
        "ebs": ["GetSnapshotBlock"],
        "eks": ["CreateEksAnywhereSubscription"],
        "iot": ["TestInvokeAuthorizer"],
        "kendra": ["Query"],
        "license-manager": ["CreateToken"],
        "polly": ["SynthesizeSpeech"],
        "rds-data": ["ExecuteStatement"],
        "s3": ["PutBucketVersioning"],
        "s3control": ["PutBucketVersioning"],
        "translate": ["TranslateText"],
        "sagemaker": ["SendPipelineExecutionStepSuccess"],
        "sagemaker-a2i-runtime": ["StartHumanLoop"],
        "ses": ["SendBulkTemplatedEmail", "SendEmail", "SendRawEmail", "SendTemplatedEmail"],
        "sesv2": ["SendBulkEmail", "SendEmail"],
        "signin": ["CreateOAuth2Token"],
        "sso-oidc": ["CreateToken"],
        "workmail": ["AssumeImpersonationRole"],
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
    assert rules_for("batch") == rules_for("")


def test_data_event_arns_can_be_filled():
    places = {"partition": "aws", "region": "r", "account": "a", "name": "n"}
    for service, name, rules in ROWS:
        if rules.data is not None and rules.data.arn:
            assert rules.data.arn.format(**places).startswith("arn:aws:"), (service, name)
            assert "{name}" in rules.data.arn


def test_the_table_is_in_order():
    assert list(SERVICES) == sorted(SERVICES)


# --- the table of data events ----------------------------------------------------------------

BLOCKS = list(blocks())


@pytest.mark.parametrize("block", BLOCKS, ids=lambda b: f"{b.service}-{b.named[0].type[5:]}")
def test_a_block_names_a_service_its_operations_and_a_member_of_some(block: Block):
    names = tables.table(block.service).names()
    operations = [name for name in names if "Tag" not in name]
    if block.operations != (ALL,):
        assert set(block.operations) <= set(names)
        operations = list(block.operations)
    assert re.fullmatch(r"AWS::\w+::\w+", block.named[0].type)
    given = [model.input for name in operations if (model := model_of(block.service, name))]
    members = [shape.members for shape in given if shape is not None]
    for named in block.named:
        assert not named.members or any(named.members[0] in each for each in members)


def test_no_operation_is_in_two_blocks_and_a_whole_service_in_one():
    met = [(b.service, name) for b in BLOCKS for name in b.operations]
    assert len(met) == len(set(met))
    whole = [b.service for b in BLOCKS if b.operations == (ALL,)]
    assert all([b.service for b in BLOCKS].count(service) == 1 for service in whole)


def test_tags_of_a_data_plane_are_managed_and_the_rest_are_data():
    for service, name, category in (
        ("backupsearch", "StartSearchJob", "Data"),
        ("backupsearch", "TagResource", "Management"),
        ("backupsearch", "UntagResource", "Management"),
        ("backupsearch", "ListTagsForResource", "Management"),
        ("kinesis", "PutRecord", "Data"),
        ("kinesis", "CreateStream", "Management"),
        ("bedrock-runtime", "InvokeModel", "Management"),
        ("bedrock-runtime", "ApplyGuardrail", "Data"),
    ):
        assert plan(Target(service, "", name, "")).category == category, name


def test_data_events_of_the_table_record_identifiers_only():
    made = Made(
        "kinesis",
        "PutRecord",
        {"StreamName": "s", "Data": "cHJpdmF0ZQ==", "PartitionKey": "private"},
        {"ShardId": "x"},
        protocol="json",
    )
    record = made.record()
    assert record["requestParameters"] == {"streamName": "s"}
    assert record["responseElements"] is None
    assert [each["ARN"] for each in record["resources"]] == [
        f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/s"
    ]


@pytest.mark.skipif(not TYPES.exists(), reason="no shared facts: set OPENTRAIL_SHARED")
def test_every_type_is_one_of_cloudtrails():
    known = set(json.loads(TYPES.read_bytes()))
    used = {b.named[0].type for b in BLOCKS} | {rules.data.type for *_, rules in ROWS if rules.data}
    assert used <= known


# --- readOnly --------------------------------------------------------------------------------


@pytest.mark.parametrize("service", list(READ_ONLY))
def test_the_table_of_read_only_has_only_operations_that_their_names_belie(service: str):
    for kind, names in READ_ONLY[service].items():
        for name in names:
            model = model_of(service, name)
            assert model is not None
            assert not model.readonly
            assert named_as_read(name) is (kind == "writes")
            assert reads(service, name) is (kind == "reads")
