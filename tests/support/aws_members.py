# SPDX-License-Identifier: Apache-2.0
"""Compare what opentrail read off the wire with what botocore put there."""

import base64
import json
from collections.abc import Mapping
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StructureShape
from support.aws_requests import WHEN

TIMES = ("2023-07-10T12:27:45Z", "Mon, 10 Jul 2023 12:27:45 GMT", int(WHEN.timestamp()))
"""The forms in which botocore sends ``WHEN``."""


def differences(shape: Shape | None, sent: Any, got: Any, where: str = "") -> list[str]:
    """List where ``got`` is not ``sent``, seen through ``shape``; blobs are base64, times wire."""
    if isinstance(shape, StructureShape) and not shape.is_document_type:
        return _structure(shape, sent, got, where)
    pairs: list[tuple[Shape, Any, Any, str]]
    if isinstance(shape, ListShape) and isinstance(got, list) and len(got) == len(sent):
        pairs = [(shape.member, a, b, f"{where}[]") for a, b in zip(sent, got, strict=True)]
    elif isinstance(shape, MapShape) and isinstance(got, dict) and list(got) == list(sent):
        pairs = [(shape.value, sent[name], got[name], f"{where}[{name}]") for name in sent]
    else:
        return [] if _same(shape, sent, got) else [f"{where}: {sent!r} became {got!r}"]
    return [line for pair in pairs for line in differences(*pair)]


def _structure(shape: StructureShape, sent: Any, got: Any, where: str) -> list[str]:
    expected = [name for name in shape.members if name in sent and not _left_out(shape, name)]
    if not isinstance(got, Mapping) or list(got) != expected:
        return [f"{where}: members {expected} became {got!r}"]
    return [
        line
        for name in expected
        for line in differences(shape.members[name], sent[name], got[name], f"{where}.{name}")
    ]


def unsaid(params: Any) -> Any:
    """Drop empty containers: a form has no way to say them (but for an empty list of its own)."""
    if isinstance(params, Mapping):
        kept = {name: unsaid(value) for name, value in params.items()}
        return {name: value for name, value in kept.items() if value not in ({}, [])}
    if isinstance(params, list):
        return [kept for value in params if (kept := unsaid(value)) not in ({}, [])]
    return params


def implied(shape: Shape | None, sent: Mapping[str, Any], got: Mapping[str, Any] | None) -> Any:
    """Drop from ``got`` what HTTP says by itself: body type and length, an empty payload."""
    if not isinstance(shape, StructureShape) or got is None:
        return got
    by_itself = {
        name
        for name, member in shape.members.items()
        if member.serialization.get("name", "").lower() in {"content-type", "content-length"}
        or name == shape.serialization.get("payload")
    }
    return {name: value for name, value in got.items() if name in sent or name not in by_itself}


def _left_out(shape: StructureShape, name: str) -> bool:
    """A blob that is the body itself is never read."""
    return shape.serialization.get("payload") == name and shape.members[name].type_name == "blob"


def _same(shape: Shape | None, sent: Any, got: Any) -> bool:
    if shape is not None and shape.type_name == "timestamp":
        return got in TIMES or str(got) in map(str, TIMES)
    if shape is not None and {"jsonvalue", "location"} <= set(shape.serialization):
        return bool(json.loads(base64.b64decode(got)) == sent)
    if isinstance(sent, bytes):
        return bool(got == base64.b64encode(sent).decode())
    return type(sent) is type(got) and bool(sent == got)
