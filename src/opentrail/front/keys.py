# SPDX-License-Identifier: Apache-2.0
"""The keys that front knows at start: the administrator's, and those of the settings."""

import json
from collections.abc import Iterator
from pathlib import Path

from opentrail.access.credentials import make_admin_key, read_credentials, write_credentials
from opentrail.access.keys import AccessKey, IdentityType, KeyTable, Session, SessionIssuer
from opentrail.access.policy import BUILT_IN, check_policy
from opentrail.clock import Ids
from opentrail.config import AccessKeySetting, Settings
from opentrail.durable import make_dir, replace_file
from opentrail.errors import UsageError

TOKEN_KEY_BYTES = 32
"""As long as the digest of the HMAC-SHA256 that page tokens carry (RFC 2104)."""


def key_table(settings: Settings, ids: Ids) -> KeyTable:
    """Return all configured keys; makes the administrator's at first start.

    Raises: UsageError.
    """
    file = credentials_file(settings)
    if not file.exists():
        write_credentials(file, make_admin_key(settings.account, ids))
    admin = read_credentials(file, settings.account)
    return KeyTable([admin, *_configured(settings)])


def credentials_file(settings: Settings) -> Path:
    """Return where the administrator's key is kept."""
    return settings.data_dir / "credentials"


def token_key(settings: Settings, ids: Ids) -> bytes:
    """Return the key that signs page tokens, made at first use and kept (0600).

    Raises: UsageError: it is damaged, or cannot be read or made.
    """
    path = settings.data_dir / "keys" / "page-tokens"
    try:
        if not path.exists():
            make_dir(path.parent)
            replace_file(path, ids.random_bytes(TOKEN_KEY_BYTES))
        key = path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"{path} cannot be used: {error.strerror}; mend its permissions"
        ) from error
    if len(key) != TOKEN_KEY_BYTES:
        raise UsageError(f"{path} is damaged: remove it, and page tokens given out so far expire")
    return key


def _configured(settings: Settings) -> Iterator[AccessKey]:
    for access_key_id, setting in settings.access_keys.items():
        account = setting.account or settings.account
        policies = tuple(_policy(name) for name in setting.policies)
        _check_owner(f"access_keys.{access_key_id}", setting)
        yield AccessKey(
            access_key_id=access_key_id,
            secret_access_key=setting.secret_access_key,
            type=IdentityType(setting.type),
            account=account,
            arn=_arn(setting, account),
            principal_id=_principal_id(setting, account),
            user_name=setting.user_name if setting.type == "IAMUser" else "",
            session=_session(setting, account),
            policies=policies,
            configured=True,
        )


def _check_owner(name: str, setting: AccessKeySetting) -> None:
    """Check that an ARN can be made of what is said of a key's owner. Raises: UsageError."""
    if setting.type != "Root" and not setting.user_name:
        raise UsageError(f"{name}: a key of type {setting.type} needs user_name")
    if setting.type == "AssumedRole" and not setting.session_name:
        raise UsageError(f"{name}: a key of type AssumedRole needs session_name")
    if not (setting.path.startswith("/") and setting.path.endswith("/")):
        raise UsageError(f'{name}: path begins and ends with a slash ("/" or "/team/")')


def _arn(setting: AccessKeySetting, account: str) -> str:
    if setting.type == "Root":
        return f"arn:aws:iam::{account}:root"
    if setting.type == "AssumedRole":
        name = f"{setting.user_name}/{setting.session_name}"
        return f"arn:aws:sts::{account}:assumed-role/{name}"
    return f"arn:aws:iam::{account}:user{setting.path}{setting.user_name}"


def _principal_id(setting: AccessKeySetting, account: str) -> str:
    if setting.type == "Root":
        return account
    if setting.type == "AssumedRole":
        return f"{setting.principal_id}:{setting.session_name}"
    return setting.principal_id


def _session(setting: AccessKeySetting, account: str) -> Session | None:
    if setting.type != "AssumedRole":
        return None
    arn = f"arn:aws:iam::{account}:role{setting.path}{setting.user_name}"
    issuer = SessionIssuer("Role", setting.principal_id, arn, account, setting.user_name)
    return Session(created_ms=0, issuer=issuer)


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
