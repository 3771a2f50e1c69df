# SPDX-License-Identifier: Apache-2.0
"""Members that REST protocols carry outside the body: path, query string, headers, status.

Smithy 2.0, "HTTP bindings".
"""

from collections.abc import Mapping, Sequence
from urllib.parse import parse_qsl, unquote

from opentrail.aws.model import Member, Operation, Shape
from opentrail.aws.request import RequestHead
from opentrail.aws.rest import QUERY_FIELDS_MAX, plain_path, split_path, template_segments
from opentrail.aws.textvalue import from_text, of_header


def request_bound(operation: Operation, head: RequestHead) -> dict[str, object]:
    """Return the input members that the path, the query string and the headers carry, by name."""
    found: dict[str, object] = {}
    if operation.input is None:
        return found
    bound = [member for member in operation.input.members.values() if member.location]
    if not bound:
        return found
    path, _, literals = operation.uri.partition("?")
    labels = _labels(path, head.path)
    query = _query(head.query)
    for member in bound:
        value: object
        if member.location == "uri":
            value = _label_value(member, labels)
        elif member.location != "querystring":
            value = _header_value(member, head.headers)
        elif member.shape.kind == "map":
            value = _query_map(member.shape, _others(query, _query(literals), bound))
        else:
            value = _query_value(member, query)
        if value is not None:
            found[member.name] = value
    return found


def _label_value(member: Member, labels: Mapping[str, str]) -> object:
    label = labels.get(member.wire)
    return None if label is None else from_text(member.shape.kind, label)


def response_bound(output: Shape, status: int, headers: Mapping[str, str]) -> dict[str, object]:
    """Return the output members that the status line and the headers carry, by name."""
    found: dict[str, object] = {}
    for member in output.members.values():
        value: object = None
        if member.location == "statusCode":
            value = status
        elif member.location:
            value = _header_value(member, headers)
        if value is not None:
            found[member.name] = value
    return found


def _labels(template: str, path: str) -> dict[str, str]:
    """Return what the labels of ``template`` stand for in ``path``, percent-decoded."""
    parts = template_segments(template)
    segments = split_path(path)
    if not _fit(parts, segments):
        segments = split_path(plain_path(path))  # as ``route.identify`` has found the operation
    found: dict[str, str] = {}
    for at, part in enumerate(parts):
        if part.endswith("+}"):
            end = len(segments) - (len(parts) - at - 1)
            found[part[1:-2]] = unquote("/".join(segments[at:end]))
            break
        if part.startswith("{") and at < len(segments):
            found[part[1:-1]] = unquote(segments[at])
    return found


def _fit(parts: Sequence[str], segments: Sequence[str]) -> bool:
    """Return whether the segments of a path are those of a template, as they stand there."""
    if any(part.endswith("+}") for part in parts):
        return True
    given = segments[:-1] if len(segments) > len(parts) and not segments[-1] else segments
    return len(parts) == len(given) and all(
        part.startswith("{") or part == unquote(segment)
        for part, segment in zip(parts, given, strict=True)
    )


def _query(text: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    fields = text.split("&", QUERY_FIELDS_MAX)[:QUERY_FIELDS_MAX] if text else []
    for name, value in parse_qsl("&".join(fields), keep_blank_values=True):
        found.setdefault(name, []).append(value)
    return found


def _others(
    query: Mapping[str, list[str]], literals: Mapping[str, list[str]], bound: Sequence[Member]
) -> dict[str, list[str]]:
    """Return the parameters that are neither the template's, another member's nor the signature's.

    A presigned query has the session token in it.
    """
    named = {m.wire for m in bound if m.location == "querystring" and m.shape.kind != "map"}
    return {
        n: v
        for n, v in query.items()
        if n not in named and n not in literals and not n.lower().startswith("x-amz-")
    }


def _query_value(member: Member, query: Mapping[str, Sequence[str]]) -> object:
    shape = member.shape
    sent = query.get(member.wire)
    if sent is None:
        return None
    if shape.kind == "list":
        return [from_text(shape.members["member"].shape.kind, text) for text in sent]
    return from_text(shape.kind, _joined(sent))


def _joined(sent: Sequence[str]) -> str:
    """Return the value of a parameter; all that were sent: servers differ in which they take."""
    return sent[0] if len(sent) == 1 else ",".join(dict.fromkeys(sent))


def _query_map(shape: Shape, query: Mapping[str, Sequence[str]]) -> object:
    """Return the parameters in ``query``: a map takes whatever nothing else claims."""
    value = shape.members["value"].shape
    if value.kind == "list":
        return {name: list(sent) for name, sent in query.items()} or None
    return {name: _joined(sent) for name, sent in query.items()} or None


def _header_value(member: Member, headers: Mapping[str, str]) -> object:
    shape = member.shape
    if member.location == "headers":
        start = member.wire.lower()
        named = {k[len(start) :]: of_header(v) for k, v in headers.items() if k.startswith(start)}
        return named or None
    sent = headers.get(member.wire.lower())
    if sent is None:
        return None
    text = of_header(sent)
    if shape.kind == "list":
        item = shape.members["member"].shape.kind
        return [from_text(item, part.strip()) for part in text.split(",")]
    return from_text(shape.kind, text)
