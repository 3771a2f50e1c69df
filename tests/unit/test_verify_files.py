# SPDX-License-Identifier: Apache-2.0
"""Verifying: files that no digest lists, public keys, and the parts of keys and gzip members."""

import gzip
import hashlib
import random
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.odd_gzip import with_holes
from support.signed_bucket import ACCOUNT, HOUR, START, TRAIL, SignedBucket
from support.verified_world import RING, SIGNER, World, name, overall

from opentrail.errors import UsageError
from opentrail.objects.base import Put
from opentrail.verification.bucketkeys import digest_name, log_name, stray_place
from opentrail.verification.ungzip import DIGEST_BYTES_MAX, NotOneMember, sha256_of, unpacked
from opentrail.verification.verdict import NOTE, KeyRing, KnownKey, Verdict, read_key_ring


@pytest.fixture
def world(tmp_path):
    return World(tmp_path / "logs")


def test_a_file_that_somebody_added(world):
    planted = world.trail.log(START + 2 * HOUR + 900)
    assert world.wrong() == [(name(planted["s3Object"]), "INVALID", "is in no digest")]
    assert world.wrong(unlisted=None) == []


@pytest.mark.parametrize("file", ["evil.json.gz", "2023/11/14/x.json", "2023/11/14/x/y.json.gz"])
def test_a_file_that_no_trail_gives_such_a_name(world, file):
    world.bucket.put(f"AWSLogs/{ACCOUNT}/CloudTrail/us-east-1/{file}", b"x", Put())
    assert world.wrong() == [(name(file), "INVALID", "is not named as log files are")]


def test_what_the_preflight_leaves_is_no_log_file(world):
    for folder in ("CloudTrail", "CloudTrail-Digest"):
        world.bucket.put(f"AWSLogs/{ACCOUNT}/{folder}/", b"", Put())
    assert world.wrong() == []


@pytest.mark.parametrize(("age_s", "doubted"), [(2 * HOUR, True), (2 * HOUR - 1, False)])
def test_a_file_that_may_still_wait_for_its_digest(world, age_s, doubted):
    minute = START + 2 * HOUR + 900
    world.trail.log(minute)
    assert bool(world.wrong(unlisted=minute + 60 + age_s)) == doubted


def test_files_from_before_the_first_digest_cannot_be_told(world):
    world.trail.log(START - 30 * 60)
    world.trail.log(START - 90 * 60)
    reason = "2 log files before the first digest"
    assert [each[1:] for each in world.wrong()] == [("UNKNOWN", reason)]
    assert world.wrong(start_s=START) == []


def test_another_trails_files_are_not_in_doubt(world):
    other = SignedBucket(world.bucket, SIGNER, trail="second")
    other.chain(START + 1800, 2)
    assert world.wrong(trail=TRAIL) == []
    assert overall(world.verify()) is Verdict.VALID
    for key in other.digests:
        world.path(key).unlink()
    wrong = world.wrong(trail=TRAIL)
    assert {reason for _, _, reason in wrong} == {"is in no digest"}
    assert len(wrong) == 4


def test_a_key_ring_from_a_file():
    ring = read_key_ring(SIGNER.listed(), "keys.json")
    (key,) = ring.keys.values()
    day = 86_400
    assert key == KnownKey(SIGNER.der, START - 400 * day, START + 400 * day)
    assert list(ring.keys) == [SIGNER.fingerprint]
    assert not ring.complete
    for text in (b"", b"{}", b'{"PublicKeyList":[{"Value":"!"}]}', b"\xff"):
        with pytest.raises(UsageError, match=r"keys.json is not what aws cloudtrail"):
            read_key_ring(text, "keys.json")


def test_a_key_goes_by_its_own_fingerprint_and_not_by_the_one_that_is_said(world):
    lying = SIGNER.listed().replace(SIGNER.fingerprint.encode(), b"f" * 32)
    assert world.wrong(ring=read_key_ring(lying, "x")) == []


def test_a_key_that_is_none():
    ring = KeyRing.of([KnownKey(b"junk")], complete=True)
    (fingerprint,) = ring.keys
    verdict, reason = ring.verify(fingerprint, b"", "00", (0, 0))
    assert verdict is Verdict.UNKNOWN
    assert reason == f"Unable to load PKCS #1 key with fingerprint {fingerprint}"


def test_a_signature_that_is_not_hex():
    found = RING.verify(SIGNER.fingerprint, b"", "zz", (0, 0))
    assert found == (Verdict.INVALID, "signature verification failed")


def by_zlib(data):
    """Say with zlib what ``sha256_of`` must say."""
    inflate = zlib.decompressobj(31)
    try:
        content = inflate.decompress(data)
    except zlib.error:
        return "invalid format"
    if not inflate.eof:
        return "invalid format"
    if inflate.unused_data:
        return "unexpected data after end of compressed stream"
    return hashlib.sha256(content).hexdigest()


def by_us(data):
    try:
        return sha256_of(data)
    except NotOneMember as error:
        return str(error)


PIECE = 64 * 1024
SIZES = [0, 1, 100, *(n * PIECE + d for n in (1, 4) for d in (-259, -258, -1, 0, 1, 258, 70_000))]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("level", [1, 9])
def test_members_of_any_length_whole_cut_and_longer(size, level):
    for content in (bytes(size), random.Random(size).randbytes(min(size, PIECE + 999))):
        packed = gzip.compress(content, level)
        cases = [packed, packed[:-1], packed[:-8], packed[:-9], packed + b"x", packed * 2]
        for data in [*cases, packed[:-8] + bytes(8), packed + bytes(70_000)]:
            assert by_us(data) == by_zlib(data)


@given(st.binary(max_size=3000), st.data())
def test_any_changed_byte_of_a_member_is_judged_as_zlib_does(content, data):
    packed = bytearray(gzip.compress(content * 3, 6))
    packed[data.draw(st.integers(0, len(packed) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    assert by_us(bytes(packed)) == by_zlib(bytes(packed))


@pytest.mark.parametrize("over", [0, 1])
def test_what_unpacks_to_more_than_a_digest_has(over):
    data = gzip.compress(bytes(DIGEST_BYTES_MAX + over), 1)
    if over:
        with pytest.raises(NotOneMember, match="unpacks to more than"):
            unpacked(data)
    else:
        assert len(unpacked(data)) == DIGEST_BYTES_MAX
    assert len(sha256_of(data)) == 64


def test_what_zlib_refuses_for_its_codes_is_refused():
    data = with_holes(b'{"Records":[]}\xff')
    assert by_zlib(data) == by_us(data) == "invalid format"


def test_the_parts_of_a_digests_key(world):
    found = digest_name(f"p/{world.trail.digests[0]}")
    assert found is not None
    assert (found.chain.place.root, found.chain.place.account) == ("p/AWSLogs/", ACCOUNT)
    assert (found.chain.trail, found.chain.home_region, found.end_s) == (TRAIL, "us-east-1", START)
    assert not found.chain.backfill
    backfill = digest_name(world.trail.digests[0].replace(".json", "_backfill.json"))
    assert backfill is not None
    assert backfill.chain.backfill


def test_the_parts_of_a_log_files_key(world):
    found = log_name(world.trail.logs[0])
    assert found is not None
    assert found.minute_s == START + 600
    org = log_name(world.trail.logs[0].replace("AWSLogs/", "AWSLogs/o-abc123/"))
    assert org is not None
    assert org.place.root == "AWSLogs/o-abc123/"
    other = log_name(world.trail.logs[0].replace(f"/{ACCOUNT}_", "/999999999999_"))
    assert other is not None
    assert other.minute_s == -1
    slash = log_name(f"/{world.trail.logs[0]}")  # S3 takes such keys
    assert slash is not None
    assert (slash.place.root, slash.minute_s) == ("/AWSLogs/", START + 600)
    assert stray_place(f"/AWSLogs/{ACCOUNT}/CloudTrail/x.json.gz") is not None
    assert log_name("AWSLogs/x") is None
    assert log_name(f"my{world.trail.logs[0]}") is None
    assert digest_name(world.trail.digests[0].replace("T", "T9", 1)) is None


def test_only_of_what_the_log_still_gives_a_file_is_doubted_that_it_does_not_give(world):
    since_s = START + 2 * HOUR
    named = {key: log_name(key) for key in world.trail.logs}
    gives = [key for key, found in named.items() if found and found.minute_s >= since_s]
    assert 0 < len(gives) < len(world.trail.logs)
    derived = frozenset(map(hash, gives))
    assert world.wrong(derived=derived, derived_since_s=since_s) == []
    late = world.trail.logs[-1]
    no_such_file = [(name(late), "INVALID", "the log gives no such file")]
    less = derived - {hash(late)}
    assert world.wrong(derived=less, derived_since_s=since_s) == no_such_file
    assert len(world.wrong(derived=derived)) == len(world.trail.logs) - len(gives)


def test_the_first_files_of_a_trail_wait_for_its_second_digest(tmp_path):
    """Until then there is only the digest that began its chain, which lists nothing."""
    world = World(tmp_path / "logs", hours=0)
    world.trail.log(START + 300)
    found = world.verify(unlisted=START + 900)
    assert [each.reason for each in found if each.kind == NOTE] == ["1 log file in no digest yet"]
    assert world.wrong(unlisted=START + 900) == []
    told = [(ACCOUNT + " us-east-1", "UNKNOWN", "1 log file and no valid digest")]
    assert world.wrong(unlisted=START + 3 * HOUR + 1) == told
