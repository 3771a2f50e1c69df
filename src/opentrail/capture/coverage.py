# SPDX-License-Identifier: Apache-2.0
"""The coverage map: what becomes of a call of any operation, and by which rule.

Read from the same tables and models that records are made by; nothing here decides anything.
"""

from collections.abc import Iterator
from typing import Literal

import msgspec

from opentrail.aws import catalog, tables
from opentrail.aws.model import Member, Operation, Shape
from opentrail.aws.protocol import unsupported
from opentrail.aws.request import Target
from opentrail.capture.elements import CREDENTIALS, SECRETS, Element
from opentrail.capture.exclude import OWN_SOURCES
from opentrail.capture.plan import plan
from opentrail.capture.readonly import named_as_read
from opentrail.capture.rules import PLAIN, Form, OperationRules, Redaction, ServiceRules
from opentrail.capture.services import rules_for

Fate = Literal["forwarded", "answered", "refused"]
Rule = Literal["binary", "credential", "keys-only", "not-kept", "sensitive", "table"]
RULES: dict[Rule, str] = {
    "sensitive": "the service's model marks it as sensitive",
    "table": "OpenTrail's table of the service names it: a capability, or a payload",
    "credential": "a secret by its name (an access key, a token, a password), wherever it appears",
    "not-kept": "not among the members that are kept: of data events what names things, not payload",
    "keys-only": "an item of DynamoDB: the names of its attributes are kept, not their values",
    "binary": "a blob or a stream: never recorded",
}
"""Why a member is hidden or left out."""


class Field(msgspec.Struct, frozen=True, order=True):
    """A member that a record does not show as it was sent."""

    part: Literal["request", "answer"]
    path: str
    """"Containers[].Environment"; of a name that stands in several places, the first."""
    rule: Rule


class Covered(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of the calls of one operation."""

    service: str
    """botocore's name of it."""
    operation: str
    protocols: tuple[str, ...]
    event_source: str
    event_name: str
    call: Fate
    """Answered: by OpenTrail itself. Refused: its request is a stream of events."""
    recorded: Literal["yes", "counted"]
    """Counted: AWS does not record it; with ``forward.record_unlogged`` it is a data event."""
    category: Literal["Management", "Data"]
    resource_type: str
    """Of a data event; else empty."""
    read_only: bool
    read_only_by: Literal["table", "model", "name"]
    request_parameters: bool
    """Whether there can be any."""
    response_elements: bool
    """Whether there can be any."""
    hidden: tuple[Field, ...]
    """Shown as hidden."""
    left_out: tuple[Field, ...]
    """Not shown at all."""


def services() -> list[str]:
    """Return all services, by botocore's names."""
    return sorted(tables.services())


def coverage(service: str) -> Iterator[Covered]:
    """Yield every operation of one service, in model order. Raises: KeyError: no such service."""
    row = tables.services()[service]
    for name in tables.table(service).names():
        yield _covered(catalog.target(row, name, row.protocol), row.protocols)


def _covered(target: Target, protocols: tuple[str, ...]) -> Covered:
    how = plan(target)
    assert how.operation is not None
    rules = rules_for(target.service)
    found = _Fields(rules, rules.operations.get(target.operation, PLAIN))
    found.element("request", how.operation.input, how.request)
    if how.response is not None:
        found.element("answer", how.operation.output, how.response)
    return Covered(
        service=target.service,
        operation=target.operation,
        protocols=protocols,
        event_source=how.event_source,
        event_name=how.event_name,
        call=_call(target),
        recorded="yes" if how.logged else "counted",
        category=how.category,
        resource_type=how.data_type,
        read_only=how.reads,
        read_only_by=_read_only_by(how.operation, reads=how.reads),
        request_parameters=how.request is not None,
        response_elements=how.response is not None,
        hidden=tuple(found.hidden),
        left_out=tuple(found.left_out),
    )


def _call(target: Target) -> Fate:
    if target.event_source in OWN_SOURCES:
        return "answered"
    return "refused" if unsupported(target) else "forwarded"


def _read_only_by(model: Operation, *, reads: bool) -> Literal["table", "model", "name"]:
    row = rules_for(model.service).operations.get(model.name, PLAIN)
    if row.read_only is None and model.readonly:
        return "model"
    return "name" if row.read_only is None and named_as_read(model.name) == reads else "table"


class _Fields:
    """Collects what one operation's records do not show; each name once, by its first path."""

    def __init__(self, service: ServiceRules, operation: OperationRules) -> None:
        self.hidden: list[Field] = []
        self.left_out: list[Field] = []
        self._keys_only = service.form is Form.DYNAMODB and operation.data is not None
        self._omits = service.redaction is Redaction.OMITTED
        self._hide = service.hide | operation.hide
        self._drop = service.drop | operation.drop
        self._part: Literal["request", "answer"] = "request"
        self._seen: set[object] = set()

    def element(
        self, part: Literal["request", "answer"], shape: Shape | None, element: Element | None
    ) -> None:
        """Look at requestParameters or responseElements."""
        self._part = part
        self._seen = set()
        shown = set(element.needs) if element is not None else set()
        for member in shape.members.values() if shape is not None else ():
            if member.name in shown:
                self._member(member, "")
            else:
                self._note(member.name, member.name, self._why(member) or "not-kept", hide=False)

    def _why(self, member: Member) -> Rule | None:
        """Return by which rule a member is not shown as it is, wherever it stands."""
        if member.name in CREDENTIALS or member.name in SECRETS:
            return "credential"
        if member.name in self._drop or member.name in self._hide:
            return "table"
        return self._why_shape(member.shape)

    def _why_shape(self, shape: Shape) -> Rule | None:
        if shape.sensitive or (shape.kind == "map" and shape.members["key"].shape.sensitive):
            return "sensitive"
        if shape.kind == "blob" or shape.streaming or shape.event_stream:
            return "binary"
        return None

    def _member(self, member: Member, before: str) -> None:
        path = before + member.name
        rule = self._why(member)
        if rule is None and self._keys_only and member.name == "Item":
            rule = "keys-only"
        if rule is None:
            self._below(member.shape, path)
        else:
            self._note(member.name, path, rule, hide=self._is_hidden(member, rule))

    def _is_hidden(self, member: Member, rule: Rule) -> bool:
        if member.name in self._drop or member.name in CREDENTIALS:
            return False
        if member.name in SECRETS:
            return not self._omits
        if member.name in self._hide:
            return True
        return rule == "sensitive" and member.shape.kind != "blob" and not self._omits

    def _below(self, shape: Shape, path: str) -> None:
        if shape.kind == "structure":
            # A shape that contains itself does so through a structure.
            for member in () if shape in self._seen else shape.members.values():
                self._seen.add(shape)
                self._member(member, f"{path}.")
        elif shape.members:
            self._inner(shape, path)

    def _inner(self, shape: Shape, path: str) -> None:
        inner = shape.members["member" if shape.kind == "list" else "value"].shape
        end = f"{path}[]" if shape.kind == "list" else f"{path}{{}}"
        rule = self._why_shape(inner)
        if rule is None:
            self._below(inner, end)
        else:
            hide = rule == "sensitive" and inner.kind != "blob" and not self._omits
            self._note(path.rpartition(".")[2], end, rule, hide=hide)

    def _note(self, name: str, path: str, rule: Rule, *, hide: bool) -> None:
        if (name, rule) not in self._seen:
            self._seen.add((name, rule))
            (self.hidden if hide else self.left_out).append(Field(self._part, path, rule))
