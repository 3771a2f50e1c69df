# SPDX-License-Identifier: Apache-2.0
"""Verifying a bucket whose last files of a trail are listed in a digest elsewhere, where the trail went."""

import gzip
import json

import pytest
from support.open_buckets import SettableClock
from support.signed_bucket import HOUR, START, SignedBucket
from support.verified_world import HOURS, SIGNER, STRANGER, World, name

from opentrail.objects.localdir import LocalDir
from opentrail.objects.readdir import ReadDir
from opentrail.verification import elsewhere
from opentrail.verification.bucketkeys import digest_name
from opentrail.verification.link import Link

EU = "eu-west-1"
MOVED = START + HOUR
BUCKETS = ("logs", "second", "third")


class Begun(World):
    """A trail's first file of a region lies in ``logs``, and its first digest of that in ``second``.

    Another trail has digests of that region in ``logs`` all the time.
    """

    def __init__(self, home, signer=SIGNER):
        super().__init__(home / "logs")
        SignedBucket(self.bucket, SIGNER, region=EU, trail="other").chain(START, HOURS)
        self.buckets = {each: LocalDir(home / each, each, SettableClock()) for each in BUCKETS}
        self.all = {each: ReadDir(home / each, each) for each in BUCKETS}
        self.moved = SignedBucket(self.bucket, signer, region=EU)
        self.file = self.moved.log(MOVED - 120)
        self.go_to("second", MOVED - HOUR, self.file)

    def go_to(self, bucket, second, *files):
        """Let the trail deliver to a bucket; its digest of the hour from ``second`` on is there."""
        before, self.moved.bucket = self.moved.bucket.name, self.buckets[bucket]
        key = self.moved.digest(second, second + HOUR, [*files])
        if len(self.moved.digests) > 1:
            body = json.loads(gzip.decompress(self.moved.bucket.get(key)[1]))
            self.moved.put_digest(key, body | {"previousDigestS3Bucket": before})

    def end(self):
        return self.moved.bucket.name, digest_name(self.moved.digests[-1])

    def told(self, *ends, **options):
        return self.wrong(elsewhere=self.all, all_ends=ends, **options)

    @property
    def is_forged(self):
        return [(name(self.file["s3Object"]), "INVALID", "is in no digest")]


@pytest.fixture
def world(tmp_path):
    return Begun(tmp_path)


def test_the_first_file_of_a_region_before_the_trail_was_moved(world):
    assert world.told() == world.is_forged
    assert world.told(world.end()) == []
    world.rewrite(world.file["s3Object"], gzip.compress(b"{}"))
    told = [(name(world.file["s3Object"]), "INVALID", "hash value doesn't match")]
    assert world.told(world.end()) == told
    assert world.told(world.end(), trail="other") == []


def test_a_trail_that_was_deleted_and_made_anew_here(world):
    ended = world.end()
    world.moved.bucket = world.bucket
    world.moved.chain(START + 6 * HOUR, 1)
    assert world.told(ended, world.end()) == []


@pytest.mark.parametrize(("hops", "is_found"), [(1, False), (2, True)])
def test_a_trail_that_was_moved_again(world, hops, is_found, monkeypatch):
    world.go_to("third", MOVED)
    monkeypatch.setattr(elsewhere, "HOPS_MAX", hops)
    assert world.told(world.end()) == ([] if is_found else world.is_forged)


def test_what_a_forged_digest_elsewhere_lists(tmp_path):
    world = Begun(tmp_path, STRANGER)
    assert world.told(world.end()) == world.is_forged


@pytest.mark.parametrize("bucket", ["second", "third"])
def test_where_there_is_no_digest(world, bucket):
    """Of a bucket that is gone nothing is known, and of a digest that is gone neither."""
    end = bucket, world.end()[1]
    world.all["second"].path.rename(world.root.parent / "gone")
    assert world.told(end) == world.is_forged


def test_an_end_that_is_followed_back_lists_nothing_twice(tmp_path):
    """The state names the digest elsewhere both as what must be there and as where to look."""
    world = World(tmp_path / "logs")
    second = LocalDir(tmp_path / "second", "second", SettableClock())
    begin = START + HOURS * HOUR
    last = world.trail.log(begin + 120)
    world.trail.bucket = second
    key = world.trail.digest(begin, begin + HOUR, [last])
    body = json.loads(gzip.decompress(second.get(key)[1]))
    world.trail.put_digest(key, body | {"previousDigestS3Bucket": "logs"})
    newest = world.trail.previous
    assert newest is not None
    end = Link(newest["key"], newest["sha256"], newest["signature"], "the state", "second")
    find = {"second": ReadDir(tmp_path / "second", "second")}
    ends = {"ends": [end], "all_ends": [("second", digest_name(key))]}
    assert world.wrong(elsewhere=find, until_s=begin + 2 * HOUR, **ends) == []
