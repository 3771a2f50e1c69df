# SPDX-License-Identifier: Apache-2.0
"""What every bucket does: one suite over a directory, a real S3 server, and the tests' memory."""

import gzip
import hashlib
import itertools
import os

import pytest
from support.memory_bucket import in_memory
from support.open_buckets import NOW_MS, at_endpoint, directories

from opentrail.errors import ClientError
from opentrail.objects.base import Put
from opentrail.sandbox.moto import start_moto

LOG = gzip.compress(b'{"Records":[]}', mtime=0)
SIGNED = Put(metadata={"signature": "abc123", "signature-algorithm": "SHA256withRSA"})
NAMES = (f"bucket-{number}" for number in itertools.count())


@pytest.fixture(scope="module")
def moto_url():
    with start_moto() as running:
        yield running.url


@pytest.fixture(params=["directory", "memory", "s3"])
def kind(request, tmp_path, monkeypatch):
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    if request.param == "directory":
        return directories(tmp_path)
    if request.param == "memory":
        return in_memory()
    return at_endpoint(request.getfixturevalue("moto_url"), tmp_path)


@pytest.fixture
def bucket(kind):
    return kind.make(next(NAMES))


def keys(bucket, prefix="", after="", limit=1000):
    return [one.key for one in bucket.list(prefix, after, limit)]


def refusal(call, *arguments):
    with pytest.raises(ClientError) as caught:
        call(*arguments)
    return caught.value.code, caught.value.status


def test_an_object_comes_back_as_it_was_put(bucket):
    bucket.put("a/log.json.gz", LOG, SIGNED)
    head, data = bucket.get("a/log.json.gz")
    assert data == LOG
    assert head.size == len(LOG)
    assert head.etag == f'"{hashlib.md5(LOG).hexdigest()}"'
    assert (head.content_type, head.content_encoding) == ("application/json", "gzip")
    assert head.metadata == SIGNED.metadata
    assert head.modified_ms >= NOW_MS
    assert bucket.head("a/log.json.gz") == head


def test_without_an_encoding_there_is_none(bucket):
    bucket.put("plain", b"x", Put(content_type="text/plain", content_encoding=""))
    assert bucket.head("plain").content_encoding == ""


def test_the_same_bytes_again_change_nothing(bucket):
    bucket.put("k", LOG, SIGNED)
    before = bucket.head("k")
    bucket.put("k", LOG, SIGNED)
    after = bucket.head("k")
    assert (after.etag, after.size, after.metadata) == (before.etag, before.size, before.metadata)
    assert keys(bucket) == ["k"]


def test_other_bytes_replace_the_object(bucket):
    bucket.put("k", LOG, SIGNED)
    bucket.put("k", b"other", Put())
    head, data = bucket.get("k")
    assert (data, head.size, head.metadata) == (b"other", 5, {})


def test_the_preflight_puts_an_object_that_is_a_folder_to_some(bucket):
    bucket.acl_readable()
    bucket.put("p/AWSLogs/123456789012/CloudTrail/", b"", Put(content_encoding=""))
    bucket.put("p/AWSLogs/123456789012/CloudTrail/us-east-1/x.json.gz", LOG, Put())
    assert bucket.head("p/AWSLogs/123456789012/CloudTrail/").size == 0
    assert bucket.get("p/AWSLogs/123456789012/CloudTrail/")[1] == b""
    assert keys(bucket) == [
        "p/AWSLogs/123456789012/CloudTrail/",
        "p/AWSLogs/123456789012/CloudTrail/us-east-1/x.json.gz",
    ]


def test_a_key_that_is_not_there(bucket):
    bucket.put("a/b", LOG, Put())
    for key in ("a", "a/", "a/b/", "a/b/c", "a/c", "z"):
        assert refusal(bucket.get, key) == ("NoSuchKey", 404)
        assert refusal(bucket.head, key) == ("NoSuchKey", 404)


def test_a_bucket_that_is_not_there(kind):
    bucket = kind.absent
    assert refusal(bucket.get, "k") == ("NoSuchBucket", 404)
    assert refusal(bucket.put, "k", LOG, Put()) == ("NoSuchBucket", 404)
    assert refusal(bucket.acl_readable) == ("NoSuchBucket", 404)
    assert refusal(keys, bucket) == ("NoSuchBucket", 404)


ORDER = sorted(
    (
        "a",
        "a-b",
        "b/c",
        "b.c",
        "b/c-d",
        "B",
        "ä",
        "z\u00ff",
        "\uff5e",
        "\U00010000",
        "d e",
        "+&=%2F?#",
    ),
    key=str.encode,
)


@pytest.fixture
def listed(bucket):
    for key in reversed(ORDER):
        bucket.put(key, key.encode(), Put())
    return bucket


def test_a_listing_is_in_the_order_of_utf8_bytes(listed):
    assert keys(listed) == ORDER
    assert [(one.size, one.etag) for one in listed.list("")] == [
        (len(key.encode()), f'"{hashlib.md5(key.encode()).hexdigest()}"') for key in ORDER
    ]


@pytest.mark.parametrize("limit", [0, 1, len(ORDER) - 1, len(ORDER), len(ORDER) + 1])
def test_a_listing_ends_at_its_limit(listed, limit):
    assert keys(listed, limit=limit) == ORDER[:limit]


def test_a_listing_goes_on_behind_any_text(listed):
    for after in (*ORDER, "a!", "b/", "b/c!", "b0", "\U0010ffff"):
        expected = [key for key in ORDER if key.encode() > after.encode()]
        assert keys(listed, after=after) == expected, after


@pytest.mark.parametrize("prefix", ["b", "b/", "b/c", "b/c-", "x", "ä", "B"])
def test_a_listing_has_only_what_begins_with_the_prefix(listed, prefix):
    assert keys(listed, prefix) == [key for key in ORDER if key.startswith(prefix)]


def test_a_listing_longer_than_a_page(bucket):
    wanted = [f"k/{number:04d}" for number in range(1003)]
    for key in wanted:
        bucket.put(key, b"", Put())
    assert keys(bucket, limit=2000) == wanted
    assert keys(bucket, limit=1001) == wanted[:1001]


def test_two_buckets_know_nothing_of_each_other(kind):
    first, second = kind.make(next(NAMES)), kind.make(next(NAMES))
    first.put("k", LOG, Put())
    second.put("other", LOG, Put())
    assert refusal(second.get, "k") == ("NoSuchKey", 404)
    assert keys(second) == ["other"]
