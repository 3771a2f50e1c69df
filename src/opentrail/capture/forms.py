# SPDX-License-Identifier: Apache-2.0
"""What writes the requestParameters and the responseElements of one operation.

Source: delivered records; see docs/records.md, "Names, times and lists".
"""

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType

from opentrail.aws import tables
from opentrail.aws.model import Operation, Shape
from opentrail.capture import elements_dynamodb, elements_ec2, elements_s3
from opentrail.capture.call import Call
from opentrail.capture.elements import Compiler, Element, Object, Style
from opentrail.capture.rules import Form, OperationRules, ServiceRules, Times

_JAVA_PROTOCOLS = frozenset({"json", "query", "rest-xml"})
_IDENTIFIER = re.compile(r"(?:\A(?:id|arn|name)|(?:Id|Arn|ARN|Name|Identifier|Alias)s?)\Z")
"""How members are called that say what a data-plane call is about, not what is in it."""


def request(model: Operation, service: ServiceRules, rules: OperationRules) -> Element | None:
    """Return what writes requestParameters; None: they are always null."""
    style = _style(model, service, rules)
    own = _REQUESTS.get(service.form)
    if own is not None:
        return own(model, style)
    if service.form is Form.DYNAMODB and rules.data is not None:
        return elements_dynamodb.request(model, style, rules.keep)
    keep = _identifiers(model.input, rules) if rules.identifiers_only else rules.keep
    made = _element(model.input, style, keep)
    if made is not None and service.form is Form.UNWRAPPED and model.input is not None:
        return _with_body_beside(made, model.input.payload)
    return made


def _with_body_apart(model: Operation, style: Style) -> Element | None:
    """Return what shows path and query as they are, and the body under one key of its own."""
    if model.input is None:
        return None
    made = Compiler(style).top(model.input, None)
    key = f"{model.name[:1].lower()}{model.name[1:]}Input"
    inside = [s for name, (s, _) in made.members.items() if not model.input.members[name].location]

    def finish(shown: Object, call: Call) -> Object:
        del call
        body = {name: shown.pop(name) for name in inside if name in shown}
        return {**shown, **({key: body} if body else {}), "template": False}

    return Element(made, finish, added=frozenset({key, "template"}))


def _with_body_beside(made: Element, payload: str) -> Element:
    """Return what shows the members of the body, ``payload``, beside those of path and query."""
    key, _ = made.write.members.get(payload, ("", None))
    if not key:
        return made

    def finish(shown: Object, call: Call) -> Object:
        del call
        body = shown.pop(key, None)
        return {**shown, **body} if isinstance(body, dict) else shown

    return Element(made.write, finish)


def answer(model: Operation, service: ServiceRules, rules: OperationRules) -> Element | None:
    """Return what writes responseElements; None: they are always null."""
    style = _style(model, service, rules)
    if service.form is Form.EC2:
        return elements_ec2.answer(model, style)
    if service.form is Form.S3:
        return elements_s3.answer(model, style)
    inside = _wrapped(model.output) if service.form is Form.UNWRAPPED else ""
    return _element(model.output, style, rules.answer_keep, inside)


def _style(model: Operation, service: ServiceRules, rules: OperationRules) -> Style:
    # What the service's own clients speak: a record does not depend on who calls.
    protocol = tables.services()[model.service].protocol
    by_protocol = Times.JAVA if protocol in _JAVA_PROTOCOLS else Times.AS_SENT
    is_xml = service.form is Form.EC2 and model.name not in elements_ec2.SOAP_OPERATIONS
    return Style(
        casing=service.casing,
        times=Times.AS_SENT if is_xml else service.times or by_protocol,
        redaction=service.redaction,
        hide=service.hide | rules.hide,
        secret_keys=service.secret_keys,
        drop=service.drop | rules.drop,
        by_path=service.by_path,
        by_query=service.by_query,
        spelling={**service.spelling, **rules.spelling},
    )


def _element(
    shape: Shape | None, style: Style, keep: frozenset[str] | None, inside: str = ""
) -> Element | None:
    if shape is None:
        return None
    made = Compiler(style).top(shape.members[inside].shape if inside else shape, keep)
    return Element(made, inside=inside) if made.members else None


def _wrapped(shape: Shape | None) -> str:
    """Return the structure that is all that ``shape`` has; "" when it has more, or none."""
    members = list(shape.members.values()) if shape is not None else []
    return members[0].name if len(members) == 1 and members[0].shape.kind == "structure" else ""


def _identifiers(shape: Shape | None, rules: OperationRules) -> frozenset[str]:
    """Return the members that can only be names: texts in the path, and those so called.

    So is what names the resource that is acted on.
    """
    members = shape.members.values() if shape is not None else ()
    acted_on = {each.members[0] for each in (rules.data, *rules.named) if each and each.members}
    return frozenset(
        m.name
        for m in members
        if m.name in acted_on
        or (_is_text(m.shape) and (m.location == "uri" or _IDENTIFIER.search(m.name)))
    )


def payload(model: Operation, rules: OperationRules) -> frozenset[str]:
    """Return the members of a data-plane request that say nothing of what the call is about."""
    if model.input is None or not (rules.identifiers_only or rules.keep is not None):
        return frozenset()
    inside = [m for m in model.input.members.values() if not m.location]
    names = _identifiers(model.input, rules) | (rules.keep or frozenset())
    return frozenset(m.name for m in inside) - names


def _is_text(shape: Shape) -> bool:
    item = shape.members["member"].shape if shape.kind == "list" else shape
    return item.kind == "string"


_REQUESTS: Mapping[Form, Callable[[Operation, Style], Element | None]] = MappingProxyType(
    {
        Form.API_GATEWAY: _with_body_apart,
        Form.EC2: elements_ec2.request,
        Form.S3: elements_s3.request,
        Form.S3_CONTROL: elements_s3.control_request,
    }
)
