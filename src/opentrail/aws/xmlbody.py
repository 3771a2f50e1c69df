# SPDX-License-Identifier: Apache-2.0
"""XML of the query, ec2 and rest-xml protocols, read without trusting it.

No document type, hence no entities, and bounds on size and depth. Smithy 2.0, "AWS query
protocol", "AWS EC2 query protocol" and "AWS restXml protocol".
"""

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from xml.parsers import expat

from opentrail.aws.model import Member, Shape
from opentrail.aws.textvalue import from_text
from opentrail.event.caps import BODY_KEPT_MAX

BYTES_MAX = BODY_KEPT_MAX
"""Largest body that is read: as much as the gateway keeps of one."""
DEPTH_MAX = 64
"""Elements inside elements: past any real answer, far from the stack's end."""


@dataclass(slots=True)
class Element:
    """An XML element, its name without namespace."""

    name: str
    text: str = ""
    children: "list[Element]" = field(default_factory=list)
    attributes: Mapping[str, str] = field(default_factory=dict)
    """By name without namespace."""

    def child(self, name: str) -> "Element | None":
        """Return the first child called ``name``."""
        return next((one for one in self.children if one.name == name), None)

    def find(self, name: str) -> "Element | None":
        """Return this element or the first one below it that is called ``name``."""
        if self.name == name:
            return self
        return next((found for one in self.children if (found := one.find(name))), None)


class _Refused(Exception):
    """The document is not one that AWS would send."""


class _Builder:
    """Makes elements of what expat finds."""

    def __init__(self) -> None:
        self.top = Element("")
        self._open = [self.top]

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if len(self._open) > DEPTH_MAX:
            raise _Refused
        element = Element(name.rpartition(" ")[2])
        if attributes:
            element.attributes = {n.rpartition(" ")[2]: v for n, v in attributes.items()}
        self._open[-1].children.append(element)
        self._open.append(element)

    def end(self, _name: str) -> None:
        self._open.pop()

    def text(self, piece: str) -> None:
        self._open[-1].text += piece

    def doctype(self, *_: object) -> None:
        raise _Refused


def parse(body: bytes) -> Element | None:
    """Return the root element, or None for what is not plain, small, well-formed XML."""
    if len(body) > BYTES_MAX:
        return None
    builder = _Builder()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.text
    parser.StartDoctypeDeclHandler = builder.doctype
    parser.buffer_text = True
    try:
        parser.ParseFile(io.BytesIO(body))
    except (expat.ExpatError, _Refused):
        return None
    return builder.top.children[0] if builder.top.children else None


def members_of(members: Iterable[Member], element: Element) -> dict[str, object]:
    """Return those of ``members`` that ``element`` has, under their model names, in their order."""
    if not element.children and not element.attributes:
        return {}
    below: dict[str, list[Element]] = {}
    for child in element.children:
        below.setdefault(child.name, []).append(child)
    found: dict[str, object] = {}
    for member in members:
        value = _member(member, element, below)
        if value is not None:
            found[member.name] = value
    return found


def _member(
    member: Member, element: Element, below: Mapping[str, Sequence[Element]]
) -> object | None:
    shape = member.shape
    if member.flattened or shape.flattened:
        return _flattened(member, below)
    found = below.get(member.wire)
    if found is not None:
        return value_of(shape, found[0])
    _, prefixed, attribute = member.wire.partition(":")  # "xsi:type", S3's only one
    return element.attributes.get(attribute) if prefixed else None


def _flattened(member: Member, below: Mapping[str, Sequence[Element]]) -> object | None:
    """Return a list or map whose entries stand among the members of what it belongs to."""
    shape = member.shape
    if shape.kind == "map":
        return _map(shape, below.get(member.wire, ())) or None
    item = shape.members["member"]
    # Smithy's name for the items is the list's own; botocore reads the items' own, where there is one.
    items = below.get(member.wire) or below.get(item.wire, ())
    return [value_of(item.shape, one) for one in items] or None


def value_of(shape: Shape, element: Element) -> object:
    """Return what ``element`` says as a ``shape``."""
    if shape.kind == "structure":
        return members_of(shape.members.values(), element)
    if shape.kind == "list":
        item = shape.members["member"]
        return [value_of(item.shape, one) for one in element.children]
    if shape.kind == "map":
        return _map(shape, element.children)
    return from_text(shape.kind, element.text)


def _map(shape: Shape, entries: Sequence[Element]) -> dict[str, object]:
    key, value = shape.members["key"], shape.members["value"]
    found: dict[str, object] = {}
    for entry in entries:
        name, one = entry.child(key.wire), entry.child(value.wire)
        if name is not None and one is not None:
            found[name.text] = value_of(value.shape, one)
    return found
