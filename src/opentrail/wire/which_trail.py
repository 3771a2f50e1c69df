# SPDX-License-Identifier: Apache-2.0
"""From the name or ARN that a request gives to the trail that it means.

Follows what the service answers: a bare name is of the region that is asked, an ARN also of another
region where the trail shows as a shadow; only its home region changes a trail.
"""

from opentrail.errors import ClientError
from opentrail.trails.names import check_name, parse_arn
from opentrail.trails.organization import seen
from opentrail.trails.trail import Trail, trail_arn
from opentrail.wire.rooms import Rooms, Scope


def visible_trail(rooms: Rooms, scope: Scope, given: str | None) -> Trail:
    """Return the trail that ``given`` means, its own or a shadow.

    1. the syntax of the name or ARN
    2. the ARN's region            (shadows of multi-region trails are visible everywhere)
    3. whether there is one
    Raises: ClientError: InvalidTrailNameException, CloudTrailARNInvalidException,
    TrailNotFoundException.
    """
    name = check_given(given)
    found = rooms.trails.find(scope.account, scope.region, name)
    if found is not None:
        return found
    if not is_arn(name):
        raise unknown_trail(scope, trail_arn(scope.region, scope.account, name))
    if parse_arn(name).region != scope.region:
        raise wrong_region(scope)
    raise unknown_trail(scope, name)


def own_trail(rooms: Rooms, scope: Scope, given: str | None) -> Trail:
    """Return the trail that ``given`` means, which may be changed here.

    Raises: ClientError: as ``visible_trail``; InvalidHomeRegionException; AccessDeniedException: it
    is the organization's, which the account neither manages nor is delegated to. Unavailable.
    """
    trail = visible_trail(rooms, scope, given)
    if trail.home_region != scope.region:
        raise ClientError(
            "InvalidHomeRegionException",
            f"The trail {trail.arn} can be changed in its home region {trail.home_region} only.",
        )
    check_manages(rooms, scope, trail)
    return trail


def check_manages(rooms: Rooms, scope: Scope, trail: Trail) -> None:
    """Raise ClientError unless the account may change a trail that it sees."""
    if not manages(rooms, scope, trail):
        text = "Access Denied: You do not have permission to operate on this resource"
        raise ClientError("AccessDeniedException", text)


def manages(rooms: Rooms, scope: Scope, trail: Trail) -> bool:
    """Return whether a trail that the account sees is its own, or its organization's to manage."""
    if trail.account == scope.account:
        return True
    organization = seen(rooms.organizations, scope.account)
    return organization is not None and organization.manages(scope.account)


def policy_resource(scope: Scope, given: str | None) -> str:
    """Return the ARN by which policies know what a request names; it need not be there.

    It is that of the trail that ``visible_trail`` would find.
    """
    name = given or ""
    return name if is_arn(name) else trail_arn(scope.region, scope.account, name)


def check_given(given: str | None) -> str:
    """Return a trail's name or ARN whose syntax is right. Raises: ClientError."""
    name = given or ""
    if not is_arn(name):
        check_name(name)
    elif parse_arn(name).kind != "trail":
        raise ClientError("CloudTrailARNInvalidException", f"{name} is not the ARN of a trail.")
    return name


def is_arn(name_or_arn: str) -> bool:
    """Return whether it is meant as an ARN; a name has no colon."""
    return name_or_arn.startswith("arn:")


def wrong_region(scope: Scope) -> ClientError:
    """Return the error for an ARN of a region that is not the one asked."""
    message = f"Region in ARN is wrong, you can only access resources in region {scope.region}."
    return ClientError("CloudTrailARNInvalidException", message)


def wrong_account(scope: Scope) -> ClientError:
    """Return the error for an ARN of an account that is not the one that asks."""
    message = (
        f"AccountID in ARN is wrong, you can only access resources with AccountID {scope.account}."
    )
    return ClientError("CloudTrailARNInvalidException", message)


def unknown_trail(scope: Scope, shown: str) -> ClientError:
    """Return the error for a trail that is not there."""
    message = f"Unknown trail: {shown} for the user: {scope.account}"
    return ClientError("TrailNotFoundException", message)
