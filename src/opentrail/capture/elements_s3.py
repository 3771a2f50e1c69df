# SPDX-License-Identifier: Apache-2.0
"""S3's requestParameters and responseElements: the request as it was on the wire.

``bucketName``, ``key`` and ``Host``; the sub-resource with an empty value (``"acl": ""``); query
parameters and ``x-amz-`` headers by their names on the wire; an XML body under its root element,
where what is alone is no array. Answers of writes show their ``x-amz-`` headers. S3's control plane
(s3control) shows ``Host`` and the members in lower case. Source: delivered records; S3 User Guide,
"Example: CloudTrail log file entry".
"""

from collections.abc import Mapping
from types import MappingProxyType
from urllib.parse import parse_qs, parse_qsl

import msgspec

from opentrail.aws import jsonbody
from opentrail.aws.model import Member, Operation
from opentrail.aws.request import RequestHead
from opentrail.capture.call import Call
from opentrail.capture.element_values import LEFT_OUT
from opentrail.capture.elements import (
    Compiler,
    Element,
    Elements,
    Finish,
    Object,
    Structure,
    Style,
)

XMLNS = "http://s3.amazonaws.com/doc/2006-03-01/"
"""What S3's XML bodies carry."""

LENGTH_DIGITS_MAX = 18
"""Digits of a length that are believed: what fits 63 bits."""

_LABELS = MappingProxyType({"Bucket": "bucketName", "Key": "key"})
_SDK_LITERALS = frozenset({"x-id"})
"""Query parameters that SDKs add to tell operations apart: no sub-resource."""
_HEADERS = "x-amz-"
_SIGV4 = "AWS4-"
_LENGTHS = ("x-amz-decoded-content-length", "content-length")


class _Alone(Elements):
    """Writes a list as XML is shown: what is alone is no array; ``key`` is the elements' name."""

    __slots__ = ("key",)

    def __init__(self, key: str = "") -> None:
        super().__init__()
        self.key = key

    def __call__(self, value: object) -> object:
        """Return the one element or the array, under ``key`` unless the list is flattened."""
        found = self.written(value)
        if not found:
            return LEFT_OUT if found is None else ""
        shown = found[0] if len(found) == 1 else found
        return {self.key: shown} if self.key else shown

    def opened(self, shown: object) -> tuple[list[str], list[object]]:
        """See ``Elements``."""
        keys = []
        if self.key:
            if not isinstance(shown, dict) or self.key not in shown:
                return [], []
            keys, shown = [self.key], shown[self.key]
        return keys, shown if isinstance(shown, list) else [shown]


class _Body(Compiler):
    """An XML body: names as on the wire."""

    def spell(self, member: Member) -> str:
        flat = member.flattened or member.shape.flattened
        if flat and member.shape.kind == "list":
            item = member.shape.members["member"]
            return item.wire if item.wire != item.name else member.wire
        return member.wire

    def list_of(self, member: Member) -> Elements:
        flat = member.flattened or member.shape.flattened
        return _Alone("" if flat else member.shape.members["member"].wire)


def request(operation: Operation, style: Style) -> Element:
    """Return what writes the requestParameters of ``operation``."""
    made = Structure()
    body = _Body(style)
    shape = operation.input
    for member in shape.members.values() if shape is not None else ():
        if shape is not None and member.name == shape.payload:
            _add_payload(made, member, body)
        else:
            _add(made, member, body)
    literals = _literals(operation)
    added = frozenset({"Host", *literals})
    return Element(made, _with_host(literals), added=added)


def control_request(operation: Operation, style: Style) -> Element:
    """Return what writes the requestParameters of s3control's ``operation``."""
    made, compiler, body = Structure(), Compiler(style), _Body(style)
    shape = operation.input
    for member in shape.members.values() if shape is not None else ():
        if shape is not None and member.name == shape.payload:
            _add_payload(made, member, body)
        else:
            compiler.add(made, member)
    return Element(made, _with_host({}), added=frozenset({"Host"}))


def answer(operation: Operation, style: Style) -> Element | None:
    """Return what writes the responseElements of ``operation``; None: they are always null."""
    made = Structure()
    compiler = Compiler(style)
    for member in operation.output.members.values() if operation.output is not None else ():
        if member.location == "header" and member.wire.lower().startswith(_HEADERS):
            write = compiler.member(member)
            if write is not None:
                made.add(member.name, member.wire, write)
    return Element(made) if made.members else None


def additional(call: Call) -> Object:
    """Return what S3 says in additionalEventData of one call."""
    found: Object = _signature(call.head)
    if call.tls is not None:
        found["CipherSuite"] = call.tls.cipher
    found["bytesTransferredIn"] = _received(call)
    if identity := call.response_headers.get("x-amz-id-2"):
        found["x-amz-id-2"] = identity
    sent = call.response.size or _length(call.response_headers, "content-length")
    if call.head.method == "HEAD":
        found["bytesTransferredOut"] = 0  # the length is that of the object
    elif sent is not None:
        found["bytesTransferredOut"] = sent
    return found


def _add(made: Structure, member: Member, body: _Body) -> None:
    """Add a member of an input, unless no record shows it."""
    write = body.member(member)
    if write is None:
        return
    if member.name in _LABELS and member.location == "uri":
        made.add(member.name, _LABELS[member.name], write)
    elif member.location in {"", "querystring"} or (
        member.location == "header" and member.wire.lower().startswith(_HEADERS)
    ):
        made.add(member.name, member.wire, write)


def _add_payload(made: Structure, member: Member, body: _Body) -> None:
    """Add the member that is the body: an XML document, a policy, or bytes, which are not shown."""
    write = body.member(member)
    if isinstance(write, Structure):
        made.add(member.name, member.wire, _Root(write))
    elif write is not None and member.shape.kind == "string":
        made.add(member.name, f"bucket{member.name}", _Policy())


class _Root(Structure):
    """Writes the root element of an XML body, with its namespace."""

    __slots__ = ()

    def __init__(self, inner: Structure) -> None:
        super().__init__()
        self.members, self.shares = inner.members, inner.shares

    def __call__(self, value: object) -> object:
        """Return the object."""
        shown = super().__call__(value)
        return {"xmlns": XMLNS, **shown} if isinstance(shown, dict) else LEFT_OUT


class _Policy:
    """Writes a policy document, which is a JSON text, as the object that it holds."""

    __slots__ = ()

    def __call__(self, value: object) -> object:
        """Return the object; the text where it is none."""
        if not isinstance(value, str):
            return LEFT_OUT
        try:
            document = jsonbody.decode(value.encode())
            return msgspec.Raw(msgspec.json.encode(document)) if document else value
        except (ValueError, RecursionError):
            return value


def _literals(operation: Operation) -> Mapping[str, str]:
    """Return the query parameters that belong to the operation itself: ``{"acl": ""}``."""
    query = operation.uri.partition("?")[2]
    named = dict(parse_qsl(query, keep_blank_values=True))
    return {name: value for name, value in named.items() if name not in _SDK_LITERALS}


def _with_host(literals: Mapping[str, str]) -> Finish:
    def finish(shown: Object, call: Call) -> Object:
        host = call.head.headers.get("host")
        return {**shown, **({"Host": host} if host else {}), **literals}

    return finish


def _signature(head: RequestHead) -> Object:
    """Return how the request is signed; nothing for one that is not."""
    header = head.headers.get("authorization", "")
    if header:
        version = "SigV4" if header.startswith(_SIGV4) else "SigV2"
        return {"SignatureVersion": version, "AuthenticationMethod": "AuthHeader"}
    signed = parse_qs(head.query) if "ignature=" in head.query else {}
    if "X-Amz-Signature" in signed or "Signature" in signed:
        version = "SigV4" if "X-Amz-Signature" in signed else "SigV2"
        return {"SignatureVersion": version, "AuthenticationMethod": "QueryString"}
    return {}


def _received(call: Call) -> int:
    """Return how long the object or document that the request carries is."""
    for name in _LENGTHS:
        if (length := _length(call.head.headers, name)) is not None:
            return length
    return call.request.size


def _length(headers: Mapping[str, str], name: str) -> int | None:
    text = headers.get(name, "")
    return int(text) if text.isdecimal() and len(text) <= LENGTH_DIGITS_MAX else None
