# SPDX-License-Identifier: Apache-2.0
"""The organization whose accounts OpenTrail serves: who belongs to it, and who may manage its trails.

Source: CloudTrail User Guide, "Creating a trail for an organization" and "Organization delegated
administrator".
"""

from typing import Final, Protocol

import msgspec

from opentrail.errors import ClientError
from opentrail.state.base import Change, State
from opentrail.state.stored import read

DELEGATED_MAX: Final = 3
"""Delegated administrators of an organization; CloudTrail's quota."""
DELEGATED_KEY: Final = "organization/delegated"
"""Where state keeps the delegated administrators, as a JSON list, once one was (de)registered."""


class Organization(msgspec.Struct, frozen=True):
    """An organization as it is now."""

    id: str
    """"o-" and ten to thirty-two letters and digits."""
    management_account: str
    members: tuple[str, ...] = ()
    """All accounts but the management account, sorted."""
    delegated: tuple[str, ...] = ()
    """Those members that may manage its trails as the management account does."""
    trusted: bool = True
    """Whether CloudTrail has service access."""
    all_features: bool = True
    """Whether it is more than one bill for all its accounts: else it has no trails."""

    def manages(self, account: str) -> bool:
        """Return whether ``account`` may make and change organization trails."""
        return account == self.management_account or account in self.delegated


class Organizations(Protocol):
    """Who knows the organization. Safe from several threads.

    Raises in all methods: ClientError: the organization's own API refuses. Unavailable.
    """

    def of(self, account: str) -> Organization | None:
        """Return the organization that ``account`` belongs to."""
        ...

    def delegate(self, organization: Organization, accounts: tuple[str, ...]) -> None:
        """Let ``accounts`` and no others be the delegated administrators; durable when it returns.

        One that raises may have done some of it: a repeat does the rest.
        """
        ...


class ListedOrganization:
    """``Organizations`` of the settings: one organization, or none when its id is empty."""

    def __init__(self, listed: Organization, state: State) -> None:
        self._listed = listed
        self._state = state

    def of(self, account: str) -> Organization | None:
        """See ``Organizations``."""
        listed = self._listed
        if not listed.id or account not in (listed.management_account, *listed.members):
            return None
        entry = self._state.get(DELEGATED_KEY)
        if entry is None:
            return listed
        kept = read(entry, tuple[str, ...])
        # Who has left the organization manages nothing of it any more.
        delegated = tuple(each for each in kept if each in listed.members)
        return msgspec.structs.replace(listed, delegated=delegated)

    def delegate(self, _organization: Organization, accounts: tuple[str, ...]) -> None:
        """See ``Organizations``. Hold the registry's ``changing``."""
        self._state.commit([Change(DELEGATED_KEY, msgspec.json.encode(accounts), None)])


def seen(organizations: Organizations, account: str) -> Organization | None:
    """Return the organization of ``account``.

    Raises: ClientError InsufficientDependencyServiceAccessPermissionException. Unavailable.
    """
    try:
        return organizations.of(account)
    except ClientError as error:
        raise denied() from error


def denied() -> ClientError:
    """Return the error for an Organizations API that refuses, whatever its reason."""
    return ClientError(
        "InsufficientDependencyServiceAccessPermissionException",
        "AWS CloudTrail cannot create resources for your organization because access to one "
        "or more required APIs has been denied.",
    )


def required(organizations: Organizations, account: str) -> Organization:
    """Return the organization of ``account``, which CloudTrail may look into.

    Raises: ClientError OrganizationsNotInUseException, CloudTrailAccessNotEnabledException,
    OrganizationNotInAllFeaturesModeException,
    InsufficientDependencyServiceAccessPermissionException. Unavailable.
    """
    organization = seen(organizations, account)
    if organization is None:
        text = f"Account {account} is not a member of an organization."
        raise ClientError("OrganizationsNotInUseException", text)
    if not organization.all_features:
        text = f"Organization {organization.id} does not have all features enabled."
        raise ClientError("OrganizationNotInAllFeaturesModeException", text)
    if not organization.trusted:
        raise ClientError(
            "CloudTrailAccessNotEnabledException",
            "The request could not be processed because your organization hasn't enabled "
            "CloudTrail service access. Enable service access for CloudTrail, and then try again",
        )
    return organization
