# SPDX-License-Identifier: Apache-2.0
"""Record bytes to typed fields and back: fast for well-made records, patient with odd ones.

Source: CloudTrail User Guide, "CloudTrail record contents": readers must tolerate missing fields
and unknown keys.
"""

import contextlib
import re
from collections.abc import Mapping

import msgspec

from opentrail.errors import Corrupt
from opentrail.event.record import (
    ABSENT,
    FIELD_ORDER,
    Record,
    SessionContext,
    SessionIssuer,
    UserIdentity,
)

Fields = dict[str, msgspec.Raw]
"""A JSON object taken apart one level deep: every value is the bytes that stood there."""

_decode_record = msgspec.json.Decoder(Record).decode
_decode_fields = msgspec.json.Decoder(Fields).decode
_decode_text = msgspec.json.Decoder(str).decode
_decode_identity = msgspec.json.Decoder(UserIdentity).decode
_encode = msgspec.json.Encoder().encode
_RANK = {name: rank for rank, name in enumerate(FIELD_ORDER)}
_NEWLINE, _RETURN = b"\n\r"
"""As numbers: so looked for, they are found ten times as fast."""
_LONE_SURROGATE = re.compile(
    rb"\\(?:u[dD][89abAB]..\\u[dD][c-fC-F]..|(u[dD][89a-fA-F]..)|.)", re.DOTALL
)
"""Every escape of a JSON text, that a backslash behind a backslash begins none."""
_HALF = re.compile(rb"\\u[dD][89a-fA-F]")
"""What may be half a character; quick."""
_BLANKS = re.compile(rb'("[^"\\]*+(?:\\.[^"\\]*+)*+")|[ \t\r\n]++', re.DOTALL)
"""White space of a JSON text, and its strings, that no space within one is taken for it."""
_BOOLEANS = {b"true": True, b"false": False, b'"true"': True, b'"false"': False}
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises: bad JSON, a value of another type, bytes that are not UTF-8, deep nesting."""


def decode(data: bytes, where: str = "record") -> Record:
    """Return the typed fields of one record.

    Values of an unexpected type do not hide the rest of the record: a field whose value cannot be
    read reads as absent ("true" reads as the boolean). Raises: Corrupt: not a JSON object;
    ``where`` says where the bytes came from.
    """
    try:
        return _decode_record(data)
    except UNREADABLE:
        return _patient(fields(data, where))


def user_identity(data: bytes) -> UserIdentity:
    """Return the typed fields of a ``userIdentity`` alone: what ``decode`` makes of it."""
    try:
        return _decode_identity(data)
    except UNREADABLE:
        return _user_identity(_members(data))


def fields(data: bytes, where: str = "record") -> Fields:
    """Take a record apart, losing nothing: names in their order, values as their own bytes.

    But for halves of characters outside the BMP, which JSON can write and Unicode has not: services
    that cut a text leave them. They read as U+FFFD. Raises: Corrupt: not a JSON object.
    """
    try:
        return _decode_fields(data)
    except UNREADABLE as error:
        if _HALF.search(data):
            with contextlib.suppress(*UNREADABLE):
                return _decode_fields(whole_characters(data))
        hint = "a record is one JSON object"
        raise Corrupt(f"not a CloudTrail record: {_why(error)}", where, hint) from error


def _why(error: Exception) -> str:
    """Return what is wrong with a record of which the values are not looked into."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return "a name in it is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)


def in_utf8(data: bytes) -> bytes:
    """Return the JSON text ``data``, with U+FFFD for bytes that are not UTF-8: no reader takes them.

    In a JSON document of many records they would make all of it unreadable.
    """
    try:
        data.decode()
    except UnicodeDecodeError:
        return data.decode("utf-8", "replace").encode()
    return data


def whole_characters(data: bytes) -> bytes:
    """Return the JSON text ``data`` with U+FFFD for halves of characters, as ``fields`` reads them."""
    return _LONE_SURROGATE.sub(_replaced, data)


def _replaced(escape: re.Match[bytes]) -> bytes:
    return b"\\ufffd" if escape[1] else escape[0]


def encode(parts: Mapping[str, msgspec.Raw]) -> bytes:
    """Return the JSON object of ``parts``: known fields in ``FIELD_ORDER``, then the others.

    The values' bytes are not touched, so floats such as 70.0 stay what they are.
    """
    names = sorted(parts, key=lambda name: _RANK.get(name, len(FIELD_ORDER)))
    return _encode({name: parts[name] for name in names})


def minify(data: bytes) -> bytes:
    """Return the record on one line; the very same bytes when it already is.

    Only white space between tokens goes: numbers and strings keep their spelling.
    Raises: Corrupt: not JSON.
    """
    if _NEWLINE not in data and _RETURN not in data:
        return data
    try:
        return msgspec.json.format(data, indent=-1)
    except UNREADABLE:
        fields(data)  # half a character is no harm
        return _BLANKS.sub(rb"\1", data)


def _patient(parts: Fields) -> Record:
    """Read field by field: what has an unexpected type reads as absent."""
    return Record(
        event_version=_text(parts, "eventVersion"),
        user_identity=_user_identity(_object(parts, "userIdentity")),
        event_time=_text(parts, "eventTime"),
        event_source=_text(parts, "eventSource"),
        event_name=_text(parts, "eventName"),
        aws_region=_text(parts, "awsRegion"),
        error_code=_text(parts, "errorCode"),
        request_parameters=parts.get("requestParameters", ABSENT),
        response_elements=parts.get("responseElements", ABSENT),
        request_id=_text(parts, "requestID"),
        event_id=_text(parts, "eventID"),
        read_only=_boolean(parts, "readOnly"),
        resources=parts.get("resources", ABSENT),
        event_type=_text(parts, "eventType"),
        management_event=_boolean(parts, "managementEvent"),
        recipient_account_id=_text(parts, "recipientAccountId"),
        event_category=_text(parts, "eventCategory"),
        vpc_endpoint_id=_text(parts, "vpcEndpointId"),
        session_credential_from_console=_text(parts, "sessionCredentialFromConsole"),
    )


def _user_identity(parts: Fields) -> UserIdentity:
    context = _object(parts, "sessionContext")
    issuer = _object(context, "sessionIssuer")
    return UserIdentity(
        type=_text(parts, "type"),
        principal_id=_text(parts, "principalId"),
        arn=_text(parts, "arn"),
        account_id=_text(parts, "accountId"),
        access_key_id=_text(parts, "accessKeyId"),
        user_name=_text(parts, "userName"),
        invoked_by=_text(parts, "invokedBy"),
        session_context=SessionContext(
            session_issuer=SessionIssuer(
                type=_text(issuer, "type"),
                principal_id=_text(issuer, "principalId"),
                arn=_text(issuer, "arn"),
                account_id=_text(issuer, "accountId"),
                user_name=_text(issuer, "userName"),
            ),
            source_identity=_text(context, "sourceIdentity"),
        ),
    )


def _object(parts: Fields, name: str) -> Fields:
    return _members(parts.get(name, ABSENT))


def _members(data: bytes | msgspec.Raw) -> Fields:
    try:
        return _decode_fields(data)
    except UNREADABLE:
        return {}


def _text(parts: Fields, name: str) -> str:
    try:
        return _decode_text(parts.get(name, ABSENT))
    except UNREADABLE:
        return ""


def _boolean(parts: Fields, name: str) -> bool | None:
    return _BOOLEANS.get(bytes(parts.get(name, ABSENT)))
