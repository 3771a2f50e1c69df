# SPDX-License-Identifier: Apache-2.0
"""As what a record goes to a bus: rules select by source and detail type."""

import json

import pytest
from support.target_world import TargetWorld

from opentrail.event.codec import decode
from opentrail.trails.target import Copied
from opentrail.trails.target_client import Clients, Endpoints
from opentrail.trails.target_events import EventsTarget
from opentrail.trails.target_setting import TargetSetting
from opentrail.trails.trail import Trail

TRAIL = Trail(
    id="7d3c1a52-0000-4000-8000-000000000001",
    name="audit",
    account="123456789012",
    home_region="us-east-1",
    bucket="logs",
)


class Bus(Clients):
    """Clients of a bus that takes all; what it got is kept."""

    def __init__(self):
        super().__init__(TargetSetting(), Endpoints(), TargetWorld((), ()).clock)
        self.entries = []

    def call(self, *_, **arguments):
        self.entries += arguments["Entries"]
        return {"FailedEntryCount": 0, "Entries": [{"EventId": "e"}] * len(arguments["Entries"])}


@pytest.mark.parametrize(
    ("fields", "source", "detail_type"),
    [
        ({"eventType": "AwsCloudTrailInsight"}, "aws.cloudtrail", "AWS Insight via CloudTrail"),
        (
            {"eventType": "AwsVpceEvent", "eventSource": "s3.amazonaws.com"},
            "aws.s3",
            "AWS Network Activity Event via CloudTrail",
        ),
        ({"eventSource": "app.local"}, "aws.app.local", "AWS API Call via CloudTrail"),
    ],
    ids=["insight", "network-activity", "of-no-type"],
)
def test_source_and_detail_type_are_cloudtrails(fields, source, detail_type):
    bus = Bus()
    data = json.dumps(fields).encode()
    copied = Copied(data, decode(data, "test"), TRAIL.account)
    EventsTarget(bus, TargetSetting(events=True)).send(TRAIL, [copied], 0)
    (entry,) = bus.entries
    assert (entry["Source"], entry["DetailType"]) == (source, detail_type)
