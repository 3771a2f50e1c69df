# SPDX-License-Identifier: Apache-2.0
"""A botocore call's parameters and answer as records write them: by the service's own model.

Members go by their name with the first letter in lower case, blobs are left out, and what the model
calls sensitive is hidden. Source: Smithy 2.0 specification, "sensitive trait"; CloudTrail User
Guide, "CloudTrail record contents".
"""

import re
from collections.abc import Callable, Container, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

from opentrail.event.record import HIDDEN
from opentrail.sdk.audit import Untyped
from opentrail.sdk.redact import DEPTH_MAX, TOO_DEEP

_SECRETS = (
    "authorizationtoken",
    "authtoken",
    "password",
    "presignedurl",
    "privatekey",
    "secretaccesskey",
    "secretbinary",
    "secretstring",
    "sessiontoken",
    "userdata",
)
"""A member whose name contains one of these is hidden, whatever the model says of it."""
PAYLOADS = {
    "sagemaker-featurestore-runtime": frozenset({"Record", "Entries", "Records"}),
    "personalize-events": frozenset(
        {"eventList", "users", "items", "actions", "actionInteractions"}
    ),
    "logs": frozenset({"logEvents"}),
    "sns": frozenset({"Message", "Subject", "MessageAttributes", "PublishBatchRequestEntries"}),
    "sqs": frozenset({"MessageBody", "MessageAttributes", "Entries", "Messages"}),
    "dynamodb": frozenset({"Item", "Items", "Attributes", "RequestItems", "Responses"}),
    "kinesis": frozenset({"Records"}),
    "firehose": frozenset({"Record", "Records"}),
    "ses": frozenset({"Message", "RawMessage"}),
    "sesv2": frozenset({"Content"}),
    "timestream-write": frozenset({"Records"}),
    "bedrock-runtime": frozenset({"messages", "system", "output"}),
}
"""Service -> members at the top that carry its users' data, not what the call is about."""
NESTED_PAYLOADS = {"dynamodb": frozenset({"Item"})}
"""Service -> members that do so at any depth: an item that a transaction puts. What it is about stands beside
it, so they are hidden and not left out."""


Writer = Callable[[Untyped, int], Untyped]
_LEFT_OUT = object()
_PLAIN = frozenset({str, int, float, bool, type(None)})
is_secret = re.compile("|".join(_SECRETS), re.IGNORECASE).search
"""Finds in a member's name that its value is secret."""


class _Made(dict[str, Writer]):
    """Writers by the names of their shapes, and the members that they hide besides."""

    def __init__(self, hidden: frozenset[str]) -> None:
        super().__init__()
        self.hidden = hidden


class Forms:
    """How one service's parameters and answers are written; made once for each of its shapes."""

    def __init__(self, service: Untyped) -> None:
        """``service`` is botocore's ServiceModel."""
        self._dropped = PAYLOADS.get(service.service_name, frozenset())
        self._hidden = NESTED_PAYLOADS.get(service.service_name, frozenset())
        self._made: dict[frozenset[str], _Made] = {}

    def writer(
        self, shape: Untyped, left_out: Sequence[str] = (), hidden: Sequence[str] = ()
    ) -> Callable[[Mapping[str, Any]], dict[str, Any] | None]:
        """Return what writes values of the structure ``shape``, the whole of a request or an answer.

        It returns None when nothing of it is recorded, or ``shape`` is None. Members that are
        ``left_out`` are not recorded, the values of those ``hidden`` at any depth are not shown.
        """
        if shape is None:
            return _nothing
        names = self._hidden.union(hidden)
        made = self._made.setdefault(names, _Made(names))
        write = _structure(shape, made, self._dropped.union(left_out))
        return lambda value: write(value, 0) or None


def _nothing(value: Mapping[str, Any]) -> None:
    del value


def lower_first(name: str) -> str:
    """Return ``name`` as records write a member's: only its first letter is changed."""
    return name[:1].lower() + name[1:]


def _member(name: str, shape: Untyped, made: _Made) -> Writer:
    if name in made.hidden or is_secret(name) is not None:
        return _hidden
    return _writer(shape, made)


def _writer(shape: Untyped, made: _Made) -> Writer:
    """Return what writes values of ``shape``: made once for each shape of a service."""
    known = made.get(shape.name)
    if known is None:
        known = made[shape.name] = _made(shape, made)
    return known


def _made(shape: Untyped, made: _Made) -> Writer:
    if shape.metadata.get("sensitive") and shape.type_name != "blob":
        return _hidden
    if shape.metadata.get("document") or shape.serialization.get("eventstream"):
        return _left_out  # nothing says what in it is secret
    nested = _NESTED.get(shape.type_name)
    return nested(shape, made) if nested else _SCALARS.get(shape.type_name, _as_is)


def _structure(shape: Untyped, made: _Made, dropped: Container[str] = ()) -> Writer:
    members: dict[str, tuple[str, Writer]] = {}

    def member(name: str) -> tuple[str, Writer]:
        found = None if name in dropped else shape.members.get(name)
        write = _left_out if found is None else _member(name, found, made)
        members[name] = lower_first(name), write
        return members[name]

    def write(value: Untyped, depth: int) -> Untyped:
        if not isinstance(value, Mapping):
            return _as_is(value, depth)
        if depth >= DEPTH_MAX:
            return TOO_DEEP
        out: dict[str, Any] = {}
        for name, part in value.items():
            own_name, write_part = members.get(name) or member(name)
            if write_part is _as_is and type(part) in _PLAIN:
                out[own_name] = part
            else:
                kept = write_part(part, depth + 1)
                if kept is not _LEFT_OUT:
                    out[own_name] = kept
        return out

    return write


def _list(shape: Untyped, made: _Made) -> Writer:
    def write(value: Untyped, depth: int) -> Untyped:
        if not isinstance(value, list | tuple):
            return _as_is(value, depth)
        if depth >= DEPTH_MAX:
            return TOO_DEEP
        inner = _writer(shape.member, made)
        parts = [inner(part, depth + 1) for part in value]
        return [part for part in parts if part is not _LEFT_OUT]

    return write


def _map(shape: Untyped, made: _Made) -> Writer:
    hides_keys = bool(shape.key.metadata.get("sensitive"))

    def write(value: Untyped, depth: int) -> Untyped:
        if hides_keys or not isinstance(value, Mapping):
            return HIDDEN
        if depth >= DEPTH_MAX:
            return TOO_DEEP
        inner = _writer(shape.value, made)
        parts = {
            name: (_hidden if is_secret(name) else inner)(part, depth + 1)
            for name, part in ((str(name), part) for name, part in value.items())
        }
        return {name: part for name, part in parts.items() if part is not _LEFT_OUT}

    return write


def _hidden(value: Untyped, depth: int) -> Untyped:
    del value, depth
    return HIDDEN


def _left_out(value: Untyped, depth: int) -> Untyped:
    del value, depth
    return _LEFT_OUT


def _as_is(value: Untyped, depth: int) -> Untyped:
    """Return a scalar; of what the model does not expect only its kind."""
    del depth
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return type(value).__name__


def _time(value: Untyped, depth: int) -> Untyped:
    if isinstance(value, datetime):
        aware = value if value.tzinfo else value.replace(tzinfo=UTC)
        return aware.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return value.isoformat() if isinstance(value, date) else _as_is(value, depth)


_SCALARS: dict[str, Writer] = {"blob": _left_out, "timestamp": _time}
_NESTED = {"structure": _structure, "list": _list, "map": _map}
