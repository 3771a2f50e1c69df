# SPDX-License-Identifier: Apache-2.0
"""The setting ``organization``: whose accounts are served."""

from typing import Annotated

import msgspec

from opentrail.errors import UsageError
from opentrail.trails.organization import DELEGATED_MAX

# \Z, for $ lets a newline pass at the end.
Account = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{12}\Z", description="twelve digits")]
OwnAccount = Annotated[str, msgspec.Meta(pattern=r"^(?:[0-9]{12})?\Z", description="twelve digits")]
OrganizationId = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^(?:o-[a-z0-9]{10,32})?\Z", description="an organization, such as o-exampleorgid"
    ),
]


class OrganizationSetting(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The organization whose accounts are served; its trails take what all of them do."""

    from_upstream: bool = False
    """Ask the upstream's Organizations API instead of the settings below."""
    id: OrganizationId = ""
    """"o-" and 10 to 32 letters and digits; empty: there is none."""
    management_account: OwnAccount = ""
    """Owns its trails; "": ``account``."""
    members: tuple[Account, ...] = ()
    """All others that belong to it."""
    delegated_admins: tuple[Account, ...] = ()
    """Members that may manage its trails, three at most, until one is registered by a call."""
    service_access: bool = True
    """Whether CloudTrail may look into it; without, organization trails are refused."""


def check_organization(setting: OrganizationSetting, account: str) -> None:
    """Check what no type can say; ``account`` is the default account. Raises: UsageError."""
    if setting.from_upstream and setting != OrganizationSetting(from_upstream=True):
        raise UsageError("organization.from_upstream leaves no other setting of it")
    if not setting.id and not setting.from_upstream:
        if setting != OrganizationSetting():
            raise UsageError("organization needs an id, such as o-exampleorgid")
        return
    if (setting.management_account or account) in setting.members:
        raise UsageError("organization.members must not have the management account")
    if not set(setting.delegated_admins) <= set(setting.members):
        raise UsageError("organization.delegated_admins must be members")
    if len(setting.delegated_admins) > DELEGATED_MAX:
        raise UsageError(f"organization.delegated_admins are {DELEGATED_MAX} at most")
