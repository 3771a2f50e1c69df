# SPDX-License-Identifier: Apache-2.0
"""What is the same in every record of one operation, worked out once.

Source: CloudTrail User Guide, "CloudTrail record contents" and "Logging data events".
"""

import functools
from dataclasses import dataclass
from typing import Literal

import msgspec

from opentrail.aws.model import Operation, Shape, operation
from opentrail.aws.request import Target
from opentrail.capture.elements import Compiler, Structure, Style
from opentrail.capture.readonly import named_as_read
from opentrail.capture.rules import (
    PLAIN,
    DataEvent,
    OperationRules,
    ServiceRules,
    Times,
)
from opentrail.capture.services import rules_for

Category = Literal["Management", "Data"]

PLANS_MAX = 4096
"""Plans kept: a busy installation calls some hundred operations; unknown ones come and go."""
UNKNOWN_OPERATION = "UnknownOperation"
"""eventName of a call whose operation cannot be told: OpenTrail's own word."""
UNKNOWN_SOURCE = "unknown.amazonaws.com"
"""eventSource of a call whose service cannot be told: OpenTrail's own word."""

_JAVA_PROTOCOLS = frozenset({"json", "query"})


@dataclass(frozen=True, slots=True)
class Plan:
    """How the calls of one operation are recorded."""

    event_source: str
    event_name: str
    category: Category
    logged: bool
    """Whether CloudTrail records it at all."""
    in_2023: bool
    """Whether service_profile "2023" records it."""
    operation: Operation | None
    request: Structure | None
    """Writes requestParameters; None: always null."""
    request_body: bool
    """Whether the record needs anything of the request's body."""
    response: Structure | None
    """Writes responseElements; None: always null."""
    response_body: bool
    """Whether the record needs the body of a successful answer."""
    data: DataEvent | None
    reads: bool
    """readOnly."""
    opening: bytes
    """The record's JSON up to the value of userIdentity."""
    names: bytes
    """eventSource and eventName, up to the value of awsRegion."""
    read_only: bytes
    """From the end of eventID's value through readOnly."""
    kind: bytes
    """eventType and managementEvent, up to the value of recipientAccountId."""
    closing: bytes
    """From the end of recipientAccountId's value through eventCategory."""
    tls: bool
    """Whether records show tlsDetails."""


@functools.lru_cache(maxsize=PLANS_MAX)
def plan(target: Target) -> Plan:
    """Return how calls of ``target`` are recorded."""
    service = rules_for(target.service)
    model = operation(target)
    name = target.operation or UNKNOWN_OPERATION
    rules = service.operations.get(name, PLAIN)
    reads = _reads(name, rules, model)
    request, response = _writers(model, service, rules, reads=reads)
    category: Category = "Management" if rules.data is None and service.logged else "Data"
    managed = b"true" if category == "Management" else b"false"
    source = target.event_source or UNKNOWN_SOURCE
    event_name = rules.event_name or name
    return Plan(
        event_source=source,
        event_name=event_name,
        category=category,
        logged=service.logged,
        in_2023=rules.in_2023,
        operation=model,
        request=request,
        request_body=model is not None and _needs_body(model.input, request, rules),
        response=response,
        response_body=model is not None and _needs_body(model.output, response, PLAIN),
        data=rules.data,
        reads=reads,
        opening=b'{"eventVersion":%b,"userIdentity":' % _json(service.event_version),
        names=b',"eventSource":%b,"eventName":%b,"awsRegion":' % (_json(source), _json(event_name)),
        read_only=b',"readOnly":' + (b"true" if reads else b"false"),
        kind=b',"eventType":"AwsApiCall","managementEvent":%b,"recipientAccountId":' % managed,
        closing=b',"eventCategory":"%b"' % category.encode(),
        tls=service.tls,
    )


def _json(text: str) -> bytes:
    return msgspec.json.encode(text)


def _reads(name: str, rules: OperationRules, model: Operation | None) -> bool:
    """Decide readOnly: the table, else the model's trait (true is evidence), else the name."""
    if rules.read_only is not None:
        return rules.read_only
    return (model is not None and model.readonly) or named_as_read(name)


def _writers(
    model: Operation | None, service: ServiceRules, rules: OperationRules, *, reads: bool
) -> tuple[Structure | None, Structure | None]:
    """Return what writes requestParameters and responseElements; None: they are always null."""
    if model is None:
        return None, None
    by_protocol = Times.JAVA if model.protocol in _JAVA_PROTOCOLS else Times.AS_SENT
    style = Style(
        casing=service.casing,
        times=service.times or by_protocol,
        hide=service.hide | rules.hide,
        drop=rules.drop,
    )
    answered = (not reads) if rules.response is None else rules.response
    return (
        _writer(model.input, style, rules.keep),
        _writer(model.output, style, None) if answered else None,
    )


def _writer(shape: Shape | None, style: Style, keep: frozenset[str] | None) -> Structure | None:
    if shape is None:
        return None
    made = Compiler(style).top(shape, keep)
    return made if made.members else None


def _needs_body(shape: Shape | None, writer: Structure | None, rules: OperationRules) -> bool:
    """Return whether what is recorded of ``shape`` lies in the body, not in head or path."""
    if shape is None:
        return False
    wanted = {name for name, _, _ in writer.members} if writer is not None else set()
    if rules.data is not None:
        wanted.update(rules.data.members[:1])
    return any(not shape.members[name].location for name in wanted)
