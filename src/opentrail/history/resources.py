# SPDX-License-Identifier: Apache-2.0
"""The alias list of an event: every name and ARN of the resources that it is about. Pure.

LookupEvents' ``Resources`` is an index of aliases, not the record's own ``resources``: a CreateUser
is found by the user's name, ARN and id. Types are those that AWS publishes (CloudTrail's data
resource types, AWS Config, CloudFormation); where it publishes none, the alias has no type.
Source: CloudTrail API Reference, "Resource"; ``namings`` says where each service names them.
"""

import itertools
from typing import NamedTuple

import msgspec
from xxhash import xxh3_64_intdigest

from opentrail.event.record import HIDDEN
from opentrail.history.indexed import Indexed
from opentrail.history.namings import NAMINGS, Naming


class Resource(NamedTuple):
    """One alias of one resource."""

    type: str
    """"AWS::SageMaker::Model"; "" where AWS publishes no type."""
    name: str
    """A name, an ARN or an id."""


class _Listed(msgspec.Struct, gc=False):
    """An entry of the record's own ``resources``."""

    type: str = ""
    arn: str = msgspec.field(default="", name="ARN")


_Parts = tuple[msgspec.Raw, msgspec.Raw, msgspec.Raw]
"""requestParameters, responseElements, resources; ABSENT where they name nothing."""
_Members = dict[str, msgspec.Raw]
_decode_members = msgspec.json.Decoder(_Members).decode
_decode_listed = msgspec.json.Decoder(list[_Listed]).decode
_decode_text = msgspec.json.Decoder(str).decode
_decode_texts = msgspec.json.Decoder(list[str]).decode
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""Parameters may be a text, members of any type: what cannot be read names nothing."""
ALIASES_MAX = 1000
"""Of one event: what the largest RunInstances or CreateTags names."""
_PLURAL = ("s", "List")
"""How members are called that hold a list of names."""
REMEMBERED, REMEMBERED_BYTES = 4096, 2048
"""Pollers ask the same again and again: of 3,400 real records half name what one before named, in
the same bytes. Together at most 8 MiB of them; what is larger is rare and read each time."""
_EMPTY_LENGTH = len(b"null")
"""A JSON value no longer than this holds no name: absent, null, {}, [], 0."""
joined = b"\0".join
"""What no JSON has outside of a string, nor begins or ends with: joined by it, the parts stay what they are."""
NOTHING_LENGTH = 2 * _EMPTY_LENGTH + 2
"""Of all parts together: two nulls; the shortest one that names something is {"a":"b"}."""
_SOURCES = frozenset(NAMINGS)


remembered: dict[int, tuple[bytes, str, str, tuple[Resource, ...]]] = {}
"""Hash of the parts -> these together, source, name, what they name."""


def resources_of(record: Indexed) -> tuple[Resource, ...]:
    """Return every alias that ``record`` gives, each once: parameters, response, ``resources``."""
    together = parts_of(record)
    if len(together) <= NOTHING_LENGTH:
        return ()
    source, name = record.event_source, record.event_name
    number = xxh3_64_intdigest(together)
    known = remembered.get(number)
    # The number alone may be another's, made so.
    if known is not None and known[0] == together and known[1] == source and known[2] == name:
        return known[3]
    parts = record.request_parameters, record.response_elements, record.resources
    found = read(source, name, parts)
    if len(together) <= REMEMBERED_BYTES:
        if len(remembered) >= REMEMBERED:
            remembered.clear()
        remembered[number] = (together, source, name, found)
    return found


def parts_of(record: Indexed) -> bytes:
    """Return the parts of ``record`` that can name something, as one key; short when there are none."""
    if record.event_source in _SOURCES:
        return joined((record.request_parameters, record.response_elements, record.resources))
    return bytes(record.resources)


def read(source: str, event_name: str, parts: _Parts) -> tuple[Resource, ...]:
    """Return what the three parts of a record name."""
    found: dict[Resource, None] = {}
    parameters, response, listed = parts
    service = NAMINGS.get(source)
    for part in (parameters, response):
        if service is not None and len(part) > _EMPTY_LENGTH:
            _collect(found, service, event_name, part)
            _collect_ids(found, service, part)
    if len(listed) > _EMPTY_LENGTH:
        _collect_listed(found, listed)
    return tuple(itertools.islice(found, ALIASES_MAX))


def _collect_ids(found: dict[Resource, None], service: Naming, part: msgspec.Raw) -> None:
    for arn in service.deep_arns.findall(part) if service.deep_arns is not None else ():
        _add(found, _arn_type(service, arn, None), msgspec.Raw(arn))
    if service.ids is None:
        return
    for match in service.ids.finditer(part):
        name = match[1]
        found[Resource(service.id_types[name.rpartition(b"-")[0]], name.decode())] = None


def _collect(
    found: dict[Resource, None], service: Naming, event_name: str, part: msgspec.Raw
) -> None:
    for name, raw in _members_of(part).items():
        value = bytes(raw)
        if value[:1] == b"{" and name in service.parents:
            for inner, inner_raw in _members_of(raw).items():
                _add(found, service.members.get(f"{name}.{inner}"), inner_raw)
        elif value[:5] == b'"arn:':
            _add(found, _arn_type(service, value, service.members.get(name)), raw)
        elif name in service.members and (value[:1] != b"[" or name.endswith(_PLURAL)):
            _add(found, service.named.get(event_name) or service.members[name], raw)


def _members_of(part: msgspec.Raw) -> _Members:
    try:
        return _decode_members(part)
    except _UNREADABLE:
        return {}


def _arn_type(service: Naming, quoted: bytes, otherwise: str | None) -> str | None:
    """Return the type of ``"arn:partition:service:region:account:kind/id"``, a JSON string.

    ``otherwise`` for another service's; "" for a kind without a published type.
    """
    parts = quoted.decode(errors="replace").strip('"').split(":", 5)
    if parts[2:3] != [service.arn_service]:
        return otherwise
    kind, *identifiers = parts[-1].split("/")
    deeper = service.arn_deeper_types.get(kind) if len(identifiers) > 1 else None
    return service.arn_types.get(kind, "") if deeper is None else deeper


def _add(found: dict[Resource, None], known_type: str | None, raw: msgspec.Raw) -> None:
    if known_type is None:
        return
    try:
        texts = _decode_texts(raw) if bytes(raw).startswith(b"[") else [_decode_text(raw)]
    except _UNREADABLE:
        return
    for text in texts:
        if text and text != HIDDEN:
            found[Resource(known_type, text)] = None


def _collect_listed(found: dict[Resource, None], part: msgspec.Raw) -> None:
    try:
        listed = _decode_listed(part)
    except _UNREADABLE:
        return
    for each in listed:
        if each.arn:
            found[Resource(each.type, each.arn)] = None
