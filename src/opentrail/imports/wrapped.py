# SPDX-License-Identifier: Apache-2.0
"""What records travel in: services' envelopes, queues, streams and log tools. Pure.

Each is a member of a JSON object, by whose name it is known; its value is a list, an object, or a text that
has them. They lie in each other: SNS in SQS, CloudWatch Logs in Kinesis.
"""

import base64
import binascii
import re
from collections.abc import Iterable, Sequence

import msgspec

from opentrail.errors import Corrupt
from opentrail.event import codec, parts
from opentrail.imports.ungzip import NotReadable, unpacked

PACKED_BYTES_MAX = 64 * 1024 * 1024
"""Of what is packed in a JSON value: CloudWatch Logs sends 1 MB at once, unpacked 6 MB."""
RECORD = "eventTime"
"""What a record has, and none of those."""
VERSION = b"eventVersion"
"""What every record has, too, so that a member of an unknown name surely holds one."""
_SUM = frozenset(("eventVersion", "timeWindow", "summary"))
"""What an aggregated event has instead (User Guide, "Aggregating data events")."""
LOG_FILE = "Records"
PACKED = frozenset(("data", "Data"))
"""In base64, and gzipped if CloudWatch Logs made it."""
CARRIERS = frozenset(
    (
        *(LOG_FILE, "detail"),  # a log file, EventBridge
        *("logEvents", "events", "message", "awslogs"),  # CloudWatch Logs
        *("results", "value", "@message"),  # its Insights: what get-query-results prints; exported
        *("message", "log", "line"),  # log shippers, Docker, Loki
        *("full_message", "raw_data"),  # Graylog, OCSF
        *("full_log", "aws"),  # Wazuh: what its module for AWS makes
        *("Events", "CloudTrailEvent"),  # LookupEvents
        *("Messages", "Body", "body", "Sns", "Message"),  # SQS, SNS
        *("kinesis", "records", *PACKED),  # Kinesis, Firehose
        *("result", "results", "_raw", "event"),  # Splunk, and what is sent to it
        *("responses", "hits", "_source", "doc"),  # Elasticsearch
        *("event", "original", "event.original", "message"),  # its Common Schema
        *("attributes", "@rawstring", "rawLog", "RawData"),  # Datadog, LogScale, RunReveal, Azure
        *("messages", "map"),  # Sumo Logic: what its Search Job API answers
        *("receivedMessages", "message"),  # Pub/Sub
        *("resourceLogs", "scopeLogs", "logRecords", "stringValue"),  # OpenTelemetry
    )
)
"""Of each, whatever it holds: a list, an object, or either as a text."""
COPIES = {"data": "full_log", "attributes": "message"}
"""Members that hold once more, taken apart, what another one has as it came: Wazuh's, Datadog's."""
_ACTIONS = frozenset(("index", "create", "update", "delete"))
_OF_ACTIONS = frozenset(
    (
        *("_index", "_id", "_type", "_routing", "_parent", "_version", "_version_type"),
        *("_retry_on_conflict", "routing", "version", "version_type", "retry_on_conflict"),
        *("if_seq_no", "if_primary_term", "pipeline", "require_alias", "require_data_stream"),
    )
)
"""What Elasticsearch is told of the document in the next line (API reference, "Bulk"), now or before."""
_DOCUMENT = re.compile(rb"\s*(?:[{\[]|\d{4}-\d\d-\d\dT\S*\s+\{)")

_ASKS = ("messageType", b'"CONTROL_MESSAGE"')
_CELL, _MESSAGE = ("field", "value"), b'"@message"'
"""Of a row of CloudWatch Logs Insights, in which other fields of its own say when and where a message was."""
_NOTICE = b'"aws:'
_text = msgspec.json.Decoder(str).decode


def is_record(data: bytes) -> bool:
    """Whether ``data`` is a record, rather than something that may carry some."""
    if not data.startswith(b"{"):
        return False
    try:
        fields = codec.fields(data)
    except Corrupt:
        return False
    return is_meant(fields) and not other_event(fields)


def other_event(fields: codec.Fields) -> str:
    """Return why an object with a time is no record all the same; "" when nothing is known against it.

    Source: Amazon S3 User Guide, "Event message structure": ``"eventSource":"aws:s3"``.
    """
    source = bytes(fields.get("eventSource", b""))
    return "a notification of a service, no CloudTrail record" if source[:5] == _NOTICE else ""


def is_meant(names: Iterable[str]) -> bool:
    """Whether an object with these ``names`` is a record, or were one if it were JSON."""
    there = frozenset(names)
    return (RECORD in there or there >= _SUM) and LOG_FILE not in there


def is_beside(members: Sequence[tuple[str, parts.Part]]) -> bool:
    """Whether an object with these ``members`` is what tools write beside records.

    CloudWatch Logs' question whether anybody listens, what its Insights say of a message, and the action lines
    of Elasticsearch's bulk API.
    """
    values = [(name, value) for name, (_, value) in members]
    if tuple(name for name, _ in values) == _CELL:
        return values[0][1].startswith(_MESSAGE[:2]) and values[0][1] != _MESSAGE
    if len(values) != 1 or values[0][0] not in _ACTIONS or not values[0][1].startswith(b"{"):
        return _ASKS in values
    told = parts.members(values[0][1])
    return all(name in _OF_ACTIONS and value[:1] not in b"{[" for name, (_, value) in told)


def text_of(name: str, value: bytes) -> bytes | None:
    """Return what the JSON string ``value`` of the member ``name`` holds; b"" if no JSON is in it.

    None: it may be JSON, but is not UTF-8, so that a record in it would not be as it was.
    """
    try:
        text = _text(value).encode()
    except UnicodeDecodeError:
        return None if _DOCUMENT.match(value, 1) else b""
    except msgspec.DecodeError:
        # Half a character in it is an escape again, as it was when the record was a JSON text.
        text = parts.text_of(value).encode("utf-8", "backslashreplace")
    if name in PACKED:
        text = _unpacked(text)
    return text if _DOCUMENT.match(text) else b""


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
