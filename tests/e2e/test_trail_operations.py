# SPDX-License-Identifier: Apache-2.0
"""Trails through the real server: they outlive either process, and the log decides, not state."""

import pytest
from botocore.exceptions import ClientError
from support.server import OpenTrail, wait_until


@pytest.fixture
def server(tmp_path):
    with OpenTrail(tmp_path) as running:
        yield running


def shown(server):
    """Return (trails, whether the trail logs, its tags)."""
    trails = server.client("cloudtrail")
    (trail,) = trails.describe_trails()["trailList"]
    (tagged,) = trails.list_tags(ResourceIdList=[trail["TrailARN"]])["ResourceTagList"]
    return trail, trails.get_trail_status(Name="audit")["IsLogging"], tagged["TagsList"]


def answers(server):
    try:
        server.client("cloudtrail").list_trails()
    except ClientError:
        return False
    return True


def test_trails_outlive_the_processes_and_state(server, tmp_path):
    trails = server.client("cloudtrail")
    tags = [{"Key": "team", "Value": "ml"}]
    trails.create_trail(Name="audit", S3BucketName="trail-logs", TagsList=tags)
    trails.start_logging(Name="audit")
    before = shown(server)
    assert before[1:] == (True, tags)

    server.kill_back()
    wait_until(lambda: answers(server))
    assert shown(server) == before

    server.kill()
    server.start()
    assert shown(server) == before

    server.stop()
    (tmp_path / "state.db").unlink()
    server.start()
    assert shown(server) == (*before[:2], []), "only tags are in state alone"
    events = [event["eventName"] for event in server.events()]
    assert events.count("CreateTrail") == 1
    assert events.count("StartLogging") == 1
