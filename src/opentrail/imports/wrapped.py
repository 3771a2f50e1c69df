# SPDX-License-Identifier: Apache-2.0
"""What queues, streams and log tools wrap around the records that they carry. Pure.

SQS (``Messages``, ``body``), SNS (``Sns``, ``Message``), Kinesis (``kinesis``), Firehose (``records``) and
CloudWatch Logs (``awslogs``), whose ``data`` is in base64; one event of LookupEvents (``CloudTrailEvent``);
exports of Splunk (``result``, ``_raw``) and Elasticsearch (``hits``, ``_source``), and what log shippers
send there (``message``, ``event``, ``event.original``). They lie in each other: SNS in SQS, CloudWatch
Logs in Kinesis.
"""

import base64
import binascii

import msgspec

from opentrail.imports.ungzip import NotReadable, unpacked

PACKED_BYTES_MAX = 64 * 1024 * 1024
"""Of what is packed in a JSON value: CloudWatch Logs sends 1 MB at once, unpacked 6 MB."""
AS_JSON = ("Messages", "records", "Sns", "kinesis", "awslogs", "result", "hits", "_source", "event")
AS_TEXT = ("CloudTrailEvent", "Message", "Body", "body", "message", "_raw", "original")
PACKED = "data"
NAMES = frozenset((*AS_JSON, *AS_TEXT, PACKED))
_BEGINNING = b'{"eventVersion":'
_RECORD = "eventTime"
"""What a record has, and none of those."""

_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_text = msgspec.json.Decoder(str).decode


def may_wrap(data: bytes) -> bool:
    """Whether the JSON object ``data`` may carry records rather than be one; quick."""
    if b'"eventTime"' not in data or b'"detail-type"' in data:
        return True
    # A record begins with its version as CloudTrail writes it; of another only its members tell.
    if data.startswith(_BEGINNING):
        return False
    members = _members_of(data)
    return _RECORD not in members and not NAMES.isdisjoint(members)


def inside(data: bytes) -> list[bytes]:
    """Return the documents that the JSON object ``data`` carries; none if it is a record, or odd."""
    members = _members_of(data)
    if _RECORD in members:
        return []
    if "detail" in members and "detail-type" in members:
        return [bytes(members["detail"])]
    found = [bytes(members[name]) for name in AS_JSON if name in members]
    texts = (_text_of(members[name]) for name in AS_TEXT if name in members)
    found += [text for text in texts if text is not None]
    packed = _text_of(members[PACKED]) if PACKED in members else None
    return found if packed is None else [*found, _unpacked(packed)]


def _members_of(data: bytes) -> dict[str, msgspec.Raw]:
    try:
        return _members(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return {}


def _text_of(value: msgspec.Raw) -> bytes | None:
    try:
        return _text(value).encode()
    except (msgspec.MsgspecError, UnicodeError):
        return None


def _unpacked(packed: bytes) -> bytes:
    """Return what was packed; what cannot be unpacked, as it is."""
    pieces: list[bytes] = []
    try:
        for piece in unpacked([base64.b64decode(packed, validate=True)]):
            pieces.append(piece)
            if sum(map(len, pieces)) > PACKED_BYTES_MAX:
                return packed
    except (NotReadable, binascii.Error):
        return packed
    return b"".join(pieces)
