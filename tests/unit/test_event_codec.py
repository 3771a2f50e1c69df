# SPDX-License-Identifier: Apache-2.0
import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opentrail.errors import Corrupt
from opentrail.event import codec
from opentrail.event.record import ABSENT, FIELD_ORDER, Record, UserIdentity

ASSUMED_ROLE = (
    b'{"eventVersion":"1.08","userIdentity":{"type":"AssumedRole","principalId":"AROA1:me",'
    b'"arn":"arn:aws:sts::123456789012:assumed-role/R/me","accountId":"123456789012",'
    b'"accessKeyId":"ASIA1","sessionContext":{"sessionIssuer":{"type":"Role","principalId":"AROA1",'
    b'"arn":"arn:aws:iam::123456789012:role/R","accountId":"123456789012","userName":"R"},'
    b'"webIdFederationData":{},"attributes":{"mfaAuthenticated":"false"},"sourceIdentity":"ann"}},'
    b'"eventTime":"2023-01-01T01:00:00Z","eventSource":"devops-guru.amazonaws.com",'
    b'"eventName":"UpdateResourceCollection","awsRegion":"us-east-1",'
    b'"requestParameters":{"Score":70.0},"responseElements":null,"requestID":"r","eventID":"e",'
    b'"readOnly":false,"eventType":"AwsApiCall","managementEvent":true,'
    b'"recipientAccountId":"123456789012","eventCategory":"Management","later":[1.50]}'
)

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def test_a_record_decodes_to_its_fields():
    record = codec.decode(ASSUMED_ROLE)
    assert record.event_name == "UpdateResourceCollection"
    assert (record.read_only, record.management_event) == (False, True)
    assert (record.event_id, record.request_id) == ("e", "r")
    assert bytes(record.request_parameters) == b'{"Score":70.0}'
    assert bytes(record.response_elements) == b"null"
    assert record.resources == ABSENT
    context = record.user_identity.session_context
    assert (context.session_issuer.user_name, context.source_identity) == ("R", "ann")


def test_an_empty_object_has_nothing():
    assert codec.decode(b"{}") == Record()


@pytest.mark.parametrize(
    ("data", "field", "value"),
    [
        (b'{"readOnly":"true","eventID":"e"}', "read_only", True),
        (b'{"readOnly":"false","eventID":"e"}', "read_only", False),
        (b'{"readOnly":1,"eventID":"e"}', "read_only", None),
        (b'{"managementEvent":null,"eventID":"e"}', "management_event", None),
        (b'{"errorCode":null,"eventID":"e"}', "error_code", ""),
        (b'{"eventName":["x"],"eventID":"e"}', "event_name", ""),
        (b'{"userIdentity":"me","eventID":"e"}', "user_identity", UserIdentity()),
        (b'{"userIdentity":null,"eventID":"e"}', "user_identity", UserIdentity()),
        (
            b'{"userIdentity":{"type":"Root","sessionContext":7},"eventID":"e"}',
            "user_identity",
            UserIdentity(type="Root"),
        ),
        (b'{"eventName":"\xff","eventID":"e"}', "event_name", ""),
        (b'{"recipientAccountId":123456789012,"eventID":"e"}', "recipient_account_id", ""),
    ],
)
def test_a_value_of_another_type_hides_nothing_else(data, field, value):
    record = codec.decode(data)
    assert getattr(record, field) == value
    assert record.event_id == "e"


def test_request_parameters_may_be_a_string():
    record = codec.decode(b'{"requestParameters":"{not json}","eventID":"e"}')
    assert bytes(record.request_parameters) == b'"{not json}"'


@pytest.mark.parametrize("data", [b"", b"[]", b"null", b"{", b'{"a":}', b"\xff", b"{}{}"])
def test_what_is_no_object_is_corrupt_and_says_where(data):
    with pytest.raises(Corrupt, match="segment 7"):
        codec.decode(data, "segment 7")


@given(st.dictionaries(st.sampled_from([*FIELD_ORDER, "later", "addendum"]), JSON, max_size=6))
def test_the_patient_way_never_fails_and_agrees_with_the_fast_one(value):
    data = json.dumps(value).encode()
    record = codec.decode(data)
    try:
        fast = msgspec.json.decode(data, type=Record)
    except msgspec.ValidationError:
        return
    assert record == fast


@given(st.dictionaries(st.text(), JSON, max_size=5))
def test_taking_apart_and_putting_together_loses_nothing(value):
    data = json.dumps(value).encode()
    assert json.loads(codec.encode(codec.fields(data))) == value


def test_half_a_character_hides_nothing_else():
    data = rb'{"eventName":"N\ud83d","userAgent":"\ud83d\ude00\\ud83d \udead","eventID":"e"}'
    record = codec.decode(data)
    assert (record.event_name, record.event_id) == ("N\ufffd", "e")
    assert bytes(codec.fields(data)["userAgent"]) == rb'"\ud83d\ude00\\ud83d \ufffd"'


def test_values_keep_their_spelling():
    data = b'{"x":70.0,"y":1E+2,"z":123456789012345678901234567890,"s":"\\u202f\\/"}'
    assert codec.encode(codec.fields(data)) == data


def test_encode_orders_known_fields_and_keeps_the_others_behind():
    parts = {name: msgspec.Raw(b"1") for name in ("later", *reversed(FIELD_ORDER), "x")}
    assert list(json.loads(codec.encode(parts))) == [*FIELD_ORDER, "later", "x"]


def test_a_record_on_one_line_stays_the_very_same_bytes():
    assert codec.minify(ASSUMED_ROLE) is ASSUMED_ROLE


def test_newlines_between_tokens_go_and_nothing_else():
    data = b'{\r\n  "a" : 70.0,\n  "b": "two  spaces\\n",\n  "c": [ 1e2 , { } ]\n}'
    assert codec.minify(data) == b'{"a":70.0,"b":"two  spaces\\n","c":[1e2,{}]}'


@given(JSON, st.sampled_from([None, 2]))
def test_minified_means_the_same(value, indent):
    data = json.dumps(value, indent=indent).encode()
    assert json.loads(codec.minify(data)) == value
    assert b"\n" not in codec.minify(data)


@pytest.mark.parametrize("data", [b"{\n", b'{"a":\n}', b'"\xff\n"'])
def test_what_is_no_json_cannot_be_minified(data):
    with pytest.raises(Corrupt):
        codec.minify(data)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b'{"a":' + b"[" * 3000 + b"]" * 3000 + b"}", "it is nested too deeply"),
        (b'{"a\xff":1}', "a name in it is not UTF-8"),
        (b'{"a":1', "Input data was truncated"),
    ],
)
def test_why_a_record_cannot_be_read_is_said_in_words(data: bytes, why: str):
    with pytest.raises(Corrupt, match=f"not a CloudTrail record: {why}"):
        codec.fields(data)
