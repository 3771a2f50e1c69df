# SPDX-License-Identifier: Apache-2.0
"""The administrator's key, and the file that hands it to AWS clients.

The file has the AWS shared-credentials format (AWS CLI User Guide, "Configuration and credential
file settings"), so ``AWS_SHARED_CREDENTIALS_FILE=<data>/credentials`` is all that a client needs.
"""

import base64
import configparser
import hashlib
from pathlib import Path

from opentrail import durable
from opentrail.access.keys import AccessKey, IdentityType, make_access_key_id
from opentrail.clock import Ids
from opentrail.durable import read_file
from opentrail.errors import UsageError

ADMIN_USER = "opentrail-admin"
ADMIN_POLICY = "CloudTrailFullAccess"

_SECRET_BYTES = 30
"""Forty characters of base64, as AWS's secret keys have."""
_PRINCIPAL_CHARS = 17
"""Behind ``AIDA``: 21 characters in all, as IAM's unique ids have."""
_FIELDS = ("aws_access_key_id", "aws_secret_access_key")


def make_admin_key(account: str, ids: Ids) -> AccessKey:
    """Return a new administrator's key of ``account`` (twelve digits), which its id encodes."""
    secret = base64.b64encode(ids.random_bytes(_SECRET_BYTES)).decode()
    return _admin(make_access_key_id(account, ids), secret, account)


def write_credentials(path: Path, key: AccessKey) -> None:
    """Write ``key`` as the default profile of a new file ``path``, readable by its owner only.

    A crash leaves the whole file or none. Raises UsageError when the file is there already or
    cannot be written.
    """
    if path.exists():
        msg = f"{path} is there already: remove it to have a new administrator's key made"
        raise UsageError(msg)
    text = (
        "# The administrator's key of this OpenTrail. Whoever can read it can do all it can do.\n"
        f"[default]\n{_FIELDS[0]} = {key.access_key_id}\n{_FIELDS[1]} = {key.secret_access_key}\n"
    )
    try:
        durable.replace_file(path, text.encode())
    except OSError as error:
        msg = f"cannot write {path}: {error.strerror}"
        raise UsageError(msg) from error


def read_credentials(path: Path, account: str) -> AccessKey:
    """Return the administrator's key of ``account`` from the default profile of ``path``.

    Raises UsageError, which never repeats what the file holds.
    """
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(read_file(path).decode())
    except OSError as error:
        msg = f"cannot read {path}: {error.strerror}"
        raise UsageError(msg) from error
    except (configparser.Error, UnicodeDecodeError):
        parser.clear()
    access_key_id, secret = (parser.get("default", field, fallback="") for field in _FIELDS)
    if not (access_key_id and secret):
        msg = f"{path} has no default profile with {' and '.join(_FIELDS)}: remove or restore it"
        raise UsageError(msg)
    return _admin(access_key_id, secret, account)


def _admin(access_key_id: str, secret: str, account: str) -> AccessKey:
    # Derived, so that the same key is the same principal after every restart.
    digest = base64.b32encode(hashlib.sha256(access_key_id.encode()).digest()).decode()
    return AccessKey(
        access_key_id=access_key_id,
        secret_access_key=secret,
        type=IdentityType.IAM_USER,
        account=account,
        arn=f"arn:aws:iam::{account}:user/{ADMIN_USER}",
        principal_id="AIDA" + digest[:_PRINCIPAL_CHARS],
        user_name=ADMIN_USER,
        policies=(ADMIN_POLICY,),
        configured=True,
    )
