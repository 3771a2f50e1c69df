# SPDX-License-Identifier: Apache-2.0
"""StartLogging, StopLogging, DeleteTrail and what GetTrailStatus tells, as boto3 sees them."""

import msgspec
import pytest
from support.aws_clients import client
from support.trail_calls import ARN, create, plain, refused
from support.trail_rooms import NOW_MS, TrailRooms
from support.wire_server import ADMIN, SmallHistory, serving

from opentrail.state.base import Change
from opentrail.trails.status import (
    DeliveryStatus,
    DigestStatus,
    delivery_status_key,
    digest_status_key,
)


@pytest.fixture
def rooms():
    return TrailRooms()


@pytest.fixture
def trails(rooms):
    with serving(SmallHistory(), rooms) as endpoint:
        made = client("cloudtrail", endpoint, ADMIN, validate=False)
        yield made
        made.close()


def test_logging_is_started_and_stopped_and_told(trails, rooms):
    create(trails)
    legacy = {
        "LatestDeliveryAttemptTime": "",
        "LatestNotificationAttemptTime": "",
        "LatestNotificationAttemptSucceeded": "",
        "LatestDeliveryAttemptSucceeded": "",
        "TimeLoggingStarted": "",
        "TimeLoggingStopped": "",
    }
    assert status_of(trails) == {"IsLogging": False} | legacy
    for _ in range(2):
        trails.start_logging(Name="audit")
    started = status_of(trails)
    assert started["StartLoggingTime"].timestamp() * 1000 == NOW_MS
    assert started["TimeLoggingStarted"] == "2023-11-14T22:13:20Z"
    assert started["IsLogging"]
    assert "StopLoggingTime" not in started
    rooms.clock.ms += 90_500
    trails.stop_logging(Name=ARN + "audit")
    stopped = status_of(trails)
    assert not stopped["IsLogging"]
    assert stopped["StartLoggingTime"] == started["StartLoggingTime"]
    assert stopped["StopLoggingTime"].timestamp() * 1000 == NOW_MS + 90_500
    assert stopped["TimeLoggingStopped"] == "2023-11-14T22:14:50Z"


def status_of(trails):
    return plain(trails.get_trail_status(Name="audit"))


def test_the_status_tells_of_deliveries(trails, rooms):
    create(trails)
    (trail,) = rooms.registry.trails()
    delivery = DeliveryStatus(
        delivered_ms=NOW_MS, attempted_ms=NOW_MS + 60_000, error="AccessDenied"
    )
    digest = DigestStatus(delivered_ms=NOW_MS + 1, error="NoSuchBucket")
    rooms.state.commit(
        [
            Change(delivery_status_key(trail.id), msgspec.json.encode(delivery), None),
            Change(digest_status_key(trail.id), msgspec.json.encode(digest), None),
        ]
    )
    status = status_of(trails)
    assert status["LatestDeliveryError"] == "AccessDenied"
    assert status["LatestDeliveryTime"].timestamp() * 1000 == NOW_MS
    assert status["LatestDeliveryAttemptTime"] == "2023-11-14T22:14:20Z"
    assert status["LatestDeliveryAttemptSucceeded"] == "2023-11-14T22:13:20Z"
    assert status["LatestDigestDeliveryTime"].timestamp() == pytest.approx(NOW_MS / 1000 + 0.001)
    assert status["LatestDigestDeliveryError"] == "NoSuchBucket"


def test_a_deleted_trail_is_gone(trails):
    create(trails, TagsList=[{"Key": "a", "Value": "b"}])
    trails.start_logging(Name="audit")
    trails.delete_trail(Name="audit")
    assert refused(trails.delete_trail, Name="audit")[0] == "TrailNotFoundException"
    create(trails)
    (tagged,) = trails.list_tags(ResourceIdList=[ARN + "audit"])["ResourceTagList"]
    assert tagged["TagsList"] == []
    assert not trails.get_trail_status(Name="audit")["IsLogging"]
