# SPDX-License-Identifier: Apache-2.0
"""An organization trail over the accounts of moto's organization, through the real server."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from support.aws_clients import Key, client
from support.server import OpenTrail, wait_until
from support.trail_server import BUCKET, settings

from opentrail.eventlog.base import Mark, MarkKind
from opentrail.eventlog.reader import SegmentReader
from opentrail.sandbox.moto import start_moto

BOSS = "123456789012"
PRINCIPAL = "cloudtrail.amazonaws.com"
LATE_S_MAX = 20.0


@pytest.fixture
def moto():
    with start_moto() as running:
        yield running.url


def records(bucket: Path, account: str) -> list[dict[str, Any]]:
    """Return what lies in the log files of an account, below the organization."""
    files = bucket.glob(f"AWSLogs/o-*/{account}/CloudTrail/*/*/*/*/*.json.gz")
    return [e for file in files for e in json.loads(gzip.decompress(file.read_bytes()))["Records"]]


def test_a_member_that_joins_is_in_its_files_soon_after(tmp_path, moto):
    api = client("organizations", moto, Key("AKIATEST", "secret-of-the-test"))
    api.create_organization(FeatureSet="ALL")
    api.enable_aws_service_access(ServicePrincipal=PRINCIPAL)
    bucket = tmp_path / "bucket"
    text = settings(bucket) + "\n[organization]\nfrom_upstream = true\n"
    with OpenTrail(tmp_path / "data", upstream=moto, config=text) as server:
        trails = server.client("cloudtrail")
        made = trails.create_trail(Name="org", S3BucketName=BUCKET, IsOrganizationTrail=True)
        assert made["IsOrganizationTrail"]
        trails.start_logging(Name="org")
        server.client("sqs").list_queues()
        wait_until(lambda: bool(records(bucket, BOSS)), seconds_max=LATE_S_MAX)
        created = api.create_account(Email="m@example.com", AccountName="m")
        member = created["CreateAccountStatus"]["AccountId"]
        wait_until(lambda: member in members(server.data), seconds_max=LATE_S_MAX)


def members(data: Path) -> str:
    """Return the log's last word on who is a member."""
    reader = SegmentReader(data / "log")
    try:
        found = [
            item.payload.decode()
            for item in reader.items(0)
            if isinstance(item, Mark) and item.kind is MarkKind.CONTROL
        ]
    finally:
        reader.close()
    return found[-1]
