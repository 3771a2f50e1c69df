# SPDX-License-Identifier: Apache-2.0
"""From what is known of a call to the bytes of its record. Pure.

Source: CloudTrail User Guide, "CloudTrail record contents"; the caps are CloudTrail's.
"""

from collections.abc import Mapping, Sequence

import msgspec
from msgspec import UNSET, UnsetType

from opentrail.event.caps import ADDITIONAL_BYTES_MAX, OBJECT_BYTES_MAX, RECORD_BYTES_MAX
from opentrail.event.url_secrets import without_url_secrets

EVENT_VERSION = "1.08"
"""No field that came later is written."""
TEXT_CHARS_MAX = 1024
"""userAgent, errorCode, errorMessage and requestID: 1 KB each."""
IDENTITY_BYTES_MAX = 16 * 1024
"""userIdentity, where a callable of the user's makes it: real ones have less than 1 KB."""
RESOURCES_BYTES_MAX = 28 * 1024
"""resources, likewise."""

Fields = dict[str, object]


class Record(msgspec.Struct, gc=False, rename="camel", kw_only=True):
    """A record that the SDK makes of a call; fields in the order of delivered records."""

    event_version: str = EVENT_VERSION
    user_identity: object
    event_time: str
    event_source: str
    event_name: str
    aws_region: str
    source_ip_address: str = msgspec.field(name="sourceIPAddress")
    user_agent: str
    error_code: str | UnsetType = UNSET
    error_message: str | UnsetType = UNSET
    request_parameters: object = None
    response_elements: object = None
    additional_event_data: Mapping[str, object]
    request_id: str | UnsetType = msgspec.field(default=UNSET, name="requestID")
    event_id: str = msgspec.field(name="eventID")
    read_only: bool
    resources: Sequence[Mapping[str, str]] | UnsetType = UNSET
    event_type: str = "AwsApiCall"
    management_event: bool = True
    recipient_account_id: str
    event_category: str = "Management"


_CAPS = {
    "requestParameters": OBJECT_BYTES_MAX,
    "responseElements": OBJECT_BYTES_MAX,
    "additionalEventData": ADDITIONAL_BYTES_MAX,
    "userIdentity": IDENTITY_BYTES_MAX,
    "resources": RESOURCES_BYTES_MAX,
}
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode
UNWRITABLE = (TypeError, ValueError, RecursionError, UnicodeError, msgspec.MsgspecError)
"""What a value that is no JSON raises."""


def encoded(record: Record | Mapping[str, object]) -> bytes:
    """Return the record's bytes; what is too large, or no JSON, gives way to a marker.

    Signatures of presigned URLs are hidden.
    """
    return without_url_secrets(_whole(record))


def _whole(record: Record | Mapping[str, object]) -> bytes:
    try:
        data = _encode(record)
    except UNWRITABLE:
        data = b""
    if data and len(data) <= ADDITIONAL_BYTES_MAX:
        return data  # no part of it is too large then
    fields = _fields(record)
    fitted = {name: _fitted(name, value) for name, value in fields.items()}
    data = _encode(fitted)
    if len(data) > RECORD_BYTES_MAX:
        for name in ("responseElements", "requestParameters", "additionalEventData"):
            if fitted.get(name):
                fitted[name] = omitted(name, len(data))
        data = _encode(fitted)
    return data


def written(value: Mapping[str, object]) -> object:
    """Return what is recorded of ``value`` whatever becomes of it later; itself if it is no JSON."""
    try:
        return msgspec.Raw(_encode(value))
    except UNWRITABLE:
        return value


def plain(value: object) -> object:
    """Return ``value`` as its readers see it: of dicts, lists and scalars alone. Raises: UNWRITABLE."""
    return _decode(_encode(value))


def _fields(record: Record | Mapping[str, object]) -> Mapping[str, object]:
    """Return the fields by CloudTrail's names."""
    if isinstance(record, Mapping):
        return record
    named = (
        (each.encode_name, getattr(record, each.name)) for each in msgspec.structs.fields(record)
    )
    return {name: value for name, value in named if value is not UNSET}


def _fitted(name: str, value: object) -> object:
    """Return ``value``, or what stands for it."""
    try:
        size = len(_encode(value))
    except UNWRITABLE:
        if isinstance(value, str):
            return value.encode("utf-8", "replace").decode()
        return omitted(name, 0, "not readable")
    cap = _CAPS.get(name)
    if cap is not None and size > cap:
        return omitted(name, size)
    return value


def omitted(name: str, size: int, why: str = "too large") -> object:
    """Return what stands for a part that is left out; ``size`` is its size in bytes, if known."""
    if name == "resources":
        return []
    return {"reason": f"{name} {why}", "omitted": True, "originalSize": size}


def text(value: str) -> str:
    """Return ``value``, or its beginning."""
    return value if len(value) <= TEXT_CHARS_MAX else value[:TEXT_CHARS_MAX]
