# SPDX-License-Identifier: Apache-2.0
"""JSON bodies in the model's terms: member names, order, nothing that the model does not have.

CloudTrail records what the service parsed. Unknown members are dropped, nulls are unset, and so is
a container where the model has a scalar, or the reverse: no service could have parsed it.
"""

from collections.abc import Iterable, Mapping

import msgspec

from opentrail.aws.model import Member, Shape

DEPTH_MAX = 64
"""Containers inside containers that are followed: past any real call, far from the stack's end."""


def decode(body: bytes) -> object:
    """Return the JSON value of ``body``, its numbers so that encoding gives the same text back.

    A number that a float would spell otherwise ("1.10", "1e400") stays as ``msgspec.Raw``.
    Raises: msgspec.DecodeError, RecursionError: nested past the stack.
    """
    return _DECODER.decode(body)


def number(text: str) -> object:
    """Return the JSON number ``text`` as a float, or as it stands if a float would alter it."""
    value = float(text)
    return value if repr(value) == text else msgspec.Raw(text.encode())


_DECODER = msgspec.json.Decoder(float_hook=number)


def members_of(
    members: Iterable[Member], value: Mapping[str, object], depth: int = 0
) -> dict[str, object]:
    """Return those of ``members`` that ``value`` has, under their model names, in their order."""
    found: dict[str, object] = {}
    for member in members:
        sent = value.get(member.wire)
        if sent is not None:
            converted = convert(member.shape, sent, depth)
            if converted is not None:
                found[member.name] = converted
    return found


def convert(shape: Shape, value: object, depth: int = 0) -> object:
    """Return a decoded ``value`` as ``shape`` has it; None when it cannot be of that shape."""
    if shape.document:
        return value
    if isinstance(value, dict):
        return _object(shape, value, depth + 1)
    if isinstance(value, list):
        return _array(shape, value, depth + 1)
    return None if shape.members else value


def _object(shape: Shape, value: Mapping[str, object], depth: int) -> object:
    if depth > DEPTH_MAX:
        return None
    if shape.kind == "structure":
        return members_of(shape.members.values(), value, depth)
    if shape.kind == "map":
        item = shape.members["value"].shape
        return {key: convert(item, one, depth) for key, one in value.items()}
    return None


def _array(shape: Shape, value: list[object], depth: int) -> object:
    if shape.kind != "list" or depth > DEPTH_MAX:
        return None
    item = shape.members["member"].shape
    return [convert(item, one, depth) for one in value]
