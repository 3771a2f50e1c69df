# SPDX-License-Identifier: Apache-2.0
"""DynamoDB's requestParameters of an item's operation: its key, and names without values.

``key: {"Artist": "No One You Know"}``, ``item: ["Artist", "Year"]``; of a transaction a list of
those, each with its ``operation``. Source: DynamoDB Developer
Guide, "Logging DynamoDB operations by using AWS CloudTrail".
"""

from opentrail.aws.model import Member, Operation
from opentrail.capture.element_values import LEFT_OUT, Writer
from opentrail.capture.elements import Compiler, Element, Object, Structure, Style

_PLAIN = ("S", "N")
"""Types of a key's values that are no bytes."""


class _Items(Compiler):
    def member(self, member: Member) -> Writer | None:
        return _OWN.get(member.name) or super().member(member)

    def item(self, member: Member | None, write: Writer) -> Writer:
        of_transaction = member is not None and member.name == "TransactItems"
        return _One(write) if of_transaction and isinstance(write, Structure) else write


class _One:
    """Writes one of a transaction's items: the one member that it has."""

    __slots__ = ("inner",)

    def __init__(self, inner: Structure) -> None:
        self.inner = inner

    def __call__(self, value: object) -> object:
        """Return the object; of more than one, which no service takes, all as they stand."""
        shown = self.inner(value)
        if not isinstance(shown, dict) or len(shown) != 1:
            return shown
        for name, (spelling, _) in self.inner.members.items():
            what = shown.get(spelling)
            if isinstance(what, dict):
                return {"operation": name, **what}
        return LEFT_OUT


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
