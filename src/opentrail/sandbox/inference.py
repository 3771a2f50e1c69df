# SPDX-License-Identifier: Apache-2.0
"""SageMaker's runtime: an endpoint whose model answers with what it was asked."""

import binascii
import struct

import msgspec

from opentrail.errors import ClientError
from opentrail.sandbox.request import Request
from opentrail.sandbox.shapes import Members
from opentrail.sandbox.state import Resource

JSON = "application/json"
PART_BYTES = 1024
"""Bytes in one part of a streamed answer: small, so that small answers have several."""
_STRING = 7
"""Type of a header's value in an event stream."""


def invoke_endpoint(request: Request) -> Members:
    """Answer with the request's body, as a model would after it has read it."""
    answer = _answered(request)
    return answer | {"Body": request.body}


def invoke_endpoint_with_response_stream(request: Request) -> Members:
    """Answer with the request's body in parts, framed as an event stream."""
    answer = _answered(request)
    body = request.body
    parts = [body[start : start + PART_BYTES] for start in range(0, len(body), PART_BYTES)]
    return answer | {"Body": b"".join(_event("PayloadPart", part) for part in parts)}


def _answered(request: Request) -> Members:
    """Return what both answers say beside their body.

    Raises: ClientError: no such endpoint in service; or the model cannot read the body.
    """
    endpoint = _endpoint(request)
    content_type = request.text("ContentType") or JSON
    if content_type == JSON:
        try:
            msgspec.json.decode(request.body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            text = 'Received client error (400) from primary with message "The body is not JSON."'
            raise ClientError("ModelError", text, request.error_status("ModelError")) from None
    variants = endpoint.members["ProductionVariants"]
    assert isinstance(variants, list)
    first = variants[0]["VariantName"] if variants else "AllTraffic"
    answer: Members = {
        "ContentType": content_type,
        "InvokedProductionVariant": request.text("TargetVariant") or first,
    }
    attributes = request.text("CustomAttributes")
    return answer | {"CustomAttributes": attributes} if attributes else answer


def _endpoint(request: Request) -> Resource:
    scope = request.scope
    name = request.text("EndpointName")
    arn = f"arn:aws:sagemaker:{scope.region}:{scope.account}:endpoint/{name.lower()}"
    endpoint = scope.resources.get(arn)
    if endpoint is None or endpoint.status(request.now_ms) == "Creating":
        raise request.bad_input(f"Endpoint {name} of account {scope.account} not found.")
    return endpoint


def _event(event_type: str, payload: bytes) -> bytes:
    """Frame one event: "application/vnd.amazon.eventstream" (Smithy 2.0)."""
    headers = b"".join(
        _header(name, value)
        for name, value in (
            (":event-type", event_type),
            (":content-type", "application/octet-stream"),
            (":message-type", "event"),
        )
    )
    prelude = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    message = prelude + struct.pack(">I", binascii.crc32(prelude)) + headers + payload
    return message + struct.pack(">I", binascii.crc32(message))


def _header(name: str, value: str) -> bytes:
    head = struct.pack(">B", len(name)) + name.encode()
    return head + struct.pack(">BH", _STRING, len(value)) + value.encode()
