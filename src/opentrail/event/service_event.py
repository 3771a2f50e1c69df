# SPDX-License-Identifier: Apache-2.0
"""Records that no call made: what OpenTrail itself, or a service on its own, has to say.

Source: the AwsServiceEvent of delivered log files: an identity of ``accountId`` and ``invokedBy``
only, null parameters, and what happened in ``serviceEventDetails``.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from opentrail.clock import iso_seconds, uuid_text
from opentrail.event import codec

_json = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class ServiceEvent:
    """One AwsServiceEvent."""

    event_version: str
    invoked_by: str
    """The service: also eventSource, sourceIPAddress and userAgent, as delivered records have it."""
    event_name: str
    account: str
    region: str
    at_ms: int
    """eventTime, milliseconds since 1970 UTC."""
    event_id: str
    details: Mapping[str, object]
    """serviceEventDetails."""


def service_event(event: ServiceEvent) -> bytes:
    """Return the record's JSON, one line."""
    fields: dict[str, object] = {
        "eventVersion": event.event_version,
        "userIdentity": {"accountId": event.account, "invokedBy": event.invoked_by},
        "eventTime": iso_seconds(event.at_ms),
        "eventSource": event.invoked_by,
        "eventName": event.event_name,
        "awsRegion": event.region,
        "sourceIPAddress": event.invoked_by,
        "userAgent": event.invoked_by,
        "requestParameters": None,
        "responseElements": None,
        "eventID": event.event_id,
        "readOnly": False,
        "eventType": "AwsServiceEvent",
        "managementEvent": True,
        "recipientAccountId": event.account,
        "serviceEventDetails": event.details,
        "eventCategory": "Management",
    }
    return codec.encode({name: msgspec.Raw(_json(value)) for name, value in fields.items()})


def event_id_of(*cause: str) -> str:
    """Return the eventID of what ``cause`` names: the same cause always gives the same UUID.

    Version 8 (RFC 9562): the first 16 bytes of a SHA-256.
    """
    raw = bytearray(hashlib.sha256("\0".join(cause).encode()).digest()[:16])
    raw[6] = (raw[6] & 0x0F) | 0x80
    raw[8] = (raw[8] & 0x3F) | 0x80
    return uuid_text(bytes(raw))
