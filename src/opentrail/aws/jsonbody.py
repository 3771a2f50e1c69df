# SPDX-License-Identifier: Apache-2.0
"""JSON bodies in the model's terms: member names, order, nothing that the model does not have.

CloudTrail records what the service parsed. Unknown members are dropped, nulls are unset, and so is
a container where the model has a scalar, or the reverse: no service could have parsed it.
"""

import functools
import json
import math
from collections.abc import Mapping

import msgspec

from opentrail.aws.model import Member, Shape

DEPTH_MAX = 64
"""Containers inside containers that are followed: past any real call, far from the stack's end."""
INTEGER_DIGITS_MAX = 4300
"""Python's own bound (``sys.int_info``): no double is anywhere near."""


def decode(body: bytes) -> object:
    """Return the JSON value of ``body``, its numbers so that encoding gives the same text back.

    See ``number`` for those that a float would alter. What JSON forbids and parsers of services take
    all the same is read as they do, so that nobody hides a call's parameters behind it. Raises:
    ValueError: not JSON for them either, or nested past what a stack can take.
    """
    try:
        return _DECODER.decode(body)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    except ValueError:
        return _leniently(body)


def _leniently(body: bytes) -> object:
    """Return what Python's and Java's parsers would: the first value of ``body``, in any UTF.

    NaN and infinity become None, and what is no character U+FFFD. Raises: ValueError.
    """
    text = body.decode(json.detect_encoding(body), "replace")
    try:
        value, _ = _LENIENT.raw_decode(text.lstrip(" \t\r\n\ufeff"))
        return _in_unicode(value)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _in_unicode(value: object) -> object:
    """Return ``value`` without lone surrogates, which UTF-8 cannot say."""
    if isinstance(value, str):
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, list):
        return [_in_unicode(one) for one in value]
    if isinstance(value, dict):
        return {_in_unicode(key): _in_unicode(one) for key, one in value.items()}
    return value


def number(text: str) -> object:
    """Return the JSON number ``text`` as a float, or as it stands if a float would alter it.

    What stands is ``msgspec.Raw`` ("1.10"). None when it is past all doubles ("1e400"): no reader
    of the record could take it.
    """
    value = float(text)
    if repr(value) == text:
        return value
    return msgspec.Raw(text.encode()) if math.isfinite(value) else None


def _integer(text: str) -> object:
    """Return an integer; None of one with more digits than Python converts."""
    return int(text) if len(text) <= INTEGER_DIGITS_MAX else None


_DECODER = msgspec.json.Decoder(float_hook=number)
_LENIENT = json.JSONDecoder(
    parse_float=number, parse_int=_integer, parse_constant=lambda _: None, strict=False
)


def members_of(
    members: Mapping[str, Member], value: Mapping[str, object], depth: int = 0
) -> dict[str, object]:
    """Return those of ``members`` that ``value`` has, under their model names, in their order.

    ``members`` are by their names on the wire. A call names few of all that there are.
    """
    found: dict[str, object] = {}
    for wire in filter(value.__contains__, members):
        member, sent = members[wire], value[wire]
        if type(sent) is str and not member.shape.members:  # most are: the rest costs more steps
            found[member.name] = sent
        elif sent is not None:
            converted = convert(member.shape, sent, depth)
            if converted is not None:
                found[member.name] = converted
    return found


@functools.cache  # of shapes of the models, so those bound it
def by_wire(shape: Shape) -> Mapping[str, Member]:
    """Return the members of a structure by their names on the wire, in their order."""
    named = {member.wire: member for member in shape.members.values()}
    return shape.members if named.keys() == shape.members.keys() else named


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
        return members_of(by_wire(shape), value, depth)
    if shape.kind == "map":
        item = shape.members["value"].shape
        # Most values are texts, where texts may be.
        texts = str if not item.members else None
        return {
            key: one if type(one) is texts else convert(item, one, depth)
            for key, one in value.items()
        }
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
