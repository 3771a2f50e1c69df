# SPDX-License-Identifier: Apache-2.0
"""What is hidden in records that a program makes itself, and in those of the botocore plugin."""

import json
from collections import OrderedDict
from typing import Any

import botocore.session
import pytest
from botocore.awsrequest import AWSResponse
from support.sdk_post import Listed, recorder

from opentrail.event.record import HIDDEN
from opentrail.sdk.botocore import Plugin


@pytest.fixture
def post():
    return Listed()


def only(post, trail):
    assert trail.flush()
    trail.close()
    [record] = post.records
    return record


def test_secrets_of_a_record_are_hidden_wherever_they_stand(post):
    trail = recorder(post, redact=["nickname"])
    trail.record(
        eventName="SignUp",
        requestParameters={"password": "hunter2", "deep": (OrderedDict(apiKey="k-secret"),)},
        responseElements={"sessionToken": "t-secret", "nickname": "n-secret", "id": 7},
        additionalEventData={"cookie": "c-secret"},
        serviceEventDetails={"pin": "1234"},
        errorCode="Bad",
        errorMessage="hunter2 is no password; neither k-secret nor t-secret is one of 7",
    )
    record = only(post, trail)
    assert record["requestParameters"] == {"password": HIDDEN, "deep": [{"apiKey": HIDDEN}]}
    assert record["responseElements"] == {"sessionToken": HIDDEN, "nickname": HIDDEN, "id": 7}
    assert record["additionalEventData"] == {"cookie": HIDDEN}
    assert record["serviceEventDetails"] == {"pin": HIDDEN}
    assert (
        record["errorMessage"]
        == f"{HIDDEN} is no password; neither {HIDDEN} nor {HIDDEN} is one of 7"
    )


def test_names_of_any_script_are_told_apart(post):
    trail = recorder(post, redact=["\u6c0f-\u540d"])
    trail.record(requestParameters={"\u6c0f\u540d": "hidden", "\u65e5\u4ed8": "shown"})
    assert trail.flush()
    assert list(post.records[-1]["requestParameters"].values()) == [HIDDEN, "shown"]
    trail.close()


def test_a_secret_is_hidden_as_a_message_escapes_it(post):
    trail = recorder(post)
    trail.record(
        requestParameters={"password": 'a"b\\c'}, errorMessage='{"password": "a\\"b\\\\c"} is bad'
    )
    assert only(post, trail)["errorMessage"] == f'{{"password": "{HIDDEN}"}} is bad'


def test_a_record_is_made_whatever_is_in_it(post):
    def redact(value):
        return {**value, "seen": True}

    trail = recorder(post, redact_value=redact)
    trail.record(eventName="X", requestParameters={"a": 1}, responseElements=object())
    record = only(post, trail)
    assert record["requestParameters"] == {"a": 1, "seen": True}
    assert record["responseElements"]["reason"] == "responseElements not readable"
    assert trail.failures == {}


def test_a_record_is_made_if_it_cannot_be_redacted(post, caplog):
    def redact(value):
        raise LookupError(type(value))

    trail = recorder(post, redact_value=redact)
    trail.record(eventName="X", requestParameters={"note": "very secret"})
    record = only(post, trail)
    assert record["requestParameters"]["reason"] == "requestParameters not redacted"
    assert trail.failures == {"LookupError": 1}
    assert "recorded without requestParameters" in caplog.text


def answered(request, **_):
    headers: Any = {}
    response = AWSResponse(request.url, 400, headers, None)
    body = {"__type": "ValidationException", "message": "the table orders-7 is bad"}
    vars(response)["_content"] = json.dumps(body).encode()
    return response


@pytest.mark.parametrize("by_name", [True, False])
def test_the_plugin_hides_what_its_recorder_is_told_to_hide(post, by_name):
    def redact(value):
        return {**value, "tableName": HIDDEN}

    trail = recorder(post, **({"redact": ["TableName"]} if by_name else {"redact_value": redact}))
    session = botocore.session.Session()
    session.set_credentials("AKIAQAAAAAAAAAAAAAAA", "not-a-real-secret/used-only-by-tests+0000")
    Plugin(trail).attach(session.get_component("event_emitter"))
    client: Any = session.create_client("dynamodb", "eu-west-1", endpoint_url="http://127.0.0.1:1")
    client.meta.events.register("before-send", answered)
    with pytest.raises(client.exceptions.ClientError):
        client.describe_table(TableName="orders-7")
    record = only(post, trail)
    assert record["requestParameters"] == {"tableName": HIDDEN}
    assert record["errorMessage"] == f"the table {HIDDEN} is bad"
