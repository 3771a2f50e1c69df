# SPDX-License-Identifier: Apache-2.0
"""Verifying: files that somebody put beside those that are signed, where readers find them."""

import errno
import gzip
import os

import pytest
from support.open_buckets import SettableClock
from support.signed_bucket import ACCOUNT, HOUR, START, TRAIL, SignedBucket
from support.verified_world import HOURS, SIGNER, STRANGER, World

from opentrail.errors import Unavailable
from opentrail.objects.base import Put
from opentrail.objects.localdir import LocalDir
from opentrail.objects.names import OBJECT_BYTES_MAX
from opentrail.verification.chain import STRANGE
from opentrail.verification.examine import TOO_LONG
from opentrail.verification.inbucket import InBucket
from opentrail.verification.link import Link
from opentrail.verification.uncovered import CLOSED, NOT_OURS, Known
from opentrail.verification.verdict import NOTE, KeyRing, KnownKey

END = START + HOURS * HOUR
FORGED = gzip.compress(b'{"Records":[]}')
REGION = f"AWSLogs/{ACCOUNT}/CloudTrail/us-east-1"
NAMED = f"{ACCOUNT}_CloudTrail_us-east-1_{{}}_A.json.gz"
"""How log files are named."""
MISNAMED = "is not named as log files are"


@pytest.fixture
def world(tmp_path):
    return World(tmp_path / "logs")


def told(world, **options):
    return [(verdict, reason) for _, verdict, reason in world.wrong(**options)]


@pytest.mark.parametrize("start_s", [0, START])
@pytest.mark.parametrize("day", ["2023/11/14", "2023/11/15"])
def test_a_file_in_a_days_folder_that_is_named_as_one_of_years_before(world, day, start_s):
    """Athena reads by folder, whatever the name says."""
    world.bucket.put(f"{REGION}/{day}/{NAMED.format('20200101T0000Z')}", FORGED, Put())
    assert told(world, start_s=start_s) == [("INVALID", MISNAMED)]


@pytest.mark.parametrize(
    ("day", "minute", "start_s", "verdicts"),
    [
        ("2023/11/14", "20231113T2359Z", START, ["UNKNOWN"]),
        ("2023/11/14", "20231113T2359Z", START + 3 * HOUR, []),
        ("2023/11/13", "20231114T2210Z", START, ["INVALID"]),
        ("2023/11/13", "20231113T2359Z", START, []),
    ],
    ids=["its folder is asked for", "neither is", "its name is", "neither is, alike"],
)
def test_a_file_about_midnight_is_of_both_days(world, day, minute, start_s, verdicts):
    world.bucket.put(f"{REGION}/{day}/{NAMED.format(minute)}", FORGED, Put())
    assert [verdict for verdict, _ in told(world, start_s=start_s)] == verdicts


def test_a_file_whose_path_is_longer_than_keys_are(world):
    """Who reads a directory finds it; S3 could not hold it."""
    folder = world.root / REGION / "2023/11/14"
    for number in range(4):
        folder = folder / (str(number) * 240)
    folder.mkdir(parents=True)
    (folder / NAMED.format("20231114T2210Z")).write_bytes(FORGED)
    assert told(world) == [("INVALID", MISNAMED)]


def test_folders_in_folders_without_end(world):
    fd = os.open(world.root / REGION, os.O_RDONLY)
    for _ in range(600):
        os.mkdir("d", dir_fd=fd)
        inner = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = inner
    os.close(fd)
    assert told(world) == [("INVALID", MISNAMED)]


@pytest.mark.parametrize(
    ("place", "account"),
    [
        ("AWSLogs/999999999999", ""),
        (f"AWSLogs/{ACCOUNT}/CloudTrail-Insight", ""),
        (f"AWSLogs/{ACCOUNT}/CloudTrail-Insight", ACCOUNT),
        ("AWSLogs/o-abcdefghij", ACCOUNT),
        ("other/AWSLogs", ""),
    ],
)
def test_a_link_in_the_place_of_a_folder_with_log_files(world, place, account, tmp_path):
    (tmp_path / "behind").mkdir()
    (world.root / place).parent.mkdir(exist_ok=True)
    (world.root / place).symlink_to(tmp_path / "behind")
    assert told(world, account=account) == [("UNKNOWN", CLOSED)]


@pytest.mark.parametrize("place", ["AWSLogs/999999999999", "AWSLogs/readme", "notes"])
def test_a_link_to_what_is_not_asked_for_or_holds_none(world, place, tmp_path):
    (world.root / place).symlink_to(tmp_path)
    assert told(world, account=ACCOUNT) == []


def test_an_object_that_is_named_as_an_account_is_none(world):
    world.bucket.put("AWSLogs/999999999999", b"", Put())
    assert told(world) == []


@pytest.mark.parametrize("what", ["logs", "digests"])
def test_a_file_that_is_longer_than_what_is_read(world, what):
    os.truncate(world.path(getattr(world.trail, what)[-1]), OBJECT_BYTES_MAX + 1)
    assert ("INVALID", TOO_LONG) in told(world)


@pytest.mark.parametrize("region", ["us-east-1", "eu-west-1"])
@pytest.mark.parametrize("since_s", [3 * HOUR, 3 * HOUR + 1])
def test_nothing_waits_for_a_digest_where_they_ended_long_ago(world, region, since_s):
    now = START + HOURS * HOUR + since_s
    SignedBucket(world.bucket, STRANGER, region=region).log(now)
    found = world.wrong(unlisted=now)
    assert [verdict for _, verdict, _ in found] == (["UNKNOWN"] if since_s > 3 * HOUR else [])


@pytest.mark.parametrize("what", ["logs", "digests"])
def test_a_file_that_the_disk_does_not_give_is_in_doubt_and_no_other(world, what, monkeypatch):
    bad = world.path(getattr(world.trail, what)[-1]).stat().st_ino
    read = os.pread

    def failing(fd, count, offset):
        if os.fstat(fd).st_ino == bad:
            raise OSError(errno.EIO, "Input/output error")
        return read(fd, count, offset)

    monkeypatch.setattr(os, "pread", failing)
    assert ("UNKNOWN", "cannot be read: InternalError") in told(world, unlisted=None)


def head_of(trail):
    newest = trail.previous
    return Link(newest["key"], newest["sha256"], newest["signature"], "the receipt")


@pytest.mark.parametrize("what", ["region", "before"])
def test_a_chain_that_the_receipt_does_not_have_is_in_doubt(world, what):
    """By a stolen key: a receipt has all chains that there are, those that ended too."""
    until = {"ends": [head_of(world.trail)], "until_s": END + 60, "unlisted": END + HOUR}
    region, start = ("eu-west-1", START) if what == "region" else ("us-east-1", START - 9 * HOUR)
    SignedBucket(world.bucket, SIGNER, region=region).chain(start, HOURS)
    assert ("UNKNOWN", STRANGE) in told(world, **until)


def test_a_chain_that_may_have_begun_since_the_receipt_is_in_no_doubt(world):
    until = {"ends": [head_of(world.trail)], "until_s": END + 60, "unlisted": END + HOUR}
    SignedBucket(world.bucket, SIGNER, region="eu-west-1").chain(END, 1)
    assert told(world, **until) == []


def test_the_chains_that_a_receipt_has(world):
    ends = [head_of(world.trail)]
    world.trail.chain(END + 3 * HOUR, 1)
    ends.append(head_of(world.trail))
    until = {"until_s": END + 5 * HOUR, "unlisted": END + 5 * HOUR}
    assert told(world, ends=ends, **until) == []
    assert ("UNKNOWN", STRANGE) in told(world, ends=ends[1:], **until)


class Failing(LocalDir):
    """A bucket that gives all objects but some."""

    bad: frozenset[str] = frozenset()

    def get(self, key):
        if key in self.bad:
            raise Unavailable("the bucket's endpoint answered InternalError")
        return super().get(key)


def test_an_object_that_the_endpoint_does_not_give_is_in_doubt_and_no_other(world):
    bucket = Failing(world.root, "logs", SettableClock())
    bucket.bad = frozenset({world.trail.logs[2]})
    world.source = InBucket("logs", lambda: bucket)
    assert told(world) == [("UNKNOWN", "cannot be read: ServiceUnavailable")]
    bucket.bad = frozenset(world.trail.logs)
    with pytest.raises(Unavailable, match="InternalError"):
        told(world)


@pytest.mark.parametrize("complete", [True, False])
def test_a_forged_digest_behind_the_time_asked_for_vouches_for_no_file(world, complete):
    ring = KeyRing.of([KnownKey(SIGNER.der)], complete=complete)
    world.trail.log(END - 120)
    assert told(world, ring=ring, end_s=END) == [("INVALID", "is in no digest")]
    forger = SignedBucket(world.bucket, STRANGER)
    forger.digest(END, END + HOUR, [forger.log(END - 120)])
    assert ("INVALID", "is in no digest") in told(world, ring=ring, end_s=END)


@pytest.mark.parametrize(("elsewhere", "told_of"), [("eu-west-1", 1), ("us-east-1", 0)])
def test_who_delivers_to_another_place_takes_nothing_from_what_is_known_of_this_one(
    world, elsewhere, told_of
):
    """Of a place that a trail of others delivers to, too, the server's state knows nothing."""
    theirs = SignedBucket(world.bucket, SIGNER, trail="theirs", region=elsewhere)
    theirs.chain(START, HOURS)
    world.trail.log(END + 300)
    known = Known(END, END + 1200, alone=True, trails=frozenset({(TRAIL, "us-east-1")}))
    found = told(world, known=known, unlisted=END + 1800)
    assert found.count(("UNKNOWN", NOT_OURS)) == told_of


DIGESTS = f"AWSLogs/{ACCOUNT}/CloudTrail-Digest"
NO_DIGEST = "is not named as digests are"


@pytest.mark.parametrize(
    "place",
    [
        "us-east-1/2023/11/14/x.json.gz",
        "us-east-1/2023/11/7/{name}",
        "us-east-1/2023/11/14/{name}.bak",
        "us-east-1/{name}",
        "x",
        "US-EAST-1/2023/11/14/{name}",
    ],
)
def test_what_lies_among_digests_under_a_name_of_none_is_told(world, place):
    """The AWS CLI takes some of these names for digests, and calls them INVALID, too."""
    key = world.trail.digests[2]
    name = key.rpartition("/")[2]
    at = f"{DIGESTS}/{place.format(name=name)}"
    world.bucket.put(
        at, world.path(key).read_bytes(), Put(metadata=world.bucket.head(key).metadata)
    )
    assert world.wrong() == [(at.rpartition("/")[2], "INVALID", NO_DIGEST)]
    assert world.wrong(trail=TRAIL, account="999999999999") == []
    assert told(world, unlisted=None) == []


@pytest.mark.parametrize("region", ["us-east-1", "eu-west-1"])
def test_of_one_region_what_lies_among_the_digests_of_another_is_not_told(world, region):
    world.bucket.put(f"{DIGESTS}/eu-west-1/x", b"x", Put())
    assert len(told(world, region=region)) == (region == "eu-west-1")


APPLE_DOUBLE = b"\0\5\x16\7\0\2\0\0Mac OS X        "


@pytest.mark.parametrize(
    "folder", [REGION, f"{REGION}/2023/11/14", f"{DIGESTS}/us-east-1", DIGESTS]
)
@pytest.mark.parametrize(
    ("file", "data"),
    [
        (".DS_Store", b"\0\0\0\1Bud1"),
        ("desktop.ini", b"[.ShellClassInfo]"),
        (f"._{NAMED.format('20231114T2210Z')}", APPLE_DOUBLE),
    ],
)
def test_what_an_operating_system_leaves_in_a_copy_is_no_forgery(world, folder, file, data):
    world.bucket.put(f"{folder}/{file}", data, Put())
    assert told(world) == []
    notes = [each.reason for each in world.verify() if each.kind == NOTE]
    assert notes == [f"left out, as an operating system puts it there: 1 file ({file})"]


@pytest.mark.parametrize("folder", [f"{REGION}/2023/11/14", DIGESTS])
def test_a_log_file_that_is_only_named_as_such_a_file_is_told(world, folder):
    world.bucket.put(f"{folder}/._{NAMED.format('20231114T2210Z')}", FORGED, Put())
    assert [verdict for verdict, _ in told(world)] == ["INVALID"]


def test_a_link_that_is_named_as_such_a_file_is_told(world, tmp_path):
    (world.root / REGION / "2023/11/14/.DS_Store").symlink_to(tmp_path)
    assert told(world) == [("INVALID", MISNAMED)]


def test_litter_alone_where_there_is_no_digest_is_no_doubt(world):
    world.bucket.put(f"{REGION.replace('us-east-1', 'eu-west-1')}/2023/.DS_Store", b"x", Put())
    assert told(world) == []
