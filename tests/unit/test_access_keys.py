# SPDX-License-Identifier: Apache-2.0
"""Access key ids give their account away; the key table believes the first trusted answer."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.seeded_ids import SeededIds

from opentrail.access.key_table import SESSIONS_MAX, KeyTable, Learned
from opentrail.access.keys import (
    AccessKey,
    IdentityType,
    account_of,
    identity_of_arn,
    is_account,
    make_access_key_id,
)
from opentrail.errors import UsageError

ACCOUNT = "123456789012"
USER = AccessKey(
    "AKIAQAAAAAAAAAAAAAAA",
    "user-secret",
    IdentityType.IAM_USER,
    ACCOUNT,
    arn=f"arn:aws:iam::{ACCOUNT}:user/alice",
    configured=True,
)
SESSION = AccessKey(
    "ASIAQAAAAAAAAAAAAAAB",
    "session-secret",
    IdentityType.ASSUMED_ROLE,
    ACCOUNT,
    arn=f"arn:aws:sts::{ACCOUNT}:assumed-role/Role/alice",
    principal_id="AROAQAAAAAAAAAAAAAAAA:alice",
    session_token="session-token",
    expires_ms=1_000,
)
OTHER = replace(SESSION, arn=f"arn:aws:sts::{ACCOUNT}:assumed-role/Role/bob", expires_ms=2_000)


@given(st.integers(0, 10**12 - 1), st.integers(), st.sampled_from(["AKIA", "ASIA"]))
def test_a_made_id_gives_its_account_back(number, seed, prefix):
    account = f"{number:012d}"
    made = make_access_key_id(account, SeededIds(seed), prefix)
    assert len(made) == 20
    assert made.startswith(prefix)
    assert account_of(made) == account


def test_the_id_of_a_published_example_decodes():
    assert account_of("ASIAY34FZKBOKMUTVV7A") == "609629065308"


@pytest.mark.parametrize(
    "access_key_id",
    [
        "",
        "AKIA",
        "AKIAIOSFODNN7EXAMPLE",
        "ASIAQNZGKIQY5EXAMPLE",
        "AKIAI44QH8DHBEXAMPLE",
        "AKIAIZZZZZZZZZZZZZZZ",  # of before 2019
        "AKIAJZZZZZZZZZZZZZZZ",
        "AKIA77777777777777 7",
        "AKIAQ0AAAAAAAAAAAAAA",  # no base32
        "akiaqnzgkiqy56jq7wml",
        "AROAQNZGKIQY56JQ7WML",
        "ASIAQNZGKIQY56JQ7WMLA",
        "ASIAQNZGKIQY56JQ7WM",
        "AKIA7777777777777777",  # past the last account
        "ASIAQNZGKIQY56JQ7WMé",
    ],
)
def test_ids_that_encode_no_account(access_key_id):
    assert account_of(access_key_id) is None


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("123456789012", True),
        ("12345678901", False),
        ("1234567890123", False),
        ("12345678901x", False),
        ("١٢٣٤٥٦٧٨٩٠١٢", False),
        ("", False),
    ],
)
def test_an_account_is_twelve_digits(text, answer):
    assert is_account(text) is answer


@given(st.text(max_size=30))
def test_no_text_breaks_the_decoding(text):
    assert account_of(text) is None or is_account(account_of(text) or "")


def test_secrets_do_not_show():
    assert "session-secret" not in repr(SESSION)
    assert "session-token" not in repr(SESSION)


def test_a_key_configured_twice_is_an_error():
    with pytest.raises(UsageError, match="AKIAQAAAAAAAAAAAAAAA is configured twice"):
        KeyTable([USER, USER])


def test_configured_keys_are_found_and_never_overwritten():
    keys = KeyTable([USER, replace(SESSION, configured=True)])
    assert keys.learn(OTHER, 0) is Learned.REFUSED
    assert keys.find(USER.access_key_id) is USER
    assert keys.find(SESSION.access_key_id) == replace(SESSION, configured=True)
    assert keys.find("AKIAQAAAAAAAAAAAAAAB") is None


@pytest.mark.parametrize(
    "access_key_id",
    [
        "AKIAQAAAAAAAAAAAAAAB",
        "ASIA",
        "ASIAQAAAAAAAAAAAAAA\n",
        "ASIA" + "Q" * 11,
        "ASIA" + "Q" * 125,
    ],
)
def test_only_temporary_keys_are_learned(access_key_id):
    keys = KeyTable()
    assert keys.learn(replace(SESSION, access_key_id=access_key_id), 0) is Learned.REFUSED
    assert keys.find(access_key_id) is None


@pytest.mark.parametrize("access_key_id", ["ASIA" + "Q" * 12, "ASIA" + "Q" * 124])
def test_the_length_of_learned_ids_on_both_sides(access_key_id):
    assert KeyTable().learn(replace(SESSION, access_key_id=access_key_id), 0) is Learned.NEW


def test_a_session_that_is_over_is_not_learned():
    assert KeyTable().learn(SESSION, 999) is Learned.NEW
    assert KeyTable().learn(SESSION, 1_000) is Learned.REFUSED
    assert KeyTable().learn(replace(SESSION, expires_ms=0), 1_000) is Learned.REFUSED


def test_expiry_on_both_sides():
    assert not SESSION.expired(999)
    assert SESSION.expired(1_000)
    assert not USER.expired(1 << 60)


def test_the_first_mapping_wins_until_it_expires():
    keys = KeyTable()
    assert keys.learn(SESSION, 0) is Learned.NEW
    version = keys.version
    assert keys.learn(replace(SESSION, expires_ms=5_000), 10) is Learned.SAME
    assert keys.find(SESSION.access_key_id) is SESSION
    assert keys.version == version
    assert keys.learn(OTHER, 1_000) is Learned.NEW
    assert keys.find(SESSION.access_key_id) is OTHER
    assert (keys.conflicts, keys.version) == (0, version + 1)


@pytest.mark.parametrize(
    "change",
    [
        {"type": IdentityType.FEDERATED_USER},
        {"account": "999999999999"},
        {"arn": "arn:aws:sts::123456789012:assumed-role/Role/eve"},
        {"principal_id": "AROAZ:alice"},
        {"secret_access_key": "another"},
        {"session_token": "another"},
    ],
)
def test_a_conflict_makes_the_key_nobodys_until_both_are_over(change):
    keys = KeyTable()
    keys.learn(SESSION, 0)
    version = keys.version
    assert keys.learn(replace(SESSION, expires_ms=3_000, **change), 10) is Learned.CONFLICT
    assert keys.find(SESSION.access_key_id) is None
    assert keys.disputed_until(SESSION.access_key_id) == 3_000
    assert keys.learn(SESSION, 20) is Learned.CONFLICT
    assert keys.learn(replace(SESSION, expires_ms=9_000), 2_999) is Learned.CONFLICT
    assert keys.disputed_until(SESSION.access_key_id) == 9_000
    assert (keys.conflicts, keys.version) == (3, version + 3)
    assert keys.learn(replace(SESSION, expires_ms=10_000), 9_000) is Learned.NEW
    assert keys.find(SESSION.access_key_id) is not None
    assert keys.disputed_until(SESSION.access_key_id) == 0


def test_sessions_are_bounded_and_the_first_learned_goes_first():
    keys = KeyTable([USER])
    sessions = [
        replace(SESSION, access_key_id=f"ASIA{number:016d}") for number in range(SESSIONS_MAX + 1)
    ]
    for session in sessions[:-1]:
        keys.learn(session, 0)
    assert keys.find(sessions[0].access_key_id) is sessions[0]
    assert keys.forgotten == 0
    keys.learn(sessions[-1], 0)
    assert keys.find(sessions[0].access_key_id) is None
    assert keys.find(sessions[1].access_key_id) is sessions[1]
    assert keys.find(sessions[-1].access_key_id) is sessions[-1]
    assert keys.find(USER.access_key_id) is USER
    assert keys.forgotten == 1


def test_dropping_a_session_that_is_over_forgets_nothing():
    keys = KeyTable()
    for number in range(SESSIONS_MAX):
        keys.learn(replace(SESSION, access_key_id=f"ASIA{number:016d}"), 0)
    keys.learn(replace(OTHER, access_key_id="ASIAQAAAAAAAAAAAAAAZ"), 1_500)
    assert keys.forgotten == 0


@pytest.mark.parametrize(
    ("arn", "type_", "user_name"),
    [
        ("arn:aws:iam::123456789012:root", IdentityType.ROOT, ""),
        ("arn:aws:iam::123456789012:user/alice", IdentityType.IAM_USER, "alice"),
        ("arn:aws-cn:iam::123456789012:user/a/b/alice", IdentityType.IAM_USER, "alice"),
        ("arn:aws:sts::123456789012:assumed-role/R/S", IdentityType.ASSUMED_ROLE, ""),
        ("arn:aws:sts::123456789012:federated-user/F", IdentityType.FEDERATED_USER, ""),
    ],
)
def test_a_callers_arn_says_who_it_is(arn, type_, user_name):
    key = identity_of_arn(arn)
    assert key is not None
    assert (key.type, key.account, key.arn) == (type_, ACCOUNT, arn)
    assert (key.user_name, key.access_key_id, key.principal_id) == (user_name, "", "")


def test_an_assumed_roles_arn_names_its_issuer():
    key = identity_of_arn("arn:aws:sts::123456789012:assumed-role/R/S")
    assert key is not None
    assert key.session is not None
    assert key.session.issuer is not None
    assert key.session.issuer.arn == "arn:aws:iam::123456789012:role/R"
    assert key.session.issuer.user_name == "R"


@pytest.mark.parametrize(
    "arn",
    [
        "",
        "root",
        "arn:aws:iam::12345678901:root",
        "arn:aws:iam::123456789012:root/x",
        "arn:aws:iam::123456789012:user/",
        "arn:aws:iam::123456789012:role/R",
        "arn:aws:iam:us-east-1:123456789012:root",
        "arn:aws:sts::123456789012:user/alice",
        "arn:aws:iam::123456789012:user/al\nice",
    ],
)
def test_other_texts_are_no_callers_arn(arn):
    assert identity_of_arn(arn) is None
