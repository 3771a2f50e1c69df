# SPDX-License-Identifier: Apache-2.0
"""Answers of every protocol, written from botocore's output shapes: what a service would send."""

import base64
import datetime as dt
import json
from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from botocore.model import ListShape, MapShape, OperationModel, Shape, StructureShape
from botocore.serialize import RpcV2CBORSerializer

Answer = tuple[int, dict[str, str], bytes]
XSI = "http://www.w3.org/2001/XMLSchema-instance"


def answer(operation: OperationModel, members: Mapping[str, Any], protocol: str) -> Answer:
    """Return status, headers (lower-case names) and body that carry ``members``."""
    shape = operation.output_shape
    assert shape is not None
    if protocol == "smithy-rpc-v2-cbor":
        body = bytearray()
        serializer: Any = RpcV2CBORSerializer()
        serializer._serialize_data_item(body, members, shape)
        headers = {"smithy-protocol": "rpc-v2-cbor", "content-type": "application/cbor"}
        return 200, headers, bytes(body)
    if protocol in {"query", "ec2"}:
        inner = _xml_members(shape, members)
        wrapper = shape.serialization.get("resultWrapper")
        wrapped = f"<{wrapper}>{inner}</{wrapper}>" if wrapper else inner
        return 200, {"content-type": "text/xml"}, _root(operation.name + "Response", wrapped)
    return rest(shape, members, is_xml=protocol == "rest-xml")


def _root(name: str, inner: str) -> bytes:
    return f'<?xml version="1.0"?><{name} xmlns="urn:x">{inner}</{name}>'.encode()


def _xml_members(shape: StructureShape, members: Mapping[str, Any]) -> str:
    shapes = shape.members
    return "".join(_xml(shapes[n], _wire(n, shapes[n]), v) for n, v in members.items())


def _xml(shape: Shape, name: str, value: Any) -> str:
    if isinstance(shape, StructureShape):
        attributes = {n for n, m in shape.members.items() if m.serialization.get("xmlAttribute")}
        plain = {n: v for n, v in value.items() if n not in attributes}
        said = "".join(f' xmlns:xsi="{XSI}" xsi:type={quoteattr(value[n])}' for n in attributes)
        return f"<{name}{said}>{_xml_members(shape, plain)}</{name}>"
    if isinstance(shape, ListShape):
        return _xml_list(shape, name, value)
    if isinstance(shape, MapShape):
        return _xml_map(shape, name, value)
    return f"<{name}>{escape(str(_scalar(value, shape)))}</{name}>"


def _xml_list(shape: ListShape, name: str, value: Any) -> str:
    own = shape.member.serialization.get("name")
    if shape.serialization.get("flattened"):
        return "".join(_xml(shape.member, own or name, one) for one in value)
    return f"<{name}>{''.join(_xml(shape.member, own or 'member', one) for one in value)}</{name}>"


def _xml_map(shape: MapShape, name: str, value: Any) -> str:
    flat = shape.serialization.get("flattened")
    outer = name if flat else "entry"
    key = shape.key.serialization.get("name", "key")
    of_value = shape.value.serialization.get("name", "value")
    entries = "".join(
        f"<{outer}>{_xml(shape.key, key, k)}{_xml(shape.value, of_value, v)}</{outer}>"
        for k, v in value.items()
    )
    return entries if flat else f"<{name}>{entries}</{name}>"


def rest(shape: StructureShape, members: Mapping[str, Any], *, is_xml: bool) -> Answer:
    headers = {"content-type": "application/xml" if is_xml else "application/json"}
    body = {}
    payload = shape.serialization.get("payload")
    for name, value in members.items():
        member = shape.members[name]
        location = member.serialization.get("location")
        if location == "header":
            headers[_wire(name, member).lower()] = _text(value)
        elif location == "headers":
            headers |= {f"{_wire(name, member).lower()}{k}": v for k, v in value.items()}
        elif location is None and name != payload:
            body[name] = value
    status = next((v for n, v in members.items() if _is_status(shape.members[n])), 200)
    if payload is not None:
        value = members.get(payload, b"")
        return status, headers, _payload(payload, shape.members[payload], value, is_xml=is_xml)
    written = _root("Any", _xml_members(shape, body)) if is_xml else _text_of(shape, body)
    return status, headers, written


def _payload(name: str, shape: Shape, value: Any, *, is_xml: bool) -> bytes:
    if isinstance(value, bytes | str):
        return value if isinstance(value, bytes) else value.encode()
    if not is_xml:
        return _text_of(shape, value)
    assert isinstance(shape, StructureShape)
    return _root(_wire(name, shape), _xml_members(shape, value))


def _text_of(shape: Shape, value: Any) -> bytes:
    return json.dumps(_json(shape, value)).encode()


def _is_status(shape: Shape) -> bool:
    return shape.serialization.get("location") == "statusCode"


def _wire(name: str, shape: Shape) -> str:
    return str(shape.serialization.get("name", name))


def _text(value: Any) -> str:
    if isinstance(value, dt.datetime):
        return value.strftime("%a, %d %b %Y %H:%M:%S GMT")
    if isinstance(value, list):
        return ",".join(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _json(shape: Shape, value: Any) -> Any:
    if isinstance(shape, StructureShape) and not shape.is_document_type:
        return {_wire(n, shape.members[n]): _json(shape.members[n], v) for n, v in value.items()}
    if isinstance(shape, ListShape):
        return [_json(shape.member, one) for one in value]
    if isinstance(shape, MapShape):
        return {name: _json(shape.value, one) for name, one in value.items()}
    return _scalar(value, None)


def _scalar(value: Any, xml: Shape | None) -> Any:
    """Return a scalar as JSON has it, or as XML does."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, dt.datetime):
        return int(value.timestamp()) if xml is None else value.strftime("%Y-%m-%dT%H:%M:%SZ")
    return _text(value) if xml is not None else value
