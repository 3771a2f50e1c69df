# SPDX-License-Identifier: Apache-2.0
"""LookupEvents: a page of Event history, for one account and region.

Follows the CloudTrail API Reference, 'LookupEvents', and what the service itself answers to input
that its own clients would not send.
"""

import math
from typing import cast

import msgspec

from opentrail.errors import ClientError
from opentrail.history.lookup import Found, Lookup
from opentrail.history.recent import BYTES_MAX
from opentrail.wire.page_token import seal, unseal
from opentrail.wire.rooms import Rooms, Scope
from opentrail.wire.shapes import (
    EVENT_CATEGORY_VALUES,
    LOOKUP_ATTRIBUTE_KEY_VALUES,
    Event,
    LookupAttribute,
    LookupEventsRequest,
    LookupEventsResponse,
    Resource,
)

RESULTS_MAX = 50
"""The service's own page size, and its default."""

ATTRIBUTE_VALUE_CHARS_MAX = 2000
"""The service's own bound; it counts characters, whatever its documentation says of some of them."""

SECONDS_MAX = 253_402_300_799
"""The last second of the year 9999, the latest that a record can say."""

INSIGHT_ATTRIBUTE_KEYS = ("EventId", "EventName", "EventSource")
"""What insight events can be looked up by."""

READ_ONLY_VALUES = ("true", "false")


def lookup_events(rooms: Rooms, scope: Scope, request: LookupEventsRequest) -> LookupEventsResponse:
    """Return the newest events that match, or those after the place that the token names.

    Raises: ClientError: with the modelled codes. Corrupt: a record does not check out.
    """
    rooms.throttle.take(scope.account, scope.region)
    category = _category(request.event_category)
    attribute = _attribute(request)
    start_s, end_s = _time_range(request, rooms.clock.now_ms())
    limit = _limit(request.max_results)
    parameters = _parameters(scope, request, limit)
    token = request.next_token
    query = Lookup(
        account=scope.account,
        region=scope.region,
        category=category,
        attribute=attribute,
        start_s=start_s,
        end_s=end_s,
        limit=limit,
        after=None if token is None else unseal(rooms.token_key, parameters, token),
    )
    page = rooms.history.lookup(query)
    # Bytes in the place of what they are made of: the encoder puts them in as they are.
    events = cast("list[Event]", [_shown(rooms, found) for found in page.events])
    if not page.more:
        return LookupEventsResponse(events=events)
    last = page.events[-1]
    place = (last.time_s, last.position)
    return LookupEventsResponse(events=events, next_token=seal(rooms.token_key, parameters, place))


def _parameters(scope: Scope, request: LookupEventsRequest, limit: int) -> bytes:
    """Return all that a page token is bound to: a page size left out is the default one."""
    asked = msgspec.structs.replace(request, next_token=None, max_results=limit)
    return msgspec.json.encode((scope.account, scope.region, asked))


def _attribute(request: LookupEventsRequest) -> tuple[str, str] | None:
    attributes = request.lookup_attributes
    if not attributes:
        return None
    if len(attributes) > 1:
        raise _bad_attribute("Specify one lookup attribute at most.")
    key, value = _pair(attributes[0])
    if request.event_category is not None and key not in INSIGHT_ATTRIBUTE_KEYS:
        raise _bad_attribute(
            f"Insights events can be looked up by {', '.join(INSIGHT_ATTRIBUTE_KEYS)} only."
        )
    return key, value


def _pair(attribute: LookupAttribute) -> tuple[str, str]:
    key, value = attribute.attribute_key, attribute.attribute_value
    if key not in LOOKUP_ATTRIBUTE_KEY_VALUES:
        raise _bad_attribute(
            f"AttributeKey must be one of {', '.join(LOOKUP_ATTRIBUTE_KEY_VALUES)}."
        )
    if value is None or not 1 <= len(value) <= ATTRIBUTE_VALUE_CHARS_MAX:
        raise _bad_attribute(
            f"AttributeValue must have 1 to {ATTRIBUTE_VALUE_CHARS_MAX} characters."
        )
    if key == "ReadOnly" and value not in READ_ONLY_VALUES:
        raise _bad_attribute("AttributeValue of ReadOnly must be true or false.")
    return key, value


def _bad_attribute(message: str) -> ClientError:
    return ClientError("InvalidLookupAttributesException", message)


def _time_range(request: LookupEventsRequest, now_ms: int) -> tuple[int | None, int | None]:
    """Return the inclusive bounds in whole seconds, as event times are."""
    start, end = request.start_time, request.end_time
    if start is not None and start * 1000 > now_ms:
        raise ClientError("InvalidTimeRangeException", "StartTime is in the future.")
    if start is not None and end is not None and start > end:
        raise ClientError("InvalidTimeRangeException", "StartTime is after EndTime.")
    return (
        None if start is None else _bounded(math.ceil(start)),
        None if end is None else _bounded(math.floor(end)),
    )


def _bounded(seconds: int) -> int:
    return max(0, min(seconds, SECONDS_MAX))


def _limit(max_results: int | None) -> int:
    if max_results is None:
        return RESULTS_MAX
    if not 1 <= max_results <= RESULTS_MAX:
        raise ClientError(
            "InvalidMaxResultsException",
            f"A max results value of {max_results} is invalid. "
            f"Specify max results between 1 and {RESULTS_MAX}.",
        )
    return max_results


def _category(event_category: str | None) -> str:
    """Return the records' own word for the category."""
    if event_category is None:
        return "Management"
    if event_category not in EVENT_CATEGORY_VALUES:
        raise ClientError(
            "InvalidEventCategoryException",
            f"EventCategory must be {' or '.join(EVENT_CATEGORY_VALUES)}.",
        )
    return "Insight"


def _shown(rooms: Rooms, found: Found) -> msgspec.Raw:
    """Return what is shown of one record, as it is sent."""
    known = rooms.shown.get(found.position)
    if known is not None and known[0] == found.data:
        return known[1]
    shown = msgspec.Raw(msgspec.json.encode(_event(found)))
    if len(found.data) <= BYTES_MAX:
        rooms.shown.put(found.position, (found.data, shown))
    return shown


def _event(found: Found) -> Event:
    """Return what is shown of one record; what it does not give is left out."""
    derived = found.derived
    return Event(
        event_id=derived.event_id or None,
        event_name=derived.event_name or None,
        read_only=derived.read_only,
        access_key_id=derived.access_key_id or None,
        event_time=float(derived.event_time_s),
        event_source=derived.event_source or None,
        username=derived.username or None,
        resources=[
            Resource(resource_type=each.type or None, resource_name=each.name)
            for each in derived.resources
        ],
        # Bytes that are not UTF-8 are shown as such: one odd record must not hide its page.
        cloud_trail_event=found.data.decode(errors="replace"),
    )
