# SPDX-License-Identifier: Apache-2.0
"""What the index reads of a record, and no more: reading is most of what indexing costs. Pure.

The rules are those of ``event.codec``: what has an unexpected type reads as absent.
"""

from dataclasses import dataclass

import msgspec
from xxhash import xxh3_64_intdigest

from opentrail.errors import Corrupt
from opentrail.event.codec import decode, fields, user_identity
from opentrail.event.place import account_of_caller
from opentrail.event.record import ABSENT, UserIdentity

REMEMBERED, REMEMBERED_BYTES = 4096, 2048
"""Few callers make most calls: of 3,400 real records 92 % have a userIdentity seen before, in the
same bytes. Together at most 8 MiB of them; what is larger is rare and read each time."""


class Indexed(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """The fields of ``event.record.Record`` that Event history is made of."""

    user_identity: msgspec.Raw = ABSENT
    """Not taken apart: see ``caller_of``."""
    event_time: str = ""
    event_source: str = ""
    event_name: str = ""
    aws_region: str = ""
    request_parameters: msgspec.Raw = ABSENT
    response_elements: msgspec.Raw = ABSENT
    event_id: str = msgspec.field(default="", name="eventID")
    read_only: bool | None = None
    resources: msgspec.Raw = ABSENT
    management_event: bool | None = None
    recipient_account_id: str = ""
    event_category: str = ""


class _TimeWindow(msgspec.Struct, frozen=True, rename="camel"):
    window_start: str = ""


class _Sum(msgspec.Struct, frozen=True, rename="camel"):
    """What aggregated events have in the place of fields of ``Indexed``."""

    time_window: _TimeWindow = _TimeWindow()
    event_id: str = ""
    account_id: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Caller:
    """What Event history knows of a ``userIdentity``. Equal only to itself, so cheap as a key."""

    account: str
    username: str
    access_key_id: str


_decode = msgspec.json.Decoder(Indexed).decode
_decode_sum = msgspec.json.Decoder(_Sum).decode
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def indexed(data: bytes) -> Indexed | None:
    """Return what the index reads of the record ``data``; None when it is no JSON object."""
    try:
        read = _decode(data)
    except _UNREADABLE:
        return _patient(data)
    return read if read.event_time else _of_sum(read, data)


def _of_sum(read: Indexed, data: bytes) -> Indexed:
    """Return what the index reads of an aggregated event, if it is one: it has no eventTime.

    Its time is where its window begins. Source: CloudTrail User Guide, "Aggregating data events".
    """
    if read.event_category != "Aggregated":
        return read
    try:
        found = _decode_sum(data)
    except _UNREADABLE:
        return read
    return msgspec.structs.replace(
        read,
        event_time=found.time_window.window_start,
        event_id=read.event_id or found.event_id,
        recipient_account_id=read.recipient_account_id or found.account_id,
    )


def _patient(data: bytes) -> Indexed | None:
    try:
        record = decode(data)
    except Corrupt:
        return None
    return Indexed(
        user_identity=fields(data).get("userIdentity", ABSENT),
        event_time=record.event_time,
        event_source=record.event_source,
        event_name=record.event_name,
        aws_region=record.aws_region,
        request_parameters=record.request_parameters,
        response_elements=record.response_elements,
        event_id=record.event_id,
        read_only=record.read_only,
        resources=record.resources,
        management_event=record.management_event,
        recipient_account_id=record.recipient_account_id,
        event_category=record.event_category,
    )


remembered: dict[int, tuple[msgspec.Raw, Caller]] = {}


def caller_of(identity: msgspec.Raw) -> Caller:
    """Return what Event history knows of the ``userIdentity`` of a record."""
    number = xxh3_64_intdigest(identity)
    known = remembered.get(number)
    if known is not None and known[0] == identity:  # the number alone may be another's, made so
        return known[1]
    parts = user_identity(bytes(identity))
    caller = Caller(account_of_caller(parts), username_of(parts), parts.access_key_id)
    if len(identity) <= REMEMBERED_BYTES:
        if len(remembered) >= REMEMBERED:
            remembered.clear()
        remembered[number] = (identity.copy(), caller)
    return caller


def username_of(identity: UserIdentity) -> str:
    """Return the name under which LookupEvents knows the caller; "" when it knows none.

    A session of a role or a federated user goes by its session's name, the root user by "root".
    """
    if identity.type == "Root":
        return "root"
    if identity.type in ("AssumedRole", "FederatedUser"):
        return _session_name(identity) or identity.user_name
    return identity.user_name


def _session_name(identity: UserIdentity) -> str:
    """Return ``session`` of ``…:assumed-role/Role/session``, ``…:federated-user/session``, ``id:session``."""
    if "/" in identity.arn:
        return identity.arn.rpartition("/")[2]
    return identity.principal_id.partition(":")[2]
