# SPDX-License-Identifier: Apache-2.0
"""userIdentity, account and region of a call, from what is known and what is merely claimed."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.seeded_ids import SeededIds

from opentrail.access.key_table import KeyTable
from opentrail.access.keys import (
    AccessKey,
    IdentityType,
    Session,
    SessionIssuer,
    identity_of_arn,
    make_access_key_id,
)
from opentrail.aws.request import Credential
from opentrail.capture.call import Caller
from opentrail.capture.identity import (
    ACCESS_KEY_CHARS_MAX,
    CALLERS_CACHED_MAX,
    CLAIM_CHARS_MAX,
    REGION_CHARS_MAX,
    Identities,
    IdentitySettings,
)
from opentrail.errors import UsageError

ACCOUNT = "123456789012"
OTHER = "210987654321"
SETTINGS = IdentitySettings(account=ACCOUNT, region="us-east-1")
CREATED_MS = 1_688_990_087_500
USER = AccessKey(
    "AKIAQAAAAAAAAAAAAAAA",
    "secret",
    IdentityType.IAM_USER,
    ACCOUNT,
    arn=f"arn:aws:iam::{ACCOUNT}:user/team/alice",
    principal_id="AIDAQAAAAAAAAAAAAAAAA",
    user_name="alice",
    configured=True,
)
ROLE = AccessKey(
    "ASIAQAAAAAAAAAAAAAAA",
    "secret",
    IdentityType.ASSUMED_ROLE,
    ACCOUNT,
    arn=f"arn:aws:sts::{ACCOUNT}:assumed-role/Role/alice",
    principal_id="AROAQAAAAAAAAAAAAAAAA:alice",
    session=Session(
        CREATED_MS,
        mfa=True,
        issuer=SessionIssuer(
            "Role", "AROAQAAAAAAAAAAAAAAAA", f"arn:aws:iam::{ACCOUNT}:role/p/Role", ACCOUNT, "Role"
        ),
        source_identity="alice@example.com",
    ),
    expires_ms=1 << 50,
)


def credential(access_key_id: str, region: str = "us-east-1") -> Credential:
    return Credential(access_key_id, "20240101", region, "sagemaker", ("host",), "0" * 64, "")


def identity(caller: Caller) -> dict[str, object]:
    decoded: dict[str, object] = json.loads(bytes(caller.user_identity))
    return decoded


def call(
    key_id: str, keys: KeyTable | None = None, region: str = "us-east-1", **settings
) -> Caller:
    identities = Identities(replace(SETTINGS, **settings), keys or KeyTable())
    return identities.caller(credential(key_id, region), 1_000, verified=False)


def test_an_iam_user():
    caller = Identities(SETTINGS, KeyTable([USER])).caller(
        credential(USER.access_key_id), 0, verified=True
    )
    assert bytes(caller.user_identity) == (
        b'{"type":"IAMUser","principalId":"AIDAQAAAAAAAAAAAAAAAA",'
        b'"arn":"arn:aws:iam::123456789012:user/team/alice","accountId":"123456789012",'
        b'"accessKeyId":"AKIAQAAAAAAAAAAAAAAA","userName":"alice"}'
    )
    assert (caller.account, caller.region, caller.verified) == (ACCOUNT, "us-east-1", True)
    assert caller.additional == {}


def test_an_assumed_role():
    keys = KeyTable()
    keys.learn(ROLE, 0)
    assert bytes(call(ROLE.access_key_id, keys).user_identity) == (
        b'{"type":"AssumedRole","principalId":"AROAQAAAAAAAAAAAAAAAA:alice",'
        b'"arn":"arn:aws:sts::123456789012:assumed-role/Role/alice","accountId":"123456789012",'
        b'"accessKeyId":"ASIAQAAAAAAAAAAAAAAA","sessionContext":{"sessionIssuer":{"type":"Role",'
        b'"principalId":"AROAQAAAAAAAAAAAAAAAA","arn":"arn:aws:iam::123456789012:role/p/Role",'
        b'"accountId":"123456789012","userName":"Role"},'
        b'"attributes":{"creationDate":"2023-07-10T11:54:47Z","mfaAuthenticated":"true"},'
        b'"sourceIdentity":"alice@example.com"}}'
    )


def test_root_is_its_account():
    root = replace(USER, type=IdentityType.ROOT, principal_id="", user_name="")
    root = replace(root, arn=f"arn:aws:iam::{ACCOUNT}:root")
    assert identity(call(root.access_key_id, KeyTable([root]))) == {
        "type": "Root",
        "principalId": ACCOUNT,
        "arn": f"arn:aws:iam::{ACCOUNT}:root",
        "accountId": ACCOUNT,
        "accessKeyId": root.access_key_id,
    }


def test_a_web_identity_session_names_its_provider():
    session = Session(CREATED_MS, federated_provider="accounts.example.com")
    keys = KeyTable([replace(ROLE, session=session)])
    assert identity(call(ROLE.access_key_id, keys))["sessionContext"] == {
        "webIdFederationData": {"federatedProvider": "accounts.example.com", "attributes": {}},
        "attributes": {"creationDate": "2023-07-10T11:54:47Z", "mfaAuthenticated": "false"},
    }


def test_an_unknown_key_is_unknown_and_its_id_gives_the_account():
    key_id = make_access_key_id(ACCOUNT, SeededIds())
    assert bytes(call(key_id).user_identity) == (
        b'{"type":"Unknown","accountId":"123456789012","accessKeyId":"%b"}' % key_id.encode()
    )


def test_an_unsigned_call_is_unknown():
    caller = Identities(SETTINGS, KeyTable()).caller(None, 0, verified=False)
    assert bytes(caller.user_identity) == b'{"type":"Unknown"}'
    assert (caller.account, caller.region, caller.verified) == (ACCOUNT, "us-east-1", False)


@pytest.mark.parametrize("claim", [OTHER, make_access_key_id(OTHER, SeededIds())])
def test_a_key_id_that_names_an_account_on_the_list(claim):
    caller = call(claim, accounts=frozenset({OTHER}))
    assert caller.account == OTHER
    assert caller.additional == {}
    assert identity(caller)["accountId"] == OTHER


@pytest.mark.parametrize("claim", [OTHER, make_access_key_id(OTHER, SeededIds())])
def test_a_claimed_account_that_is_not_on_the_list_stays_a_claim(claim):
    caller = call(claim)
    assert caller.account == ACCOUNT
    assert caller.additional == {"claimedAccount": OTHER}
    assert identity(caller) == {"type": "Unknown", "accessKeyId": claim}


@pytest.mark.parametrize("key_id", ["AKIAIOSFODNN7EXAMPLE", "test", "1234", ""])
def test_a_key_id_that_says_nothing_is_the_default_accounts(key_id):
    caller = call(key_id)
    assert caller.account == ACCOUNT
    assert caller.additional == {}
    assert "accountId" not in identity(caller)


def test_a_configured_keys_account_needs_no_list():
    key = replace(USER, account=OTHER)
    caller = call(key.access_key_id, KeyTable([key]))
    assert caller.account == OTHER
    assert caller.additional == {}


def test_a_learned_sessions_account_needs_the_list():
    keys = KeyTable()
    keys.learn(replace(ROLE, account=OTHER), 0)
    caller = call(ROLE.access_key_id, keys)
    assert caller.account == ACCOUNT
    assert caller.additional == {"claimedAccount": OTHER}
    assert identity(caller)["accountId"] == OTHER
    assert call(ROLE.access_key_id, keys, accounts=frozenset({OTHER})).account == OTHER


@pytest.mark.parametrize("region", ["eu-central-1", "eu-dc-1", "x", "x" * REGION_CHARS_MAX])
def test_without_a_list_every_well_formed_region_is_taken(region):
    caller = call("test", region=region)
    assert caller.region == region
    assert caller.additional == {}


@pytest.mark.parametrize(
    "region",
    [
        *("../x", "a/b", "..", ".", "x" * (REGION_CHARS_MAX + 1), "x" * 200, "-", "a-", "-a"),
        *("US-EAST-1", "eu central", "eu\n", "é", "\0", "%2e%2e", "a\\b"),
    ],
)
def test_what_cannot_be_a_region_never_passes(region):
    caller = call("test", region=region)
    assert caller.region == "us-east-1"
    assert caller.additional == {"claimedRegion": region[:CLAIM_CHARS_MAX]}


@given(st.text(max_size=80))
def test_the_region_of_a_record_is_always_well_formed(region):
    caller = call("test", region=region)
    assert set(caller.region) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert 1 <= len(caller.region) <= REGION_CHARS_MAX


def test_the_list_of_regions_decides():
    regions = frozenset({"eu-west-1"})
    assert call("test", region="eu-west-1", regions=regions).region == "eu-west-1"
    assert call("test", region="us-east-1", regions=regions).region == "us-east-1"
    refused = call("test", region="eu-west-2", regions=regions)
    assert refused.region == "us-east-1"
    assert refused.additional == {"claimedRegion": "eu-west-2"}


def test_a_call_that_names_no_region_makes_no_claim():
    caller = call("test", region="")
    assert (caller.region, caller.additional) == ("us-east-1", {})


@pytest.mark.parametrize(
    ("arn", "expected"),
    [
        (
            "arn:aws:iam::123456789012:user/dev",
            {"type": "IAMUser", "userName": "dev"},
        ),
        ("arn:aws:iam::123456789012:root", {"type": "Root", "principalId": "123456789012"}),
        (
            "arn:aws:sts::123456789012:assumed-role/R/S",
            {
                "type": "AssumedRole",
                "sessionContext": {
                    "sessionIssuer": {
                        "type": "Role",
                        "arn": "arn:aws:iam::123456789012:role/R",
                        "accountId": "123456789012",
                        "userName": "R",
                    }
                },
            },
        ),
    ],
)
def test_the_default_identity_stands_for_unknown_keys(arn, expected):
    caller = call("test", KeyTable([USER]), default_identity=arn)
    common = {"arn": arn, "accountId": ACCOUNT, "accessKeyId": "test"}
    assert identity(caller) == {**common, **expected}
    assert not caller.verified
    known = call(USER.access_key_id, KeyTable([USER]), default_identity=arn)
    assert identity(known)["userName"] == "alice"


@pytest.mark.parametrize("arn", ["alice", "arn:aws:iam::123456789012:role/R"])
def test_a_default_identity_that_is_none(arn):
    with pytest.raises(UsageError, match="default identity"):
        call("test", default_identity=arn)


@pytest.mark.parametrize("settings", [{"region": "../x"}, {"regions": frozenset({"EU"})}])
def test_regions_that_cannot_be_any_are_refused_at_the_start(settings):
    with pytest.raises(UsageError, match="region"):
        Identities(replace(SETTINGS, **settings), KeyTable())


def test_a_dispute_makes_the_caller_unknown_until_it_is_over():
    keys = KeyTable()
    identities = Identities(replace(SETTINGS, default_identity=USER.arn), keys)
    asked = credential(ROLE.access_key_id)
    keys.learn(replace(ROLE, expires_ms=500), 0)
    assert identity(identities.caller(asked, 0, verified=True))["type"] == "AssumedRole"
    keys.learn(replace(ROLE, principal_id="AROAZ:eve", expires_ms=900), 0)
    caller = identities.caller(asked, 899, verified=False)
    assert identity(caller) == {"type": "Unknown", "accessKeyId": ROLE.access_key_id}
    assert caller.additional["identityConflict"] is True
    later = identities.caller(asked, 900, verified=False)
    assert identity(later)["type"] == "IAMUser"
    assert "identityConflict" not in later.additional


def test_a_session_is_known_from_its_learning_to_its_end():
    keys = KeyTable()
    identities = Identities(SETTINGS, keys)
    asked = credential(ROLE.access_key_id)
    assert identity(identities.caller(asked, 0, verified=False))["type"] == "Unknown"
    keys.learn(replace(ROLE, expires_ms=500), 0)
    assert identity(identities.caller(asked, 499, verified=False))["type"] == "AssumedRole"
    assert identity(identities.caller(asked, 500, verified=False))["type"] == "Unknown"


def test_verified_and_unverified_calls_of_a_key_are_kept_apart():
    identities = Identities(SETTINGS, KeyTable([USER]))
    asked = credential(USER.access_key_id)
    for verified in (True, False, True):
        caller = identities.caller(asked, 0, verified=verified)
        assert caller.verified is verified
        assert identities.caller(asked, 0, verified=verified) is caller


@pytest.mark.parametrize("marked", [True, False])
@pytest.mark.parametrize("verified", [True, False])
def test_the_mark_of_a_consoles_session_is_for_calls_that_are_proven(marked, verified):
    """Who knows a key's id alone must not lend its mark to calls of its own."""
    key = replace(USER, from_console=marked)
    identities = Identities(SETTINGS, KeyTable([key]))
    found = identities.caller(credential(key.access_key_id), 0, verified=verified)
    assert found.from_console is (marked and verified)


def test_what_is_kept_ready_is_bounded():
    identities = Identities(SETTINGS, KeyTable())
    first = identities.caller(credential("key-0"), 0, verified=False)
    for number in range(1, CALLERS_CACHED_MAX):
        identities.caller(credential(f"key-{number}"), 0, verified=False)
    assert identities.caller(credential("key-0"), 0, verified=False) is first
    identities.caller(credential("one-more"), 0, verified=False)
    assert identities.caller(credential("key-0"), 0, verified=False) is not first


@pytest.mark.parametrize(("extra", "kept"), [(0, True), (1, False)])
def test_overlong_key_ids_are_cut_and_not_kept(extra, kept):
    identities = Identities(SETTINGS, KeyTable())
    asked = credential("k" * (ACCESS_KEY_CHARS_MAX + extra))
    caller = identities.caller(asked, 0, verified=False)
    assert identity(caller)["accessKeyId"] == "k" * ACCESS_KEY_CHARS_MAX
    assert (identities.caller(asked, 0, verified=False) is caller) is kept


@given(st.text(max_size=40), st.text(max_size=40))
def test_any_claim_gives_a_caller(key_id, region):
    caller = call(key_id, region=region)
    assert identity(caller)["type"] == "Unknown"
    assert b"\n" not in bytes(caller.user_identity)


def test_an_arn_alone_is_no_configured_key():
    key = identity_of_arn(USER.arn)
    assert key is not None
    assert not key.configured
    assert key.user_name == "alice"
