# SPDX-License-Identifier: Apache-2.0
"""Real S3 clients read directory buckets: boto3, `aws s3`, and what `validate-logs` calls."""

import json

import pytest
from botocore.exceptions import ClientError
from support.aws_clients import aws, client
from support.s3_server import NOBODY, READER, WRITER, door, serving

from opentrail.objects.base import Put

KEYS = sorted(
    ["a/1.json.gz", "a/2.json.gz", "a b+c&d=ä.json", "b/x/y", "top", "a/", "<&>\t.x"],
    key=str.encode,
)
BIG = bytes(range(256)) * 4096 * 10
"""10 MB: more than S3's tools fetch at once."""


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory):
    found, table = door(tmp_path_factory.mktemp("buckets"), "eu-west-1")
    bucket = table.find("logs")
    for key in KEYS:
        bucket.put(key, b"" if key.endswith("/") else key.encode(), Put(content_encoding=""))
    bucket.put("signed", b"data", Put(metadata={"signature": "ab"}))
    table.find("big").put("big.bin", BIG, Put(content_encoding=""))
    with serving(found) as url:
        yield url


@pytest.fixture
def s3(endpoint):
    return client("s3", endpoint, READER)


def test_boto3_lists_both_ways(s3):
    wanted = sorted([*KEYS, "signed"], key=str.encode)
    for operation in ("list_objects", "list_objects_v2"):
        pages = s3.get_paginator(operation).paginate(
            Bucket="logs", PaginationConfig={"PageSize": 2}
        )
        found = [one for page in pages for one in page.get("Contents", [])]
        assert [one["Key"] for one in found] == wanted, operation
        assert found[-1]["Size"] == len(found[-1]["Key"])


def test_boto3_lists_like_directories(s3):
    for operation in ("list_objects", "list_objects_v2"):
        pages = s3.get_paginator(operation).paginate(
            Bucket="logs", Delimiter="/", PaginationConfig={"PageSize": 1}
        )
        found = [one["Prefix"] for page in pages for one in page.get("CommonPrefixes", [])]
        assert found == ["a/", "b/"], operation


def test_boto3_lists_from_a_key_on(s3):
    after = s3.list_objects_v2(Bucket="logs", StartAfter="a/1.json.gz", Prefix="a/")
    assert [one["Key"] for one in after["Contents"]] == ["a/2.json.gz"]
    marked = s3.list_objects(Bucket="logs", Marker="a/1.json.gz", Prefix="a/")
    assert [one["Key"] for one in marked["Contents"]] == ["a/2.json.gz"]
    owned = s3.list_objects_v2(Bucket="logs", FetchOwner=True)["Contents"][0]["Owner"]
    assert owned["DisplayName"] == "111122223333"


def test_boto3_reads_an_object(s3):
    for key in KEYS:
        data = s3.get_object(Bucket="logs", Key=key)["Body"].read()
        assert data == (b"" if key.endswith("/") else key.encode())
    found = s3.get_object(Bucket="logs", Key="signed")
    assert found["Metadata"] == {"signature": "ab"}
    assert found["ContentEncoding"] == "gzip"
    assert found["Body"].read() == b"data"
    head = s3.head_object(Bucket="logs", Key="signed")
    assert (head["ContentLength"], head["ETag"]) == (4, found["ETag"])
    part = s3.get_object(Bucket="logs", Key="signed", Range="bytes=1-2")
    assert (part["Body"].read(), part["ContentRange"]) == (b"at", "bytes 1-2/4")


def test_boto3_learns_of_the_bucket(s3):
    assert s3.get_bucket_location(Bucket="logs")["LocationConstraint"] == "eu-west-1"
    assert s3.head_bucket(Bucket="logs")["BucketRegion"] == "eu-west-1"
    grants = s3.get_bucket_acl(Bucket="logs")["Grants"]
    assert [one["Permission"] for one in grants] == ["FULL_CONTROL"]


@pytest.mark.parametrize(
    ("operation", "arguments", "code"),
    [
        ("get_object", {"Bucket": "logs", "Key": "absent"}, "NoSuchKey"),
        ("head_object", {"Bucket": "logs", "Key": "absent"}, "404"),
        ("list_objects", {"Bucket": "absent"}, "NoSuchBucket"),
        ("put_object", {"Bucket": "logs", "Key": "x", "Body": b"x"}, "AccessDenied"),
        ("delete_object", {"Bucket": "logs", "Key": "signed"}, "AccessDenied"),
        ("create_bucket", {"Bucket": "new"}, "AccessDenied"),
        ("delete_bucket", {"Bucket": "logs"}, "AccessDenied"),
        ("list_buckets", {}, "AccessDenied"),
        ("get_bucket_policy", {"Bucket": "logs"}, "AccessDenied"),
    ],
)
def test_boto3_understands_each_refusal(endpoint, operation, arguments, code):
    with pytest.raises(ClientError) as caught:
        getattr(client("s3", endpoint, WRITER), operation)(**arguments)
    assert caught.value.response["Error"]["Code"] == code


def test_who_may_not_read_reads_nothing(endpoint):
    with pytest.raises(ClientError, match="AccessDenied"):
        client("s3", endpoint, NOBODY).list_objects_v2(Bucket="logs")


def test_aws_s3_ls(endpoint, tmp_path):
    top = aws("s3", "ls", "s3://logs/", endpoint=endpoint, key=READER, home=tmp_path)
    assert top.returncode == 0, top.stderr
    assert [line.split()[-1] for line in top.stdout.splitlines()[:2]] == ["a/", "b/"]
    assert "top" in top.stdout
    deep = aws(
        "s3", "ls", "--recursive", "s3://logs/a/", endpoint=endpoint, key=READER, home=tmp_path
    )
    assert [line.split()[-1] for line in deep.stdout.splitlines()] == [
        "a/",
        "a/1.json.gz",
        "a/2.json.gz",
    ]


def test_aws_s3_cp(endpoint, tmp_path):
    one = aws("s3", "cp", "s3://logs/top", "here", endpoint=endpoint, key=READER, home=tmp_path)
    assert one.returncode == 0, one.stderr
    assert (tmp_path / "here").read_bytes() == b"top"
    big = aws("s3", "cp", "s3://big/big.bin", "big", endpoint=endpoint, key=READER, home=tmp_path)
    assert big.returncode == 0, big.stderr
    assert (tmp_path / "big").read_bytes() == BIG
    up = aws("s3", "cp", "here", "s3://logs/new", endpoint=endpoint, key=WRITER, home=tmp_path)
    assert up.returncode == 1
    assert "AccessDenied" in up.stderr


def test_aws_s3_sync(endpoint, tmp_path):
    done = aws("s3", "sync", "s3://logs/a", "down", endpoint=endpoint, key=READER, home=tmp_path)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (tmp_path / "down").iterdir()) == [
        "1.json.gz",
        "2.json.gz",
    ]


def test_the_calls_of_validate_logs(endpoint, tmp_path):
    where = aws(
        "s3api", "get-bucket-location", "--bucket", "logs",
        endpoint=endpoint, key=READER, home=tmp_path,
    )  # fmt: skip
    assert json.loads(where.stdout) == {"LocationConstraint": "eu-west-1"}
    s3 = client("s3", endpoint, READER)
    pages = s3.get_paginator("list_objects").paginate(
        Bucket="logs", Marker="a/0_20260101T000000Z.json.gz", Prefix="a/"
    )
    assert list(pages.search("Contents[*].Key")) == ["a/1.json.gz", "a/2.json.gz"]
