# SPDX-License-Identifier: Apache-2.0
"""Who joins or leaves the organization joins or leaves its trails: each time a change in the log."""

from typing import Final

import msgspec

from opentrail.clock import Clock
from opentrail.errors import ClientError, Unavailable
from opentrail.trails.organization import Organization, Organizations
from opentrail.trails.registry import Registry
from opentrail.trails.trail import Trail

LOOK_S: Final = 10.0
"""How often the organization is looked at: a new member's trail is there within that."""
CHANGE: Final = "OrganizationChange"
"""What the log says changed the trail; no operation is called so."""


class Membership:
    """Keeps the members of organization trails what the organization's are. One thread."""

    def __init__(self, registry: Registry, organizations: Organizations, clock: Clock) -> None:
        self._registry = registry
        self._organizations = organizations
        self._clock = clock
        self._due_s = 0.0
        """Monotonic; the first look comes at once."""

    def step(self) -> bool:
        """Look at the organization when it is time, and change its trails if it has changed.

        Return False: what is to come is not known. Raises: Unavailable: the organization cannot be
        seen, which leaves them as they are. Corrupt.
        """
        if self._clock.monotonic() < self._due_s:
            return False
        self._due_s = self._clock.monotonic() + LOOK_S
        for trail in self._registry.trails():
            if trail.is_organization:
                self._keep(trail)
        return False

    def _keep(self, trail: Trail) -> None:
        """Let a trail be as its organization is now.

        That is asked before anything is held: nobody else waits for an API that is silent.
        """
        try:
            organization = self._organizations.of(trail.account)
        except ClientError as error:
            raise Unavailable(f"the Organizations API refuses: {error}") from error
        if _as_of(trail, organization) != trail:
            self._change(trail, organization)

    def _change(self, trail: Trail, organization: Organization | None) -> None:
        """Change a trail that differs, unless an operation does or did meanwhile: then later."""
        try:
            with self._registry.changing(wait_s=0.0):
                found = self._registry.find(trail.account, trail.home_region, trail.arn)
                if found == trail:
                    self._registry.change(_as_of(found, organization), CHANGE)
                else:
                    # One account's again, say, or with members that were asked for later.
                    self._due_s = 0.0
        except ClientError:
            self._due_s = 0.0


def _as_of(trail: Trail, organization: Organization | None) -> Trail:
    """Return ``trail`` as it must be.

    One whose account manages no organization any more, by itself or because it is gone, keeps its
    own account alone: another one's members are none of its business.
    """
    if organization is None or organization.management_account != trail.account:
        return msgspec.structs.replace(trail, members=())
    return msgspec.structs.replace(
        trail, members=organization.members, organization_id=organization.id
    )
