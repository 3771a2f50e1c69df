# SPDX-License-Identifier: Apache-2.0
"""A bucket behind a bad network, and a server that is killed at random moments: all once, and valid."""

import datetime as dt
import gzip
import hashlib
import json
import os
import random
import signal
from collections import Counter

import pytest
from botocore.exceptions import ClientError
from support.aws_clients import Key, client
from support.create_load import Load
from support.fault_proxy import Script, Trouble, fault_proxy
from support.server import OpenTrail, wait_until
from support.signed_requests import KEY_ID, SECRET
from support.trail_server import TrailSeen

from opentrail.sandbox.moto import start_moto
from opentrail.sandbox.process import start_sandbox

KILLS = 4
SEED = 20_261_128
BUCKET = "trail-logs"
CONFIG = """
[log]
disk_reserve_bytes = 0

[delivery]
file_interval_s = 0.5
digest_interval_s = 2

[buckets.{bucket}]
endpoint = "{endpoint}"
credentials_profile = "faults"
object_lock_days = 7
object_lock_mode = "COMPLIANCE"

[access_keys.{key}]
secret_access_key = "{secret}"
user_name = "load"
"""
DIRECT = Key("AKIATESTDIRECT", "secret-of-the-tests")


def objects(s3):
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
    return [each["Key"] for page in pages for each in page.get("Contents", [])]


def body(s3, key):
    return json.loads(gzip.decompress(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()))


def delivered(s3):
    keys = [key for key in objects(s3) if "/CloudTrail/" in key and key.endswith(".gz")]
    return Counter(each["eventID"] for key in keys for each in body(s3, key)["Records"])


def selected(server):
    """Return the ids of what the trail takes, from the log."""
    return TrailSeen(server, server.data, "audit", is_managed, server.admin).selected()


def is_managed(event):
    return event["eventCategory"] == "Management"


def kill_at_random(server, noted, source):
    """Kill back, or both, after some calls."""
    wanted = len(noted.answered) + source.randrange(40, 120)
    wait_until(lambda: len(noted.answered) >= wanted, seconds_max=30)
    if source.random() < 0.5:
        server.kill_back()
        return
    back = server.back_pid
    os.kill(server.pid, signal.SIGKILL)
    os.kill(back, signal.SIGKILL)
    server.kill()
    server.start()


@pytest.fixture(scope="module")
def aftermath(tmp_path_factory):
    """Yield (server, S3 itself, what the proxy did), the trail stopped."""
    home = tmp_path_factory.mktemp("trails-faults")
    source = random.Random(SEED)
    troubles = [each for each in Trouble if each is not Trouble.NONE]

    def choose():
        return source.choice(troubles) if source.random() < 0.4 else Trouble.NONE

    script = Script(silence_s=0.2)
    with start_sandbox() as sandbox, start_moto() as moto, fault_proxy(moto.url, script) as url:
        s3 = client("s3", moto.url, DIRECT)
        s3.create_bucket(Bucket=BUCKET, ObjectLockEnabledForBucket=True)
        config = CONFIG.format(bucket=BUCKET, endpoint=url, key=KEY_ID, secret=SECRET)
        (home / ".aws").mkdir()
        keys = f"aws_access_key_id = {DIRECT.access_key_id}\naws_secret_access_key = x\n"
        (home / ".aws" / "credentials").write_text(f"[faults]\n{keys}")
        with OpenTrail(home / "data", upstream=sandbox.url, config=config) as server:
            trails = server.client("cloudtrail")
            trails.create_trail(Name="audit", S3BucketName=BUCKET, EnableLogFileValidation=True)
            trails.start_logging(Name="audit")
            script.choose = choose
            with Load(server.endpoint, raw=2, boto=1) as noted:
                for _ in range(KILLS):
                    kill_at_random(server, noted, source)
            stop(server)
            script.choose = lambda: Trouble.NONE
            server.restart()  # which tries at once
            wait_until(
                lambda: sum(delivered(s3).values()) >= sum(selected(server).values()),
                seconds_max=30,
            )
            yield server, s3, script


def stop(server):
    """Stop the trail, while its process may be starting."""

    def stopped():
        trails = server.client("cloudtrail")
        try:
            trails.stop_logging(Name="audit")
        except trails.exceptions.ClientError:
            return False
        return True

    wait_until(stopped)


def test_each_event_is_in_one_file(aftermath):
    server, s3, script = aftermath
    assert delivered(s3) == selected(server)
    assert sum(delivered(s3).values()) > KILLS * 10
    met = Counter(trouble for _, trouble in script.met)
    assert sum(count for trouble, count in met.items() if trouble is not Trouble.NONE) > 3


def test_no_version_of_a_file_or_digest_can_be_deleted(aftermath):
    """What was put again is there in two versions, both locked, with the same content."""
    _, s3, _ = aftermath
    pages = s3.get_paginator("list_object_versions").paginate(Bucket=BUCKET)
    versions = [each for page in pages for each in page["Versions"] if each["Size"]]
    assert {each["Key"] for each in versions} == {k for k in objects(s3) if k.endswith(".gz")}
    tags = {(each["Key"], each["ETag"]) for each in versions}
    assert len(tags) == len({key for key, _ in tags})
    for each in versions[:3] + versions[-3:]:
        where = {"Bucket": BUCKET, "Key": each["Key"], "VersionId": each["VersionId"]}
        head = s3.head_object(**where)
        left = head["ObjectLockRetainUntilDate"] - head["LastModified"]
        assert head["ObjectLockMode"] == "COMPLIANCE"
        assert abs(left - dt.timedelta(days=7)) < dt.timedelta(hours=1)
        with pytest.raises(ClientError, match="AccessDenied"):
            s3.delete_object(**where, BypassGovernanceRetention=True)


def test_each_file_is_in_one_digest_with_its_hash(aftermath):
    server, s3, _ = aftermath
    trails = server.client("cloudtrail")

    def listed():
        keys = [key for key in objects(s3) if "/CloudTrail-Digest/" in key and key.endswith(".gz")]
        return [each for key in keys for each in body(s3, key)["logFiles"]]

    files = [key for key in objects(s3) if "/CloudTrail/" in key and key.endswith(".gz")]
    wait_until(lambda: len(listed()) >= len(files), seconds_max=30)
    assert sorted(each["s3Object"] for each in listed()) == sorted(files)
    for each in listed():
        data = gzip.decompress(s3.get_object(Bucket=BUCKET, Key=each["s3Object"])["Body"].read())
        assert hashlib.sha256(data).hexdigest() == each["hashValue"]
    assert "LatestDigestDeliveryError" not in trails.get_trail_status(Name="audit")
