# SPDX-License-Identifier: Apache-2.0
"""PutEventSelectors, GetEventSelectors.

Follows the CloudTrail API Reference, operations of these names: putting replaces all selectors of
both families; it shows them as they were given, getting sorts the fields of advanced ones by name.
"""

import msgspec

from opentrail.errors import ClientError
from opentrail.event import selectors as kept
from opentrail.event.selectors_check import check_advanced, check_basic
from opentrail.trails.trail import Trail
from opentrail.wire.rooms import Rooms, Scope
from opentrail.wire.shapes import (
    AdvancedEventSelector,
    AdvancedFieldSelector,
    DataResource,
    EventSelector,
    GetEventSelectorsRequest,
    GetEventSelectorsResponse,
    PutEventSelectorsRequest,
    PutEventSelectorsResponse,
)
from opentrail.wire.which_trail import own_trail, visible_trail

Values = tuple[str, ...] | None


def put_event_selectors(
    rooms: Rooms, scope: Scope, request: PutEventSelectorsRequest
) -> PutEventSelectorsResponse:
    """Replace a trail's selectors, for what is recorded from now on.

    Raises: ClientError: InvalidEventSelectorsException and those of the trail. Unavailable.
    """
    with rooms.trails.changing():
        trail = own_trail(rooms, scope, request.trail_name)
        basic, advanced = selectors_of(request)
        changed = msgspec.structs.replace(trail, event_selectors=basic, advanced_selectors=advanced)
        rooms.trails.change(changed, "PutEventSelectors")
    return PutEventSelectorsResponse(
        trail_arn=changed.arn,
        event_selectors=_shown_basic(changed),
        advanced_event_selectors=_shown_advanced(changed),
    )


def get_event_selectors(
    rooms: Rooms, scope: Scope, request: GetEventSelectorsRequest
) -> GetEventSelectorsResponse:
    """Return a trail's selectors, the default one if none were put. Raises: ClientError."""
    trail = visible_trail(rooms, scope, request.trail_name)
    advanced = _shown_advanced(trail)
    for selector in advanced or ():
        assert selector.field_selectors is not None
        selector.field_selectors.sort(key=lambda each: each.field or "")
    return GetEventSelectorsResponse(
        trail_arn=trail.arn,
        event_selectors=_shown_basic(trail),
        advanced_event_selectors=advanced,
    )


def has_custom_selectors(trail: Trail) -> bool:
    """Return whether the trail selects anything else than the default selector does."""
    return trail.advanced_selectors is not None or trail.event_selectors not in (
        None,
        kept.DEFAULT_SELECTORS,
    )


def selectors_of(
    request: PutEventSelectorsRequest,
) -> tuple[tuple[kept.EventSelector, ...] | None, tuple[kept.AdvancedSelector, ...] | None]:
    """Return the selectors of a request, basic or advanced, checked.

    Raises: ClientError InvalidEventSelectorsException.
    """
    return _basic(request), _advanced(request)


def _basic(request: PutEventSelectorsRequest) -> tuple[kept.EventSelector, ...] | None:
    """Return the basic selectors, checked; None: the advanced ones are given."""
    given = request.event_selectors
    if given is not None and request.advanced_event_selectors is not None:
        raise ClientError(
            "InvalidEventSelectorsException",
            "You can select events by using either EventSelectors or AdvancedEventSelectors, "
            "but not both.",
        )
    if given is None and request.advanced_event_selectors is not None:
        return None
    selectors = tuple(
        kept.EventSelector(
            read_write_type="All" if each.read_write_type is None else each.read_write_type,
            include_management_events=each.include_management_events is not False,
            data_resources=tuple(
                kept.DataResource(resource.type, _values(resource.values) or ())
                for resource in each.data_resources or ()
            ),
            exclude_management_event_sources=_values(each.exclude_management_event_sources) or (),
        )
        for each in given or ()
    )
    check_basic(selectors)
    return selectors


def _advanced(request: PutEventSelectorsRequest) -> tuple[kept.AdvancedSelector, ...] | None:
    given = request.advanced_event_selectors
    if given is None:
        return None
    selectors = tuple(
        kept.AdvancedSelector(
            tuple(_field(field) for field in each.field_selectors or ()), each.name
        )
        for each in given
    )
    check_advanced(selectors)
    return selectors


def _field(given: AdvancedFieldSelector) -> kept.FieldSelector:
    return kept.FieldSelector(
        field=given.field or "",
        equals=_values(given.equals),
        starts_with=_values(given.starts_with),
        ends_with=_values(given.ends_with),
        not_equals=_values(given.not_equals),
        not_starts_with=_values(given.not_starts_with),
        not_ends_with=_values(given.not_ends_with),
    )


def _values(given: list[str] | None) -> Values:
    """Return the values of an operator; an empty list is as good as none."""
    return tuple(given) if given else None


def _shown_basic(trail: Trail) -> list[EventSelector] | None:
    if trail.advanced_selectors is not None:
        return None
    selectors = kept.DEFAULT_SELECTORS if trail.event_selectors is None else trail.event_selectors
    return [
        EventSelector(
            read_write_type=each.read_write_type,
            include_management_events=each.include_management_events,
            data_resources=[
                DataResource(resource.type, list(resource.values or ()))
                for resource in each.data_resources
            ],
            exclude_management_event_sources=list(each.exclude_management_event_sources),
        )
        for each in selectors
    ]


def _shown_advanced(trail: Trail) -> list[AdvancedEventSelector] | None:
    if trail.advanced_selectors is None:
        return None
    return [
        AdvancedEventSelector(
            name=each.name,
            field_selectors=[
                msgspec.convert(field, AdvancedFieldSelector, from_attributes=True)
                for field in each.field_selectors
            ],
        )
        for each in trail.advanced_selectors
    ]
