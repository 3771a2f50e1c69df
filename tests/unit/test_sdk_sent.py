# SPDX-License-Identifier: Apache-2.0
"""Which of a client's calls the botocore plugin records, and where each went."""

import json
from typing import Any

import botocore.session
import pytest
from botocore import UNSIGNED
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError
from botocore.stub import Stubber
from support.sdk_post import Listed, recorder

from opentrail.event.record import HIDDEN
from opentrail.sdk.botocore import Plugin

KEY_ID = "AKIAQAAAAAAAAAAAAAAA"


@pytest.fixture
def post():
    return Listed()


@pytest.fixture
def trail(post):
    made = recorder(post)
    yield made
    made.close()


def client(trail, service, *, keys=True, **config) -> Any:
    session = botocore.session.Session()
    if keys:
        session.set_credentials(KEY_ID, "not-a-real-secret/used-only-by-tests+0000")
    Plugin(trail).attach(session.get_component("event_emitter"))
    made: Any = session.create_client(
        service, "eu-west-1", endpoint_url="http://127.0.0.1:1", config=Config(**config)
    )
    return made


def answered(request, **_):
    headers: Any = {}
    response = AWSResponse(request.url, 200, headers, None)
    vars(response)["_content"] = b"{}"
    return response


def test_what_a_stub_answers_was_never_sent(post, trail):
    stubbed = client(trail, "sqs")
    with Stubber(stubbed) as stub:
        stub.add_response("list_queues", {"QueueUrls": []})
        stub.add_client_error("delete_queue", "Refused")
        assert stubbed.list_queues()["QueueUrls"] == []
        with pytest.raises(ClientError):
            stubbed.delete_queue(QueueUrl="http://127.0.0.1:1/q")
    with pytest.raises(EndpointConnectionError):
        client(trail, "sqs", retries={"total_max_attempts": 1}).list_queues()
    assert trail.flush()
    [record] = post.records
    assert record["errorCode"] == "EndpointConnectionError"


def test_what_nobody_could_sign_was_never_sent(post, trail, monkeypatch):
    monkeypatch.setattr("botocore.credentials.CredentialResolver.load_credentials", lambda _: None)
    with pytest.raises(NoCredentialsError):
        client(trail, "sqs", keys=False).list_queues()
    assert trail.flush()
    assert post.records == []


def test_an_unsigned_call_is_of_its_clients_region(post, trail):
    pool = client(trail, "cognito-idp", signature_version=UNSIGNED)
    pool.meta.events.register("before-send", answered)
    pool.forgot_password(ClientId="c", Username="u")
    assert trail.flush()
    [record] = post.records
    assert record["awsRegion"] == "eu-west-1"
    assert "accessKeyId" not in record["userIdentity"]


def test_a_signature_for_several_regions_names_the_key(post, trail):
    signed = f"AWS4-ECDSA-P256-SHA256 Credential={KEY_ID}/20260101/events/aws4_request, Signature=0"
    events = client(trail, "events", signature_version=UNSIGNED)
    events.meta.events.register(
        "request-created", lambda request, **_: request.headers.add_header("Authorization", signed)
    )
    events.meta.events.register("before-send", answered)
    events.list_rules()
    assert trail.flush()
    [record] = post.records
    assert record["userIdentity"]["accessKeyId"] == KEY_ID
    assert (record["awsRegion"], record["eventSource"]) == ("eu-west-1", "events.amazonaws.com")


def test_what_a_transaction_writes_is_hidden_and_where_is_not(post, trail):
    dynamodb = client(trail, "dynamodb")
    dynamodb.meta.events.register("before-send", answered)
    key = {"id": {"S": "k-1"}}
    dynamodb.transact_write_items(
        TransactItems=[
            {"Put": {"TableName": "clients", "Item": {"id": {"S": "very secret"}}}},
            {
                "Update": {
                    "TableName": "clients",
                    "Key": key,
                    "UpdateExpression": "SET income = :i",
                    "ExpressionAttributeValues": {":i": {"N": "41234"}},
                }
            },
        ]
    )
    assert trail.flush()
    [record] = post.records
    put, update = record["requestParameters"]["transactItems"]
    assert put == {"put": {"tableName": "clients", "item": HIDDEN}}
    assert update["update"]["tableName"] == "clients"
    assert update["update"]["updateExpression"] == "SET income = :i"
    assert "very secret" not in json.dumps(record)
    assert "41234" not in json.dumps(record)
