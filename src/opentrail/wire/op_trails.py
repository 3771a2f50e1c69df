# SPDX-License-Identifier: Apache-2.0
"""CreateTrail, UpdateTrail, DeleteTrail, StartLogging, StopLogging.

Follows the CloudTrail API Reference, operations of these names; order and texts of the checks as
the service has them where that is known. They come one at a time, but for what waits for a bucket.
"""

from dataclasses import dataclass
from typing import TypeVar

import msgspec
from msgspec.structs import replace

from opentrail.errors import ClientError
from opentrail.trails.names import check_name, check_prefix
from opentrail.trails.organization import required
from opentrail.trails.target_names import check_key_id, check_log_group, check_topic
from opentrail.trails.trail import Trail
from opentrail.wire.op_describe import described
from opentrail.wire.op_tags import check_count, tags_of
from opentrail.wire.preflight import Given, preflight, waits_for_gone
from opentrail.wire.rooms import Rooms, Scope
from opentrail.wire.shapes import (
    CreateTrailRequest,
    CreateTrailResponse,
    DeleteTrailRequest,
    DeleteTrailResponse,
    StartLoggingRequest,
    StartLoggingResponse,
    StopLoggingRequest,
    StopLoggingResponse,
    UpdateTrailRequest,
    UpdateTrailResponse,
)
from opentrail.wire.which_trail import own_trail

GivenT = TypeVar("GivenT", str, bool)


def create_trail(rooms: Rooms, scope: Scope, request: CreateTrailRequest) -> CreateTrailResponse:
    """Make a trail. It does not log until StartLogging.

    1. check what is asked, then that there is room for it
    2. try bucket and targets      (may leave empty objects, a message, a stream there)
    3. hold all other changes, which 2 does not, and look whether there is room still
    4. put the tags                (of an id that no trail has yet: a crash here leaves only them)
    5. append the trail to the log (from here on it is there)
    Raises: ClientError. Unavailable: the trail may or may not be there. Corrupt.
    """
    name = request.name or ""
    check_name(name)
    trail = _new(rooms, scope, request)
    tags = tags_of(request.tags_list)
    check_count(tags)
    trail = _with_organization(rooms, scope, trail, asked=request.is_organization_trail)
    _check_room(rooms, trail)
    _check(trail)
    trail = preflight(rooms, trail, _targets_given(request))
    with rooms.trails.changing():
        _check_room(rooms, trail)
        if tags:
            rooms.trails.put_tags(trail.id, tags)
        rooms.trails.change(trail, "CreateTrail")
    return msgspec.convert(described(trail), CreateTrailResponse, from_attributes=True)


def update_trail(rooms: Rooms, scope: Scope, request: UpdateTrailRequest) -> UpdateTrailResponse:
    """Change what is given of a trail, for what is recorded from now on; "" clears a text.

    1. check what is asked, try bucket and targets
    2. hold all other changes, which 1 does not; again 1 if the trail was changed meanwhile
    3. append the change to the log (from here on it holds)
    Raises: ClientError: the trail is as before. Unavailable: it may or may not be. Corrupt.
    """
    tried = _tried(rooms, scope, request)
    with rooms.trails.changing():
        if own_trail(rooms, scope, request.name) != tried.before:
            tried = _tried(rooms, scope, request)
        trail = rooms.trails.taking_over(tried.before, tried.trail, from_gone=tried.gone)
        rooms.trails.change(trail, "UpdateTrail")
    return msgspec.convert(described(trail), UpdateTrailResponse, from_attributes=True)


def delete_trail(rooms: Rooms, scope: Scope, request: DeleteTrailRequest) -> DeleteTrailResponse:
    """Delete a trail; its bucket keeps what was delivered, and what was logged still arrives.

    Raises: ClientError. Unavailable: it may or may not be deleted. Corrupt.
    """
    with rooms.trails.changing():
        rooms.trails.delete(own_trail(rooms, scope, request.name))
    return DeleteTrailResponse()


def start_logging(rooms: Rooms, scope: Scope, request: StartLoggingRequest) -> StartLoggingResponse:
    """Let a trail log; nothing happens when it does. Raises: ClientError. Unavailable. Corrupt."""
    with rooms.trails.changing():
        rooms.trails.start(own_trail(rooms, scope, request.name))
    return StartLoggingResponse()


def stop_logging(rooms: Rooms, scope: Scope, request: StopLoggingRequest) -> StopLoggingResponse:
    """Stop a trail from logging; nothing happens when it does not.

    Raises: ClientError. Unavailable. Corrupt.
    """
    with rooms.trails.changing():
        rooms.trails.stop(own_trail(rooms, scope, request.name))
    return StopLoggingResponse()


@dataclass(frozen=True, slots=True)
class _Tried:
    """A change of a trail that bucket and targets take."""

    before: Trail
    trail: Trail
    gone: bool
    """Whether ``before`` waits for a bucket that is not there any more."""


def _tried(rooms: Rooms, scope: Scope, request: UpdateTrailRequest) -> _Tried:
    """Return the change that is asked for, checked and tried. Raises: as ``update_trail``."""
    before = own_trail(rooms, scope, request.name)
    trail = _updated(before, request)
    trail = _with_organization(rooms, scope, trail, asked=request.is_organization_trail)
    if trail.account != before.account:
        text = f"{before.arn} cannot become a trail of the organization: it is a member's."
        raise ClientError("NotOrganizationMasterAccountException", text)
    _check(trail)
    trail = preflight(rooms, trail, _targets_given(request))
    return _Tried(before, trail, waits_for_gone(rooms, before, trail))


def _new(rooms: Rooms, scope: Scope, request: CreateTrailRequest) -> Trail:
    """Return the trail that is asked for."""
    return Trail(
        id=rooms.trails.new_id(),
        name=request.name or "",
        account=scope.account,
        home_region=scope.region,
        bucket=request.s3_bucket_name or "",
        prefix=request.s3_key_prefix or "",
        include_global_service_events=request.include_global_service_events is not False,
        is_multi_region=request.is_multi_region_trail is True,
        log_file_validation=request.enable_log_file_validation is True,
        sns_topic=request.sns_topic_name or "",
        log_group_arn=request.cloud_watch_logs_log_group_arn or "",
        log_role_arn=request.cloud_watch_logs_role_arn or "",
        kms_key_id=request.kms_key_id or "",
        recursive_logging=request.recursive_logging is not False,
    )


def _updated(trail: Trail, request: UpdateTrailRequest) -> Trail:
    """Return ``trail`` with what is given changed.

    A trail that is made multi-region takes global services' events too, unless the request says
    otherwise; one that is made single-region goes on with what it did, as in the user guide's own
    example (its text says that it stops), and as Terraform's provider expects.
    """
    multi_region = _given(request.is_multi_region_trail, trail.is_multi_region)
    with_global = trail.include_global_service_events
    if multi_region and not trail.is_multi_region:
        with_global = True
    group, role = _updated_log_group(trail, request)
    return replace(
        trail,
        bucket=_given(request.s3_bucket_name, trail.bucket),
        prefix=_given(request.s3_key_prefix, trail.prefix),
        is_multi_region=multi_region,
        include_global_service_events=_given(request.include_global_service_events, with_global),
        log_file_validation=_given(request.enable_log_file_validation, trail.log_file_validation),
        sns_topic=_given(request.sns_topic_name, trail.sns_topic),
        log_group_arn=group,
        log_role_arn=role,
        kms_key_id=_given(request.kms_key_id, trail.kms_key_id),
        recursive_logging=_given(request.recursive_logging, trail.recursive_logging),
    )


def _updated_log_group(trail: Trail, request: UpdateTrailRequest) -> tuple[str, str]:
    """Return (log group, role): "" for either removes both, unless the other one is given."""
    group, role = request.cloud_watch_logs_log_group_arn, request.cloud_watch_logs_role_arn
    if "" in (group, role) and not (group or role):
        return "", ""
    return _given(group, trail.log_group_arn), _given(role, trail.log_role_arn)


def _given(value: GivenT | None, otherwise: GivenT) -> GivenT:
    return otherwise if value is None else value


def _with_organization(rooms: Rooms, scope: Scope, trail: Trail, *, asked: bool | None) -> Trail:
    """Return ``trail`` made one of the whole organization, or of one account again, if asked for.

    The management account owns it, whoever makes it, and alone takes it back: a delegate would lose
    sight of it. Raises: ClientError. Unavailable.
    """
    if asked is None or asked == trail.is_organization:
        return trail
    if not asked:
        if trail.account != scope.account:
            text = f"{trail.arn} becomes one account's again by its owner only."
            raise ClientError("NotOrganizationMasterAccountException", text)
        return replace(trail, is_organization=False, organization_id="", members=())
    organization = required(rooms.organizations, scope.account)
    if not organization.manages(scope.account):
        text = f"Account {scope.account} does not manage the trails of its organization."
        raise ClientError("NotOrganizationMasterAccountException", text)
    return replace(
        trail,
        account=organization.management_account,
        is_organization=True,
        organization_id=organization.id,
        members=organization.members,
    )


def _check_room(rooms: Rooms, trail: Trail) -> None:
    """Raise ClientError when the name is taken or a region that would show the trail is full.

    Trails that an account has from its organization do not count.
    """
    trails = rooms.trails
    if trails.find(trail.account, trail.home_region, trail.name) is not None:
        raise ClientError(
            "TrailAlreadyExistsException",
            f"Trail {trail.name} already exists for customer: {trail.account}",
        )
    regions = {trail.home_region: None}
    if trail.is_multi_region:
        mine = (each for each in trails.trails() if each.account == trail.account)
        regions |= {each.home_region: None for each in mine}
    for region in regions:
        shown = trails.visible(trail.account, region)
        if sum(each.account == trail.account for each in shown) >= rooms.trails_max:
            raise ClientError(
                "MaximumNumberOfTrailsExceededException",
                f"User: {trail.account} already has {rooms.trails_max} trails in {region}.",
            )


def _check(trail: Trail) -> None:
    """Raise ClientError unless a trail may be so."""
    if trail.is_multi_region and not trail.include_global_service_events:
        raise ClientError(
            "InvalidParameterCombinationException",
            "Multi-Region trail must include global service events.",
        )
    check_prefix(trail.prefix)
    check_log_group(trail)
    check_topic(trail.sns_topic)
    check_key_id(trail)


def _targets_given(request: CreateTrailRequest | UpdateTrailRequest) -> Given:
    return Given(
        topic=bool(request.sns_topic_name),
        group=bool(request.cloud_watch_logs_log_group_arn or request.cloud_watch_logs_role_arn),
        key=bool(request.kms_key_id),
    )
