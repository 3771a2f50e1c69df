# SPDX-License-Identifier: Apache-2.0
"""What is the same in every record of one operation, worked out once.

Source: CloudTrail User Guide, "CloudTrail record contents" and "Logging data events".
"""

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from opentrail.aws import tables
from opentrail.aws.model import ErrorRow, Operation, Shape, operation
from opentrail.aws.post_form import POST_OBJECT
from opentrail.aws.request import Target
from opentrail.capture import forms
from opentrail.capture.elements import CREDENTIALS, SECRETS, Element
from opentrail.capture.home_region import HOMES
from opentrail.capture.readonly import reads
from opentrail.capture.rules import (
    PLAIN,
    Form,
    Named,
    OperationRules,
    ServiceRules,
)
from opentrail.capture.services import rules_for

Category = Literal["Management", "Data"]

PLANS_MAX = 4096
"""Plans kept: a busy installation calls some hundred operations; unknown ones come and go."""
UNKNOWN_OPERATION = "UnknownOperation"
"""eventName of a call whose operation cannot be told: OpenTrail's own word."""
UNKNOWN_SOURCE = "unknown.amazonaws.com"
"""eventSource of a call whose service cannot be told: OpenTrail's own word."""


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
    request: Element | None
    """Makes requestParameters; None: always null."""
    request_body: bool
    """Whether the record needs anything of the request's body."""
    response: Element | None
    """Makes responseElements; None: always null."""
    response_body: bool
    """Whether the record needs the body of a successful answer."""
    beside: tuple[tuple[str, str], ...]
    """Texts of the answer that additionalEventData has, each with its name there."""
    late_errors: bool
    """Whether the answer's body may tell of an error after the status 200."""
    form: Form
    named: tuple[Named, ...]
    """What goes into ``resources``."""
    data_type: str
    """Of a data event: the type of what it acts on; else empty."""
    renamed_errors: tuple[ErrorRow, ...]
    """Errors that the record has by their model names, not by their codes on the wire."""
    unparsed_errors: frozenset[str]
    """Error codes at which requestParameters are null."""
    hide_messages: bool
    quoting_errors: frozenset[str]
    """Error codes whose messages quote payload."""
    secret_names: frozenset[str]
    """Members of the request, by model name, that are secret though the model does not say so."""
    opening: bytes
    """The record's JSON up to the value of userIdentity."""
    names: bytes
    """eventSource and eventName, up to the value of awsRegion."""
    homes: Mapping[str, str] | None
    """By partition the region that all events are of; None: of the region that is called."""
    reads: bool
    """readOnly."""
    read_only: bytes
    """From the end of eventID's value through readOnly."""
    kind: bytes
    """eventType and managementEvent, up to the value of recipientAccountId."""
    closing: bytes
    """From the end of recipientAccountId's value through eventCategory."""
    tls: bool
    """Whether records show tlsDetails."""


_MODELLED = {POST_OBJECT: Target("s3", POST_OBJECT.event_source, "PutObject", "rest-xml")}
"""Operations that no model has, and the one that means the same."""


@functools.lru_cache(maxsize=PLANS_MAX)
def plan(target: Target) -> Plan:
    """Return how calls of ``target`` are recorded."""
    service = rules_for(target.service)
    model = operation(_MODELLED.get(target, target))
    name = target.operation or UNKNOWN_OPERATION
    rules = service.operations.get(name) or _by_default(service, model)
    is_read = _reads(target.service, name, rules, model)
    answered = (not is_read) if rules.response is None else rules.response
    request = forms.request(model, service, rules) if model is not None else None
    response = forms.answer(model, service, rules) if model is not None and answered else None
    named = _named(model, service, rules)
    sent, returned = (model.input, model.output) if model is not None else (None, None)
    in_answer = [*(what.answer for what in named), *((name,) for name in rules.beside)]
    category: Category = "Management" if rules.data is None and service.logged else "Data"
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
        request_body=_needs_body(sent, request, [what.members for what in named]),
        response=response,
        response_body=_needs_body(returned, response, in_answer),
        beside=tuple((name, name[:1].lower() + name[1:]) for name in rules.beside),
        late_errors=rules.late_errors,
        form=service.form,
        named=named,
        data_type=rules.data.type if rules.data is not None else "",
        renamed_errors=_renamed(model),
        unparsed_errors=service.unparsed_errors,
        hide_messages=service.hide_messages,
        quoting_errors=rules.quoting_errors,
        secret_names=_secret_names(model, service, rules),
        opening=b'{"eventVersion":%b,"userIdentity":' % _json(service.event_version),
        names=b',"eventSource":%b,"eventName":%b,"awsRegion":' % (_json(source), _json(event_name)),
        homes=HOMES.get(source),
        reads=is_read,
        read_only=b',"readOnly":' + (b"true" if is_read else b"false"),
        kind=_kind(category, service),
        closing=b',"eventCategory":"%b"' % category.encode(),
        tls=service.tls,
    )


def _secret_names(
    model: Operation | None, service: ServiceRules, rules: OperationRules
) -> frozenset[str]:
    hidden = SECRETS.union(service.hide, rules.hide, service.drop, rules.drop, service.secret_keys)
    return hidden | CREDENTIALS | (forms.payload(model, rules) if model is not None else set())


_OF_TAGS = re.compile("Tag|^Untag")


def _by_default(service: ServiceRules, model: Operation | None) -> OperationRules:
    """Return the rules of an operation without a row."""
    if service.data is None or model is None or _OF_TAGS.search(model.name):
        return PLAIN
    return OperationRules(data=service.data, identifiers_only=True, response=False)


def _named(
    model: Operation | None, service: ServiceRules, rules: OperationRules
) -> tuple[Named, ...]:
    """Return the resources that the operation can name at all."""
    if model is None:
        return ()
    given = model.input.members if model.input is not None else {}
    answered = model.output.members if model.output is not None else {}
    listed = rules.named or (service.named if rules.data is None else (rules.data,))
    return tuple(
        what
        for what in listed
        if (what.members and what.members[0] in given)
        or (what.answer and what.answer[0] in answered)
    )


_THROTTLED = ErrorRow(name="ThrottlingException", code="Throttling", status=0)


def _renamed(model: Operation | None) -> tuple[ErrorRow, ...]:
    """Return the errors whose code on the wire is not the name that records have.

    Delivered records of query services name ``NoSuchEntityException``, not ``NoSuchEntity``. Of a
    throttled call no model tells (ECS Developer Guide, "API throttling", has one of ELB).
    """
    if model is None or tables.services()[model.service].protocol != "query":
        return ()
    return *(row for row in model.errors if row.code != row.name), _THROTTLED


def _kind(category: Category, service: ServiceRules) -> bytes:
    version = b',"apiVersion":' + _json(service.api_version) if service.api_version else b""
    managed = b"true" if category == "Management" else b"false"
    return b',"eventType":%b%b,"managementEvent":%b,"recipientAccountId":' % (
        _json(service.event_type),
        version,
        managed,
    )


def _json(text: str) -> bytes:
    return msgspec.json.encode(text)


def _reads(service: str, name: str, rules: OperationRules, model: Operation | None) -> bool:
    """Decide readOnly: a row, else the model's trait (true is evidence), else table and name."""
    if rules.read_only is not None:
        return rules.read_only
    return (model is not None and model.readonly) or reads(service, name)


def _needs_body(
    shape: Shape | None, element: Element | None, paths: Sequence[tuple[str, ...]]
) -> bool:
    """Return whether what is recorded of ``shape`` lies in the body, not in head or path."""
    if shape is None:
        return False
    wanted = set(element.needs) if element is not None else set()
    wanted.update(path[0] for path in paths if path)
    return any(not shape.members[name].location for name in wanted if name in shape.members)
