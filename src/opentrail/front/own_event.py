# SPDX-License-Identifier: Apache-2.0
"""Events of OpenTrail's own calls that CloudTrail has none of: who read evidence, who brought some in.

They have the shape of the events of CloudTrail's own calls (LookupEvents, StartQuery), which CloudTrail
records as management events too; their names are OpenTrail's.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from opentrail.aws.route import parse_credential
from opentrail.capture.arrival import Arrival
from opentrail.capture.identity import Identities
from opentrail.clock import Clock, Ids, iso_seconds, uuid4_text
from opentrail.event import codec
from opentrail.eventlog.base import Draft, Origin

SOURCE = "cloudtrail.amazonaws.com"
_VERSION = "1.11"
_json = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class OwnCall:
    """What was asked for, and what came of it."""

    name: str
    arrival: Arrival
    request_id: str
    request: Mapping[str, object] | None
    response: Mapping[str, object] | None
    """None while it is not known."""
    verified: bool
    reads: bool
    error: tuple[str, str] = ("", "")
    """Code and message."""


class OwnEvents:
    """Makes these events."""

    def __init__(self, identities: Identities, clock: Clock, ids: Ids) -> None:
        self._identities = identities
        self._clock = clock
        self._ids = ids

    def new_id(self) -> str:
        """Return the id of a request."""
        return uuid4_text(self._ids)

    def draft(self, call: OwnCall) -> Draft:
        """Return the event of ``call``, which ends now."""
        head, now_ms = call.arrival.head, self._clock.now_ms()
        caller = self._identities.caller(parse_credential(head), now_ms, verified=call.verified)
        said = (
            dict(caller.additional)
            if call.verified
            else {
                **caller.additional,
                "identityVerified": False,
            }
        )
        fields: dict[str, object] = {
            "eventVersion": _VERSION,
            "userIdentity": caller.user_identity,
            "eventTime": iso_seconds(now_ms),
            "eventSource": SOURCE,
            "eventName": call.name,
            "awsRegion": caller.region,
            "sourceIPAddress": call.arrival.source_ip,
            "userAgent": head.headers.get("user-agent", ""),
            **(
                {"errorCode": call.error[0], "errorMessage": call.error[1]} if call.error[0] else {}
            ),
            "requestParameters": call.request,
            "responseElements": call.response,
            **({"additionalEventData": said} if said else {}),
            "requestID": call.request_id,
            "eventID": uuid4_text(self._ids),
            "readOnly": call.reads,
            "eventType": "AwsApiCall",
            "managementEvent": True,
            "recipientAccountId": caller.account,
            "eventCategory": "Management",
        }
        parts = {name: msgspec.Raw(_json(value)) for name, value in fields.items()}
        return Draft(Origin.INTERNAL, codec.encode(parts))
