# SPDX-License-Identifier: Apache-2.0
"""The keys that front knows at start: the administrator's, and those of the settings."""

import json
from collections.abc import Callable
from pathlib import Path

from opentrail.access.credentials import make_admin_key, read_credentials, write_credentials
from opentrail.access.key_table import KeyTable
from opentrail.access.keys import AccessKey, IdentityType, OnBehalfOf, Session, SessionIssuer
from opentrail.access.policy import BUILT_IN, check_policy
from opentrail.clock import Ids
from opentrail.config import AccessKeySetting, Settings
from opentrail.config.access_key import check_access_key
from opentrail.durable import is_there, make_dir, read_file, replace_file
from opentrail.errors import UsageError
from opentrail.front.key_file import read_key_file

TOKEN_KEY_BYTES = 32
"""As long as the digest of the HMAC-SHA256 that page tokens carry (RFC 2104)."""


def key_table(settings: Settings, ids: Ids) -> KeyTable:
    """Return all configured keys; makes the administrator's at first start.

    Raises: UsageError.
    """
    file = credentials_file(settings)
    if not is_there(file):
        write_credentials(file, make_admin_key(settings.account, ids))
    return KeyTable(configured_keys(settings))


def configured_keys(settings: Settings) -> list[AccessKey]:
    """Return the administrator's key, those of the settings, and those of the key file.

    Raises: UsageError: a file is damaged, or a key is not whole.
    """
    return [read_credentials(credentials_file(settings), settings.account), *stated_keys(settings)]


def stated_keys(settings: Settings) -> list[AccessKey]:
    """Return the keys of the settings and of the key file. Raises: UsageError."""
    filed = read_key_file(key_file(settings))
    return [
        access_key(access_key_id, setting, settings.account)
        for keys in (settings.access_keys, filed)
        for access_key_id, setting in keys.items()
    ]


def key_file(settings: Settings) -> Path:
    """Return where ``opentrail access-keys`` keeps what it is told."""
    return settings.data_dir / "access-keys.json"


def credentials_file(settings: Settings) -> Path:
    """Return where the administrator's key is kept."""
    return settings.data_dir / "credentials"


def token_key(settings: Settings, ids: Ids) -> bytes:
    """Return the key that signs page tokens, made at first use and kept (0600).

    Raises: UsageError: it is damaged, or cannot be read or made.
    """
    path = settings.data_dir / "keys" / "page-tokens"
    try:
        if not is_there(path):
            make_dir(path.parent)
            replace_file(path, ids.random_bytes(TOKEN_KEY_BYTES))
        key = read_file(path)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be used: {error.strerror}; mend its permissions"
        ) from error
    if len(key) != TOKEN_KEY_BYTES:
        raise UsageError(f"{path} is damaged: remove it, and page tokens given out so far expire")
    return key


def access_key(access_key_id: str, setting: AccessKeySetting, default_account: str) -> AccessKey:
    """Return the key that a setting makes. Raises: UsageError: it makes none."""
    check_access_key(f"access_keys.{access_key_id}", setting)
    account = setting.account or default_account
    user_id = setting.user_id
    return AccessKey(
        access_key_id=access_key_id,
        secret_access_key=setting.secret_access_key,
        type=IdentityType(setting.type),
        account=account,
        arn=_ARNS[setting.type](setting, account) if setting.type in _ARNS else "",
        principal_id=_principal_id(setting, account),
        user_name=setting.user_name if setting.type == "IAMUser" else "",
        session_token=setting.session_token,
        session=_session(setting, account),
        invoked_by=setting.service,
        on_behalf_of=OnBehalfOf(user_id, setting.identity_store_arn) if user_id else None,
        credential_id=setting.credential_id,
        from_console=setting.from_console,
        policies=tuple(_policy(name) for name in setting.policies),
        configured=True,
    )


_ARNS: dict[str, Callable[[AccessKeySetting, str], str]] = {
    "Root": lambda _, account: f"arn:aws:iam::{account}:root",
    "IAMUser": lambda key, account: f"arn:aws:iam::{account}:user{key.path}{key.user_name}",
    "AssumedRole": lambda key, account: (
        f"arn:aws:sts::{account}:assumed-role/{key.user_name}/{key.session_name}"
    ),
    "FederatedUser": lambda key, account: f"arn:aws:sts::{account}:federated-user/{key.user_name}",
}
"""Type -> how its ARN is made; the others have none."""


def _principal_id(setting: AccessKeySetting, account: str) -> str:
    if setting.type == "Root":
        return account
    if setting.type == "AssumedRole":
        return f"{setting.principal_id}:{setting.session_name}"
    if setting.type == "FederatedUser":
        return f"{account}:{setting.user_name}"
    return setting.principal_id


def _session(setting: AccessKeySetting, account: str) -> Session | None:
    if setting.type == "AssumedRole":
        arn = f"arn:aws:iam::{account}:role{setting.path}{setting.user_name}"
        issuer = SessionIssuer("Role", setting.principal_id, arn, account, setting.user_name)
        return Session(created_ms=0, issuer=issuer, source_identity=setting.source_identity)
    if setting.source_identity:
        return Session(created_ms=0, source_identity=setting.source_identity)
    return None


def _policy(name: str) -> str:
    """Return a built-in policy's name, or the policy document of a file."""
    if name in BUILT_IN:
        return name
    try:
        policy = json.dumps(json.loads(Path(name).read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        names = ", ".join(sorted(BUILT_IN))
        raise UsageError(
            f"policy {name!r} is neither built in ({names}) nor a readable JSON file"
        ) from error
    try:
        check_policy(policy)
    except UsageError as error:
        raise UsageError(f"{name}: {error}") from error
    return policy
