# SPDX-License-Identifier: Apache-2.0
"""Checks what digests say: with the AWS CLI's own validation code, and more strictly than it does."""

import base64
import datetime as dt
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

from awscli.customizations.cloudtrail import validation
from botocore.exceptions import ClientError as BotoError
from support.delivery_world import World

from opentrail.errors import ClientError

ZERO = dt.datetime(1990, 1, 1, tzinfo=dt.UTC)
LAST = dt.datetime(2190, 1, 1, tzinfo=dt.UTC)
PUSHED_S_MAX = 30
_DIGEST_KEY = re.compile(
    r"(?P<prefix>.*?)AWSLogs/(?P<account>\d+)/CloudTrail-Digest/(?P<region>[^/]+)/\d{4}/\d\d/\d\d/"
    r"(?P=account)_CloudTrail-Digest_(?P=region)_(?P<name>.+)_(?P<home>[^_]+)_(?P<end>\d{8}T\d{6}Z)"
    r"\.json\.gz"
)


class FakeCloudTrail:
    """What the CLI asks of CloudTrail."""

    def __init__(self, world: World) -> None:
        self.world = world

    def list_public_keys(self, **asked: dt.datetime) -> dict[str, Any]:
        found = self.world.keys.public_keys(_ms(asked["StartTime"]), _ms(asked["EndTime"]))
        keys = [(key.fingerprint, base64.b64encode(key.value)) for key in found]
        return {"PublicKeyList": [{"Fingerprint": name, "Value": value} for name, value in keys]}


class FakeS3:
    """What the CLI asks of S3, answered from the world's buckets."""

    def __init__(self, world: World) -> None:
        self.world = world

    def get_client(self, _bucket: str) -> "FakeS3":
        return self

    def get_paginator(self, _operation: str) -> "FakeS3":
        return self

    def paginate(self, **asked: str) -> "Keys":
        bucket = self.world.buckets.find(asked["Bucket"])
        found = bucket.list(asked["Prefix"], asked["Marker"], 1_000_000)
        return Keys([each.key for each in found])

    def get_object(self, **asked: str) -> dict[str, Any]:
        try:
            head, data = self.world.buckets.find(asked["Bucket"]).get(asked["Key"])
        except ClientError as error:
            raise BotoError({"Error": {"Code": error.code}}, "GetObject") from error
        return {"Body": BytesIO(data), "Metadata": head.metadata}


class Keys:
    """A listing, as a page iterator."""

    def __init__(self, keys: list[str]) -> None:
        self.keys = keys

    def search(self, _expression: str) -> list[str]:
        return self.keys


@dataclass
class Verdict:
    """What the CLI's traverser reported, newest first."""

    valid: list[str] = field(default_factory=list)
    gaps: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


def validate(world: World, arn: str, region: str, bucket: str, prefix: str = "") -> Verdict:
    """Run the CLI's traversal over all time, as ``validate-logs --s3-bucket`` does."""
    verdict = Verdict()
    traverser = validation.create_digest_traverser(
        cloudtrail_client=FakeCloudTrail(world),
        organization_client=None,
        s3_client_provider=FakeS3(world),
        trail_arn=arn,
        trail_source_region=region,
        on_invalid=lambda **what: verdict.wrong.append(str(what["message"])),
        on_gap=lambda **what: verdict.gaps.append(str(what["last_key"])),
        on_missing=lambda **what: verdict.wrong.append(f"missing {what['last_key']}"),
        bucket=bucket,
        prefix=prefix or None,
    )
    for digest in traverser.traverse_digests(ZERO, LAST):
        verdict.valid.append(digest["digestS3Object"])
        verdict.wrong += [
            each["s3Object"]
            for each in digest["logFiles"]
            if sha256(world, each["s3Bucket"], each["s3Object"]) != each["hashValue"]
        ]
    return verdict


def sha256(world: World, bucket: str, key: str) -> str:
    return hashlib.sha256(world.buckets.all[bucket].unpacked(key)).hexdigest()


def all_digests(world: World) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for bucket, key in world.objects("CloudTrail-Digest"):
        yield bucket, key, json.loads(world.buckets.all[bucket].unpacked(key))


def check_all(world: World) -> None:
    """Hold every digest against its signature, its name, its predecessor and its files.

    More than the CLI asks: predecessors' hashes, no window twice or left out, each file once, and
    exactly the files of trails that validate.
    """
    listed: list[tuple[str, str]] = []
    followed: list[tuple[str, str]] = []
    for bucket, key, digest in all_digests(world):
        check_signature(world, bucket, key, digest)
        check_name(key, digest)
        followed += check_previous(world, digest)
        for file in digest["logFiles"]:
            listed.append((file["s3Bucket"], file["s3Object"]))
            assert sha256(world, *listed[-1]) == file["hashValue"], listed[-1]
            check_time(digest, file["s3Object"])
    assert len(set(listed)) == len(listed), "a file in two digests"
    assert len(set(followed)) == len(followed), "a chain that forks"
    events = [each for bucket, key in listed for each in world.events_in(bucket, key)]
    assert sorted(events) == sorted(world.expected(validated=True).elements())


def check_signature(world: World, bucket: str, key: str, digest: dict[str, Any]) -> None:
    head, _ = world.buckets.all[bucket].get(key)
    keys = FakeCloudTrail(world).list_public_keys(StartTime=ZERO, EndTime=LAST)["PublicKeyList"]
    value = next(
        k["Value"] for k in keys if k["Fingerprint"] == digest["digestPublicKeyFingerprint"]
    )
    signed = {**digest, "_signature": head.metadata["signature"]}
    text = world.buckets.all[bucket].unpacked(key)
    validation.Sha256RSADigestValidator().validate(bucket, key, value, signed, text)
    assert (digest["digestS3Bucket"], digest["digestS3Object"]) == (bucket, key)


def check_name(key: str, digest: dict[str, Any]) -> None:
    match = _DIGEST_KEY.fullmatch(key)
    assert match is not None, key
    assert match["end"] == re.sub("[-:]", "", digest["digestEndTime"])
    assert match["account"] == digest["awsAccountId"]


def check_time(digest: dict[str, Any], key: str) -> None:
    """A window lists what was cut in it; changes in one second push a chain's begin a little."""
    minute = dt.datetime.strptime(key.split("_")[-2], "%Y%m%dT%H%MZ").replace(tzinfo=dt.UTC)
    start, end = (
        dt.datetime.fromisoformat(digest[f"digest{word}Time"]) for word in ("Start", "End")
    )
    assert start - dt.timedelta(seconds=PUSHED_S_MAX + 60) < minute <= end, key


def check_previous(world: World, digest: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the digest before, held against what is said of it."""
    bucket, key = digest["previousDigestS3Bucket"], digest["previousDigestS3Object"]
    said = [digest[f"previousDigest{word}"] for word in ("HashValue", "HashAlgorithm", "Signature")]
    if bucket is None:
        assert [key, *said] == [None] * 4
        return []
    text = world.buckets.all[bucket].unpacked(key)
    signature = world.buckets.all[bucket].head(key).metadata["signature"]
    assert said == [hashlib.sha256(text).hexdigest(), "SHA-256", signature]
    assert json.loads(text)["digestEndTime"] == digest["digestStartTime"]
    return [(bucket, key)]


def _ms(when: dt.datetime) -> int:
    return int(when.timestamp() * 1000)
