# SPDX-License-Identifier: Apache-2.0
"""A call upon another account's resource gives its owner an event, and nobody else one."""

import json
from collections.abc import Mapping
from urllib.parse import quote

import msgspec
import pytest
from msgspec.structs import replace
from support.seeded_ids import SeededIds

from opentrail.access.key_table import KeyTable
from opentrail.access.keys import AccessKey, IdentityType
from opentrail.aws.request import RequestHead, Target
from opentrail.capture.build import BuildSettings, Built, build
from opentrail.capture.call import Body, Call, Caller, Outcome
from opentrail.capture.cross_account import owner_of, owners_copy
from opentrail.capture.identity import Identities, IdentitySettings
from opentrail.capture.user_identity import encode_identity

ACCOUNT, OWNER = "123456789012", "210987654321"
BUCKETS = {"theirs": OWNER, "ours": ACCOUNT}
ROLE = f"arn:aws:iam::{OWNER}:role/Deploy"
PIPELINE = f"arn:aws:sagemaker:us-east-1:{OWNER}:pipeline/train"
USER = AccessKey(
    "AKIAQAAAAAAAAAAAAAAA",
    "",
    IdentityType.IAM_USER,
    ACCOUNT,
    arn=f"arn:aws:iam::{ACCOUNT}:user/ada",
    principal_id="AIDAQ",
    user_name="ada",
)


def call(service: str, operation: str, protocol: str, body: str, **headers: str) -> Call:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return Call(
        event_id="0f2b3e81-0000-4000-8000-000000000001",
        target=Target(service, f"{service}.amazonaws.com", operation, protocol),
        head=RequestHead("POST", "/", "", names),
        caller=Caller(encode_identity(USER), ACCOUNT, "us-east-1", verified=True),
        source_ip="192.0.2.1",
        user_agent="",
        finished_ms=0,
        outcome=Outcome.ANSWERED,
        request=Body(body.encode(), len(body)),
        status=200,
    )


def assume_role(role: str = ROLE) -> Call:
    text = f"Action=AssumeRole&Version=2011-06-15&RoleSessionName=ci&RoleArn={role}"
    return call("sts", "AssumeRole", "query", text)


def other_account(made: Call, *accounts: str, buckets: Mapping[str, str] = BUCKETS) -> str:
    settings = IdentitySettings(ACCOUNT, "us-east-1", frozenset(accounts), bucket_owners=buckets)
    return Identities(settings, KeyTable()).other_account(made)


def get_object(bucket: str, owner: str = "", *, checks: bool = False) -> Call:
    headers = {"x_amz_expected_bucket_owner": owner} if owner else {}
    made = call("s3", "GetObject", "rest-xml", "", **headers)
    made.head = RequestHead("GET", f"/{bucket}/a/b", "", made.head.headers)
    made.checks_bucket_owner = checks
    return made


def feature_group() -> Call:
    made = call("sagemaker-featurestore-runtime", "PutRecord", "rest-json", '{"Record": []}')
    made.target = replace(made.target, event_source="sagemaker.amazonaws.com")
    arn = f"arn:aws:sagemaker:us-east-1:{OWNER}:feature-group/customers"
    made.head = RequestHead("PUT", f"/FeatureGroup/{quote(arn, safe='')}", "", {})
    return made


@pytest.mark.parametrize(
    "made",
    [
        assume_role(),
        call("kms", "Decrypt", "json", f'{{"KeyId": "arn:aws:kms:us-east-1:{OWNER}:key/1"}}'),
        call("kms", "Decrypt", "json", f'{{"KeyId": "arn:aws-cn:kms:cn-north-1:{OWNER}:alias/a"}}'),
        call(
            "sns",
            "Publish",
            "query",
            f"Action=Publish&Version=2010-03-31&Message=m&TopicArn=arn:aws:sns:us-east-1:{OWNER}:t",
        ),
        feature_group(),
        call("sagemaker", "StartPipelineExecution", "json", f'{{"PipelineName": "{PIPELINE}"}}'),
        call("sqs", "SendMessage", "json", f'{{"QueueUrl": "https://sqs.example/{OWNER}/q"}}'),
        get_object("any", OWNER, checks=True),
        get_object("theirs"),
        get_object("theirs", ACCOUNT, checks=True),
        replace(get_object("theirs"), request=Body(b"", 1 << 30)),
    ],
)
def test_the_owner_is_whom_the_request_names(made):
    assert owner_of(made, BUCKETS) == OWNER
    assert other_account(made, OWNER) == OWNER
    assert other_account(made) == ""
    assert other_account(made, "999999999999") == ""


@pytest.mark.parametrize(
    "made",
    [
        assume_role(ROLE.replace(OWNER, ACCOUNT)),
        assume_role("Deploy"),
        assume_role(ROLE.replace(OWNER, "1")),
        replace(assume_role(), status=403),
        replace(assume_role(), outcome=Outcome.UNKNOWN),
        replace(assume_role(), request=Body(b"", 1)),
        replace(assume_role(), request=Body(b"\xff", 1)),
        call("kms", "Decrypt", "json", '{"KeyId": 1}'),
        call("kms", "Decrypt", "json", "{}"),
        get_object("any", "me", checks=True),
        # An upstream that may ignore the header: it is the client's word and nothing else.
        get_object("any", OWNER),
        get_object("ours", OWNER, checks=True),
        replace(get_object("any", OWNER, checks=True), status=403),
        # PassRole: the role is the caller's own, the model is what is acted upon.
        call("sagemaker", "CreateModel", "json", f'{{"ExecutionRoleArn": "{ROLE}"}}'),
    ],
)
def test_nobody_is_an_owner_who_is_not_named(made):
    assert other_account(made, OWNER) == ""


def test_who_was_not_proven_to_call_makes_no_event_for_others():
    made = assume_role()
    made.caller = msgspec.structs.replace(made.caller, verified=False)
    assert other_account(made, OWNER) == ""


def record(made: Call) -> dict[str, object]:
    built = build(made, BuildSettings())
    assert isinstance(built, Built)
    found: dict[str, object] = json.loads(built.data)
    return found


def test_both_events_tell_of_one_call():
    made = assume_role()
    made.caller = msgspec.structs.replace(made.caller, from_console=True)
    copy = owners_copy(made, OWNER, SeededIds(1))
    ours, theirs = record(made), record(copy)
    assert theirs["userIdentity"] == {
        "type": "AWSAccount",
        "principalId": "AIDAQ",
        "accountId": ACCOUNT,
    }
    assert ours["userIdentity"] == json.loads(bytes(encode_identity(USER)))
    assert (ours["recipientAccountId"], theirs["recipientAccountId"]) == (ACCOUNT, OWNER)
    assert ours["sharedEventID"] == theirs["sharedEventID"]
    assert ours["eventID"] != theirs["eventID"]
    assert "sessionCredentialFromConsole" not in theirs
    differ = {
        *("userIdentity", "recipientAccountId", "eventID", "sessionCredentialFromConsole"),
        *("resources",),
    }
    assert {k: v for k, v in ours.items() if k not in differ} == {
        k: v for k, v in theirs.items() if k not in differ
    }
