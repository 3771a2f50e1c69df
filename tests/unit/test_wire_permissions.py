# SPDX-License-Identifier: Apache-2.0
"""What policies say of single trails holds for each operation on a trail, however it is named."""

import json
from dataclasses import replace

import msgspec
import pytest
from support.trail_calls import ARN
from support.trail_rooms import BUCKET, TrailRooms
from support.wire_server import ADMIN, OTHER_ACCOUNT, PRINCIPALS, SmallHistory, api, request

GUARDED, OTHER = f"{ARN}guarded", f"{ARN}other"
EVERYTHING = {"Effect": "Allow", "Action": "cloudtrail:*", "Resource": "*"}
DENIED = "AccessDeniedException"
OK = ""
NAMED = {
    "CreateTrail": "Name",
    "DeleteTrail": "Name",
    "GetEventConfiguration": "TrailName",
    "GetEventSelectors": "TrailName",
    "GetInsightSelectors": "TrailName",
    "GetTrail": "Name",
    "GetTrailStatus": "Name",
    "PutEventConfiguration": "TrailName",
    "PutEventSelectors": "TrailName",
    "PutInsightSelectors": "TrailName",
    "StartLogging": "Name",
    "StopLogging": "Name",
    "UpdateTrail": "Name",
}
"""Operations on one trail -> the member that names it."""
BY_ARN = {
    "AddTags": "ResourceId",
    "DeleteResourcePolicy": "ResourceArn",
    "GetResourcePolicy": "ResourceArn",
    "PutResourcePolicy": "ResourceArn",
    "RemoveTags": "ResourceId",
}
OF_NONE = (
    "DeregisterOrganizationDelegatedAdmin",
    "DescribeTrails",
    "ListPublicKeys",
    "ListTrails",
    "LookupEvents",
    "RegisterOrganizationDelegatedAdmin",
)
"""Operations whose resource is always ``*``."""


@pytest.fixture
def ask():
    """Return how to call an operation under policies, in an account with two trails."""
    rooms = TrailRooms()
    answering = api(SmallHistory(), rooms)

    def call(operation, statements, **members):
        document = json.dumps({"Version": "2012-10-17", "Statement": statements})
        principal = replace(PRINCIPALS[ADMIN.access_key_id], policies=(document,))
        body = json.dumps(members).encode()
        answer = msgspec.json.decode(
            answering.handle(request(operation, body, principal=principal)).body
        )
        return answer.get("__type", OK), answer.get("message", "")

    for name in ("guarded", "other"):
        assert call("CreateTrail", [EVERYTHING], Name=name, S3BucketName=BUCKET)[0] == OK
    return call


def deny(resource, action="cloudtrail:*"):
    return {"Effect": "Deny", "Action": action, "Resource": resource}


def allow(resource, action="cloudtrail:*"):
    return {"Effect": "Allow", "Action": action, "Resource": resource}


@pytest.mark.parametrize(("operation", "member"), [*NAMED.items(), *BY_ARN.items()])
def test_a_deny_of_one_trail_holds_by_name_and_by_arn(ask, operation, member):
    policy = [EVERYTHING, deny(GUARDED)]
    for name in (GUARDED, *(["guarded"] if operation in NAMED else [])):
        code, text = ask(operation, policy, **{member: name})
        assert code == DENIED
        assert f"cloudtrail:{operation} on resource: {GUARDED} with an explicit deny" in text
    for name in (OTHER, *(["other"] if operation in NAMED else [])):
        assert ask(operation, policy, **{member: name})[0] != DENIED


@pytest.mark.parametrize(("operation", "member"), [*NAMED.items(), *BY_ARN.items()])
def test_an_allow_of_one_trail_is_of_that_trail_only(ask, operation, member):
    policy = [allow(OTHER)]
    assert ask(operation, policy, **{member: OTHER})[0] != DENIED
    code, text = ask(operation, policy, **{member: GUARDED})
    assert code == DENIED
    assert f"on resource: {GUARDED} because no identity-based policy allows" in text


@pytest.mark.parametrize("operation", OF_NONE)
def test_what_is_of_no_trail_needs_every_resource(ask, operation):
    assert ask(operation, [allow(f"{ARN}*")])[0] == DENIED
    assert ask(operation, [EVERYTHING, deny(GUARDED)])[0] != DENIED


def test_every_listed_trail_must_be_allowed(ask):
    both = {"ResourceIdList": [OTHER, GUARDED]}
    assert ask("ListTags", [EVERYTHING, deny(GUARDED)], **both)[0] == DENIED
    assert ask("ListTags", [allow(OTHER)], **both)[0] == DENIED
    assert ask("ListTags", [allow([OTHER, GUARDED])], **both)[0] == OK
    assert ask("ListTags", [allow(OTHER)], ResourceIdList=[OTHER])[0] == OK


def test_all_but_one_trail(ask):
    statement = {"Effect": "Allow", "Action": "cloudtrail:*", "NotResource": GUARDED}
    assert ask("StopLogging", [statement], Name="guarded")[0] == DENIED
    assert ask("StopLogging", [statement], Name="other")[0] == OK
    statement = {"Effect": "Deny", "Action": "*", "NotResource": GUARDED}
    assert ask("StopLogging", [EVERYTHING, statement], Name="guarded")[0] == OK
    assert ask("StopLogging", [EVERYTHING, statement], Name="other")[0] == DENIED


def test_a_bare_name_is_of_the_callers_account_and_region(ask):
    elsewhere = GUARDED.replace("us-east-1", "eu-west-1")
    of_others = f"arn:aws:cloudtrail:us-east-1:{OTHER_ACCOUNT}:trail/guarded"
    for resource in (elsewhere, of_others):
        assert ask("StopLogging", [EVERYTHING, deny(resource)], Name="guarded")[0] == OK
        assert ask("StopLogging", [EVERYTHING, deny(resource)], Name=resource)[0] == DENIED


def test_who_may_do_it_to_nothing_learns_nothing(ask):
    for policy in (
        [allow("*", "cloudtrail:GetTrail")],
        [EVERYTHING, deny("*")],
        [EVERYTHING, deny("arn:aws:cloudtrail:*:*:trail/${aws:username}")],
    ):
        assert ask("StopLogging", policy, Name=5)[0] == DENIED
    assert ask("StopLogging", [allow(OTHER)], Name=5)[0] == "SerializationException"
