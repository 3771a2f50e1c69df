# SPDX-License-Identifier: Apache-2.0
"""The door to the wire protocols: what a request or an answer says, in the model's terms.

Smithy 2.0's awsJson 1.0 and 1.1, restJson1, awsQuery and ec2Query; of restXml what is outside the
body; rpcv2Cbor bodies are not read. Blobs and event streams are left out everywhere.
"""

from collections.abc import Mapping

from opentrail.aws import httpbind, jsonbody, xmlbody
from opentrail.aws.fault import error_of, render_error
from opentrail.aws.form import form_members
from opentrail.aws.model import Member, Operation, Shape
from opentrail.aws.request import RequestHead

__all__ = ["error_of", "parse_sts", "render_error", "request_members", "response_members"]


def request_members(
    operation: Operation, head: RequestHead, body: bytes
) -> dict[str, object] | None:
    """Return the input members that a request carries: model names, model order, JSON values.

    Members that the model does not have are dropped; unset ones are absent. Times stay as they
    were sent; numbers keep their text (``msgspec.Raw`` where a float would alter it). None when
    the body cannot be parsed, or is of a protocol that is not read (rpcv2Cbor).
    """
    if operation.protocol in {"query", "ec2"}:
        form = body.decode("utf-8", "replace") if head.method == "POST" and body else head.query
        return form_members(operation, form)
    shape = operation.input
    if shape is None:
        return {}
    if operation.protocol == "json":
        return _json_members(shape, body)
    carried = _BODIES.get(operation.protocol, _unread)(shape, body)
    if carried is None:
        return None
    return _in_order(shape, httpbind.request_bound(operation, head) | carried)


def response_members(
    operation: Operation, status: int, headers: Mapping[str, str], body: bytes
) -> dict[str, object] | None:
    """Return the output members that an answer carries, as ``request_members`` does for a request.

    ``headers`` have lower-case names. None for an error answer (status 300 and above), for a body
    that cannot be parsed, and for rpcv2Cbor.
    """
    shape = operation.output
    if status >= ERROR_STATUS_MIN:
        return None
    if shape is None:
        return {}
    if operation.protocol in {"query", "ec2"}:
        return _xml_members(operation, shape, body)
    if operation.protocol == "json":
        return _json_members(shape, body)
    bound = httpbind.response_bound(shape, status, headers)
    carried = _BODIES.get(operation.protocol, _unread)(shape, body)
    return None if carried is None else _in_order(shape, bound | carried)


ERROR_STATUS_MIN = 300
"""botocore's own line between an answer and an error."""


def parse_sts(operation: Operation, body: bytes) -> dict[str, object] | None:
    """Return the output members of an STS answer (``Credentials``, ``AssumedRoleUser`` …).

    Times are ISO 8601 text. They hold SECRETS: to learn who a key is, never to record as they are.
    None when ``body`` is not such an answer.
    """
    if operation.service != "sts" or operation.output is None:
        return None
    return _xml_members(operation, operation.output, body)


def _json_members(shape: Shape, body: bytes) -> dict[str, object] | None:
    value = _json_object(body)
    return None if value is None else jsonbody.members_of(shape.members.values(), value)


def _json_object(body: bytes) -> dict[str, object] | None:
    if not body:
        return {}
    try:
        value = jsonbody.decode(body)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _json_payload(shape: Shape, body: bytes) -> dict[str, object] | None:
    """Return the members in the body: one that is the body itself, or those without a location."""
    if shape.payload:
        return _payload_member(shape.members[shape.payload], body)
    members = [m for m in shape.members.values() if not m.location and not m.shape.event_stream]
    if not members:
        return {}
    value = _json_object(body)
    return None if value is None else jsonbody.members_of(members, value)


def _left_out(_shape: Shape, _body: bytes) -> dict[str, object] | None:
    """Return no members: an XML body is not read, what stands outside it is."""
    return {}


def _unread(_shape: Shape, _body: bytes) -> dict[str, object] | None:
    """Return None: all members are in a body that is not read."""
    return None


_BODIES = {"rest-json": _json_payload, "rest-xml": _left_out}


def _payload_member(member: Member, body: bytes) -> dict[str, object] | None:
    shape = member.shape
    if not body or shape.kind == "blob" or shape.streaming or shape.event_stream:
        return {}
    if shape.kind == "string":
        return {member.name: body.decode("utf-8", "replace")}
    try:
        value = jsonbody.decode(body)
    except ValueError:
        return None
    converted = jsonbody.convert(shape, value)
    return {} if converted is None else {member.name: converted}


def _in_order(shape: Shape, found: dict[str, object]) -> dict[str, object]:
    return {name: found[name] for name in shape.members if name in found}


def _xml_members(operation: Operation, shape: Shape, body: bytes) -> dict[str, object] | None:
    root = xmlbody.parse(body)
    if root is not None and operation.result_wrapper:
        root = root.child(operation.result_wrapper)
    return None if root is None else xmlbody.members_of(shape, root)
