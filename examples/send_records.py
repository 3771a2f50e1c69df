# SPDX-License-Identifier: Apache-2.0
"""Send records of your own: each call returns the eventID under which the event is found."""

from opentrail.sdk import Recorder

with Recorder("billing.example.com") as trail:
    event_id = trail.record(
        eventName="CloseMonth",
        userIdentity={"type": "Unknown", "principalId": "mary", "userName": "mary"},
        sourceIPAddress="192.0.2.10",
        userAgent="billing/1.0",
        requestParameters={"month": "2026-10"},
    )
    print(event_id, "arrived" if trail.flush() else "waits")
