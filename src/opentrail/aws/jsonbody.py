# SPDX-License-Identifier: Apache-2.0
"""JSON bodies in the model's terms: member names, order, nothing that the model does not have.

CloudTrail records what the service parsed. Unknown members are dropped, nulls are unset, and so is
a container where the model has a scalar, or the reverse: no service could have parsed it.
"""

import math
from collections.abc import Iterable, Mapping

import msgspec

from opentrail.aws.model import Member, Shape

DEPTH_MAX = 64
"""Containers inside containers that are followed: past any real call, far from the stack's end."""


def decode(body: bytes) -> object:
    """Return the JSON value of ``body``, its numbers so that encoding gives the same text back.

    See ``number`` for those that a float would alter. Raises: ValueError: not JSON, not UTF-8, or
    nested past what a stack can take.
    """
    try:
        return _DECODER.decode(body)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def number(text: str) -> object:
    """Return the JSON number ``text`` as a float, or as it stands if a float would alter it.

    What stands is ``msgspec.Raw`` ("1.10"). None when it is past all doubles ("1e400"): no reader
    of the record could take it.
    """
    value = float(text)
    if repr(value) == text:
        return value
    return msgspec.Raw(text.encode()) if math.isfinite(value) else None


_DECODER = msgspec.json.Decoder(float_hook=number)


def members_of(
    members: Iterable[Member], value: Mapping[str, object], depth: int = 0
) -> dict[str, object]:
    """Return those of ``members`` that ``value`` has, under their model names, in their order."""
    found: dict[str, object] = {}
    for member in members if value else ():
        sent = value.get(member.wire)
        if type(sent) is str and not member.shape.members:  # most are: the rest costs more steps
            found[member.name] = sent
        elif sent is not None:
            converted = convert(member.shape, sent, depth)
            if converted is not None:
                found[member.name] = converted
    return found


def convert(shape: Shape, value: object, depth: int = 0) -> object:
    """Return a decoded ``value`` as ``shape`` has it; None when it cannot be of that shape."""
    if shape.document:
        return value if _is_shallow(value, DEPTH_MAX - depth) else None
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


def _is_shallow(value: object, levels: int) -> bool:
    """Return whether ``value`` nests at most ``levels`` deep: encoding it must not fail later."""
    if not isinstance(value, dict | list):
        return True
    inside = value.values() if isinstance(value, dict) else value
    return levels > 0 and all(_is_shallow(one, levels - 1) for one in inside)
