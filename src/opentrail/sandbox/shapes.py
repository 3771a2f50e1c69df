# SPDX-License-Identifier: Apache-2.0
"""What the service models say of an operation: input is checked by it, output is cut to it.

Presence and kinds are checked; enumerations, patterns and lengths are not (the tables of
``opentrail.aws`` do not have them).
"""

from collections.abc import Mapping

from opentrail.aws import model, tables
from opentrail.aws.model import Kind, Member, Operation, Shape
from opentrail.aws.request import Target
from opentrail.errors import ClientError

Members = dict[str, object]
"""Members of a request or an answer under their model names; values as JSON has them."""

KINDS: Mapping[Kind, tuple[type, ...]] = {
    "structure": (dict,),
    "map": (dict,),
    "list": (list,),
    "string": (str,),
    "blob": (str, bytes),
    "boolean": (bool,),
    "integer": (int,),
    "long": (int,),
    "float": (int, float, str),
    "double": (int, float, str),
    "timestamp": (int, float, str),
}
"""Kind of shape -> types of its JSON value. "NaN" and "Infinity" travel as strings."""


def operation_names(service: str) -> tuple[str, ...]:
    """Return all operations of a service, in the model's order. Raises: KeyError."""
    return tuple(tables.table(service).names())


def find_operation(service: str, name: str) -> Operation | None:
    """Return the model of one operation of a service, or None when it has none of this name."""
    protocol = tables.services()[service].protocol
    return model.operation(Target(service, "", name, protocol))


def input_members(operation: Operation) -> Mapping[str, Member]:
    """Return the operation's input members, in the model's order."""
    return operation.input.members if operation.input else {}


def output_members(operation: Operation) -> Mapping[str, Member]:
    """Return the operation's output members, in the model's order."""
    return operation.output.members if operation.output else {}


def modelled_code(operation: Operation, *codes: str) -> str:
    """Return the first of ``codes`` that the operation's model names as its error, or ""."""
    modelled = {row.code for row in operation.errors}
    return next((code for code in codes if code in modelled), "")


def check_input(operation: Operation, members: Members, code: str) -> None:
    """Check that ``members`` are what the operation's model wants.

    Raises: ClientError with ``code``, in the words of AWS's validation.
    """
    fault = _fault(operation.input, members, "") if operation.input else ""
    if fault:
        raise ClientError(code, f"1 validation error detected: {fault}")


def cut(shape: Shape, value: object) -> object:
    """Return ``value`` with only the members that ``shape`` has and whose kinds fit it."""
    if isinstance(value, dict) and shape.kind == "structure":
        return {
            name: cut(member.shape, value[name])
            for name, member in shape.members.items()
            if name in value and fits(member.shape, value[name])
        }
    if isinstance(value, list) and shape.kind == "list":
        inner = shape.members["member"].shape
        return [cut(inner, item) for item in value if fits(inner, item)]
    return value


def fits(shape: Shape, value: object) -> bool:
    """Return whether ``value`` is of the kind that ``shape`` wants."""
    if shape.document:
        return True
    if isinstance(value, bool) and shape.kind != "boolean":
        return False
    # What streams events is bytes by the time it is looked at, whatever its shape.
    return isinstance(value, KINDS[shape.kind]) or (shape.event_stream and type(value) is bytes)


def _fault(shape: Shape, value: object, path: str) -> str:
    """Return what is wrong with ``value``, or ""."""
    if not fits(shape, value):
        return f"Value at '{path}' failed to satisfy constraint: Member must be a {shape.kind}"
    if isinstance(value, dict) and shape.kind == "structure" and not shape.document:
        return _structure_fault(shape, value, path)
    faults = (_fault(inner, item, f"{path}.{key}") for key, inner, item in _inside(shape, value))
    return next(filter(None, faults), "")


def _structure_fault(shape: Shape, value: Members, path: str) -> str:
    for name, member in shape.members.items():
        given = value.get(name)
        below = _below(path, name)
        if given is None and member.required:
            return f"Value null at '{below}' failed to satisfy constraint: Member must not be null"
        fault = "" if given is None else _fault(member.shape, given, below)
        if fault:
            return fault
    return ""


def _inside(shape: Shape, value: object) -> list[tuple[str, Shape, object]]:
    """Return the items of a list or a map: the path to each, its shape and its value."""
    if isinstance(value, list) and shape.kind == "list":
        inner = shape.members["member"].shape
        return [(f"{number}.member", inner, item) for number, item in enumerate(value, 1)]
    if isinstance(value, dict) and shape.kind == "map":
        inner = shape.members["value"].shape
        return [(f"{key}.value", inner, item) for key, item in value.items()]
    return []


def _below(path: str, name: str) -> str:
    """Return the path of a member, in the camel case of AWS's validation messages."""
    plain = name[:1].lower() + name[1:]
    return f"{path}.{plain}" if path else plain
