# SPDX-License-Identifier: Apache-2.0
"""What LookupEvents shows of a record, rule by rule."""

from typing import Any

import pytest
from support.history_oracle import NOW_S, record

from opentrail.history.derive import ATTRIBUTES, Derived, derive, epoch_s


def derived(**fields: Any) -> Derived:
    found = derive(record(1, **fields))
    assert found is not None
    return found


def test_a_plain_record():
    found = derived()
    assert (found.account, found.region, found.category) == (
        "111122223333",
        "us-east-1",
        "Management",
    )
    assert found.event_time_s == NOW_S
    assert {name: found.values(name) for name in ATTRIBUTES} == {
        "EventId": ("00000000-0000-4000-8000-000000000001",),
        "EventName": ("CreateModel",),
        "ReadOnly": ("false",),
        "Username": ("alice",),
        "ResourceType": ("AWS::SageMaker::Model",),
        "ResourceName": ("model-1",),
        "EventSource": ("sagemaker.amazonaws.com",),
        "AccessKeyId": ("AKIAEXAMPLE",),
    }


ROLE_ARN = "arn:aws:sts::111122223333:assumed-role/Dev/session-1"


@pytest.mark.parametrize(
    ("identity", "username"),
    [
        ({"type": "IAMUser", "userName": "alice"}, "alice"),
        (
            {"type": "IAMUser", "userName": "HIDDEN_DUE_TO_SECURITY_REASONS"},
            "HIDDEN_DUE_TO_SECURITY_REASONS",
        ),
        ({"type": "Root", "userName": "my-alias"}, "root"),
        ({"type": "Root"}, "root"),
        ({"type": "AssumedRole", "arn": ROLE_ARN}, "session-1"),
        ({"type": "AssumedRole", "principalId": "AROAEXAMPLE:session-2"}, "session-2"),
        ({"type": "FederatedUser", "arn": "arn:aws:sts::1:federated-user/bob"}, "bob"),
        ({"type": "FederatedUser", "principalId": "111122223333:bob"}, "bob"),
        ({"type": "WebIdentityUser", "userName": "user-id"}, "user-id"),
        ({"type": "AWSService", "invokedBy": "config.amazonaws.com"}, ""),
        ({"type": "AWSAccount", "accountId": "1", "principalId": "AIDAEXAMPLE"}, ""),
        ({"accountId": "1", "invokedBy": "sagemaker.amazonaws.com"}, ""),
        ({"type": "Unknown"}, ""),
    ],
)
def test_username(identity: dict[str, str], username: str):
    found = derived(userIdentity=identity)
    assert found.username == username
    assert found.values("Username") == ((username,) if username else ())


@pytest.mark.parametrize(
    ("fields", "account"),
    [
        ({"recipientAccountId": "222"}, "222"),
        ({"recipientAccountId": ..., "userIdentity": {"accountId": "333"}}, "333"),
        (
            {
                "recipientAccountId": ...,
                "userIdentity": {"sessionContext": {"sessionIssuer": {"accountId": "444"}}},
            },
            "444",
        ),
        ({"recipientAccountId": ..., "userIdentity": {"type": "Unknown"}}, ""),
    ],
)
def test_account_falls_back(fields: dict[str, object], account: str):
    assert derived(**fields).account == account


@pytest.mark.parametrize(
    ("fields", "category"),
    [
        ({"eventCategory": "Data"}, "Data"),
        ({"eventCategory": ..., "managementEvent": False}, "Data"),
        ({"eventCategory": ..., "managementEvent": True}, "Management"),
        ({"eventCategory": ..., "managementEvent": ...}, "Management"),
    ],
)
def test_category_of_old_records(fields: dict[str, object], category: str):
    assert derived(**fields).category == category


@pytest.mark.parametrize(
    ("read_only", "name", "expected"),
    [
        (True, "CreateModel", "true"),
        (False, "DescribeModel", "false"),
        (..., "DescribeModel", "true"),
        (..., "ListTags", "true"),
        (..., "BatchGetRecord", "true"),
        (..., "SearchInsights", "true"),
        (..., "CreatePresignedDomainUrl", "false"),
        (..., "Listen", "false"),
        (..., "", "false"),
    ],
)
def test_read_only_by_name_where_the_record_is_silent(read_only: object, name: str, expected: str):
    assert derived(readOnly=read_only, eventName=name).read_only == expected


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2023-07-10T12:27:45Z", 1_688_992_065),
        ("2023-07-10T12:27:45.900Z", 1_688_992_065),
        ("2023-07-10T14:27:45+02:00", 1_688_992_065),
        ("2023-07-10T12:27:45", 1_688_992_065),
        ("1969-12-31T23:59:59.5Z", -1),
        ("9999-12-31T23:59:59-23:59", None),
        ("0001-01-01T00:00:00+23:00", None),
        ("soon", None),
        ("", None),
    ],
)
def test_event_times(text: str, seconds: int | None):
    assert epoch_s(text) == seconds


@pytest.mark.parametrize(
    "data", [b"", b"7", b"{", b"[]", b"{}", b'{"eventTime":"soon"}', b'{"eventTime":7}', b"\xff"]
)
def test_what_cannot_be_shown(data: bytes):
    assert derive(data) is None


def test_odd_types_hide_only_themselves():
    found = derived(userIdentity="root", awsRegion=7, readOnly="true", resources={"a": 1})
    assert (found.username, found.region, found.read_only) == ("", "", "true")
    assert found.event_name == "CreateModel"


AGGREGATED = (
    b'{"eventVersion":"1.0","accountId":"111122223333","eventId":"e","eventCategory":"Aggregated",'
    b'"eventType":"AwsAggregatedEvent","awsRegion":"us-west-2","eventSource":"s3.amazonaws.com",'
    b'"timeWindow":{"windowStart":"2026-01-31T12:00:00Z","windowEnd":"2026-01-31T12:05:00Z"}}'
)


def test_aggregated_events_are_of_the_time_where_their_window_begins():
    found = derive(AGGREGATED)
    assert found is not None
    assert (found.account, found.region, found.category) == (
        "111122223333",
        "us-west-2",
        "Aggregated",
    )
    assert found.event_time_s == epoch_s("2026-01-31T12:00:00Z")
    assert (found.event_id, found.event_source) == ("e", "s3.amazonaws.com")


@pytest.mark.parametrize(
    ("there", "instead"), [(b"Aggregated", b"Data"), (b"2026-01-31T12:00:00Z", b""), (b'"e"', b"1")]
)
def test_what_is_no_aggregated_event_has_no_time(there: bytes, instead: bytes):
    assert derive(AGGREGATED.replace(there, instead)) is None
