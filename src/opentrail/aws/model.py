# SPDX-License-Identifier: Apache-2.0
"""The service models, typed: an operation and the shapes of its input and output.

Built from the packaged tables (``opentrail.aws.tables``), one operation at a time.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass

from opentrail.aws import tables
from opentrail.aws.request import Target
from opentrail.aws.tables import ErrorRow, Kind, Location

__all__ = ["ErrorRow", "Kind", "Location", "Member", "Operation", "Shape", "operation"]


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """A type of the model. Shapes may contain themselves: walk along a value, not the shapes."""

    name: str
    kind: Kind
    members: "Mapping[str, Member]"
    """A structure's, in model order; a list has "member"; a map has "key" and "value"."""
    payload: str
    """The member that is the HTTP body itself; empty when the body holds the members."""
    timestamp_format: str
    """"iso8601", "unixTimestamp", "rfc822"; empty when the protocol decides."""
    sensitive: bool
    streaming: bool
    event_stream: bool
    document: bool
    """Whether any JSON may stand here."""
    flattened: bool


@dataclass(frozen=True, slots=True, eq=False)
class Member:
    """A named place in a shape."""

    name: str
    """The model's name."""
    wire: str
    """What the wire calls it, in JSON, XML, query strings and headers."""
    shape: Shape
    location: Location
    """Where a request or an answer carries it; empty means in the body."""
    query_name: str
    """What the ec2 protocol calls it, when the model says so."""
    required: bool
    flattened: bool
    json_value: bool
    """Whether the header is base64 of a JSON text."""


@dataclass(frozen=True, slots=True, eq=False)
class Operation:
    """One operation, as one of the protocols of its service carries it."""

    service: str
    """botocore's service directory."""
    name: str
    protocol: str
    """What this call speaks: ``Target.protocol``."""
    method: str
    uri: str
    """The path template, with the query literals that belong to it ("/{Bucket}?acl")."""
    input: Shape | None
    output: Shape | None
    errors: tuple[ErrorRow, ...]
    host_prefix: str
    """What SDKs put before the host ("{AccountId}."); empty for most."""
    result_wrapper: str
    """The XML element around the members of a query protocol's answer."""
    readonly: bool
    """The model's own trait: true is evidence, false is not."""
    deprecated: bool
    event_stream_input: bool
    event_stream_output: bool


def operation(target: Target) -> Operation | None:
    """Return the model of what ``target`` names, or None when the models do not have it."""
    if not target.known or not target.service or not target.operation:
        return None
    return _operation(target.service, target.operation, target.protocol)


@functools.cache  # known operations only (``target.known``), so the models bound it
def _operation(service: str, name: str, protocol: str) -> Operation | None:
    if service not in tables.services() or name not in tables.table(service).names():
        return None
    table = tables.table(service)
    row = table.operation(name)
    shapes = _shapes(service)
    given = shapes.shape(row.input)
    answer = shapes.shape(row.output)
    return Operation(
        service=service,
        name=name,
        protocol=protocol or table.service.protocol,
        method=row.method,
        uri=row.uri,
        input=given,
        output=answer,
        errors=tuple(table.error(number) for number in row.errors),
        host_prefix=row.host_prefix,
        result_wrapper=row.result_wrapper,
        readonly=row.readonly,
        deprecated=row.deprecated,
        event_stream_input=_streams_events(given),
        event_stream_output=_streams_events(answer),
    )


def _streams_events(shape: Shape | None) -> bool:
    return shape is not None and any(m.shape.event_stream for m in shape.members.values())


@functools.cache
def _shapes(service: str) -> "_Shapes":
    return _Shapes(tables.table(service))


class _Shapes:
    """The shapes of one service that were asked for so far; each is made once."""

    def __init__(self, table: tables.Table) -> None:
        self._table = table
        self._made: dict[int, Shape] = {}

    def shape(self, number: int) -> Shape | None:
        """Return shape ``number`` and all that it reaches; None for -1."""
        return None if number < 0 else self._shape(number)

    def _shape(self, number: int) -> Shape:
        if number in self._made:
            return self._made[number]
        row = self._table.shape(number)
        members: dict[str, Member] = {}
        made = Shape(
            name=row.name,
            kind=row.kind,
            members=members,
            payload=row.payload,
            timestamp_format=row.timestamp_format,
            sensitive=row.sensitive,
            streaming=row.streaming,
            event_stream=row.event_stream,
            document=row.document,
            flattened=row.flattened,
        )
        # Known before its members are made: a shape may contain itself.
        self._made[number] = made
        for member in row.members:
            members[member.name] = self._member(member)
        return made

    def _member(self, row: tables.MemberRow) -> Member:
        return Member(
            name=row.name,
            wire=row.wire or row.name,
            shape=self._shape(row.shape),
            location=row.location,
            query_name=row.query_name,
            required=row.required,
            flattened=row.flattened,
            json_value=row.json_value,
        )
