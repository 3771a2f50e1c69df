# SPDX-License-Identifier: Apache-2.0
"""DynamoDB's requestParameters of an item's operation: its key, and names without values.

``key: {"Artist": "No One You Know"}``, ``item: ["Artist", "Year"]``. Source: DynamoDB Developer
Guide, "Logging DynamoDB operations by using AWS CloudTrail".
"""

from opentrail.aws.model import Member, Operation
from opentrail.capture.element_values import LEFT_OUT, Writer
from opentrail.capture.elements import Compiler, Element, Object, Style

_PLAIN = ("S", "N")
"""Types of a key's values that are no bytes."""


class _Items(Compiler):
    def member(self, member: Member) -> Writer | None:
        return _OWN.get(member.name) or super().member(member)


def request(operation: Operation, style: Style, keep: frozenset[str] | None) -> Element | None:
    """Return what writes the requestParameters of ``operation``."""
    if operation.input is None:
        return None
    made = _Items(style).top(operation.input, keep)
    return Element(made) if made.members else None


def _key(value: object) -> object:
    """Return an item's key: names of attributes and their values, as texts."""
    if not isinstance(value, dict):
        return LEFT_OUT
    shown: Object = {}
    for name, typed in value.items():
        for kind in _PLAIN if isinstance(typed, dict) else ():
            if isinstance(typed.get(kind), str):
                shown[name] = typed[kind]
    return shown


def _names(value: object) -> object:
    return list(value) if isinstance(value, dict) else LEFT_OUT


_OWN: dict[str, Writer] = {"Item": _names, "Key": _key}
