# SPDX-License-Identifier: Apache-2.0
"""The administrator's key is made once, and AWS clients can read its file."""

import stat

import pytest
from botocore.credentials import SharedCredentialProvider
from support.seeded_ids import SeededIds

from opentrail.access.credentials import make_admin_key, read_credentials, write_credentials
from opentrail.access.keys import IdentityType, account_of
from opentrail.access.policy import authorize
from opentrail.errors import UsageError

ACCOUNT = "123456789012"


@pytest.fixture
def key():
    return make_admin_key(ACCOUNT, SeededIds())


def test_the_key_is_an_administrators(key):
    assert account_of(key.access_key_id) == ACCOUNT
    assert len(key.secret_access_key) == 40
    assert key.type is IdentityType.IAM_USER
    assert key.arn == f"arn:aws:iam::{ACCOUNT}:user/opentrail-admin"
    assert key.configured
    assert len(key.principal_id) == 21
    assert key.principal_id.startswith("AIDA")
    assert authorize(key.policies, "cloudtrail:DeleteTrail", "*")
    assert make_admin_key(ACCOUNT, SeededIds(1)) != key


def test_what_was_written_is_read_back(key, tmp_path):
    path = tmp_path / "credentials"
    write_credentials(path, key)
    assert read_credentials(path, ACCOUNT) == key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["credentials"]


def test_aws_clients_read_the_file(key, tmp_path):
    path = tmp_path / "credentials"
    write_credentials(path, key)
    found = SharedCredentialProvider(str(path)).load()
    assert found is not None
    assert (found.access_key, found.secret_key) == (key.access_key_id, key.secret_access_key)


def test_a_file_that_is_there_is_left_alone(key, tmp_path):
    path = tmp_path / "credentials"
    path.write_text("mine")
    with pytest.raises(UsageError, match="is there already"):
        write_credentials(path, key)
    assert path.read_text() == "mine"


def test_a_place_that_cannot_be_written_says_so(key, tmp_path):
    with pytest.raises(UsageError, match="cannot write"):
        write_credentials(tmp_path / "missing" / "credentials", key)


def test_a_missing_file_says_so(tmp_path):
    with pytest.raises(UsageError, match="cannot read"):
        read_credentials(tmp_path / "credentials", ACCOUNT)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hush",
        b"[default]\naws_access_key_id = hush\n",
        b"[other]\nx = hush\n",
        b"\xffhush",
        b"[default]\naws_access_key_id = hush\naws_secret_access_key =\n",
    ],
)
def test_a_broken_file_is_not_repeated(content, tmp_path):
    path = tmp_path / "credentials"
    path.write_bytes(content)
    with pytest.raises(UsageError, match="default profile") as caught:
        read_credentials(path, ACCOUNT)
    assert "hush" not in str(caught.value)
