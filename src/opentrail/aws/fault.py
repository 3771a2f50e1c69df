# SPDX-License-Identifier: Apache-2.0
"""Error answers, read and written, in the form of each wire protocol.

Smithy 2.0, "Operation error serialization" of each protocol; Amazon S3 API Reference, "Error
responses".
"""

import re
from collections.abc import Callable, Mapping
from xml.sax.saxutils import escape

import msgspec

from opentrail.aws import catalog, cborbody, jsonbody, xmlbody
from opentrail.aws.request import Target
from opentrail.errors import ClientError

MESSAGE_CHARS_MAX = 1024
"""CloudTrail's bound on errorMessage: 1 KB."""

_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}\Z")
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_SIGNATURE_CODES = frozenset(
    (
        "IncompleteSignature",
        "IncompleteSignatureException",
        "InvalidSignatureException",
        "SignatureDoesNotMatch",
    )
)
_BY_STATUS = {
    301: "PermanentRedirect",
    302: "TemporaryRedirect",
    304: "NotModified",
    307: "TemporaryRedirect",
    400: "BadRequest",
    401: "Unauthorized",
    403: "AccessDenied",
    404: "NotFound",
    405: "MethodNotAllowed",
    409: "Conflict",
    412: "PreconditionFailed",
    413: "RequestEntityTooLarge",
    429: "ThrottlingException",
    501: "NotImplemented",
    502: "ServiceUnavailable",
    503: "ServiceUnavailable",
    504: "ServiceUnavailable",
}
_SERVER_ERROR_MIN = 500
_CBOR_SHORT_MAX = 23
"""Bytes of a text string whose length fits into its first byte."""
_NOT_FOUND = 404


def error_of(
    target: Target, status: int, headers: Mapping[str, str], body: bytes
) -> tuple[str, str]:
    """Return the error code and message of an error answer; either way the code is not empty.

    Looks where each protocol puts them, whatever ``target`` speaks: a proxy in between answers in
    its own form. Namespaces and URLs around the code are cut off, a message is cut to
    MESSAGE_CHARS_MAX, and what a signature error quotes of the request (tokens) is left out.
    ``headers`` have lower-case names.
    """
    code, message = _in_body(body)
    code = _from_headers(headers) or _bare(code)
    if not code:
        return _by_status(target, status, body)
    if code in _SIGNATURE_CODES:
        message = message.partition("\n")[0].partition(" Authorization=")[0]
    return code, message[:MESSAGE_CHARS_MAX]


def late_error(body: bytes) -> tuple[str, str] | None:
    """Return the code and message of an error in the body of an S3 answer whose status was 200.

    Amazon S3 API Reference, "CompleteMultipartUpload": blanks may come before it, to keep the
    connection alive.
    """
    code, message = _in_xml(body.strip())
    code = _bare(code)
    return (code, message[:MESSAGE_CHARS_MAX]) if code else None


def _from_headers(headers: Mapping[str, str]) -> str:
    """Return the code that the headers name: a query-compatible service means its query code."""
    queried = headers.get("x-amzn-query-error", "").partition(";")[0]
    return _bare(queried) or _bare(headers.get("x-amzn-errortype", ""))


def _bare(code: str) -> str:
    """Return ``code`` of ``namespace#code:url``, or "" when it is not one."""
    name = code.partition(":")[0].rpartition("#")[2].strip()
    return name if _CODE.match(name) else ""


def _in_body(body: bytes) -> tuple[str, str]:
    start = body[:64].lstrip()
    if start.startswith(b"{"):
        return _in_object(jsonbody.decode, body)
    if start.startswith(b"<"):
        return _in_xml(body)
    return _in_object(cborbody.decode, body) if b"__type" in body else ("", "")


def _in_object(decode: Callable[[bytes], object], body: bytes) -> tuple[str, str]:
    try:
        value = decode(body)
    except ValueError:
        return "", ""
    if not isinstance(value, dict):
        return "", ""
    return _first_text(value, ("__type", "code", "Code")), _first_text(
        value, ("message", "Message")
    )


def _first_text(value: Mapping[str, object], names: tuple[str, ...]) -> str:
    return next((found for n in names if isinstance(found := value.get(n), str)), "")


def _in_xml(body: bytes) -> tuple[str, str]:
    root = xmlbody.parse(body)
    error = root.find("Error") if root else None
    if error is None:
        return "", ""
    code, message = error.child("Code"), error.child("Message")
    return code.text if code else "", message.text if message else ""


def _by_status(target: Target, status: int, body: bytes) -> tuple[str, str]:
    """Return what to call an answer that names no error: an emulator's HTML, a proxy's page."""
    is_page = body[:64].lstrip().startswith(b"<")
    if status == _NOT_FOUND and is_page and target.protocol != "rest-xml":
        code = "UnknownOperationException"
    elif status >= _SERVER_ERROR_MIN:
        code = _BY_STATUS.get(status, "InternalFailure")
    else:
        code = _BY_STATUS.get(status, "BadRequest")
    return code, f"HTTP status {status} without an AWS error."


def render_error(
    target: Target, error: ClientError, request_id: str
) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Return status, headers and body of ``error`` as clients of the protocol understand it.

    An unknown protocol gets JSON with the error type in a header, which most clients can read.
    """
    kind, body = _FORMS.get(target.protocol, _rest_json)(target, error, request_id)
    headers = [
        (b"content-type", kind.encode()),
        (b"content-length", b"%d" % len(body)),
        (b"x-amzn-requestid", request_id.encode()),
        *_own_headers(target, error, request_id),
    ]
    return error.status, headers, body


def _own_headers(target: Target, error: ClientError, request_id: str) -> list[tuple[bytes, bytes]]:
    """Return what clients of one protocol look for in the headers."""
    if target.protocol == "rest-xml":
        return [(b"x-amz-request-id", request_id.encode())]
    if target.protocol in {"rest-json", ""}:
        return [(b"x-amzn-errortype", error.code.encode())]
    headers = []
    if target.protocol == "smithy-rpc-v2-cbor":
        headers.append((b"smithy-protocol", b"rpc-v2-cbor"))
    if target.protocol in _AFTER_QUERY and catalog.is_query_compatible(target.service):
        # Clients of a service that once spoke the query protocol look for that one's code.
        headers.append((b"x-amzn-query-error", f"{error.code};{_blamed(error)}".encode()))
    return headers


_AFTER_QUERY = frozenset({"json", "smithy-rpc-v2-cbor"})


def _blamed(error: ClientError) -> str:
    return "Sender" if error.status < _SERVER_ERROR_MIN else "Receiver"


def _json(target: Target, error: ClientError, _request_id: str) -> tuple[str, bytes]:
    body = msgspec.json.encode({"__type": error.code, "message": error.message})
    return f"application/x-amz-json-{target.json_version or '1.1'}", body


def _rest_json(_target: Target, error: ClientError, _request_id: str) -> tuple[str, bytes]:
    return "application/json", msgspec.json.encode({"message": error.message})


def _query(_target: Target, error: ClientError, request_id: str) -> tuple[str, bytes]:
    return "text/xml", _wrapped(error, request_id)


def _wrapped(error: ClientError, request_id: str) -> bytes:
    inner = f"<Type>{_blamed(error)}</Type>{_xml_error(error)}"
    text = f"<Error>{inner}</Error><RequestId>{_xml(request_id)}</RequestId>"
    return f"<ErrorResponse>{text}</ErrorResponse>".encode()


def _ec2(_target: Target, error: ClientError, request_id: str) -> tuple[str, bytes]:
    inner = f"<Errors><Error>{_xml_error(error)}</Error></Errors>"
    text = f"{inner}<RequestID>{_xml(request_id)}</RequestID>"
    return "text/xml", f"<Response>{text}</Response>".encode()


def _rest_xml(target: Target, error: ClientError, request_id: str) -> tuple[str, bytes]:
    """Return S3's bare error; all other services wrap theirs as the query protocol does."""
    if target.service != "s3":
        return "text/xml", _wrapped(error, request_id)
    text = f"{_xml_error(error)}<RequestId>{_xml(request_id)}</RequestId>"
    return "application/xml", f"<Error>{text}</Error>".encode()


def _cbor(_target: Target, error: ClientError, _request_id: str) -> tuple[str, bytes]:
    pairs = (("__type", error.code), ("message", error.message))
    return "application/cbor", b"\xa2" + b"".join(_cbor_string(t) for p in pairs for t in p)


def _cbor_string(text: str) -> bytes:
    """Return a text string (RFC 8949, major type 3) of at most 65,535 bytes."""
    data = text.encode("utf-8", "replace")[:0xFFFF]
    if len(data) <= _CBOR_SHORT_MAX:
        return bytes((0x60 + len(data),)) + data
    return b"\x79" + len(data).to_bytes(2) + data


def _xml_error(error: ClientError) -> str:
    return f"<Code>{_xml(error.code)}</Code><Message>{_xml(error.message)}</Message>"


def _xml(text: str) -> str:
    return escape(_NOT_XML.sub("?", text))


_FORMS = {
    "json": _json,
    "rest-json": _rest_json,
    "query": _query,
    "ec2": _ec2,
    "rest-xml": _rest_xml,
    "smithy-rpc-v2-cbor": _cbor,
}
