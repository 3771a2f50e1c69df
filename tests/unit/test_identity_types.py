# SPDX-License-Identifier: Apache-2.0
"""userIdentity of every type that a key's setting can make: the fields, their order, no others."""

import json

import msgspec
import pytest

from opentrail.access.keys import AccessKey, IdentityType
from opentrail.capture.user_identity import encode_identity
from opentrail.config import AccessKeySetting
from opentrail.errors import UsageError
from opentrail.front.keys import access_key

ACCOUNT = "123456789012"
KEY_ID = "AKIAQAAAAAAAAAAAAAAA"
ISSUER = {
    "type": "Role",
    "principalId": "AROAQAAAAAAAAAAAAAAAA",
    "arn": f"arn:aws:iam::{ACCOUNT}:role/team/Deploy",
    "accountId": ACCOUNT,
    "userName": "Deploy",
}
STORE = f"arn:aws:identitystore::{ACCOUNT}:identitystore/d-1234567890"
CASES = {
    "Root": (
        {"type": "Root"},
        {
            "type": "Root",
            "principalId": ACCOUNT,
            "arn": f"arn:aws:iam::{ACCOUNT}:root",
            "accountId": ACCOUNT,
            "accessKeyId": KEY_ID,
        },
    ),
    "IAMUser of a service": (
        {"user_name": "ada", "principal_id": "AIDAQ", "service": "config.amazonaws.com"},
        {
            "type": "IAMUser",
            "principalId": "AIDAQ",
            "arn": f"arn:aws:iam::{ACCOUNT}:user/ada",
            "accountId": ACCOUNT,
            "accessKeyId": KEY_ID,
            "userName": "ada",
            "invokedBy": "config.amazonaws.com",
        },
    ),
    "AssumedRole": (
        {
            "type": "AssumedRole",
            "user_name": "Deploy",
            "session_name": "ci",
            "path": "/team/",
            "principal_id": "AROAQAAAAAAAAAAAAAAAA",
            "source_identity": "ada",
        },
        {
            "type": "AssumedRole",
            "principalId": "AROAQAAAAAAAAAAAAAAAA:ci",
            "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/Deploy/ci",
            "accountId": ACCOUNT,
            "accessKeyId": KEY_ID,
            "sessionContext": {"sessionIssuer": ISSUER, "sourceIdentity": "ada"},
        },
    ),
    "FederatedUser": (
        {"type": "FederatedUser", "user_name": "bob"},
        {
            "type": "FederatedUser",
            "principalId": f"{ACCOUNT}:bob",
            "arn": f"arn:aws:sts::{ACCOUNT}:federated-user/bob",
            "accountId": ACCOUNT,
            "accessKeyId": KEY_ID,
        },
    ),
    "AWSService": (
        {"type": "AWSService", "service": "sagemaker.amazonaws.com"},
        {"type": "AWSService", "invokedBy": "sagemaker.amazonaws.com"},
    ),
    "AWSAccount": (
        {"type": "AWSAccount", "principal_id": "AIDAQ"},
        {"type": "AWSAccount", "principalId": "AIDAQ", "accountId": ACCOUNT},
    ),
    "IdentityCenterUser": (
        {
            "type": "IdentityCenterUser",
            "user_id": "94482488",
            "identity_store_arn": STORE,
            "credential_id": "90e292de",
        },
        {
            "type": "IdentityCenterUser",
            "accountId": ACCOUNT,
            "onBehalfOf": {"userId": "94482488", "identityStoreArn": STORE},
            "credentialId": "90e292de",
        },
    ),
}


def setting(said: dict[str, str]) -> AccessKeySetting:
    return msgspec.convert(said, AccessKeySetting)


@pytest.mark.parametrize("name", CASES)
def test_the_element_of_a_configured_key(name):
    said, element = CASES[name]
    key = access_key(KEY_ID, setting(said), ACCOUNT)
    assert bytes(encode_identity(key)) == json.dumps(element, separators=(",", ":")).encode()


@pytest.mark.parametrize("type_", [IdentityType.SAML_USER, IdentityType.WEB_IDENTITY_USER])
def test_who_asks_for_a_role_with_a_token_has_no_key_and_no_account(type_):
    key = AccessKey(
        "",
        "",
        type_,
        ACCOUNT,
        principal_id="idp:app:ada",
        user_name="ada",
        identity_provider="idp",
    )
    assert json.loads(bytes(encode_identity(key))) == {
        "type": type_.value,
        "principalId": "idp:app:ada",
        "userName": "ada",
        "identityProvider": "idp",
    }


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ({}, "user_name"),
        ({"type": "AssumedRole", "user_name": "r"}, "session_name"),
        ({"type": "FederatedUser"}, "user_name"),
        ({"type": "AWSService"}, "service"),
        ({"type": "AWSService", "service": "sagemaker"}, "sagemaker.amazonaws.com"),
        ({"type": "AWSAccount"}, "principal_id"),
        ({"type": "IdentityCenterUser"}, "user_id"),
        ({"user_name": "ada", "user_id": "u"}, "identity_store_arn"),
        ({"user_name": "ada", "path": "team"}, "slash"),
    ],
)
def test_an_owner_who_is_not_whole_is_refused(said, wanted):
    with pytest.raises(UsageError, match=wanted):
        access_key(KEY_ID, setting(said), ACCOUNT)
