# SPDX-License-Identifier: Apache-2.0
"""An operation's output members as the bytes of an HTTP answer: JSON 1.0, 1.1 and REST-JSON."""

from dataclasses import dataclass

import msgspec

from opentrail.aws.model import Operation
from opentrail.sandbox.shapes import Members, cut

Header = tuple[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer."""

    status: int
    headers: list[Header]
    body: bytes


def render(operation: Operation, json_version: str, members: Members, request_id: str) -> Answer:
    """Return the answer that carries what of ``members`` the operation's output has."""
    shown = cut(operation.output, members) if operation.output else {}
    assert isinstance(shown, dict)
    headers: list[Header] = [(b"x-amzn-requestid", request_id.encode())]
    if operation.protocol == "json":
        kind = f"application/x-amz-json-{json_version}".encode()
        body = msgspec.json.encode(shown) if operation.output else b""
        return Answer(200, [*headers, (b"content-type", kind)], body)
    headers += _bound(operation, shown)
    body = _body(operation, shown)
    if not any(name == b"content-type" for name, _ in headers):
        headers.append((b"content-type", _body_kind(operation)))
    return Answer(200, headers, body)


def _bound(operation: Operation, shown: Members) -> list[Header]:
    """Return the members that travel as headers; a line break in one would end the header."""
    assert operation.output is not None or not shown
    members = operation.output.members if operation.output else {}
    return [
        (members[name].wire.lower().encode(), str(value).encode("latin-1", "replace"))
        for name, value in shown.items()
        if members[name].location == "header" and str(value).isprintable()
    ]


def _body(operation: Operation, shown: Members) -> bytes:
    output = operation.output
    if output is None:
        return b""
    if output.payload:
        payload = shown.get(output.payload, b"")
        return payload if isinstance(payload, bytes) else msgspec.json.encode(payload)
    return msgspec.json.encode(
        {
            output.members[name].wire: value
            for name, value in shown.items()
            if not output.members[name].location
        }
    )


def _body_kind(operation: Operation) -> bytes:
    streams = operation.event_stream_output
    return b"application/vnd.amazon.eventstream" if streams else b"application/json"
