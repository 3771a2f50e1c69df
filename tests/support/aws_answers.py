# SPDX-License-Identifier: Apache-2.0
"""Answers of the JSON protocols, written from botocore's output shapes: what a service would send."""

import base64
import datetime as dt
import json
from collections.abc import Mapping
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StructureShape


def answer(shape: StructureShape, members: Mapping[str, Any]) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers (lower-case names) and body that carry ``members``."""
    headers = {"content-type": "application/json"}
    body = {}
    payload = shape.serialization.get("payload")
    for name, value in members.items():
        member = shape.members[name]
        location = member.serialization.get("location")
        if location == "header":
            headers[_wire(name, member).lower()] = _text(value)
        elif location is None and name != payload:
            body[_wire(name, member)] = _json(member, value)
    status = next((v for n, v in members.items() if _is_status(shape.members[n])), 200)
    if payload is None:
        return status, headers, json.dumps(body).encode()
    value = members.get(payload, b"")
    if isinstance(value, bytes):
        return status, headers, value
    return status, headers, json.dumps(_json(shape.members[payload], value)).encode()


def _is_status(shape: Shape) -> bool:
    return shape.serialization.get("location") == "statusCode"


def _wire(name: str, shape: Shape) -> str:
    return str(shape.serialization.get("name", name))


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _json(shape: Shape, value: Any) -> Any:
    if isinstance(shape, StructureShape) and not shape.is_document_type:
        return {_wire(n, shape.members[n]): _json(shape.members[n], v) for n, v in value.items()}
    if isinstance(shape, ListShape):
        return [_json(shape.member, one) for one in value]
    if isinstance(shape, MapShape):
        return {name: _json(shape.value, one) for name, one in value.items()}
    return _scalar(value)


def _scalar(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return int(value.timestamp()) if isinstance(value, dt.datetime) else value
