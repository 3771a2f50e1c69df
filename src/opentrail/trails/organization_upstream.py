# SPDX-License-Identifier: Apache-2.0
"""The organization as the upstream's Organizations API has it.

Source: AWS Organizations API Reference, operations of the names below; CloudTrail User Guide, "Creating a
trail for an organization" (its service principal).
"""

from collections.abc import Iterator
from typing import Final

import msgspec

from opentrail.clock import Clock
from opentrail.errors import ClientError, Unavailable
from opentrail.state.base import State
from opentrail.trails.organization import ListedOrganization, Organization, Organizations
from opentrail.trails.target_client import Clients, Endpoints, Service
from opentrail.trails.target_setting import TargetSetting

PRINCIPAL: Final = "cloudtrail.amazonaws.com"
ACTIVE: Final = "ACTIVE"
"""A member that is suspended or about to leave is none."""
BILLING_ONLY: Final = "CONSOLIDATED_BILLING"
"""Feature set of an organization that does not have all features."""
PAGES_MAX: Final = 1000
"""Of a list: 20,000 accounts, twice what an organization may have; no server makes us go on for ever."""

_NONE = "AWSOrganizationsNotInUseException"
_UNKNOWN_PRINCIPAL = "InvalidInputException"


def organizations_of(
    listed: Organization | None, endpoints: Endpoints, state: State, clock: Clock, region: str
) -> Organizations:
    """Return who knows the organization: the settings, which list it, or the upstream (None)."""
    if listed is None:
        return UpstreamOrganization(Clients(TargetSetting(), endpoints, clock), region)
    return ListedOrganization(listed, state)


class _Described(msgspec.Struct, rename="pascal"):
    id: str
    master_account_id: str
    feature_set: str = ""


class _Account(msgspec.Struct, rename="pascal"):
    id: str
    state: str = ""
    status: str = ACTIVE
    """What ``state`` was called before; AWS tells it until September 2026, emulators go on."""


class _Enabled(msgspec.Struct, rename="pascal"):
    service_principal: str


class UpstreamOrganization:
    """``organization.Organizations``: asked anew each time, so that a change is seen at once."""

    def __init__(self, clients: Clients, region: str, principal: str = PRINCIPAL) -> None:
        """``region`` signs the calls; the API has one endpoint."""
        self._principal = principal
        self._clients = clients
        self._service = Service("organizations", region)

    def of(self, account: str) -> Organization | None:
        """See ``Organizations``. Raises: ClientError. Unavailable."""
        try:
            return self._of(account)
        except (msgspec.ValidationError, KeyError) as error:
            message = f"the Organizations API answers in no form that is known: {error}"
            raise Unavailable(message) from error

    def _of(self, account: str) -> Organization | None:
        try:
            answer = self._clients.call(self._service, "describe_organization")
        except ClientError as error:
            if error.code == _NONE:
                return None
            raise
        described = msgspec.convert(answer["Organization"], _Described)
        accounts = self._accounts("list_accounts", "Accounts")
        if not accounts:
            # Else all members would have left, for an answer that says nothing.
            raise Unavailable("the Organizations API lists no account of its organization")
        if account not in (described.master_account_id, *accounts):
            return None
        # The others are of organizations with all features only, and may be refused elsewhere.
        all_features = described.feature_set != BILLING_ONLY
        delegated = self._delegated() if all_features else ()
        members = tuple(each for each in accounts if each != described.master_account_id)
        return Organization(
            id=described.id,
            management_account=described.master_account_id,
            members=members,
            delegated=tuple(each for each in delegated if each in members),
            trusted=all_features and self._trusted(),
            all_features=all_features,
        )

    def delegate(self, organization: Organization, accounts: tuple[str, ...]) -> None:
        """See ``Organizations``. One call for each difference; a repeat does the rest."""
        before = set(organization.delegated)
        for operation, changed in (
            ("register_delegated_administrator", set(accounts) - before),
            ("deregister_delegated_administrator", before - set(accounts)),
        ):
            for account in sorted(changed):
                self._clients.call(
                    self._service, operation, AccountId=account, ServicePrincipal=self._principal
                )

    def _accounts(self, operation: str, member: str, **more: object) -> tuple[str, ...]:
        items = msgspec.convert(list(self._all(operation, member, **more)), list[_Account])
        return tuple(sorted(each.id for each in items if (each.state or each.status) == ACTIVE))

    def _delegated(self) -> tuple[str, ...]:
        """Return the delegated administrators: none where the API does not know the principal.

        Emulators may know some services only; such a one can have registered nobody.
        """
        try:
            return self._accounts(
                "list_delegated_administrators",
                "DelegatedAdministrators",
                ServicePrincipal=self._principal,
            )
        except ClientError as error:
            if error.code == _UNKNOWN_PRINCIPAL:
                return ()
            raise

    def _trusted(self) -> bool:
        found = self._all("list_aws_service_access_for_organization", "EnabledServicePrincipals")
        enabled = msgspec.convert(list(found), list[_Enabled])
        return any(each.service_principal == self._principal for each in enabled)

    def _all(self, operation: str, member: str, **more: object) -> Iterator[object]:
        """Yield what all pages of a list have."""
        token: dict[str, object] = {}
        for _ in range(PAGES_MAX):
            answer = self._clients.call(self._service, operation, **more, **token)
            yield from msgspec.convert(answer.get(member, []), list[object])
            if not answer.get("NextToken"):
                return
            token = {"NextToken": answer["NextToken"]}
        raise ClientError("TooManyPages", f"{operation} does not come to an end.")
