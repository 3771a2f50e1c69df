# SPDX-License-Identifier: Apache-2.0
"""A bucket that is gone for longer than files are tried: what is given up is told, and the rest comes."""

import gzip
import json
import shutil

from support.server import OpenTrail, wait_until
from support.trail_server import TrailSeen

CONFIG = """
[delivery]
file_interval_s = 0.3
retry_days = 0.00002
give_up = ["audit"]

[buckets.trail-logs]
directory = "{directory}"
"""
CALLS = 3


def bodies(bucket):
    """Return the records of each log file, by key."""
    return {
        str(path.relative_to(bucket)): json.loads(gzip.decompress(path.read_bytes()))["Records"]
        for path in bucket.glob("AWSLogs/*/CloudTrail/**/*.json.gz")
    }


def gaps(server):
    return [e["serviceEventDetails"] for e in server.events() if e["eventName"] == "DeliveryGap"]


def test_what_is_given_up_is_told_by_name_and_the_rest_arrives(tmp_path):
    bucket = tmp_path / "bucket"
    bucket.mkdir()
    with OpenTrail(tmp_path / "data", config=CONFIG.format(directory=bucket)) as server:
        cloudtrail = server.client("cloudtrail")
        cloudtrail.create_trail(Name="audit", S3BucketName="trail-logs")
        cloudtrail.start_logging(Name="audit")
        wait_until(lambda: bodies(bucket))
        gone = tmp_path / "gone"
        bucket.rename(gone)
        for _ in range(CALLS):
            cloudtrail.list_trails()
        wait_until(lambda: gaps(server), seconds_max=20)
        assert cloudtrail.get_trail_status(Name="audit")["LatestDeliveryError"] == "NoSuchBucket"
        shutil.copytree(gone, bucket)
        arn = cloudtrail.get_trail(Name="audit")["Trail"]["TrailARN"]
        behind = f'opentrail_trail_behind_bytes{{target="bucket",trail="{arn}"}}'
        cloudtrail.stop_logging(Name="audit")
        wait_until(lambda: "LatestDeliveryError" not in cloudtrail.get_trail_status(Name="audit"))
        wait_until(lambda: server.metrics().get(behind) is not None)
        given_up = f'opentrail_trail_given_up{{target="bucket",trail="{arn}"}}'

        def lost() -> int:
            return sum(each["records"] for each in gaps(server))

        # What was given up is told a moment later, and counted in another one's.
        wait_until(lambda: server.metrics()[given_up] == lost())
        told = gaps(server)
        assert {(each["reason"], each["error"], each["s3Bucket"]) for each in told} == {
            ("undeliverable-too-long", "NoSuchBucket", "trail-logs")
        }
        named = [key for each in told for key in each["s3ObjectKeys"]]
        assert not set(named) & set(bodies(bucket))
        seen = TrailSeen(server, bucket, "audit", bool, server.admin)

        def missing() -> int:
            delivered = {e["eventID"] for records in bodies(bucket).values() for e in records}
            return len(set(seen.selected()) ^ delivered)  # and nothing that was not selected

        # On a slow machine one more range is given up after that, and told a moment later.
        wait_until(lambda: missing() == lost())
