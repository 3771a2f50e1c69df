# SPDX-License-Identifier: Apache-2.0
"""boto3 and the AWS CLI use moto through OpenTrail as if it were not there, and all is recorded."""

import hashlib
import json
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from botocore.exceptions import ClientError
from support.aws_clients import Key, aws
from support.server import READY_S_MAX, OpenTrail

KEY = Key("AKIAQAAAAAAAAAAAAAAA", "a-secret-that-moto-does-not-check")
RESIDENT_BYTES_MAX = 150 * 1024 * 1024
"""What the front process may take, whatever passed through it."""
NOT_COMPARED = {"date", "x-amzn-requestid", "x-amz-request-id", "x-amz-id-2"}
"""Headers that differ between two equal answers."""


@pytest.fixture(scope="module")
def server(moto_url: str, tmp_path_factory: pytest.TempPathFactory):
    data = tmp_path_factory.mktemp("clients") / "data"
    with OpenTrail(data, upstream=moto_url) as found:
        yield found
        assert found.resident_bytes() <= RESIDENT_BYTES_MAX
        seen, accounted = found.accounted()
        assert seen == accounted
        assert found.failures() == ""


class Recorded:
    """What the server records while a block runs."""

    def __init__(self, server: OpenTrail) -> None:
        self._server = server
        self._before = len(server.events())

    def events(self) -> list[dict[str, Any]]:
        """Return the new records."""
        return self._server.events()[self._before :]

    def names(self) -> list[str]:
        """Return their event names."""
        return [event["eventName"] for event in self.events()]


def test_s3_with_every_kind_of_key(server: OpenTrail) -> None:
    s3, recorded = server.client("s3", KEY), Recorded(server)
    s3.create_bucket(Bucket="odd-keys")
    keys = ["a/b", "a b+c", "\u00fc/\U0001f600", "a//b/", "%2F", "q?x=1&y#z", "..", "~$&'()*,;=:@!"]
    for key in keys:
        s3.put_object(Bucket="odd-keys", Key=key, Body=key.encode())
        assert s3.get_object(Bucket="odd-keys", Key=key)["Body"].read() == key.encode()
    listed = s3.list_objects_v2(Bucket="odd-keys")["Contents"]
    assert sorted(entry["Key"] for entry in listed) == sorted(keys)
    events = recorded.events()
    assert [e["requestParameters"]["key"] for e in events if e["eventName"] == "PutObject"] == keys
    assert recorded.names() == ["CreateBucket", *["PutObject", "GetObject"] * 8, "ListObjects"]


def test_s3_bodies_ranges_and_conditions(server: OpenTrail) -> None:
    s3, recorded = server.client("s3", KEY), Recorded(server)
    body = hashlib.shake_128(b"s3").digest(6 * 1024 * 1024)
    s3.create_bucket(Bucket="bodies")
    upload = s3.create_multipart_upload(Bucket="bodies", Key="big")["UploadId"]
    part = {"Bucket": "bodies", "Key": "big", "UploadId": upload, "PartNumber": 1}
    tag = s3.upload_part(**part, Body=body)["ETag"]
    parts = {"Parts": [{"ETag": tag, "PartNumber": 1}]}
    s3.complete_multipart_upload(Bucket="bodies", Key="big", UploadId=upload, MultipartUpload=parts)
    assert s3.get_object(Bucket="bodies", Key="big")["Body"].read() == body
    piece = s3.get_object(Bucket="bodies", Key="big", Range="bytes=5-9")
    assert (piece["Body"].read(), piece["ContentRange"]) == (body[5:10], f"bytes 5-9/{len(body)}")
    found = s3.head_object(Bucket="bodies", Key="big")
    assert found["ContentLength"] == len(body)
    with pytest.raises(ClientError) as error:
        s3.get_object(Bucket="bodies", Key="big", IfNoneMatch=found["ETag"])
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 304
    with pytest.raises(ClientError) as error:
        s3.head_object(Bucket="bodies", Key="absent")
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404
    deleted = s3.delete_object(Bucket="bodies", Key="big")
    assert deleted["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert recorded.names() == [
        "CreateBucket",
        "CreateMultipartUpload",
        "UploadPart",
        "CompleteMultipartUpload",
        "GetObject",
        "GetObject",
        "HeadObject",
        "GetObject",
        "HeadObject",
        "DeleteObject",
    ]
    assert [e["errorCode"] for e in recorded.events() if "errorCode" in e] == [
        "NotModified",
        "NotFound",
    ]


def test_what_moto_does_not_have_is_passed_on_and_recorded(server: OpenTrail) -> None:
    for service, name, event_name in (
        ("devops-guru", "describe_account_health", "DescribeAccountHealth"),
        ("personalize", "list_campaigns", "ListCampaigns"),
    ):
        recorded = Recorded(server)
        with pytest.raises(ClientError) as error:
            getattr(server.client(service, KEY), name)()
        assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] >= 400
        (event,) = recorded.events()
        assert (event["eventName"], event["responseElements"]) == (event_name, None)
        assert event["errorCode"] in ("InternalFailure", "UnknownOperationException", "NotFound")
        assert "<" not in event.get("errorMessage", "")


def test_what_cloudtrail_does_not_record_is_counted(server: OpenTrail) -> None:
    name = 'opentrail_calls_excluded_total{reason="unlogged"}'
    before, recorded = server.metrics().get(name, 0.0), Recorded(server)
    with pytest.raises(ClientError):
        server.client("personalize-runtime", KEY).get_recommendations(campaignArn="arn:aws:x")
    with pytest.raises(ClientError):
        server.client("personalize-events", KEY).put_events(
            trackingId="t",
            sessionId="s",
            eventList=[{"eventType": "view", "sentAt": 0}],
        )
    assert server.metrics()[name] - before == 2
    assert recorded.events() == []


def test_the_aws_cli(server: OpenTrail, tmp_path: Path) -> None:
    recorded = Recorded(server)
    source = tmp_path / "file"
    source.write_bytes(b"x" * 1_000_000)

    def run(*arguments: str) -> str:
        done = aws(*arguments, endpoint=server.endpoint, key=KEY, home=tmp_path)
        assert done.returncode == 0, done.stderr
        return done.stdout

    run("s3", "mb", "s3://from-the-cli")
    run("s3", "cp", str(source), "s3://from-the-cli/dir/a file+.bin", "--no-progress")
    assert run("personalize", "list-schemas") == '{\n    "schemas": []\n}\n'
    run("ec2", "describe-regions", "--region-names", "us-east-1")
    run("sns", "create-topic", "--name", "from-the-cli")
    run("cloudwatch", "put-metric-data", "--namespace", "cli", "--metric-name", "m", "--value", "1")
    url = run("s3", "presign", "s3://from-the-cli/dir/a file+.bin").strip()
    with urlopen(url, timeout=READY_S_MAX) as answer:
        assert answer.read() == source.read_bytes()
    names = recorded.names()
    assert names == [
        "CreateBucket",
        "PutObject",
        "ListSchemas",
        "DescribeRegions",
        "CreateTopic",
        "PutMetricData",
        "GetObject",
    ]
    agents = {event["userAgent"].strip("[").split("/")[0] for event in recorded.events()}
    assert agents == {"aws-cli", "Python-urllib"}
    found = json.loads(
        aws(
            "cloudtrail",
            "lookup-events",
            "--lookup-attributes",
            "AttributeKey=EventName,AttributeValue=CreateBucket",
            "--max-items",
            "1",
            endpoint=server.endpoint,
            key=server.admin,
            home=tmp_path,
        ).stdout
    )
    assert found["Events"][0]["EventId"] == recorded.events()[0]["eventID"]
