# SPDX-License-Identifier: Apache-2.0
"""Whose a long-term key is, learned from IAM's answers, with no more than they say."""

import json
from urllib.parse import urlencode

import pytest
from msgspec.structs import replace
from support.signed_requests import SECRET, Signer

from opentrail.access.key_table import KeyTable
from opentrail.access.keys import AccessKey, IdentityType
from opentrail.aws.request import Target
from opentrail.capture.call import Body, Call, Caller, Outcome
from opentrail.capture.iam import LEARNED_KEY_MS, USERS_MAX, Users, teaches
from opentrail.capture.identity import Identities, IdentitySettings
from opentrail.capture.user_identity import encode_identity

ACCOUNT = "123456789012"
NOW_MS = 1_700_000_000_000
KEY_ID = "AKIAQAAAAAAAAAAAAAAB"
ARN = f"arn:aws:iam::{ACCOUNT}:user/team/bob"
ADMIN = AccessKey(
    "AKIAQAAAAAAAAAAAAAAA", SECRET, IdentityType.IAM_USER, ACCOUNT, user_name="ada", configured=True
)


def call(operation: str, result: str, service: str = "iam", key_id: str = KEY_ID) -> Call:
    version = {"iam": "2010-05-08", "sts": "2011-06-15"}[service]
    request = urlencode({"Action": operation, "Version": version}).encode()
    answer = (
        f'<{operation}Response xmlns="https://{service}.amazonaws.com/doc/{version}/">'
        f"<{operation}Result>{result}</{operation}Result>"
        f"<ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></{operation}Response>"
    ).encode()
    return Call(
        event_id="0f2b3e81-0000-4000-8000-000000000001",
        target=Target(service, f"{service}.amazonaws.com", operation, "query"),
        head=Signer(service, key_id=key_id).sign(body=request).head,
        caller=Caller(encode_identity(ADMIN), ACCOUNT, "us-east-1", verified=True),
        source_ip="192.0.2.1",
        user_agent="",
        finished_ms=NOW_MS,
        outcome=Outcome.ANSWERED,
        request=Body(request, len(request)),
        status=200,
        response=Body(answer, len(answer)),
    )


def user(name: str = "bob", arn: str = ARN) -> Call:
    inner = f"<User><UserName>{name}</UserName><UserId>AIDAQ</UserId><Arn>{arn}</Arn></User>"
    return call("CreateUser", inner)


def created(key_id: str = KEY_ID) -> Call:
    inner = (
        f"<AccessKey><UserName>bob</UserName><AccessKeyId>{key_id}</AccessKeyId>"
        f"<Status>Active</Status><SecretAccessKey>{SECRET}</SecretAccessKey></AccessKey>"
    )
    return call("CreateAccessKey", inner)


def asked(arn: str, user_id: str = "AIDAQ", key_id: str = KEY_ID) -> Call:
    inner = f"<Arn>{arn}</Arn><UserId>{user_id}</UserId><Account>{ACCOUNT}</Account>"
    return call("GetCallerIdentity", inner, "sts", key_id)


def learn(*calls: Call, keys: KeyTable | None = None) -> KeyTable:
    table = keys or KeyTable([ADMIN])
    identities = Identities(IdentitySettings(account=ACCOUNT, region="us-east-1"), table)
    for each in calls:
        assert teaches(each.target)
        identities.learn(each, NOW_MS)
    return table


def element(table: KeyTable) -> dict[str, object]:
    key = table.find(KEY_ID)
    assert key is not None
    found: dict[str, object] = json.loads(bytes(encode_identity(key)))
    return found


WHOLE = {
    "type": "IAMUser",
    "principalId": "AIDAQ",
    "arn": ARN,
    "accountId": ACCOUNT,
    "accessKeyId": KEY_ID,
    "userName": "bob",
}


def test_a_user_that_was_seen_made_has_its_arn_and_id():
    table = learn(user(), created())
    assert element(table) == WHOLE
    key = table.find(KEY_ID)
    assert key is not None
    assert (key.secret_access_key, key.expires_ms) == (SECRET, NOW_MS + LEARNED_KEY_MS)
    assert not key.expired(NOW_MS + LEARNED_KEY_MS - 1)
    assert key.expired(NOW_MS + LEARNED_KEY_MS)


def test_a_user_that_was_not_has_a_name_until_it_asks_who_it_is():
    table = learn(created())
    assert element(table) == {k: v for k, v in WHOLE.items() if k not in ("arn", "principalId")}
    learn(asked(ARN), keys=table)
    assert element(table) == WHOLE
    assert table.conflicts == 0


def test_root_learns_that_it_is_root():
    table = learn(asked(f"arn:aws:iam::{ACCOUNT}:root", ACCOUNT))
    assert element(table)["type"] == "Root"


def test_two_answers_that_differ_make_the_key_nobodys():
    table = learn(created(), asked(f"arn:aws:iam::{ACCOUNT}:user/eve"))
    assert table.find(KEY_ID) is None
    assert table.conflicts == 1


@pytest.mark.parametrize(
    "made",
    [
        created("AKIAIOSFODNN7EXAMPLE"),
        created("ASIAQAAAAAAAAAAAAAAB"),
        created(ADMIN.access_key_id),
        asked(f"arn:aws:iam::{ACCOUNT}:user/eve", key_id=ADMIN.access_key_id),
        asked(f"arn:aws:sts::{ACCOUNT}:assumed-role/Role/eve"),
        asked("arn:aws:iam::210987654321:user/eve"),
        replace(
            created(),
            caller=Caller(
                encode_identity(ADMIN),
                ACCOUNT,
                "us-east-1",
                verified=True,
                additional={"claimedAccount": "210987654321"},
            ),
        ),
        replace(created(), status=403),
        replace(created(), response=Body(b"<x/>", 4)),
        replace(created(), response=Body(b"\xff", 1)),
    ],
)
def test_what_teaches_nothing(made):
    table = learn(made)
    assert table.version == 0
    assert table.find(ADMIN.access_key_id) is ADMIN


@pytest.mark.parametrize(
    "made",
    [user(arn="arn:aws:iam::210987654321:user/bob"), user(arn=ARN.replace("bob", "eve"))],
)
def test_a_user_of_another_account_or_name_is_not_believed(made):
    assert "arn" not in element(learn(made, created()))


def test_users_are_bounded():
    users = Users()
    users.key_of(user(), KeyTable(), NOW_MS)
    for number in range(USERS_MAX - 1):
        name = f"u{number}"
        users.key_of(user(name, f"arn:aws:iam::{ACCOUNT}:user/{name}"), KeyTable(), NOW_MS)
    found = users.key_of(created(), KeyTable(), NOW_MS)
    assert found is not None
    assert found.arn == ARN
    users.key_of(user("last", f"arn:aws:iam::{ACCOUNT}:user/last"), KeyTable(), NOW_MS)
    found = users.key_of(created(), KeyTable(), NOW_MS)
    assert found is not None
    assert found.arn == ""
