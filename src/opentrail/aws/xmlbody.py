# SPDX-License-Identifier: Apache-2.0
"""XML answers of the query and rest-xml protocols, read without trusting them.

No document type, hence no entities, and bounds on size and depth. Smithy 2.0, "AWS query
protocol" and "AWS restXml protocol".
"""

import io
from dataclasses import dataclass, field
from xml.parsers import expat

from opentrail.aws.model import Member, Shape
from opentrail.aws.textvalue import from_text

BYTES_MAX = 256 * 1024
"""Largest body that is read: as much as the gateway keeps of one."""
DEPTH_MAX = 64
"""Elements inside elements: past any real answer, far from the stack's end."""


@dataclass(slots=True)
class Element:
    """An XML element, its name without namespace."""

    name: str
    text: str = ""
    children: "list[Element]" = field(default_factory=list)

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


def parse(body: bytes) -> Element | None:
    """Return the root element, or None for what is not plain, small, well-formed XML."""
    if len(body) > BYTES_MAX:
        return None
    top = Element("")
    open_elements = [top]
    parser = expat.ParserCreate(namespace_separator=" ")

    def start(name: str, _attributes: dict[str, str]) -> None:
        if len(open_elements) > DEPTH_MAX:
            raise _Refused
        element = Element(name.rpartition(" ")[2])
        open_elements[-1].children.append(element)
        open_elements.append(element)

    def end(_name: str) -> None:
        open_elements.pop()

    def text(piece: str) -> None:
        open_elements[-1].text += piece

    def doctype(*_: object) -> None:
        raise _Refused

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text
    parser.StartDoctypeDeclHandler = doctype
    parser.buffer_text = True
    try:
        parser.ParseFile(io.BytesIO(body))
    except (expat.ExpatError, _Refused):
        return None
    return top.children[0] if top.children else None


def members_of(shape: Shape, element: Element) -> dict[str, object]:
    """Return the members of ``shape`` that ``element`` has, under their model names, in order."""
    found: dict[str, object] = {}
    for member in shape.members.values():
        value = None if member.location else _member(member, element)
        if value is not None:
            found[member.name] = value
    return found


def _member(member: Member, parent: Element) -> object:
    shape = member.shape
    if shape.kind == "list" and (member.flattened or shape.flattened):
        item = shape.members["member"]
        name = item.wire if item.wire != item.name else member.wire
        items = [one for one in parent.children if one.name == name]
        return [_value(item.shape, one) for one in items] or None
    element = parent.child(member.wire)
    return None if element is None else _value(shape, element)


def _value(shape: Shape, element: Element) -> object:
    if shape.kind == "structure":
        return members_of(shape, element)
    if shape.kind == "list":
        item = shape.members["member"]
        return [_value(item.shape, one) for one in element.children]
    if shape.kind == "map":
        return _map(shape, element)
    return from_text(shape.kind, element.text)


def _map(shape: Shape, element: Element) -> object:
    key, value = shape.members["key"], shape.members["value"]
    found: dict[str, object] = {}
    for entry in element.children:
        name, one = entry.child(key.wire), entry.child(value.wire)
        if name is not None and one is not None:
            found[name.text] = _value(value.shape, one)
    return found
