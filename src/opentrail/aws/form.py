# SPDX-License-Identifier: Apache-2.0
"""Forms of the query and ec2 protocols in the model's terms.

Smithy 2.0, "AWS query protocol" and "AWS EC2 query protocol": ``Tags.member.1.Key=k`` is member
``Key`` of the first of ``Tags``.
"""

import re
from collections.abc import Mapping
from urllib.parse import parse_qsl

from opentrail.aws.model import Member, Operation, Shape
from opentrail.aws.request import RequestHead
from opentrail.aws.sqs_query import as_modelled
from opentrail.aws.textvalue import from_text

FIELDS_MAX = 10_000
"""Fields of a form that are read: EC2's longest requests have about a thousand."""
DEPTH_MAX = 32
"""Dots in a field's name that are followed: the deepest model has 14."""

_INDEX = re.compile(r"[0-9]{1,100}\Z")
"""Longer ones no service takes for a number."""

Tree = dict[str, "Tree | str"]
"""Field names cut at the dots."""


def has_form(head: RequestHead) -> bool:
    """Return whether the body is a form, as its type says."""
    kind = head.headers.get("content-type", "").lower()
    return head.method == "POST" and kind.startswith("application/x-www-form-urlencoded")


def sent_form(head: RequestHead, body: bytes) -> str:
    """Return the parameters of a call: those of the query string, and those of a POST's body.

    Some servers take both, others one of the two: no parameter may hide in the other. Of one that
    stands in both the first is read: that of the body, if it is a form.
    """
    sent = body.decode("utf-8", "replace") if head.method == "POST" else ""
    return "&".join(filter(None, (sent, head.query) if has_form(head) else (head.query, sent)))


def form_members(operation: Operation, form: str) -> dict[str, object] | None:
    """Return the input members in ``form``; None when it has more fields than are read."""
    if operation.input is None:
        return {}
    if form.count("&") >= FIELDS_MAX:
        return None
    tree: Tree = {}
    is_sqs = operation.service == "sqs"
    for name, value in parse_qsl(form, keep_blank_values=True):
        path = name.split(".")
        _plant(tree, as_modelled(path, operation.input.members) if is_sqs else path, value)
    is_ec2 = operation.protocol == "ec2"
    return _structure(operation.input, tree, is_ec2=is_ec2)


def _plant(tree: Tree, path: list[str], value: str) -> None:
    if len(path) > DEPTH_MAX:
        return
    for part in path[:-1]:
        below = tree.setdefault(part, {})
        if isinstance(below, str):
            return
        tree = below
    tree.setdefault(path[-1], value)


def _structure(shape: Shape, tree: Tree, *, is_ec2: bool) -> dict[str, object]:
    found: dict[str, object] = {}
    for member in shape.members.values():
        sent = tree.get(_field_name(member, is_ec2=is_ec2))
        if sent is not None:
            value = _value(member, sent, is_ec2=is_ec2)
            if value is not None:
                found[member.name] = value
    return found


def _field_name(member: Member, *, is_ec2: bool) -> str:
    if is_ec2:
        return member.query_name or member.wire[:1].upper() + member.wire[1:]
    if member.shape.kind == "list" and _is_flat(member):
        # A flattened list is called as its members are, if those have a name.
        item = member.shape.members["member"]
        return item.wire if item.wire != item.name else member.wire
    return member.wire


def _is_flat(member: Member) -> bool:
    return member.flattened or member.shape.flattened


def _value(member: Member, sent: "Tree | str", *, is_ec2: bool) -> object:
    shape = member.shape
    if isinstance(sent, str):
        return _scalar(shape, sent)
    if shape.kind == "structure":
        return _structure(shape, sent, is_ec2=is_ec2)
    if shape.kind == "list":
        return _list(member, sent, is_ec2=is_ec2)
    return _map(member, sent, is_ec2=is_ec2) if shape.kind == "map" else None


def _scalar(shape: Shape, text: str) -> object:
    """Return a scalar; ``Tags=`` (empty) is how an empty list is sent."""
    if shape.members:
        return [] if shape.kind == "list" and not text else None
    return from_text(shape.kind, text)


def _list(member: Member, sent: Tree, *, is_ec2: bool) -> object:
    item = member.shape.members["member"]
    if not is_ec2 and not _is_flat(member):
        below = sent.get(item.wire)
        if not isinstance(below, dict):
            return None
        sent = below
    return [_value(item, below, is_ec2=is_ec2) for below in _numbered(sent)]


def _map(member: Member, sent: Tree, *, is_ec2: bool) -> object:
    if not _is_flat(member):
        below = sent.get("entry")
        if not isinstance(below, dict):
            return None
        sent = below
    key, value = member.shape.members["key"], member.shape.members["value"]
    found: dict[str, object] = {}
    for entry in _numbered(sent):
        name = entry.get(key.wire) if isinstance(entry, dict) else None
        if isinstance(entry, dict) and isinstance(name, str) and value.wire in entry:
            found[name] = _value(value, entry[value.wire], is_ec2=is_ec2)
    return found


def _numbered(sent: Mapping[str, "Tree | str"]) -> "list[Tree | str]":
    """Return what stands under 1, 2, 3 … in that order."""
    return [sent[n] for n in sorted(filter(_INDEX.match, sent), key=int)]
