# SPDX-License-Identifier: Apache-2.0
"""Below the disk reserve calls are refused before they are forwarded, and later taken again."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from support import upstreams
from support.server import OpenTrail, wait_until

FILLED_BYTES = 1024 * 1024 * 1024
"""Far more than what others write to the same disk meanwhile."""


def test_a_disk_that_fills_up_and_is_emptied(tmp_path) -> None:
    reserve = shutil.disk_usage(tmp_path).free - FILLED_BYTES // 2
    config = f"[log]\ndisk_reserve_bytes = {reserve}\n"
    ballast = tmp_path / "ballast"
    with (
        upstreams.upstream() as upstream,
        OpenTrail(tmp_path / "data", upstream=upstream.url, config=config) as server,
    ):
        client = server.client("sagemaker")
        client.delete_model(ModelName="before")
        with ballast.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, FILLED_BYTES)
        wait_until(lambda: server.metrics()["opentrail_log_writable"] == 0)
        wait_until(lambda: "the event log takes no records: " in server.failures())
        calls = len(upstream.received)
        for name in ("sagemaker", "devops-guru", "iam", "s3", "cloudtrail"):
            with pytest.raises(ClientError) as error:
                {
                    "sagemaker": lambda c: c.delete_model(ModelName="refused"),
                    "devops-guru": lambda c: c.describe_account_health(),
                    "iam": lambda c: c.delete_user(UserName="refused"),
                    "s3": lambda c: c.put_object(Bucket="b1c", Key="k", Body=b"x" * 300_000),
                    "cloudtrail": lambda c: c.lookup_events(),
                }[name](server.client(name))
            answer = error.value.response
            assert answer["Error"]["Code"] == "ServiceUnavailable"
            assert answer["ResponseMetadata"]["HTTPStatusCode"] == 503
            assert "make room" in answer["Error"]["Message"]
        assert len(upstream.received) == calls
        assert len(server.events()) == 1
        assert server.metrics()['opentrail_calls_failed_total{reason="log_refuses"}'] == 5
        ballast.unlink()
        wait_until(lambda: server.metrics()["opentrail_log_writable"] == 1)
        client.delete_model(ModelName="after")
        assert len(upstream.received) == calls + 1
        names = [event["requestParameters"]["modelName"] for event in server.events()]
        assert names == ["before", "after"]
        seen, accounted = server.accounted()
        assert seen == accounted == 7
        wait_until(lambda: "the event log takes records again" in server.failures())
        assert len(server.failures().splitlines()) == 2  # once each, however many are refused


def test_where_the_operator_says_so_calls_pass_and_a_gap_event_counts_them(tmp_path) -> None:
    reserve = shutil.disk_usage(tmp_path).free - FILLED_BYTES // 2
    config = (
        f'[log]\ndisk_reserve_bytes = {reserve}\n[forward]\non_log_failure = "forward"\n'
        "[upstream.personalize]\nurl = '{url}'\non_log_failure = 'refuse'\n"
        "[upstream.default]\nurl = '{url}'\n"
    )
    ballast = tmp_path / "ballast"
    with (
        upstreams.upstream() as upstream,
        OpenTrail(tmp_path / "data", config=config.replace("{url}", upstream.url)) as server,
    ):
        client = server.client("sagemaker")
        client.delete_model(ModelName="before")
        with ballast.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, FILLED_BYTES)
        wait_until(lambda: server.metrics()["opentrail_log_writable"] == 0)
        for _ in range(3):
            client.delete_model(ModelName="passes")
        for name in ("personalize", "cloudtrail"):
            with pytest.raises(ClientError, match="cannot record calls"):
                {
                    "personalize": lambda c: c.list_schemas(),
                    "cloudtrail": lambda c: c.lookup_events(),
                }[name](server.client(name))
        assert len(upstream.received) == 4
        assert gaps(server) == []
        server.kill()
        ballast.unlink()
        server.start()
        client.delete_model(ModelName="after")
        (gap,) = gaps(server)
        details = gap["serviceEventDetails"]
        assert (details["reason"], details["calls"]) == ("log-failure", 3)
        assert details["from"] <= details["to"] <= gap["eventTime"]
        passed_later(server, client, ballast)


def gaps(server: OpenTrail) -> list[dict[str, Any]]:
    return [each for each in server.events() if each["eventName"] == "RecordingGap"]


def passed_later(server: OpenTrail, client: Any, ballast: Path) -> None:
    """A running server says it too, once there is room again."""
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, FILLED_BYTES)
    wait_until(lambda: server.metrics()["opentrail_log_writable"] == 0)
    client.delete_model(ModelName="passes")
    failed = 'opentrail_calls_failed_total{reason="forwarded_unrecorded"}'
    assert server.metrics()[failed] == 1
    ballast.unlink()
    wait_until(lambda: len(gaps(server)) == 2)
    assert [each["serviceEventDetails"]["calls"] for each in gaps(server)] == [3, 1]
    seen, accounted = server.accounted()
    assert seen == accounted
