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

from opentrail.event.record import HIDDEN, Record
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


_Members = dict[str, msgspec.Raw]
_decode_members = msgspec.json.Decoder(_Members).decode
_decode_listed = msgspec.json.Decoder(list[_Listed]).decode
_decode_text = msgspec.json.Decoder(str).decode
_decode_texts = msgspec.json.Decoder(list[str]).decode
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError)
"""Parameters may be a text, members of any type: what cannot be read names nothing."""
ALIASES_MAX = 1000
"""Of one event: what the largest RunInstances or CreateTags names."""
_PLURAL = ("s", "List")
"""How members are called that hold a list of names."""
_EMPTY_LENGTH = len(b"null")
"""A JSON value no longer than this holds no name: absent, null, {}, [], 0."""


def resources_of(record: Record) -> tuple[Resource, ...]:
    """Return every alias that ``record`` gives, each once: parameters, response, ``resources``.

    At most ALIASES_MAX of them.
    """
    found: dict[Resource, None] = {}
    service = NAMINGS.get(record.event_source)
    if service is not None:
        for part in (record.request_parameters, record.response_elements):
            if len(part) > _EMPTY_LENGTH:
                _collect(found, service, record.event_name, part)
                _collect_ids(found, service, part)
    if len(record.resources) > _EMPTY_LENGTH:
        _collect_listed(found, record.resources)
    return tuple(itertools.islice(found, ALIASES_MAX))


def _collect_ids(found: dict[Resource, None], service: Naming, part: msgspec.Raw) -> None:
    if service.ids is None:
        return
    for match in service.ids.finditer(part):
        name = match[1]
        found[Resource(service.id_types[name.rpartition(b"-")[0]], name.decode())] = None


def _collect(
    found: dict[Resource, None], service: Naming, event_name: str, part: msgspec.Raw
) -> None:
    try:
        members = _decode_members(part)
    except _UNREADABLE:
        return
    for name, raw in members.items():
        value = bytes(raw)
        if value[:1] == b"{" and name in service.parents:
            for inner, inner_raw in _decode_members(raw).items():
                _add(found, service.members.get(f"{name}.{inner}"), inner_raw)
        elif value[:5] == b'"arn:':
            _add(found, _arn_type(service, value, service.members.get(name)), raw)
        elif name in service.members and (value[:1] != b"[" or name.endswith(_PLURAL)):
            _add(found, service.named.get(event_name) or service.members[name], raw)


def _arn_type(service: Naming, quoted: bytes, otherwise: str | None) -> str | None:
    """Return the type of ``"arn:partition:service:region:account:kind/id"``, a JSON string.

    ``otherwise`` for another service's; "" for a kind without a published type.
    """
    parts = quoted.decode().strip('"').split(":", 5)
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
