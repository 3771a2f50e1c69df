# SPDX-License-Identifier: Apache-2.0
"""The keys known at start: made once, kept for their owner only, and configured ones in full."""

import json
from typing import Any

import pytest
from support.seeded_ids import SeededIds

from opentrail.access.keys import AccessKey, IdentityType
from opentrail.config import AccessKeySetting, Settings
from opentrail.errors import UsageError
from opentrail.front.keys import TOKEN_KEY_BYTES, credentials_file, key_table, token_key

ACCOUNT = "123456789012"
KEY_ID = "AKIAIOSFODNN7EXAMPLE"
SECRET = "hush-hush-secret"
POLICY = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
}


def settings(data, **key: Any) -> Settings:
    keys = {KEY_ID: AccessKeySetting(secret_access_key=SECRET, **key)} if key else {}
    return Settings(data=str(data), access_keys=keys)


def mode(path) -> int:
    return int(path.stat().st_mode) & 0o777


def configured(data, **key: Any) -> AccessKey:
    found = key_table(settings(data, **key), SeededIds(1)).find(KEY_ID)
    assert found is not None
    assert found.configured
    return found


def test_the_administrators_key_is_made_once_and_kept(tmp_path):
    mine = settings(tmp_path)
    key_table(mine, SeededIds(1))
    file = credentials_file(mine)
    written = file.read_bytes()
    assert mode(file) == 0o600
    table = key_table(mine, SeededIds(2))
    assert file.read_bytes() == written
    key_id = written.decode().partition("aws_access_key_id = ")[2].split("\n")[0]
    admin = table.find(key_id)
    assert admin is not None
    assert admin.policies == ("CloudTrailFullAccess",)
    assert admin.account == ACCOUNT


def test_damaged_credentials_are_named_and_not_shown(tmp_path):
    mine = settings(tmp_path)
    credentials_file(mine).write_text(f"[default]\naws_secret_access_key = {SECRET}\n")
    with pytest.raises(UsageError, match="credentials") as caught:
        key_table(mine, SeededIds(1))
    assert SECRET not in str(caught.value)


def test_the_token_key_is_made_once_and_kept(tmp_path):
    mine = settings(tmp_path / "data")
    key = token_key(mine, SeededIds(1))
    assert len(key) == TOKEN_KEY_BYTES
    assert token_key(mine, SeededIds(2)) == key
    path = tmp_path / "data" / "keys" / "page-tokens"
    assert mode(path) == 0o600
    assert mode(path.parent) == 0o700


@pytest.mark.parametrize("size", [0, TOKEN_KEY_BYTES - 1, TOKEN_KEY_BYTES + 1])
def test_a_damaged_token_key_is_never_used(tmp_path, size):
    mine = settings(tmp_path)
    token_key(mine, SeededIds(1))
    path = tmp_path / "keys" / "page-tokens"
    path.write_bytes(bytes(size))
    with pytest.raises(UsageError, match=r"page-tokens is damaged: remove it"):
        token_key(mine, SeededIds(1))
    path.unlink()
    assert token_key(mine, SeededIds(3))


def test_a_token_key_that_cannot_be_read_or_made(tmp_path):
    (tmp_path / "keys" / "page-tokens").mkdir(parents=True)
    with pytest.raises(UsageError, match="cannot be used"):
        token_key(settings(tmp_path), SeededIds(1))
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot be used"):
        token_key(settings(tmp_path / "file"), SeededIds(1))


def test_a_user(tmp_path):
    key = configured(tmp_path, user_name="ada", path="/ml/", principal_id="AIDA1")
    assert (key.type, key.account, key.secret_access_key) == (
        IdentityType.IAM_USER,
        ACCOUNT,
        SECRET,
    )
    assert key.arn == f"arn:aws:iam::{ACCOUNT}:user/ml/ada"
    assert (key.user_name, key.principal_id, key.session) == ("ada", "AIDA1", None)


def test_root_of_another_account(tmp_path):
    key = configured(tmp_path, type="Root", account="444455556666")
    assert (key.arn, key.principal_id) == ("arn:aws:iam::444455556666:root", "444455556666")
    assert (key.user_name, key.account, key.session) == ("", "444455556666", None)


def test_a_role(tmp_path):
    names = {"user_name": "Train", "session_name": "nightly", "principal_id": "AROA1"}
    key = configured(tmp_path, type="AssumedRole", path="/ml/", **names)
    assert key.arn == f"arn:aws:sts::{ACCOUNT}:assumed-role/Train/nightly"
    assert (key.principal_id, key.user_name) == ("AROA1:nightly", "")
    assert key.session is not None
    issuer = key.session.issuer
    assert issuer is not None
    assert (issuer.arn, issuer.principal_id, issuer.user_name) == (
        f"arn:aws:iam::{ACCOUNT}:role/ml/Train",
        "AROA1",
        "Train",
    )


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ({"user_name": ""}, "IAMUser needs user_name"),
        ({"type": "AssumedRole", "session_name": "s"}, "AssumedRole needs user_name"),
        ({"type": "AssumedRole", "user_name": "r"}, "AssumedRole needs session_name"),
        ({"user_name": "ada", "path": "ml/"}, "slash"),
        ({"user_name": "ada", "path": "/ml"}, "slash"),
    ],
)
def test_an_owner_that_no_arn_can_be_made_of(tmp_path, key, says):
    with pytest.raises(UsageError, match=says) as caught:
        key_table(settings(tmp_path, **key), SeededIds(1))
    assert str(caught.value).startswith(f"access_keys.{KEY_ID}: ")
    assert SECRET not in str(caught.value)


def test_policies_are_built_in_or_files(tmp_path):
    file = tmp_path / "policy.json"
    file.write_text(json.dumps(POLICY, indent=2))
    names = ("CloudTrailReadOnlyAccess", str(file))
    policies = configured(tmp_path, user_name="ada", policies=names).policies
    assert policies[0] == names[0]
    assert json.loads(policies[1]) == POLICY


@pytest.mark.parametrize("content", [None, "", "{", "\xff", '{"Statement": 1}', "[]"])
def test_a_policy_that_is_none(tmp_path, content):
    file = tmp_path / "policy.json"
    if content is not None:
        file.write_bytes(content.encode("latin-1"))
    with pytest.raises(UsageError, match=r"policy\.json") as caught:
        configured(tmp_path, user_name="ada", policies=(str(file),))
    assert "\n" not in str(caught.value)
