# SPDX-License-Identifier: Apache-2.0
"""`opentrail verify` of a bucket at moto's S3: by the short way, in processes with threads."""

import json

import pytest
from click.testing import CliRunner
from support.aws_clients import Key, client, without_aws
from support.open_buckets import SettableClock
from support.signed_bucket import ACCOUNT, HOUR, START, SignedBucket, Signer

from opentrail.cli.main import cli
from opentrail.errors import UsageError
from opentrail.objects.setting import BucketSetting
from opentrail.objects.table import BucketTable
from opentrail.sandbox.moto import start_moto

SIGNER = Signer()
KEY = Key("AKIATESTMOTO", "a-secret")
BUCKET = "trail-logs"
HOURS = 4
ORG = "AWSLogs/o-abcde12345/"


@pytest.fixture(scope="module")
def moto():
    with start_moto() as running:
        yield running.url


@pytest.fixture
def trail(moto, tmp_path, monkeypatch):
    without_aws(monkeypatch)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY.access_key_id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", KEY.secret_access_key)
    s3 = client("s3", moto, KEY)
    s3.create_bucket(Bucket=BUCKET)
    setting = BucketSetting(endpoint=moto)
    table = BucketTable({BUCKET: setting}, tmp_path, SettableClock(), "us-east-1")
    found = SignedBucket(table.find(BUCKET), SIGNER)
    found.chain(START, HOURS)
    member = SignedBucket(table.find(BUCKET), SIGNER, account="444455556666", org=ORG)
    member.chain(START, 1)
    (tmp_path / "keys.json").write_bytes(SIGNER.listed())
    yield found
    for listed in s3.list_objects_v2(Bucket=BUCKET)["Contents"]:
        s3.delete_object(Bucket=BUCKET, Key=listed["Key"])
    s3.close()


def verify(moto, tmp_path, *arguments, bucket=BUCKET):
    keys = ("--public-keys", str(tmp_path / "keys.json"), "--data", str(tmp_path / "none"))
    given = ("verify", f"s3://{bucket}", "--endpoint-url", moto, *keys, "--json", *arguments)
    done = CliRunner().invoke(cli, given)
    assert isinstance(done.exception, SystemExit | None), done.exception
    return done.exit_code, json.loads(done.stdout)


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_all_is_valid_and_then_it_is_not(moto, trail, tmp_path, jobs):
    code, found = verify(moto, tmp_path, "--jobs", jobs)
    assert (code, found["verdict"]) == (0, "valid")
    assert f"{HOURS + 1 + 2}/{HOURS + 1 + 2} digest files valid" in found["summary"]
    s3 = client("s3", moto, KEY)
    s3.delete_object(Bucket=BUCKET, Key=trail.logs[0])
    s3.put_object(Bucket=BUCKET, Key=trail.logs[1], Body=b"x")
    s3.close()
    code, found = verify(moto, tmp_path, "--jobs", jobs)
    wrong = {each["subject"]: each["reason"] for each in found["findings"] if each["reason"]}
    assert code == 1
    assert wrong[f"s3://{BUCKET}/{trail.logs[0]}"] == "not found"
    assert wrong[f"s3://{BUCKET}/{trail.logs[1]}"] == "invalid format"


def test_members_of_an_organization_are_checked_each(moto, trail, tmp_path):
    code, found = verify(moto, tmp_path, "--account", "444455556666")
    assert code == 0
    assert "2/2 digest files valid" in found["summary"]
    code, found = verify(moto, tmp_path, "--account", ACCOUNT, "--end-time", str(START + HOUR))
    assert (code, found["verdict"]) == (0, "valid")
    assert trail.digests


def test_a_replica_is_that_of_its_original(moto, trail, tmp_path):
    s3 = client("s3", moto, KEY)
    s3.create_bucket(Bucket="replica")
    for listed in s3.list_objects_v2(Bucket=BUCKET)["Contents"]:
        key = listed["Key"]
        s3.copy_object(Bucket="replica", Key=key, CopySource={"Bucket": BUCKET, "Key": key})
    original = ("--original", f"s3://{BUCKET}")
    code, found = verify(moto, tmp_path, bucket="replica")
    assert (code, found["verdict"]) == (1, "INVALID")
    for jobs in ("1", "2"):
        code, found = verify(moto, tmp_path, *original, "--jobs", jobs, bucket="replica")
        assert (code, found["verdict"]) == (0, "valid")
    s3.delete_object(Bucket="replica", Key=trail.logs[0])
    assert verify(moto, tmp_path, *original, bucket="replica")[0] == 1
    s3.close()
    wrong = CliRunner().invoke(cli, ["verify", "s3://replica", "--original", f"s3://{BUCKET}/p"])
    assert isinstance(wrong.exception, UsageError)
