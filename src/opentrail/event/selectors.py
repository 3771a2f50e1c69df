# SPDX-License-Identifier: Apache-2.0
"""Event selectors, basic and advanced: what they are, and whether one selects a record. Pure.

Source: CloudTrail API Reference, "EventSelector", "AdvancedEventSelector", "AdvancedFieldSelector".
"""

import re
from collections.abc import Callable, Iterator, Sequence

import msgspec

from opentrail.event.place import category_of
from opentrail.event.record import Record


class DataResource(msgspec.Struct, frozen=True, rename="pascal", omit_defaults=True):
    """Part of a basic selector, in AWS's words."""

    type: str | None = None
    values: tuple[str, ...] | None = None


class EventSelector(msgspec.Struct, frozen=True, rename="pascal", omit_defaults=True):
    """A basic selector as given, defaults filled in."""

    read_write_type: str = "All"
    include_management_events: bool = True
    data_resources: tuple[DataResource, ...] = ()
    exclude_management_event_sources: tuple[str, ...] = ()


class FieldSelector(msgspec.Struct, frozen=True, rename="pascal", omit_defaults=True):
    """One field of an advanced selector; None: that operator was not given."""

    field: str
    equals: tuple[str, ...] | None = None
    starts_with: tuple[str, ...] | None = None
    ends_with: tuple[str, ...] | None = None
    not_equals: tuple[str, ...] | None = None
    not_starts_with: tuple[str, ...] | None = None
    not_ends_with: tuple[str, ...] | None = None


_OPERATORS = FieldSelector.__struct_fields__[1:]


class AdvancedSelector(msgspec.Struct, frozen=True, rename="pascal", omit_defaults=True):
    """An advanced selector as given."""

    field_selectors: tuple[FieldSelector, ...]
    name: str | None = None


DEFAULT_SELECTORS = (EventSelector(),)
"""What a trail has before its first PutEventSelectors: all management events, no others."""

ALL_OF_TYPE = re.compile(r"arn:aws[a-z-]*:(?:s3(?::::)?|lambda|dynamodb)")
"""Values of a basic selector that mean every bucket, function or table."""

Selects = Callable[[Record], bool]
"""Whether a record is selected."""


class _Resource(msgspec.Struct, frozen=True, gc=False):
    """What selectors ask of an entry of a record's ``resources``."""

    type: str = ""
    arn: str = msgspec.field(default="", name="ARN")
    arn_prefix: str = msgspec.field(default="", name="ARNPrefix")
    """In place of the ARN where a call lists what begins so."""


_OnResource = Callable[[_Resource], bool]
_OnText = Callable[[str], bool]
_OnBoth = tuple[Selects, _OnResource]
"""The fields of the record itself, and those of one resource: some entry must pass the latter."""
_Simple = dict[str, list[Selects]]
_OnResources = dict[str, list[_OnBoth]]
"""Category -> the tests that take a record of it, without and with a look at its resources."""

_resources = msgspec.json.Decoder(list[_Resource]).decode
_odd_resources = msgspec.json.Decoder(list[dict[str, object]]).decode
_ALL_READS_AND_WRITES = "All"


def compile_selectors(
    basic: Sequence[EventSelector] | None, advanced: Sequence[AdvancedSelector] | None
) -> Selects:
    """Return the predicate of a trail's selectors; both None: the default selector.

    A record is selected when one selector takes it. Of a data event's resources one entry must pass
    the type and all tests of the ARN. A record that does not say ``readOnly`` counts as a write,
    so that a trail of writes does not miss one. Insights events are not for selectors to take.
    """
    simple, on_resources = _parts(basic, advanced)
    plain = _of_categories(simple)
    if not on_resources:
        return plain

    def selects(record: Record) -> bool:
        return plain(record) or _any_resource(on_resources.get(category_of(record), ()), record)

    return selects


def whole_categories(
    basic: Sequence[EventSelector] | None, advanced: Sequence[AdvancedSelector] | None
) -> frozenset[str]:
    """Return categories of which ``compile_selectors`` takes every record."""
    simple, _ = _parts(basic, advanced)
    return frozenset(category for category, tests in simple.items() if _always in tests)


def _parts(
    basic: Sequence[EventSelector] | None, advanced: Sequence[AdvancedSelector] | None
) -> tuple[_Simple, _OnResources]:
    if advanced is not None:
        return _advanced_parts(advanced)
    return _basic_parts(DEFAULT_SELECTORS if basic is None else basic)


def _of_categories(simple: _Simple) -> Selects:
    def selects(record: Record) -> bool:
        for test in simple.get(record.event_category or category_of(record), ()):
            if test(record):
                return True
        return False

    return selects


def _any_resource(tests: Sequence[_OnBoth], record: Record) -> bool:
    entries: list[_Resource] | None = None
    for on_record, on_resource in tests:
        if on_record(record):
            if entries is None:
                entries = _resources_of(record)
            if any(map(on_resource, entries)):
                return True
    return False


def _resources_of(record: Record) -> list[_Resource]:
    """Return the record's resources; an entry's value of an unexpected type reads as absent."""
    if not record.resources:
        return []
    try:
        return _resources(record.resources)
    except msgspec.ValidationError:
        pass
    try:
        entries = _odd_resources(record.resources)
    except msgspec.ValidationError:
        return []
    return [
        _Resource(_text(each.get("type")), _text(each.get("ARN")), _text(each.get("ARNPrefix")))
        for each in entries
    ]


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _basic_parts(
    selectors: Sequence[EventSelector],
) -> tuple[_Simple, _OnResources]:
    management: list[Selects] = []
    data: list[_OnBoth] = []
    for selector in selectors:
        side = _side(selector.read_write_type)
        if selector.include_management_events:
            management.append(_management(side, selector.exclude_management_event_sources))
        data += [(side, _basic_resource(each)) for each in selector.data_resources]
    return {"Management": management}, {"Data": data} if data else {}


def _side(read_write_type: str) -> Selects:
    if read_write_type == _ALL_READS_AND_WRITES:
        return _always
    if read_write_type == "ReadOnly":
        return _reads
    return _writes


def _always(_record: Record) -> bool:
    return True


def _reads(record: Record) -> bool:
    return record.read_only is True


def _writes(record: Record) -> bool:
    return record.read_only is not True


def _management(side: Selects, excluded: Sequence[str]) -> Selects:
    if not excluded:
        return side
    sources = frozenset(excluded)
    return lambda record: record.event_source not in sources and side(record)


def _basic_resource(resource: DataResource) -> _OnResource:
    values = resource.values or ()
    wanted = resource.type or ""
    if any(ALL_OF_TYPE.fullmatch(value) for value in values):
        return lambda entry: entry.type == wanted
    if wanted == "AWS::S3::Object":
        return lambda entry: entry.type == wanted and _arn(entry).startswith(values)
    exact = frozenset(values)
    streams = tuple(f"{value}/stream/" for value in values) if "Dynamo" in wanted else ()
    return lambda entry: (
        entry.type == wanted and (entry.arn in exact or entry.arn.startswith(streams))
    )


def _arn(entry: _Resource) -> str:
    return entry.arn or entry.arn_prefix


def _advanced_parts(
    selectors: Sequence[AdvancedSelector],
) -> tuple[_Simple, _OnResources]:
    simple: _Simple = {}
    on_resources: _OnResources = {}
    for selector in selectors:
        fields = {each.field: _on_text(each) for each in selector.field_selectors}
        on_category = fields.pop("eventCategory", None)
        on_type = fields.pop("resources.type", None)
        on_arn = fields.pop("resources.ARN", None) and _on_arn(selector)
        on_record = _every(tuple(_on_record(name, test) for name, test in fields.items()))
        for category in ("Management", "Data", "NetworkActivity"):
            if on_category is None or not on_category(category):
                continue
            if on_type or on_arn:
                both = (on_record, _advanced_resource(on_type, on_arn))
                on_resources.setdefault(category, []).append(both)
            else:
                simple.setdefault(category, []).append(on_record)
    return simple, on_resources


def _advanced_resource(on_type: _OnText | None, on_arn: _OnText | None) -> _OnResource:
    if on_arn is None:
        return lambda entry: on_type is None or on_type(entry.type)
    return lambda entry: (on_type is None or on_type(entry.type)) and on_arn(_arn(entry))


_SAGEMAKER = "AWS::SageMaker::"
"""Types whose names differ in more than capitals, and whose ARNs, by their age, may have none."""


def _on_arn(selector: AdvancedSelector) -> _OnText:
    """Return the test of resources.ARN."""
    by_field = {each.field: each for each in selector.field_selectors}
    of_type, on_arn = by_field.get("resources.type"), by_field["resources.ARN"]
    types = of_type.equals or () if of_type is not None else ()
    if not any(each.startswith(_SAGEMAKER) for each in types):
        return _on_text(on_arn)
    lists = {name: getattr(on_arn, name) for name in _OPERATORS}
    lower = {name: tuple(map(str.lower, values)) for name, values in lists.items() if values}
    test = _on_text(FieldSelector(on_arn.field, **lower))
    return lambda arn: test(arn.lower())


def _every(tests: tuple[Selects, ...]) -> Selects:
    if not tests:
        return _always
    first, rest = tests[0], tests[1:]
    if not rest:
        return first
    others = _every(rest)
    return lambda record: first(record) and others(record)


def _on_record(name: str, test: _OnText) -> Selects:
    if name == "readOnly":
        reads, writes = test("true"), test("false")
        return lambda record: reads if record.read_only is True else writes
    get = _FIELDS.get(name)
    if get is None:
        return lambda _record: False
    return lambda record: test(get(record))


_FIELDS: dict[str, Callable[[Record], str]] = {
    "eventName": lambda record: record.event_name,
    "eventSource": lambda record: record.event_source,
    "eventType": lambda record: record.event_type,
    "errorCode": lambda record: record.error_code,
    "userIdentity.arn": lambda record: record.user_identity.arn,
    "vpcEndpointId": lambda record: record.vpc_endpoint_id,
    "sessionCredentialFromConsole": lambda record: record.session_credential_from_console,
}
"""Field of an advanced selector -> its value; what a record does not have is ""."""


def _on_text(selector: FieldSelector) -> _OnText:
    """Return the test of one field: any of the positive values, and none of the negative ones."""
    positive = list(_tests(selector.equals, selector.starts_with, selector.ends_with))
    negative = list(_tests(selector.not_equals, selector.not_starts_with, selector.not_ends_with))
    if len(positive) == 1 and not negative:
        return positive[0]

    def test(value: str) -> bool:
        if positive and not any(each(value) for each in positive):
            return False
        return not any(each(value) for each in negative)

    return test


def _tests(
    equals: tuple[str, ...] | None,
    starts_with: tuple[str, ...] | None,
    ends_with: tuple[str, ...] | None,
) -> Iterator[_OnText]:
    if equals:
        yield frozenset(equals).__contains__
    if starts_with:
        yield lambda value: value.startswith(starts_with)
    if ends_with:
        yield lambda value: value.endswith(ends_with)
