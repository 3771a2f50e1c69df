# SPDX-License-Identifier: Apache-2.0
"""The setting of one access key: whose it is, and how its identity is checked and written."""

from typing import Literal

import msgspec

from opentrail.errors import UsageError
from opentrail.trails.organization_setting import Account

KeyType = Literal[
    "IAMUser",
    "Root",
    "AssumedRole",
    "FederatedUser",
    "AWSService",
    "AWSAccount",
    "IdentityCenterUser",
]


class AccessKeySetting(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True
):
    """A key that OpenTrail knows: whose it is, and its secret where signatures are to be checked."""

    secret_access_key: str = ""
    session_token: str = ""
    """Of a temporary key: what its calls carry in X-Amz-Security-Token."""
    type: KeyType = "IAMUser"
    account: Account | None = None
    user_name: str = ""
    """Of a user; of an AssumedRole the role's."""
    path: str = "/"
    principal_id: str = ""
    session_name: str = ""
    """Of an AssumedRole."""
    source_identity: str = ""
    """Of a session."""
    service: str = ""
    """The service that calls with this key: invokedBy."""
    from_console: bool = False
    """Whether the key comes from a console's session."""
    user_id: str = ""
    """The user of IAM Identity Center for whom the key calls (onBehalfOf)."""
    identity_store_arn: str = ""
    credential_id: str = ""
    policies: tuple[str, ...] = ()
    """Built-in policy names, or files with an IAM policy document."""

    def __repr__(self) -> str:
        return f"AccessKeySetting({self.type} {self.user_name!r})"


def check_access_key(name: str, setting: AccessKeySetting) -> None:
    """Check that an identity can be made of what is said of a key's owner.

    ``name`` says which key, in messages. Raises: UsageError.
    """
    for wanted in _WANTED[setting.type]:
        if not getattr(setting, wanted):
            raise UsageError(f"{name}: a key of type {setting.type} needs {wanted}")
    if not (setting.path.startswith("/") and setting.path.endswith("/")):
        raise UsageError(f'{name}: path begins and ends with a slash ("/" or "/team/")')
    if bool(setting.user_id) != bool(setting.identity_store_arn):
        raise UsageError(f"{name}: user_id and identity_store_arn must be set together")
    if setting.service and "." not in setting.service:
        raise UsageError(
            f"{name}: service is the service's DNS name, such as {setting.service}.amazonaws.com"
        )


_WANTED: dict[str, tuple[str, ...]] = {
    "IAMUser": ("user_name",),
    "Root": (),
    "AssumedRole": ("user_name", "session_name"),
    "FederatedUser": ("user_name",),
    "AWSService": ("service",),
    "AWSAccount": ("principal_id",),
    "IdentityCenterUser": ("user_id", "identity_store_arn"),
}
