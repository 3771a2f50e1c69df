# SPDX-License-Identifier: Apache-2.0
"""RegisterOrganizationDelegatedAdmin, DeregisterOrganizationDelegatedAdmin.

Follows the CloudTrail API Reference, operations of these names; codes are the service's, texts ours.
"""

import re

from opentrail.errors import ClientError
from opentrail.trails.organization import DELEGATED_MAX, Organization, denied, required
from opentrail.wire.rooms import Rooms, Scope
from opentrail.wire.shapes import (
    DeregisterOrganizationDelegatedAdminRequest,
    DeregisterOrganizationDelegatedAdminResponse,
    RegisterOrganizationDelegatedAdminRequest,
    RegisterOrganizationDelegatedAdminResponse,
)

_ACCOUNT = re.compile(r"[0-9]{12}")


def register_organization_delegated_admin(
    rooms: Rooms, scope: Scope, request: RegisterOrganizationDelegatedAdminRequest
) -> RegisterOrganizationDelegatedAdminResponse:
    """Let a member account manage the organization's trails. Raises: ClientError. Unavailable."""
    account = _checked("MemberAccountId", request.member_account_id)
    with rooms.trails.changing():
        organization = _managed(rooms, scope)
        if account == organization.management_account:
            text = "The management account cannot be a delegated administrator."
            raise ClientError("CannotDelegateManagementAccountException", text)
        _check_member(organization, account)
        if account in organization.delegated:
            text = f"Account {account} is a delegated administrator already."
            raise ClientError("AccountRegisteredException", text)
        if len(organization.delegated) >= DELEGATED_MAX:
            text = f"An organization has {DELEGATED_MAX} delegated administrators at most."
            raise ClientError("DelegatedAdminAccountLimitExceededException", text)
        _delegate(rooms, organization, (*organization.delegated, account))
    return RegisterOrganizationDelegatedAdminResponse()


def deregister_organization_delegated_admin(
    rooms: Rooms, scope: Scope, request: DeregisterOrganizationDelegatedAdminRequest
) -> DeregisterOrganizationDelegatedAdminResponse:
    """Take that from a delegated administrator. Raises: ClientError. Unavailable."""
    account = _checked("DelegatedAdminAccountId", request.delegated_admin_account_id)
    with rooms.trails.changing():
        organization = _managed(rooms, scope)
        if account != organization.management_account:
            _check_member(organization, account)
        if account not in organization.delegated:
            text = f"Account {account} is not a delegated administrator."
            raise ClientError("AccountNotRegisteredException", text)
        rest = tuple(each for each in organization.delegated if each != account)
        _delegate(rooms, organization, rest)
    return DeregisterOrganizationDelegatedAdminResponse()


def _delegate(rooms: Rooms, organization: Organization, accounts: tuple[str, ...]) -> None:
    try:
        rooms.organizations.delegate(organization, accounts)
    except ClientError as error:
        raise denied() from error


def _checked(member: str, given: str | None) -> str:
    if given is None or not _ACCOUNT.fullmatch(given):
        text = f"{member} is an account id of twelve digits."
        raise ClientError("InvalidParameterException", text)
    return given


def _managed(rooms: Rooms, scope: Scope) -> Organization:
    """Return the organization that the caller's account manages. Raises: ClientError."""
    organization = required(rooms.organizations, scope.account)
    if organization.management_account != scope.account:
        text = f"Account {scope.account} is not the management account of its organization."
        raise ClientError("NotOrganizationManagementAccountException", text)
    return organization


def _check_member(organization: Organization, account: str) -> None:
    if account not in organization.members:
        text = f"Account {account} is not in organization {organization.id}."
        raise ClientError("AccountNotFoundException", text)
