# SPDX-License-Identifier: Apache-2.0
"""Which event selectors a trail may have. Pure; every refusal is InvalidEventSelectorsException.

Source: CloudTrail API Reference, "PutEventSelectors", "AdvancedFieldSelector"; CloudTrail User
Guide, "Quotas in AWS CloudTrail". Texts are the service's own where they are known.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from opentrail.errors import ClientError
from opentrail.event.resource_types import is_mistyped
from opentrail.event.selectors import (
    ALL_OF_TYPE,
    AdvancedSelector,
    DataResource,
    EventSelector,
    FieldSelector,
)

SELECTORS_MAX: Final = 5
"""Basic selectors of a trail; CloudTrail's quota."""
DATA_VALUES_MAX: Final = 250
"""Values of all DataResources of a trail, those that mean a whole type aside; CloudTrail's quota."""
ADVANCED_VALUES_MAX: Final = 500
"""Advanced selectors of a trail, and values of all their fields; CloudTrail's quota."""
SELECTOR_NAME_CHARS_MAX: Final = 1000
VALUE_CHARS_MAX: Final = 2048
"""The service model's bounds."""

READ_WRITE_TYPES: Final = ("All", "ReadOnly", "WriteOnly")
EXCLUDABLE_SOURCES: Final = ("kms.amazonaws.com", "rdsdata.amazonaws.com")
"""The only noisy management events that can be left out."""

_RESOURCE_TYPE = re.compile(r"AWS::[A-Za-z0-9]+::[A-Za-z0-9]+")
_ARN = re.compile(r"arn:aws[a-z-]*:[a-z0-9-]+:[a-z0-9-]*:(?:[0-9]{12})?:[^\s*]+")
_S3_OBJECT_ARN = re.compile(r"arn:aws[a-z-]*:s3:::[a-z0-9][a-z0-9.-]+/.*")
_FUNCTION_ARN = re.compile(r"arn:aws[a-z-]*:lambda:[a-z0-9-]+:[0-9]{12}:function:[A-Za-z0-9_-]+")
_TABLE_ARN = re.compile(r"arn:aws[a-z-]*:dynamodb:[a-z0-9-]+:[0-9]{12}:table/[A-Za-z0-9_.-]+")

_WHOLE_ARNS = {"AWS::S3::Object": _S3_OBJECT_ARN, "AWS::Lambda::Function": _FUNCTION_ARN}
"""resources.type -> what resources.ARN must be where it is compared as a whole; others: any ARN."""

BASIC_TYPES: Final[Mapping[str, tuple[str, re.Pattern[str]]]] = {
    "AWS::S3::Object": ("s3", _S3_OBJECT_ARN),
    "AWS::Lambda::Function": ("lambda", _FUNCTION_ARN),
    "AWS::DynamoDB::Table": ("dynamodb", _TABLE_ARN),
}
"""DataResources.Type -> the service in the form that means all, and what another value must be."""

OPERATORS: Final = (
    "equals",
    "starts_with",
    "ends_with",
    "not_equals",
    "not_starts_with",
    "not_ends_with",
)
"""Fields of ``FieldSelector`` that hold values."""


@dataclass(frozen=True, slots=True)
class _Rule:
    """What one field may say in selectors of one category."""

    operators: tuple[str, ...] = OPERATORS
    values: tuple[str, ...] = ()
    """The only ones; empty: any."""
    single: bool = False
    """One value, no more."""
    required: bool = False


_ANY = _Rule()
_READ_ONLY = _Rule(("equals",), ("true", "false"), single=True)
_CATEGORY = _Rule(
    ("equals",), ("Management", "Data", "NetworkActivity"), single=True, required=True
)

FIELDS: Final[Mapping[str, Mapping[str, _Rule]]] = {
    "Management": {
        "eventCategory": _CATEGORY,
        "readOnly": _READ_ONLY,
        "eventSource": _Rule(("not_equals",), EXCLUDABLE_SOURCES),
    },
    "Data": {
        "eventCategory": _CATEGORY,
        "resources.type": _Rule(("equals",), single=True, required=True),
        "readOnly": _READ_ONLY,
        "eventName": _ANY,
        "resources.ARN": _ANY,
        "eventSource": _ANY,
        "eventType": _ANY,
        "userIdentity.arn": _ANY,
        "sessionCredentialFromConsole": _Rule(("equals", "not_equals"), ("true",)),
    },
    "NetworkActivity": {
        "eventCategory": _CATEGORY,
        "eventSource": _Rule(("equals",), single=True, required=True),
        "eventName": _ANY,
        "errorCode": _Rule(("equals",), ("VpceAccessDenied",)),
        "vpcEndpointId": _ANY,
        "userIdentity.arn": _ANY,
    },
}
"""eventCategory -> the fields that a trail's advanced selectors may name."""


def check_basic(selectors: Sequence[EventSelector]) -> None:
    """Raise ClientError unless a trail may have these basic selectors."""
    if not 1 <= len(selectors) <= SELECTORS_MAX:
        raise _invalid(f"Specify a valid number of selectors (1 to {SELECTORS_MAX}) for your trail")
    for selector in selectors:
        _check_basic(selector)
    values = [
        value
        for selector in selectors
        for resource in selector.data_resources
        for value in resource.values or ()
        if not ALL_OF_TYPE.fullmatch(value)
    ]
    if len(values) > DATA_VALUES_MAX:
        raise _invalid(
            f"Specify a valid number of DataResources.Values (0 to {DATA_VALUES_MAX}) "
            "for all your selectors"
        )


def _check_basic(selector: EventSelector) -> None:
    if selector.read_write_type not in READ_WRITE_TYPES:
        raise _invalid(f"Value {selector.read_write_type} for ReadWriteType is invalid.")
    for source in selector.exclude_management_event_sources:
        if source not in EXCLUDABLE_SOURCES:
            raise _invalid(f"Value {source} for ExcludeManagementEventSources is invalid.")
    if selector.exclude_management_event_sources and not selector.include_management_events:
        raise _invalid("ExcludeManagementEventSources needs IncludeManagementEvents.")
    for resource in selector.data_resources:
        _check_data_resource(resource)


def _check_data_resource(resource: DataResource) -> None:
    if resource.type is None or resource.type not in BASIC_TYPES:
        raise _invalid(f"Value {resource.type} for DataResources.Type is invalid.")
    for value in resource.values or ():
        if not _is_basic_value(resource.type, value):
            raise _invalid(f"Value {value} for DataResources.Values is invalid.")


def _is_basic_value(resource_type: str, value: str) -> bool:
    service, pattern = BASIC_TYPES[resource_type]
    if ALL_OF_TYPE.fullmatch(value):
        return value.split(":")[2] == service
    return "*" not in value and pattern.fullmatch(value) is not None


def check_advanced(selectors: Sequence[AdvancedSelector]) -> None:
    """Raise ClientError unless a trail may have these advanced selectors."""
    if not 1 <= len(selectors) <= ADVANCED_VALUES_MAX:
        raise _invalid(f"Specify between 1 and {ADVANCED_VALUES_MAX} selectors for your trail.")
    for selector in selectors:
        _check_advanced(selector)
    count = sum(
        len(values)
        for selector in selectors
        for each in selector.field_selectors
        for values in _given(each).values()
    )
    if count > ADVANCED_VALUES_MAX:
        raise _invalid(
            f"Specify at most {ADVANCED_VALUES_MAX} values for all fields of all your selectors."
        )


def _check_advanced(selector: AdvancedSelector) -> None:
    if len(selector.name or "") > SELECTOR_NAME_CHARS_MAX:
        raise _invalid(f"A selector's name has {SELECTOR_NAME_CHARS_MAX} characters at most.")
    by_field = {each.field: each for each in selector.field_selectors}
    if len(by_field) < len(selector.field_selectors):
        raise _invalid("A selector may name each field once only.")
    category = _category(by_field)
    rules = FIELDS[category]
    missing = [name for name, rule in rules.items() if rule.required and name not in by_field]
    if missing:
        raise _missing(missing)
    for name, each in by_field.items():
        if name not in rules:
            raise _invalid(f"The field {name} is not valid for eventCategory {category}.")
        _check_field(each, rules[name])
    _check_resources(by_field)


def _category(by_field: Mapping[str, FieldSelector]) -> str:
    given = by_field.get("eventCategory")
    if given is None:
        raise _missing(["eventCategory"])
    _check_field(given, _CATEGORY)
    assert given.equals is not None
    return given.equals[0]


def _check_field(selector: FieldSelector, rule: _Rule) -> None:
    given = _given(selector)
    name = selector.field
    if not given:
        raise _invalid(f"The field {name} needs at least one operator with a value.")
    if any(operator not in rule.operators for operator in given):
        allowed = ", ".join(map(_aws_name, rule.operators))
        raise _invalid(f"The field {name} takes these operators only: {allowed}.")
    values = [value for each in given.values() for value in each]
    if not all(1 <= len(value) <= VALUE_CHARS_MAX for value in values):
        raise _invalid(f"A value of {name} has 1 to {VALUE_CHARS_MAX} characters.")
    if (rule.values and not set(values) <= set(rule.values)) or (rule.single and len(values) > 1):
        raise _bad_value(name)


def _check_resources(by_field: Mapping[str, FieldSelector]) -> None:
    types, arns = by_field.get("resources.type"), by_field.get("resources.ARN")
    if types is None or types.equals is None:
        return
    (wanted,) = types.equals
    if not _RESOURCE_TYPE.fullmatch(wanted) or is_mistyped(wanted):
        raise _bad_value("resources.type")
    if arns is None:
        return
    pattern = _WHOLE_ARNS.get(wanted, _ARN)
    for arn in (*(arns.equals or ()), *(arns.not_equals or ())):
        if not pattern.fullmatch(arn):
            raise _invalid(
                f"The specified ARN {arn} is not valid. Verify that the ARN is properly formatted."
            )


def _given(selector: FieldSelector) -> dict[str, tuple[str, ...]]:
    """Return the operators that have values."""
    values = msgspec.structs.asdict(selector)
    return {name: values[name] for name in OPERATORS if values[name]}


def _aws_name(operator: str) -> str:
    return "".join(part.capitalize() for part in operator.split("_"))


def _missing(names: Sequence[str]) -> ClientError:
    return _invalid(f"The following fields are required: [{', '.join(names)}].")


def _bad_value(name: str) -> ClientError:
    return _invalid(f"The {name} field value is not valid.")


def _invalid(message: str) -> ClientError:
    return ClientError("InvalidEventSelectorsException", message)
