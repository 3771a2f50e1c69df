# SPDX-License-Identifier: Apache-2.0
"""Sessions are learned from the answers of STS, with no more certainty than the answer gives."""

import json
from dataclasses import replace
from urllib.parse import urlencode

import msgspec
import pytest
from support.signed_requests import SECRET, Signer

from opentrail.access.key_table import KeyTable
from opentrail.access.keys import AccessKey, IdentityType, Session
from opentrail.aws.request import Target
from opentrail.capture.call import Body, Call, Caller, Outcome
from opentrail.capture.identity import Identities, IdentitySettings
from opentrail.capture.sts import SESSION_MS_MAX, session_of, teaches
from opentrail.capture.user_identity import encode_identity
from opentrail.event.caps import BODY_KEPT_MAX

ACCOUNT = "123456789012"
NOW_MS = 1_700_000_000_000
EXPIRES_MS = NOW_MS + 3_600_000
KEY_ID = "ASIAQAAAAAAAAAAAAAAB"
ROLE_ARN = f"arn:aws:iam::{ACCOUNT}:role/team/Role"
SESSION_ARN = f"arn:aws:sts::{ACCOUNT}:assumed-role/Role/alice"
USER = AccessKey(
    "AKIAQAAAAAAAAAAAAAAA",
    SECRET,
    IdentityType.IAM_USER,
    ACCOUNT,
    arn=f"arn:aws:iam::{ACCOUNT}:user/alice",
    principal_id="AIDAQAAAAAAAAAAAAAAAA",
    user_name="alice",
    policies=("CloudTrailReadOnlyAccess",),
    configured=True,
)
ROLE_USER = (
    f"<AssumedRoleUser><AssumedRoleId>AROAQAAAAAAAAAAAAAAAA:alice</AssumedRoleId>"
    f"<Arn>{SESSION_ARN}</Arn></AssumedRoleUser>"
)
FEDERATED_USER = (
    f"<FederatedUser><FederatedUserId>{ACCOUNT}:bob</FederatedUserId>"
    f"<Arn>arn:aws:sts::{ACCOUNT}:federated-user/bob</Arn></FederatedUser>"
)


def answer(operation: str, inner: str, key_id: str = KEY_ID, until: str = "") -> bytes:
    expiration = until or "2023-11-14T23:13:20Z"
    return (
        f'<{operation}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/">'
        f"<{operation}Result><Credentials><AccessKeyId>{key_id}</AccessKeyId>"
        f"<SecretAccessKey>{SECRET}</SecretAccessKey><SessionToken>a-token</SessionToken>"
        f"<Expiration>{expiration}</Expiration></Credentials>{inner}</{operation}Result>"
        f"<ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></{operation}Response>"
    ).encode()


def call(operation: str, inner: str, parameters: dict[str, str] | None = None, **changes) -> Call:
    request = urlencode({"Action": operation, "Version": "2011-06-15", **(parameters or {})})
    response = answer(operation, inner)
    signed = Signer("sts", key_id=USER.access_key_id).sign(body=request.encode())
    verified = changes.pop("verified", True)
    made = Call(
        event_id="0f2b3e81-0000-4000-8000-000000000001",
        target=Target("sts", "sts.amazonaws.com", operation, "query"),
        head=signed.head,
        caller=Caller(encode_identity(USER), ACCOUNT, "us-east-1", verified=verified),
        source_ip="192.0.2.1",
        user_agent="",
        finished_ms=NOW_MS,
        outcome=Outcome.ANSWERED,
        request=Body(request.encode(), len(request)),
        status=200,
        response=Body(response, len(response)),
    )
    return msgspec.structs.replace(made, **changes)


def assume_role(parameters: dict[str, str] | None = None, **changes) -> Call:
    return call("AssumeRole", ROLE_USER, {"RoleArn": ROLE_ARN, **(parameters or {})}, **changes)


def keys(*more: AccessKey) -> KeyTable:
    return KeyTable([USER, *more])


def learned(made: Call, table: KeyTable | None = None) -> AccessKey:
    session = session_of(made, table or keys(), NOW_MS)
    assert session is not None
    return session


def sessions_of(key: AccessKey) -> Session:
    assert key.session is not None
    return key.session


def test_assume_role():
    key = learned(assume_role())
    assert (key.access_key_id, key.secret_access_key) == (KEY_ID, SECRET)
    assert (key.session_token, key.expires_ms) == ("a-token", EXPIRES_MS)
    assert (key.configured, key.policies) == (False, ())
    assert json.loads(bytes(encode_identity(key))) == {
        "type": "AssumedRole",
        "principalId": "AROAQAAAAAAAAAAAAAAAA:alice",
        "arn": SESSION_ARN,
        "accountId": ACCOUNT,
        "accessKeyId": KEY_ID,
        "sessionContext": {
            "sessionIssuer": {
                "type": "Role",
                "principalId": "AROAQAAAAAAAAAAAAAAAA",
                "arn": ROLE_ARN,
                "accountId": ACCOUNT,
                "userName": "Role",
            },
            "attributes": {"creationDate": "2023-11-14T22:13:20Z", "mfaAuthenticated": "false"},
        },
    }


def test_multi_factor_authentication_takes_device_and_code():
    device = {"SerialNumber": f"arn:aws:iam::{ACCOUNT}:mfa/alice"}
    assert not sessions_of(learned(assume_role(device))).mfa
    assert sessions_of(learned(assume_role({**device, "TokenCode": "123456"}))).mfa


def test_the_source_identity_is_the_answers_then_the_requests_then_the_callers():
    said = {"SourceIdentity": "asked"}
    inner = ROLE_USER + "<SourceIdentity>answered</SourceIdentity>"
    both = call("AssumeRole", inner, {"RoleArn": ROLE_ARN, **said})
    assert sessions_of(learned(both)).source_identity == "answered"
    assert sessions_of(learned(assume_role(said))).source_identity == "asked"
    chained = KeyTable([replace(USER, session=Session(0, source_identity="first"))])
    assert sessions_of(learned(assume_role(), chained)).source_identity == "first"
    unverified = learned(assume_role(verified=False), chained)
    assert sessions_of(unverified).source_identity == ""


def test_web_identity_and_saml_name_their_provider():
    web = call(
        "AssumeRoleWithWebIdentity",
        ROLE_USER + "<Provider>accounts.example.com</Provider>",
        {"RoleArn": ROLE_ARN},
    )
    assert sessions_of(learned(web)).federated_provider == "accounts.example.com"
    provider = f"arn:aws:iam::{ACCOUNT}:saml-provider/p"
    parameters = {"RoleArn": ROLE_ARN, "PrincipalArn": provider}
    saml = call("AssumeRoleWithSAML", ROLE_USER, parameters)
    assert sessions_of(learned(saml)).federated_provider == provider


@pytest.mark.parametrize(
    "role_arn",
    [
        "",
        "Role",
        f"arn:aws:iam::{ACCOUNT}:role/Another",
        f"arn:aws:iam::{ACCOUNT}:role/Role/Another",
        "arn:aws:iam::999999999999:role/Role",
        f"arn:aws-cn:iam::{ACCOUNT}:role/Role",
    ],
)
def test_an_answer_about_another_role_teaches_nothing(role_arn):
    assert session_of(assume_role({"RoleArn": role_arn}), keys(), NOW_MS) is None


@pytest.mark.parametrize("path", ["team/Role", "admin/Role"])
def test_parameters_that_can_be_read_in_two_ways_teach_nothing(path):
    other = f"RoleArn=arn:aws:iam::{ACCOUNT}:role/{path}"
    made = assume_role()
    doubled = made.request.data + b"&" + other.encode()
    assert (
        session_of(
            msgspec.structs.replace(made, request=Body(doubled, len(doubled))), keys(), NOW_MS
        )
        is None
    )
    head = msgspec.structs.replace(made.head, query=other)
    assert session_of(msgspec.structs.replace(made, head=head), keys(), NOW_MS) is None


def test_get_session_token_is_its_caller():
    made = call("GetSessionToken", "", {"SerialNumber": "mfa", "TokenCode": "123456"})
    key = learned(made)
    assert key.secret_access_key == SECRET
    assert key.policies == USER.policies
    assert not key.configured
    assert json.loads(bytes(encode_identity(key))) == {
        **json.loads(bytes(encode_identity(USER))),
        "accessKeyId": KEY_ID,
        "sessionContext": {
            "attributes": {"creationDate": "2023-11-14T22:13:20Z", "mfaAuthenticated": "true"}
        },
    }


def test_get_session_token_of_nobody_known_teaches_nothing():
    assert session_of(call("GetSessionToken", ""), KeyTable(), NOW_MS) is None
    over = KeyTable([replace(USER, expires_ms=NOW_MS)])
    assert session_of(call("GetSessionToken", ""), over, NOW_MS) is None
    session = KeyTable([replace(USER, session=Session(1))])
    assert session_of(call("GetSessionToken", ""), session, NOW_MS) is None


def test_get_federation_token():
    key = learned(call("GetFederationToken", FEDERATED_USER, {"Name": "bob"}))
    assert (key.policies, key.secret_access_key) == ((), SECRET)
    assert json.loads(bytes(encode_identity(key))) == {
        "type": "FederatedUser",
        "principalId": f"{ACCOUNT}:bob",
        "arn": f"arn:aws:sts::{ACCOUNT}:federated-user/bob",
        "accountId": ACCOUNT,
        "accessKeyId": KEY_ID,
        "sessionContext": {
            "sessionIssuer": {
                "type": "IAMUser",
                "principalId": USER.principal_id,
                "arn": USER.arn,
                "accountId": ACCOUNT,
                "userName": "alice",
            },
            "attributes": {"creationDate": "2023-11-14T22:13:20Z", "mfaAuthenticated": "false"},
        },
    }
    stranger = learned(call("GetFederationToken", FEDERATED_USER), KeyTable())
    assert sessions_of(stranger).issuer is None


def test_what_an_unverified_call_made_cannot_be_verified():
    for made in (call("GetSessionToken", ""), call("GetFederationToken", FEDERATED_USER)):
        claimed = msgspec.structs.replace(
            made, caller=msgspec.structs.replace(made.caller, verified=False)
        )
        assert learned(claimed).secret_access_key == ""
    assert learned(assume_role(verified=False)).secret_access_key == SECRET


@pytest.mark.parametrize(
    "change",
    [
        {"status": 403},
        {"target": Target("s3", "s3.amazonaws.com", "GetObject", "rest-xml")},
        {"target": Target("sts", "sts.amazonaws.com", "GetCallerIdentity", "query")},
        {"response": Body(b"", 0)},
        {"response": Body(b"<html>", 6)},
        {"response": Body(answer("AssumeRole", ""), BODY_KEPT_MAX * 2)},
        {"request": Body(b"", 1)},
    ],
)
def test_other_answers_teach_nothing(change):
    assert session_of(msgspec.structs.replace(assume_role(), **change), keys(), NOW_MS) is None


@pytest.mark.parametrize("change", [{"path": "/bucket/key"}, {"method": "GET"}])
def test_only_what_sts_itself_can_have_answered_is_believed(change):
    made = assume_role()
    head = msgspec.structs.replace(made.head, **change)
    assert session_of(msgspec.structs.replace(made, head=head), keys(), NOW_MS) is None


@pytest.mark.parametrize(
    ("until", "expires_ms"),
    [
        ("2023-11-14T23:13:20Z", EXPIRES_MS),
        ("2023-11-14T23:13:20.5Z", EXPIRES_MS + 500),
        ("2023-11-14T23:13:20", EXPIRES_MS),
        ("2023-11-16T10:13:20Z", NOW_MS + SESSION_MS_MAX),
        ("2023-11-16T10:13:21Z", NOW_MS + SESSION_MS_MAX),
        ("9999-12-31T23:59:59Z", NOW_MS + SESSION_MS_MAX),
        ("soon", None),
    ],
)
def test_the_end_of_a_session(until, expires_ms):
    body = answer("AssumeRole", ROLE_USER, until=until)
    made = msgspec.structs.replace(assume_role(), response=Body(body, len(body)))
    session = session_of(made, keys(), NOW_MS)
    assert (session.expires_ms if session else None) == expires_ms


@pytest.mark.parametrize(
    ("operation", "inner"),
    [
        ("AssumeRole", ""),
        ("AssumeRole", FEDERATED_USER),
        ("AssumeRole", ROLE_USER.replace("assumed-role", "federated-user")),
        ("GetFederationToken", ""),
        ("GetFederationToken", ROLE_USER),
        ("GetFederationToken", FEDERATED_USER.replace("federated-user/", "assumed-role/R/")),
    ],
)
def test_an_answer_without_its_own_kind_of_caller_teaches_nothing(operation, inner):
    made = call(operation, inner, {"RoleArn": ROLE_ARN})
    assert session_of(made, keys(), NOW_MS) is None


def test_learning_makes_the_next_call_known():
    table = keys()
    identities = Identities(IdentitySettings(account=ACCOUNT, region="us-east-1"), table)
    identities.learn(assume_role(), NOW_MS)
    signed = Signer(key_id=KEY_ID, token="a-token").sign()
    caller = identities.caller(signed.credential, NOW_MS, verified=True)
    assert b'"AssumedRole"' in bytes(caller.user_identity)


@pytest.mark.parametrize("key_id", ["AKIAIOSFODNN7EXAMPLE", USER.access_key_id])
def test_long_term_and_configured_keys_are_never_relabelled(key_id):
    table = keys()
    identities = Identities(IdentitySettings(account=ACCOUNT, region="us-east-1"), table)
    body = answer("GetFederationToken", FEDERATED_USER, key_id=key_id)
    made = msgspec.structs.replace(
        call("GetFederationToken", FEDERATED_USER), response=Body(body, len(body))
    )
    identities.learn(made, NOW_MS)
    assert table.find(USER.access_key_id) is USER
    assert table.find("AKIAIOSFODNN7EXAMPLE") is None


def test_what_teaches():
    for operation in ("AssumeRole", "AssumeRoleWithSAML", "GetSessionToken"):
        assert teaches(Target("sts", "sts.amazonaws.com", operation, "query"))
    assert not teaches(Target("sts", "sts.amazonaws.com", "GetCallerIdentity", "query"))
    assert not teaches(Target("x", "x.amazonaws.com", "AssumeRole", "query"))


WEB_TOKEN = (
    ROLE_USER + "<Provider>accounts.example.com</Provider><Audience>app</Audience>"
    "<SubjectFromWebIdentityToken>u1</SubjectFromWebIdentityToken>"
)
SAML_TOKEN = ROLE_USER + "<NameQualifier>nq=</NameQualifier><Subject>ada</Subject>"


@pytest.mark.parametrize(
    ("operation", "inner", "element"),
    [
        (
            "AssumeRoleWithWebIdentity",
            WEB_TOKEN,
            {
                "type": "WebIdentityUser",
                "principalId": "accounts.example.com:app:u1",
                "userName": "u1",
                "identityProvider": "accounts.example.com",
            },
        ),
        (
            "AssumeRoleWithSAML",
            SAML_TOKEN,
            {
                "type": "SAMLUser",
                "principalId": "nq=:ada",
                "userName": "ada",
                "identityProvider": "nq=",
            },
        ),
    ],
)
def test_who_asks_with_a_token_is_who_sts_says(operation, inner, element):
    identities = Identities(IdentitySettings(account=ACCOUNT, region="us-east-1"), KeyTable())
    caller = identities.asker(call(operation, inner, {"RoleArn": ROLE_ARN}))
    assert caller is not None
    assert json.loads(bytes(caller.user_identity)) == element
    assert (caller.account, caller.verified) == (ACCOUNT, True)
    assert identities.asker(call(operation, ROLE_USER, {"RoleArn": ROLE_ARN})) is None
    assert identities.asker(call(operation, inner, {"RoleArn": ROLE_ARN}, status=403)) is None
    assert identities.asker(assume_role()) is None


@pytest.mark.parametrize(("served", "account"), [({ACCOUNT}, ACCOUNT), (set(), "999999999999")])
def test_who_asks_with_a_token_is_of_the_roles_account_if_that_is_served(served, account):
    """Whoever answers for STS must not put events into the books of any account there is."""
    settings = IdentitySettings("999999999999", "us-east-1", accounts=frozenset(served))
    made = call("AssumeRoleWithSAML", SAML_TOKEN, {"RoleArn": ROLE_ARN})
    made.caller = msgspec.structs.replace(made.caller, account="999999999999")
    caller = Identities(settings, KeyTable()).asker(made)
    assert caller is not None
    assert caller.account == account
