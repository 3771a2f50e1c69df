# SPDX-License-Identifier: Apache-2.0
"""CloudTrail's API below the operations: targets, errors, refusals, bounds, who may what."""

from dataclasses import replace

import msgspec
import pytest
from botocore import xform_name
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st
from support.aws_clients import client
from support.wire_server import (
    ADMIN,
    NOBODY,
    PRINCIPALS,
    READER,
    SmallHistory,
    api,
    request,
    serving,
)

from opentrail.wire.app import BODY_BYTES_MAX
from opentrail.wire.operations import ANSWERED, REFUSED
from opentrail.wire.shapes import DATA_OPERATIONS, OPERATIONS

LONG_PREFIX = "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101"


def error_of(response):
    """Return (status, code) of an error answer, checked for its form."""
    body = msgspec.json.decode(response.body)
    assert set(body) == {"__type", "message"}
    assert body["message"]
    assert (b"x-amzn-RequestId", b"11111111-2222-4333-8444-555555555555") in response.headers
    assert (b"x-amzn-ErrorType", body["__type"].encode()) in response.headers
    return response.status, body["__type"]


def answer(**changes):
    return api(SmallHistory()).handle(request(**changes))


@pytest.mark.parametrize("prefix", ["CloudTrail_20131101", LONG_PREFIX])
def test_both_forms_of_the_target_are_taken(prefix):
    response = answer(target=f"{prefix}.LookupEvents")
    assert (response.status, response.body) == (200, b'{"Events":[]}')
    assert response.headers == [
        (b"x-amzn-RequestId", b"11111111-2222-4333-8444-555555555555"),
        (b"Content-Type", b"application/x-amz-json-1.1"),
        (b"content-length", str(len(response.body)).encode()),
    ]


@pytest.mark.parametrize(
    "target",
    [
        "",
        ".",
        "LookupEvents",
        "CloudTrail_20131101",
        LONG_PREFIX,
        "CloudTrail_20131101.",
        "CloudTrail_20131101.NoSuchOperation",
        "CloudTrail_20131101.lookupevents",
        "CloudTrail_20131101.LookupEvents.Extra",
        "CloudTrail_20131101.PutAuditEvents",
        "example.CloudTrail_20131101.LookupEvents",
        "com.amazonaws.cloudtrail.v20131102.CloudTrail_20131101.LookupEvents",
        "DynamoDB_20120810.ListTables",
    ],
)
def test_any_other_target_is_an_unknown_operation(target):
    assert error_of(answer(target=target)) == (400, "UnknownOperationException")


@pytest.mark.parametrize(
    "changes",
    [
        {"method": "GET"},
        {"method": "PUT"},
        {"path": "/other"},
        {"content_type": ""},
        {"content_type": "application/json"},
        {"content_type": "application/x-amz-json-1.0"},
        {"content_type": "text/html; application/x-amz-json-1.1"},
        {"method": "GET", "path": "/PutAuditEvents"},
    ],
)
def test_what_is_not_this_protocol_is_an_unknown_operation(changes):
    assert error_of(answer(**changes)) == (400, "UnknownOperationException")


@pytest.mark.parametrize(
    "content_type", ["application/x-amz-json-1.1; charset=utf-8", "Application/X-Amz-JSON-1.1"]
)
def test_a_content_type_may_have_parameters(content_type):
    assert answer(content_type=content_type).status == 200


@pytest.mark.parametrize(
    "body", [b"", b"{}", b'{"Unknown": [1, {"x": null}]}', b'{"NextToken":null}']
)
def test_nothing_asked_and_unknown_members_are_fine(body):
    assert answer(body=body).status == 200


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b"null",
        b"5",
        b"{} {}",
        b"\xff",
        b'{"NextToken": "\xff"}',
        b'{"NextToken": "\\ud800"}',
        b'{"StartTime": 1e999}',
        b'{"StartTime": "2023-11-14T00:00:00Z"}',
        b'{"StartTime": true}',
        b'{"MaxResults": ' + b"9" * 5000 + b"}",
        b'{"x":' + b"[" * 100_000,
    ],
)
def test_malformed_json_is_a_serialization_error(body):
    assert error_of(answer(body=body)) == (400, "SerializationException")


@given(st.binary())
def test_no_body_makes_it_fall(body):
    assert answer(body=body).status in (200, 400)


def test_a_body_has_a_bound():
    full = b'{"x":"' + b"x" * (BODY_BYTES_MAX - 8) + b'"}'
    assert len(full) == BODY_BYTES_MAX
    assert answer(body=full).status == 200
    assert error_of(answer(body=full + b" ")) == (413, "RequestEntityTooLargeException")


def test_a_full_put_audit_events_gets_its_own_refusal():
    changes = {"target": "", "content_type": "application/json", "path": "/PutAuditEvents"}
    response = answer(body=b" " * BODY_BYTES_MAX, **changes)
    assert error_of(response) == (400, "UnsupportedOperationException")


def test_policies_are_asked_for_every_operation():
    for name in OPERATIONS:
        nobody = answer(operation=name, principal=PRINCIPALS[NOBODY.access_key_id])
        assert error_of(nobody) == (400, "AccessDeniedException")
    reader = PRINCIPALS[READER.access_key_id]
    assert answer(principal=reader).status == 200
    assert error_of(answer(operation="DeleteTrail", principal=reader)) == (
        400,
        "AccessDeniedException",
    )


def test_a_document_may_allow_one_operation():
    document = (
        '{"Version":"2012-10-17","Statement":'
        '[{"Effect":"Allow","Action":"cloudtrail:LookupEvents","Resource":"*"}]}'
    )
    principal = replace(PRINCIPALS[NOBODY.access_key_id], policies=(document,))
    assert answer(principal=principal).status == 200
    assert error_of(answer(operation="GetTrail", principal=principal))[1] == "AccessDeniedException"


def test_put_audit_events_is_denied_in_its_own_protocol():
    changes = {"target": "", "content_type": "application/json", "path": "/PutAuditEvents"}
    response = answer(principal=PRINCIPALS[NOBODY.access_key_id], **changes)
    assert error_of(response) == (403, "AccessDeniedException")


def test_every_operation_is_answered_or_refused():
    assert set(ANSWERED) | set(REFUSED) == set(OPERATIONS) | set(DATA_OPERATIONS)
    assert not set(ANSWERED) & set(REFUSED)
    for name, refusal in REFUSED.items():
        assert refusal.code in {**OPERATIONS, **DATA_OPERATIONS}[name].errors


def _code(call):
    """Return the error code of a call with nothing in it; "" when it is fine."""
    try:
        assert call()["ResponseMetadata"]["HTTPStatusCode"] == 200
    except ClientError as error:
        return error.response["Error"]["Code"]
    return ""


def test_boto3_gets_what_the_table_says_from_every_operation():
    with serving(SmallHistory()) as endpoint:
        for service, names in (("cloudtrail", OPERATIONS), ("cloudtrail-data", DATA_OPERATIONS)):
            made = client(service, endpoint, ADMIN, validate=False)
            for name in names:
                call = getattr(made, xform_name(name))
                if name in ANSWERED:
                    assert _code(call) in {"", *OPERATIONS[name].errors}
                else:
                    with pytest.raises(made.exceptions.UnsupportedOperationException) as raised:
                        call()
                    assert raised.value.response["Error"]["Code"] == REFUSED[name].code
                    assert f"does not offer {name} yet" in str(raised.value)
            made.close()


def test_a_token_is_bound_to_each_parameter():
    history = SmallHistory()
    for _ in range(5):
        history.add()
    asked = {
        "MaxResults": 2,
        "StartTime": 5,
        "EndTime": 2_000_000_000,
        "LookupAttributes": [{"AttributeKey": "EventName", "AttributeValue": "CreateModel"}],
    }
    answering = api(history)
    first = answering.handle(request(body=msgspec.json.encode(asked)))
    token = msgspec.json.decode(first.body)["NextToken"]

    def again(**changes):
        body = {name: value for name, value in (asked | changes).items() if value is not None}
        return answering.handle(request(body=msgspec.json.encode(body | {"NextToken": token})))

    assert again().status == 200
    for altered in (
        {"MaxResults": 3},
        {"MaxResults": None},
        {"StartTime": 5.5},
        {"StartTime": None},
        {"EndTime": None},
        {"EventCategory": "insight"},
        {"LookupAttributes": None},
        {"LookupAttributes": [{"AttributeKey": "EventName", "AttributeValue": "Other"}]},
        {"LookupAttributes": [{"AttributeKey": "Username", "AttributeValue": "CreateModel"}]},
    ):
        assert error_of(again(**altered)) == (400, "InvalidNextTokenException")


def test_a_page_size_left_out_is_the_default_one():
    history = SmallHistory()
    for _ in range(60):
        history.add()
    answering = api(history)
    token = msgspec.json.decode(answering.handle(request()).body)["NextToken"]
    body = msgspec.json.encode({"NextToken": token, "MaxResults": 50})
    assert len(msgspec.json.decode(answering.handle(request(body=body)).body)["Events"]) == 10


def test_the_token_key_stays_out_of_texts():
    history = SmallHistory()
    assert "kkkk" not in repr(api(history)._rooms)
