# SPDX-License-Identifier: Apache-2.0
"""PutInsightSelectors, GetInsightSelectors: no trail has Insights yet.

Follows the CloudTrail API Reference, operations of these names: none are shown, turning them off
does nothing, turning them on is refused.
"""

from opentrail.errors import ClientError
from opentrail.trails.trail import Trail
from opentrail.wire.rooms import Rooms, Scope
from opentrail.wire.shapes import (
    INSIGHT_TYPE_VALUES,
    SOURCE_EVENT_CATEGORY_VALUES,
    GetInsightSelectorsRequest,
    GetInsightSelectorsResponse,
    InsightSelector,
    PutInsightSelectorsRequest,
    PutInsightSelectorsResponse,
)
from opentrail.wire.which_trail import own_trail, visible_trail


def put_insight_selectors(
    rooms: Rooms, scope: Scope, request: PutInsightSelectorsRequest
) -> PutInsightSelectorsResponse:
    """Turn a trail's Insights off; they are off already. Raises: ClientError: to turn them on."""
    _check_target(request.trail_name, request.event_data_store)
    trail = own_trail(rooms, scope, request.trail_name)
    if request.insight_selectors is None:
        raise ClientError("InvalidParameterException", "InsightSelectors is required.")
    for selector in request.insight_selectors:
        _check_selector(selector)
    if request.insight_selectors:
        text = "InsightSelectors: OpenTrail does not detect Insights events yet."
        raise ClientError("UnsupportedOperationException", text)
    return PutInsightSelectorsResponse(trail_arn=trail.arn, insight_selectors=[])


def get_insight_selectors(
    rooms: Rooms, scope: Scope, request: GetInsightSelectorsRequest
) -> GetInsightSelectorsResponse:
    """Raise ClientError: InsightNotEnabledException, for a trail that is there."""
    _check_target(request.trail_name, request.event_data_store)
    raise _not_enabled(visible_trail(rooms, scope, request.trail_name))


def _check_target(trail_name: str | None, store: str | None) -> None:
    """Raise ClientError unless a trail, and only a trail, is given."""
    if trail_name and store:
        text = "Give TrailName or EventDataStore, not both."
        raise ClientError("InvalidParameterCombinationException", text)
    if store:
        text = "EventDataStore: OpenTrail has no event data stores yet."
        raise ClientError("UnsupportedOperationException", text)


def _check_selector(selector: InsightSelector) -> None:
    """Raise ClientError InvalidInsightSelectorsException unless CloudTrail knows it."""
    if selector.insight_type not in INSIGHT_TYPE_VALUES:
        text = f"Value {selector.insight_type} for InsightType is invalid."
        raise ClientError("InvalidInsightSelectorsException", text)
    for category in selector.event_categories or ():
        if category not in SOURCE_EVENT_CATEGORY_VALUES:
            text = f"Value {category} for EventCategories is invalid."
            raise ClientError("InvalidInsightSelectorsException", text)


def _not_enabled(trail: Trail) -> ClientError:
    return ClientError(
        "InsightNotEnabledException",
        f"Trail {trail.name} does not have Insights enabled. Edit the trail settings to enable "
        "Insights, and then try the operation again.",
    )
