# SPDX-License-Identifier: Apache-2.0
"""PutEventConfiguration, GetEventConfiguration: no trail aggregates events.

Follows the CloudTrail API Reference, operations of these names: a trail's only configuration is
that of aggregated events, which OpenTrail does not make; having none can be put and is shown.
"""

from opentrail.errors import ClientError
from opentrail.wire.rooms import Rooms, Scope
from opentrail.wire.shapes import (
    EVENT_CATEGORY_AGGREGATION_VALUES,
    TEMPLATE_VALUES,
    AggregationConfiguration,
    GetEventConfigurationRequest,
    GetEventConfigurationResponse,
    PutEventConfigurationRequest,
    PutEventConfigurationResponse,
)
from opentrail.wire.which_trail import own_trail, visible_trail

AGGREGATIONS_MAX = 1
"""Of a trail; CloudTrail's bound."""


def put_event_configuration(
    rooms: Rooms, scope: Scope, request: PutEventConfigurationRequest
) -> PutEventConfigurationResponse:
    """Let a trail aggregate nothing, as it does already. Raises: ClientError: to let it."""
    _check_target(request.trail_name, request.event_data_store)
    trail = own_trail(rooms, scope, request.trail_name)
    if request.max_event_size or request.context_key_selectors:
        text = "MaxEventSize and ContextKeySelectors are of event data stores, not of trails."
        raise ClientError("InvalidParameterCombinationException", text)
    given = request.aggregation_configurations or []
    if len(given) > AGGREGATIONS_MAX:
        text = f"A trail has {AGGREGATIONS_MAX} aggregation configuration at most."
        raise _invalid(text)
    for each in given:
        _check(each)
    if given:
        text = "AggregationConfigurations: OpenTrail does not make aggregated events."
        raise ClientError("UnsupportedOperationException", text)
    return PutEventConfigurationResponse(trail_arn=trail.arn, aggregation_configurations=[])


def get_event_configuration(
    rooms: Rooms, scope: Scope, request: GetEventConfigurationRequest
) -> GetEventConfigurationResponse:
    """Return that a trail aggregates nothing. Raises: ClientError."""
    _check_target(request.trail_name, request.event_data_store)
    trail = visible_trail(rooms, scope, request.trail_name)
    return GetEventConfigurationResponse(trail_arn=trail.arn, aggregation_configurations=[])


def _check_target(trail_name: str | None, store: str | None) -> None:
    if trail_name and store:
        text = "Give TrailName or EventDataStore, not both."
        raise ClientError("InvalidParameterCombinationException", text)
    if store:
        text = f"There is no event data store {store}: OpenTrail has none yet."
        raise ClientError("EventDataStoreNotFoundException", text)


def _check(given: AggregationConfiguration) -> None:
    if given.event_category not in EVENT_CATEGORY_AGGREGATION_VALUES:
        raise _invalid(f"Value {given.event_category} for EventCategory is invalid.")
    for template in given.templates or ("",):
        if template not in TEMPLATE_VALUES:
            raise _invalid(f"Value {template} for Templates is invalid.")


def _invalid(text: str) -> ClientError:
    return ClientError("InvalidParameterException", text)
