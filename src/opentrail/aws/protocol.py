# SPDX-License-Identifier: Apache-2.0
"""The door to the wire protocols: what a request or an answer says, in the model's terms.

Smithy 2.0's awsJson 1.0 and 1.1, restJson1, awsQuery, ec2Query, restXml and rpcv2Cbor. Bodies that
are one blob, and event streams, are left out everywhere.
"""

import functools
from collections.abc import Callable, Mapping

from opentrail.aws import cborbody, httpbind, jsonbody, xmlbody
from opentrail.aws.fault import error_of, late_error, render_error
from opentrail.aws.form import form_members, sent_form
from opentrail.aws.model import Member, Operation, Shape
from opentrail.aws.model import operation as find_operation
from opentrail.aws.request import RequestHead, Target
from opentrail.errors import ClientError

__all__ = [
    "error_of",
    "late_error",
    "parse_identity",
    "render_error",
    "request_members",
    "response_members",
    "unsupported",
]


def request_members(
    operation: Operation, head: RequestHead, body: bytes
) -> dict[str, object] | None:
    """Return the input members that a request carries: model names, model order, JSON values.

    Members that the model does not have are dropped; unset ones are absent. Times stay as they
    were sent; numbers keep their text (``msgspec.Raw`` where a float would alter it); blobs are
    base64. None when the body cannot be parsed.
    """
    if operation.protocol in {"query", "ec2"}:
        return form_members(operation, sent_form(head, body))
    shape = operation.input
    if shape is None:
        return {}
    rpc = _rpc(operation, head.headers)
    if rpc is not None:
        return _object_members(shape, rpc, body)
    carried = _REST.get(operation.protocol, _json_payload)(shape, body)
    if carried is None:
        return None
    return _in_order(shape, httpbind.request_bound(operation, head) | carried)


def response_members(
    operation: Operation, status: int, headers: Mapping[str, str], body: bytes
) -> dict[str, object] | None:
    """Return the output members that an answer carries, as ``request_members`` does for a request.

    ``headers`` have lower-case names. None for an error answer (status 300 and above) and for a
    body that cannot be parsed.
    """
    shape = operation.output
    if status >= ERROR_STATUS_MIN:
        return None
    if shape is None:
        return {}
    if operation.protocol in {"query", "ec2"}:
        return _xml_members(operation, shape, body)
    rpc = _rpc(operation, headers)
    if rpc is not None:
        return _object_members(shape, rpc, body)
    bound = httpbind.response_bound(shape, status, headers)
    carried = _REST.get(operation.protocol, _json_payload)(shape, body)
    return None if carried is None else _in_order(shape, bound | carried)


def unsupported(target: Target) -> ClientError | None:
    """Return why a call cannot pass: its request is a stream of events (HTTP/2, signed in chain).

    What it asks for would not be known before it is answered, and no record could say it.
    """
    model = find_operation(target)
    if model is None or not model.event_stream_input:
        return None
    return ClientError(
        "NotImplemented",
        f"OpenTrail does not pass on {target.operation}: its request is a stream of events."
        " Call the service itself.",
        501,
    )


ERROR_STATUS_MIN = 300
"""botocore's own line between an answer and an error: nothing of AWS redirects a call that succeeds."""


def parse_identity(operation: Operation, body: bytes) -> dict[str, object] | None:
    """Return the output members of an answer of STS or IAM (``Credentials``, ``User`` …).

    Times are ISO 8601 text. They hold SECRETS: to learn who a key is, never to record as they are.
    None when ``body`` is not such an answer.
    """
    if operation.service not in ("sts", "iam") or operation.output is None:
        return None
    return _xml_members(operation, operation.output, body)


def _object_members(
    shape: Shape, decode: Callable[[bytes], object], body: bytes
) -> dict[str, object] | None:
    value = _object(decode, body)
    return None if value is None else jsonbody.members_of(jsonbody.by_wire(shape), value)


def _object(decode: Callable[[bytes], object], body: bytes) -> dict[str, object] | None:
    if not body:
        return {}
    try:
        value = decode(body)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


_RPC: Mapping[str, Callable[[bytes], object]] = {
    "json": jsonbody.decode,
    "smithy-rpc-v2-cbor": cborbody.decode,
}
"""Protocols whose bodies are one object with all members, and what decodes it."""
_AWS_CBOR = "application/x-amz-cbor"
_aws_cbor = functools.partial(cborbody.decode, parts=1000)
"""What the Java SDKs speak to Kinesis: awsJson in CBOR, its times in milliseconds."""


def _rpc(operation: Operation, headers: Mapping[str, str]) -> Callable[[bytes], object] | None:
    """Return what decodes a body with all members; None where the protocol has no such."""
    if operation.protocol == "json" and headers.get("content-type", "").startswith(_AWS_CBOR):
        return _aws_cbor
    return _RPC.get(operation.protocol)


@functools.cache  # of shapes of the models, so those bound it
def _in_body(shape: Shape) -> tuple[Member, ...]:
    inside = [m for m in shape.members.values() if not m.location and not m.shape.event_stream]
    return tuple(inside)


@functools.cache
def _in_body_by_wire(shape: Shape) -> Mapping[str, Member]:
    return {member.wire: member for member in _in_body(shape)}


def _json_payload(shape: Shape, body: bytes) -> dict[str, object] | None:
    """Return the members in the body: one that is the body itself, or those without a location."""
    if shape.payload:
        return _payload_member(shape.members[shape.payload], body, _json_value)
    members = _in_body_by_wire(shape)
    if not members:
        return {}
    value = _object(jsonbody.decode, body)
    return None if value is None else jsonbody.members_of(members, value)


def _xml_payload(shape: Shape, body: bytes) -> dict[str, object] | None:
    """Return the members in the body, as ``_json_payload`` does."""
    if shape.payload:
        return _payload_member(shape.members[shape.payload], body, _xml_value)
    members = _in_body(shape)
    if not members or not body:
        return {}
    root = xmlbody.parse(body)
    return None if root is None else xmlbody.members_of(members, root)


_REST = {"rest-json": _json_payload, "rest-xml": _xml_payload}


def _payload_member(
    member: Member, body: bytes, read: Callable[[Shape, bytes], object]
) -> dict[str, object] | None:
    shape = member.shape
    if not body or shape.kind == "blob" or shape.streaming or shape.event_stream:
        return {}
    if shape.kind == "string":
        return {member.name: body.decode("utf-8", "replace")}
    try:
        value = read(shape, body)
    except ValueError:
        return None
    return {} if value is None else {member.name: value}


def _json_value(shape: Shape, body: bytes) -> object:
    """Decode a payload. Raises: ValueError."""
    return jsonbody.convert(shape, jsonbody.decode(body))


def _xml_value(shape: Shape, body: bytes) -> object:
    """Parse a payload. Raises: ValueError."""
    root = xmlbody.parse(body)
    if root is None:
        raise ValueError("not plain XML")
    return xmlbody.value_of(shape, root)


def _in_order(shape: Shape, found: dict[str, object]) -> dict[str, object]:
    return {name: found[name] for name in shape.members if name in found}


def _xml_members(operation: Operation, shape: Shape, body: bytes) -> dict[str, object] | None:
    root = xmlbody.parse(body)
    if root is not None and operation.result_wrapper:
        root = root.child(operation.result_wrapper)
    elif root is not None:  # of a service whose model is that of a newer protocol
        root = root.child(f"{operation.name}Result") or root
    return None if root is None else xmlbody.members_of(shape.members.values(), root)
