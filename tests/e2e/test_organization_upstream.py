# SPDX-License-Identifier: Apache-2.0
"""An organization trail over the accounts of moto's organization, through the real server."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from support.aws_clients import Key, client
from support.server import OpenTrail, wait_until
from support.trail_server import TrailSeen, settings

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


def joined(api: Any) -> str:
    """Let an account join the organization; return its id."""
    created = api.create_account(Email="m@example.com", AccountName="m")
    return str(created["CreateAccountStatus"]["AccountId"])


def test_the_files_of_all_members_and_of_one_that_joins(tmp_path, moto):
    api = client("organizations", moto, Key("AKIATEST", "secret-of-the-test"))
    api.create_organization(FeatureSet="ALL")
    api.enable_aws_service_access(ServicePrincipal=PRINCIPAL)
    first = joined(api)
    bucket = tmp_path / "bucket"
    text = f"accounts = ['{first}']\n{settings(bucket)}\n[organization]\nfrom_upstream = true\n"
    with OpenTrail(tmp_path / "data", upstream=moto, config=text) as server:
        trail = TrailSeen(server, bucket, "org", bool, server.admin)
        trail.create(IsOrganizationTrail=True)
        trail.start()
        server.client("sqs").list_queues()
        server.client("sqs", Key(first, "secret-of-the-member")).list_queues()
        wait_until(lambda: all(records(bucket, account) for account in (BOSS, first)))
        trail.stop()
        assert valid(trail, BOSS, tmp_path) == (0, True)
        assert valid(trail, first, tmp_path) == (0, True)
        assert trail.verify(tmp_path)[0] == 0
        paths(trail, first)[0].unlink()
        assert valid(trail, first, tmp_path) == (1, False)
        assert trail.verify(tmp_path)[0] == 1
        member = joined(api)
        wait_until(lambda: member in members(server.data), seconds_max=LATE_S_MAX)


def paths(trail: TrailSeen, account: str) -> list[Path]:
    return list(trail.bucket.glob(f"AWSLogs/o-*/{account}/CloudTrail/*/*/*/*/*.json.gz"))


def valid(trail: TrailSeen, account: str, home: Path) -> tuple[int, bool]:
    """Return what the AWS CLI exits with, and whether it finds all files that are there valid."""
    code, output = trail.validate_logs(home, "--account-id", account)
    count = len(paths(trail, account))
    return code, f"{count}/{count} log files valid" in output


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
