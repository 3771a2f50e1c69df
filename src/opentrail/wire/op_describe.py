# SPDX-License-Identifier: Apache-2.0
"""GetTrail, DescribeTrails, ListTrails, GetTrailStatus.

Follows the CloudTrail API Reference, operations of these names; what is not set is left out, but
for the old texts of GetTrailStatus, which are there and empty.
"""

from opentrail.clock import iso_seconds
from opentrail.trails.trail import Trail
from opentrail.wire import shapes
from opentrail.wire.op_selectors import has_custom_selectors
from opentrail.wire.rooms import Rooms, Scope
from opentrail.wire.shapes import (
    DescribeTrailsRequest,
    DescribeTrailsResponse,
    GetTrailRequest,
    GetTrailResponse,
    GetTrailStatusRequest,
    GetTrailStatusResponse,
    ListTrailsRequest,
    ListTrailsResponse,
    TrailInfo,
)
from opentrail.wire.which_trail import check_given, is_arn, unknown_trail, visible_trail


def get_trail(rooms: Rooms, scope: Scope, request: GetTrailRequest) -> GetTrailResponse:
    """Return one trail. Raises: ClientError: there is none; it is named, even if its ARN was given."""
    given = check_given(request.name)
    trail = rooms.trails.find(scope.account, scope.region, given)
    if trail is None:
        raise unknown_trail(scope, given.rpartition("/")[2] if is_arn(given) else given)
    return GetTrailResponse(trail=described(trail))


def describe_trails(
    rooms: Rooms, scope: Scope, request: DescribeTrailsRequest
) -> DescribeTrailsResponse:
    """Return the region's trails and the shadows in it, or those asked for; unknown ones are skipped.

    Raises: ClientError: a name or ARN whose syntax is wrong.
    """
    asked = dict.fromkeys(check_given(name) for name in request.trail_name_list or ())
    if asked:
        named = rooms.trails.named(scope.account, scope.region)
        shown = list({trail.arn: trail for name in asked if (trail := named.get(name))}.values())
    else:
        shown = rooms.trails.visible(scope.account, scope.region)
    if request.include_shadow_trails is False:
        shown = [trail for trail in shown if trail.home_region == scope.region]
    return DescribeTrailsResponse(trail_list=[described(trail) for trail in shown])


def list_trails(rooms: Rooms, scope: Scope, _request: ListTrailsRequest) -> ListTrailsResponse:
    """Return the account's trails of all regions, its organization's too, in one page."""
    mine = rooms.trails.seen_by(scope.account)
    return ListTrailsResponse(
        trails=[
            TrailInfo(trail_arn=trail.arn, name=trail.name, home_region=trail.home_region)
            for trail in mine
        ]
    )


def get_trail_status(
    rooms: Rooms, scope: Scope, request: GetTrailStatusRequest
) -> GetTrailStatusResponse:
    """Return what a trail does and how its deliveries went. Raises: ClientError. Unavailable."""
    trail = visible_trail(rooms, scope, request.name)
    status = rooms.trails.status(trail.id)
    delivery, digest, sns, logs = status.delivery, status.digest, status.notification, status.logs
    return GetTrailStatusResponse(
        is_logging=trail.logging,
        latest_delivery_error=delivery.error or None,
        latest_delivery_time=_seconds(delivery.delivered_ms),
        start_logging_time=_seconds(trail.started_ms),
        stop_logging_time=_seconds(trail.stopped_ms),
        latest_notification_time=_seconds(sns.delivered_ms),
        latest_notification_error=sns.error or None,
        latest_cloud_watch_logs_delivery_time=_seconds(logs.delivered_ms),
        latest_cloud_watch_logs_delivery_error=logs.error or None,
        latest_digest_delivery_time=_seconds(digest.delivered_ms),
        latest_digest_delivery_error=digest.error or None,
        latest_delivery_attempt_time=_text(delivery.attempted_ms),
        latest_notification_attempt_time=_text(sns.attempted_ms),
        latest_notification_attempt_succeeded=_text(sns.delivered_ms),
        latest_delivery_attempt_succeeded=_text(delivery.delivered_ms),
        time_logging_started=_text(trail.started_ms),
        time_logging_stopped=_text(trail.stopped_ms),
    )


def described(trail: Trail) -> shapes.Trail:
    """Return how a trail is shown."""
    return shapes.Trail(
        name=trail.name,
        s3_bucket_name=trail.bucket,
        s3_key_prefix=trail.prefix or None,
        sns_topic_name=trail.sns_topic or None,
        sns_topic_arn=trail.sns_topic_arn or None,
        include_global_service_events=trail.include_global_service_events,
        is_multi_region_trail=trail.is_multi_region,
        home_region=trail.home_region,
        trail_arn=trail.arn,
        log_file_validation_enabled=trail.log_file_validation,
        cloud_watch_logs_log_group_arn=trail.log_group_arn or None,
        cloud_watch_logs_role_arn=trail.log_role_arn or None,
        kms_key_id=trail.kms_key_id or None,
        has_custom_event_selectors=has_custom_selectors(trail),
        has_insight_selectors=False,
        is_organization_trail=trail.is_organization,
        recursive_logging=trail.recursive_logging,
    )


def _seconds(epoch_ms: int) -> float | None:
    return epoch_ms / 1000 if epoch_ms else None


def _text(epoch_ms: int) -> str:
    return iso_seconds(epoch_ms) if epoch_ms else ""
