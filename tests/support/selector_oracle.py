# SPDX-License-Identifier: Apache-2.0
"""Whether selectors select a record, read slowly off the record's JSON: the oracle of the fast way."""

from collections.abc import Iterator
from typing import Any

from opentrail.event.selectors import AdvancedSelector, EventSelector, FieldSelector

PATHS = {
    "eventName": ["eventName"],
    "eventSource": ["eventSource"],
    "eventType": ["eventType"],
    "errorCode": ["errorCode"],
    "userIdentity.arn": ["userIdentity", "arn"],
    "vpcEndpointId": ["vpcEndpointId"],
    "sessionCredentialFromConsole": ["sessionCredentialFromConsole"],
}


def selects(
    record: dict[str, Any],
    basic: tuple[EventSelector, ...] | None,
    advanced: tuple[AdvancedSelector, ...] | None,
) -> bool:
    """Return whether any selector takes ``record``."""
    if advanced is not None:
        return any(takes_advanced(record, selector) for selector in advanced)
    return any(takes_basic(record, selector) for selector in basic or (EventSelector(),))


def category(record: dict[str, Any]) -> str:
    if "eventCategory" in record:
        return str(record["eventCategory"])
    return "Data" if record.get("managementEvent") is False else "Management"


def takes_basic(record: dict[str, Any], selector: EventSelector) -> bool:
    reads = record.get("readOnly") is True
    if selector.read_write_type not in ("All", "ReadOnly" if reads else "WriteOnly"):
        return False
    if category(record) == "Management":
        excluded = record.get("eventSource") in selector.exclude_management_event_sources
        return selector.include_management_events and not excluded
    return category(record) == "Data" and any(
        entry.get("type") == wanted.type and covers(wanted.type or "", value, entry)
        for entry in record.get("resources") or []
        for wanted in selector.data_resources
        for value in wanted.values or ()
    )


def covers(kind: str, value: str, entry: dict[str, str]) -> bool:
    if value in ("arn:aws:s3", "arn:aws:s3:::", "arn:aws:lambda", "arn:aws:dynamodb"):
        return True
    arn = entry.get("ARN") or entry.get("ARNPrefix") or ""
    if kind == "AWS::S3::Object":
        return arn.startswith(value)
    exact = entry.get("ARN") == value
    return exact or (kind == "AWS::DynamoDB::Table" and arn.startswith(value + "/stream/"))


def takes_advanced(record: dict[str, Any], selector: AdvancedSelector) -> bool:
    """Every field must hold; those of a resource must hold of one and the same resource."""
    resources: list[FieldSelector] = []
    for field in selector.field_selectors:
        if field.field in ("resources.type", "resources.ARN"):
            resources.append(field)
        elif not holds(field, value_of(record, field.field)):
            return False
    if not resources:
        return True
    return any(
        all(holds(field, resource_value(entry, field.field)) for field in resources)
        for entry in record.get("resources") or []
    )


def value_of(record: dict[str, Any], name: str) -> str:
    if name == "eventCategory":
        return category(record)
    if name == "readOnly":
        return "true" if record.get("readOnly") is True else "false"
    found: Any = record
    for part in PATHS[name]:
        found = (found or {}).get(part)
    return found or ""


def resource_value(entry: dict[str, str], name: str) -> str:
    if name == "resources.type":
        return entry.get("type") or ""
    return entry.get("ARN") or entry.get("ARNPrefix") or ""


def holds(field: FieldSelector, value: str) -> bool:
    positive = list(verdicts(value, field.equals, field.starts_with, field.ends_with))
    negative = list(verdicts(value, field.not_equals, field.not_starts_with, field.not_ends_with))
    return (any(positive) or not positive) and not any(negative)


def verdicts(value: str, equals: Any, starts: Any, ends: Any) -> Iterator[bool]:
    yield from (value == each for each in equals or ())
    yield from (value.startswith(each) for each in starts or ())
    yield from (value.endswith(each) for each in ends or ())
