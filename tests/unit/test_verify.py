# SPDX-License-Identifier: Apache-2.0
"""Verifying a bucket: what is valid, what is not, and what cannot be told."""

import gzip
import hashlib
import json
import shutil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.open_buckets import SettableClock
from support.signed_bucket import ACCOUNT, HOUR, START, TRAIL, SignedBucket, Signer, when

from opentrail.errors import ClientError, UsageError
from opentrail.objects.base import Put
from opentrail.objects.localdir import LocalDir
from opentrail.trails.bucketkeys import digest_name, log_name
from opentrail.trails.ungzip import DIGEST_BYTES_MAX, NotOneMember, sha256_of, unpacked
from opentrail.trails.verdict import NOTE, Finding, KeyRing, Verdict, overall, read_key_ring
from opentrail.trails.verify import Asked, Link, Verifier, survey, verify

LATER = START + 100 * HOUR
SIGNER, STRANGER = Signer(), Signer()
RING = KeyRing.of([SIGNER.der], complete=True)
HOURS = 4


class World:
    """A directory bucket with a chain of HOURS hours."""

    def __init__(self, root):
        self.root = root
        self.bucket = LocalDir(root, "logs", SettableClock())
        self.trail = SignedBucket(self.bucket, SIGNER)
        self.trail.chain(START, HOURS)

    def verify(self, ring=RING, ends=(), unlisted=LATER, elsewhere=None, **asked):
        where = Asked(bucket=asked.pop("bucket", "logs"), **asked)
        verifier = Verifier(self.bucket, (elsewhere or {}).get, ring, where)
        return list(verify(verifier, survey(self.bucket, where), ends, where, unlisted=unlisted))

    def wrong(self, **options):
        """Return (file name or span, verdict, reason) of all that is not valid."""
        return [
            (each.subject.rpartition("/")[2], each.verdict.name, each.reason)
            for each in self.verify(**options)
            if each.verdict is not Verdict.VALID
        ]

    def path(self, key):
        return self.root / key

    def rewrite(self, key, data):
        self.path(key).write_bytes(data)


@pytest.fixture
def world(tmp_path):
    return World(tmp_path / "logs")


def name(key):
    return key.rpartition("/")[2]


def test_an_untouched_bucket_is_valid(world):
    findings = world.verify()
    assert overall(findings) is Verdict.VALID
    kinds = [each.kind for each in findings]
    assert kinds.count("Digest file") == HOURS + 1
    assert kinds.count("Log file") == 2 * HOURS
    assert kinds.count(NOTE) == 0


def test_a_changed_log_file(world):
    world.rewrite(world.trail.logs[3], gzip.compress(b'{"Records":[]}'))
    wrong = world.wrong()
    assert wrong == [(name(world.trail.logs[3]), "INVALID", "hash value doesn't match")]


def test_a_log_file_packed_anew_is_still_valid(world):
    data = gzip.decompress(world.path(world.trail.logs[0]).read_bytes())
    world.rewrite(world.trail.logs[0], gzip.compress(data, 1))
    assert world.wrong() == []


def test_a_missing_log_file(world):
    world.path(world.trail.logs[0]).unlink()
    assert world.wrong() == [(name(world.trail.logs[0]), "INVALID", "not found")]


@pytest.mark.parametrize(
    ("after", "reason"),
    [
        (b"garbage", "unexpected data after end of compressed stream"),
        (
            gzip.compress(b'{"Records":[{"hidden":1}]}'),
            "unexpected data after end of compressed stream",
        ),
        (b"\0", "unexpected data after end of compressed stream"),
    ],
)
@pytest.mark.parametrize("what", ["logs", "digests"])
def test_bytes_behind_the_gzip_member(world, what, after, reason):
    key = getattr(world.trail, what)[2]
    world.rewrite(key, world.path(key).read_bytes() + after)
    assert (name(key), "INVALID", reason) in world.wrong(unlisted=None)


@pytest.mark.parametrize("data", [b"", b"{}", b"\x1f\x8b\x08", gzip.compress(b"x" * 999)[:-9]])
@pytest.mark.parametrize("what", ["logs", "digests"])
def test_what_is_not_gzip(world, what, data):
    key = getattr(world.trail, what)[2]
    world.rewrite(key, data)
    assert (name(key), "INVALID", "invalid format") in world.wrong(unlisted=None)


@pytest.mark.parametrize(
    "text", [b"", b"[]", b"{}", b'{"digestEndTime":"x"}', b"\xff", b'{"logFiles":1}']
)
def test_a_digest_that_says_nothing(world, text):
    key = world.trail.digests[2]
    world.rewrite(key, gzip.compress(text))
    assert (name(key), "INVALID", "invalid format") in world.wrong(unlisted=None)


def test_a_changed_digest_that_keeps_its_signature(world):
    key = world.trail.digests[2]
    body = json.loads(gzip.decompress(world.path(key).read_bytes()))
    body["logFiles"] = []
    world.rewrite(key, gzip.compress(json.dumps(body).encode()))
    reason = "is not the one that the digest after it names"
    assert (name(key), "INVALID", reason) in world.wrong(unlisted=None)


def test_the_newest_digest_changed(world):
    key = world.trail.digests[-1]
    body = json.loads(gzip.decompress(world.path(key).read_bytes()))
    body["logFiles"] = []
    world.rewrite(key, gzip.compress(json.dumps(body).encode()))
    assert world.wrong(unlisted=None) == [(name(key), "INVALID", "signature verification failed")]


def test_a_digest_without_its_signature(world):
    shutil.rmtree(world.root / ".opentrail")
    newest = world.trail.digests[-1]
    wrong = world.wrong(unlisted=None)
    assert (name(newest), "INVALID", "signature verification failed") in wrong


def test_a_digest_that_was_moved(world):
    newest = world.trail.digests[-1]
    moved = newest.replace("T", "T", 1).replace(when(START + HOURS * HOUR, "%H%M%S"), "235959")
    world.path(newest).rename(world.path(moved))
    wrong = world.wrong(unlisted=None)
    assert wrong == [(name(moved), "INVALID", "has been moved from its original location")]


def test_a_whole_bucket_that_was_moved(world):
    reasons = {reason for _, _, reason in world.wrong(bucket="other", unlisted=None)}
    assert reasons == {"has been moved from its original location"}


def test_a_digest_signed_with_another_key(world):
    body = json.loads(gzip.decompress(world.path(world.trail.digests[2]).read_bytes()))
    forged = SignedBucket(world.bucket, STRANGER)
    forged.put_digest(world.trail.digests[2], body)
    reason = "is not the one that the digest after it names"
    assert (name(world.trail.digests[2]), "INVALID", reason) in world.wrong(unlisted=None)


def test_a_chain_signed_with_a_key_of_their_own(tmp_path):
    world = World(tmp_path / "logs")
    SignedBucket(world.bucket, STRANGER, trail="forged").chain(START, 1)
    reason = f"public key not found for fingerprint {STRANGER.fingerprint}"
    wrong = world.wrong(trail="forged", unlisted=None)
    assert {(verdict, why) for _, verdict, why in wrong[:1]} == {("INVALID", reason)}
    open_ring = KeyRing.of([SIGNER.der], complete=False)
    wrong = world.wrong(trail="forged", unlisted=None, ring=open_ring)
    assert {verdict for _, verdict, _ in wrong} == {"UNKNOWN"}


def test_without_keys_nothing_can_be_told(world):
    findings = world.verify(ring=KeyRing.of([], complete=False))
    assert overall(findings) is Verdict.UNKNOWN
    assert {each.verdict for each in findings if each.kind != NOTE} == {Verdict.UNKNOWN}


def test_without_keys_a_changed_log_file_still_shows(world):
    world.rewrite(world.trail.logs[3], gzip.compress(b"{}"))
    findings = world.verify(ring=KeyRing.of([], complete=False))
    assert overall(findings) is Verdict.INVALID


@pytest.mark.parametrize("missing", [[1], [2, 3], [0]])
def test_digests_missing_behind_a_signed_one(world, missing):
    for number in missing:
        world.path(world.trail.digests[number]).unlink()
    wrong = world.wrong(unlisted=None)
    newest = max(missing)
    assert (name(world.trail.digests[newest]), "INVALID", "not found") in wrong


def link(world, number=-1, **changes):
    """Return what a server's state says of a digest."""
    key = world.trail.digests[number]
    data = gzip.decompress(world.path(key).read_bytes())
    found = {
        "key": key,
        "sha256": hashlib.sha256(data).hexdigest(),
        "signature": world.bucket.head(key).metadata["signature"],
        "said_by": "the server's state",
    }
    return Link(**(found | changes))


def test_the_newest_digests_missing_show_when_the_state_knows_them(world):
    end = link(world)
    for key in world.trail.digests[-2:]:
        world.path(key).unlink()
    assert world.wrong(unlisted=None) == []
    wrong = world.wrong(unlisted=None, ends=[end])
    assert wrong == [(name(world.trail.digests[-1]), "INVALID", "not found")]


def test_all_digests_missing(world):
    end = link(world)
    for key in world.trail.digests:
        world.path(key).unlink()
    assert overall(world.verify()) is Verdict.UNKNOWN
    wrong = world.wrong(ends=[end])
    assert wrong == [(name(world.trail.digests[-1]), "INVALID", "not found")]


def test_the_newest_digest_is_not_the_one_that_the_state_knows(world):
    end = link(world, sha256="0" * 64)
    reason = "is not the one that the server's state names"
    assert world.wrong(unlisted=None, ends=[end])[0] == (
        name(world.trail.digests[-1]),
        "INVALID",
        reason,
    )


def test_a_state_that_is_older_than_the_bucket(world):
    assert world.wrong(ends=[link(world, 2)]) == []
    world.path(world.trail.digests[2]).unlink()
    wrong = world.wrong(unlisted=None, ends=[Link(world.trail.digests[2], "0", "0", "x")])
    assert (name(world.trail.digests[2]), "INVALID", "not found") in wrong


def test_log_files_left_behind_deleted_digests_are_in_doubt(world):
    for key in world.trail.digests[-2:]:
        world.path(key).unlink()
    begin = when(START + (HOURS - 2) * HOUR)
    reason = "4 log files in no digest: there were none then, or they were deleted"
    assert world.wrong() == [(f"{begin} to now", "UNKNOWN", reason)]


def test_a_chain_that_begins_anew(world):
    restart = START + (HOURS + 3) * HOUR
    world.trail.chain(restart, 1)
    findings = world.verify()
    assert overall(findings) is Verdict.VALID
    (note,) = [each for each in findings if each.kind == NOTE]
    assert note.subject == f"{when(START + HOURS * HOUR)} to {when(restart)}"


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


def test_files_from_before_the_first_digest_are_only_told(world):
    world.trail.log(START - 30 * 60)
    world.trail.log(START - 90 * 60)
    findings = world.verify()
    assert overall(findings) is Verdict.VALID
    (note,) = [each for each in findings if each.kind == NOTE]
    assert note.reason == "2 log files before the first digest"


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


def test_accounts_regions_and_prefixes_are_told_apart(world):
    for other in (
        SignedBucket(world.bucket, SIGNER, account="444455556666"),
        SignedBucket(world.bucket, SIGNER, region="eu-west-1"),
        SignedBucket(world.bucket, SIGNER, prefix="deep/er/"),
        SignedBucket(world.bucket, SIGNER, trail="audit"),
    ):
        other.chain(START, 1)
        world.path(other.logs[0]).unlink()
    assert len(world.wrong()) == 4
    assert len(world.wrong(account=ACCOUNT)) == 3
    assert len(world.wrong(account=ACCOUNT, prefix="")) == 2
    assert len(world.wrong(account=ACCOUNT, prefix="", region="us-east-1")) == 1
    assert world.wrong(account=ACCOUNT, prefix="", region="us-east-1", trail=TRAIL) == []
    assert len(world.wrong(prefix="deep/er")) == 1


def test_only_what_was_asked_for_is_checked(world):
    world.path(world.trail.logs[0]).unlink()
    world.path(world.trail.logs[-1]).unlink()
    middle = {"start_s": START + 2 * HOUR, "end_s": START + 3 * HOUR}
    findings = world.verify(**middle)
    assert overall(findings) is Verdict.VALID
    assert [each.kind for each in findings].count("Digest file") == 2
    world.path(world.trail.digests[0]).unlink()
    assert world.wrong(**middle) == []


def test_a_copy_without_metadata_is_believed_up_to_its_newest_digest(world):
    shutil.rmtree(world.root / ".opentrail")
    wrong = world.wrong(with_metadata=False, bucket="")
    reason = "its signature is not in this copy, and no digest after it names it"
    assert wrong[0] == (name(world.trail.digests[-1]), "UNKNOWN", reason)
    assert {verdict for _, verdict, _ in wrong} == {"UNKNOWN"}
    findings = world.verify(with_metadata=False, bucket="", ends=[link_of_copy(world)])
    assert overall(findings) is Verdict.VALID


def link_of_copy(world):
    sha256 = world.trail.previous["sha256"]
    return Link(world.trail.digests[-1], sha256, world.trail.previous["signature"], "state")


def test_a_log_file_in_another_bucket(world, tmp_path):
    other = LocalDir(tmp_path / "old", "old-logs", SettableClock())
    file = SignedBucket(other, SIGNER).log(START + HOURS * HOUR + 60)
    begin = START + HOURS * HOUR
    world.trail.digest(begin, begin + HOUR, [file])
    assert world.wrong() == [(name(file["s3Object"]), "UNKNOWN", "is in another bucket")]
    assert world.wrong(elsewhere={"old-logs": other}) == []


def test_a_chain_that_comes_from_another_bucket(world, tmp_path):
    moved = SignedBucket(LocalDir(tmp_path / "new", "new-logs", SettableClock()), SIGNER)
    moved.previous = world.trail.previous
    begin = START + HOURS * HOUR
    key = moved.digest(begin, begin + HOUR)
    body = json.loads(gzip.decompress((tmp_path / "new" / key).read_bytes()))
    body["previousDigestS3Bucket"] = "logs"
    moved.put_digest(key, body)
    verifier = Verifier(moved.bucket, lambda _: None, RING, Asked(bucket="new-logs"))
    found = survey(moved.bucket, Asked(bucket="new-logs"))
    findings = list(verify(verifier, found, (), Asked(bucket="new-logs"), unlisted=LATER))
    assert [each.reason for each in findings] == ["", "the chain goes on there"]
    assert overall(findings) is Verdict.VALID


class Denied:
    """A bucket that lets itself be listed and not read."""

    def __init__(self, bucket):
        self.name = bucket.name
        self.list = bucket.list

    def get(self, key):
        raise ClientError("AccessDenied", f"no {key}", 403)


def test_what_may_not_be_read_cannot_be_told(world):
    world.bucket = Denied(world.bucket)
    reasons = {(verdict, why) for _, verdict, why in world.wrong()}
    assert reasons == {("UNKNOWN", "cannot be read: AccessDenied")}


@pytest.fixture(scope="module")
def shared_world(tmp_path_factory):
    return World(tmp_path_factory.mktemp("shared") / "logs")


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_any_changed_byte_of_any_content_shows(shared_world, data):
    world = shared_world
    key = data.draw(st.sampled_from([*world.trail.logs, *world.trail.digests]))
    before = world.path(key).read_bytes()
    content = bytearray(gzip.decompress(before))
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    world.rewrite(key, gzip.compress(bytes(content)))
    try:
        assert overall(world.verify(unlisted=None)) is Verdict.INVALID
    finally:
        world.rewrite(key, before)


def test_nothing_there_cannot_be_told():
    assert overall([]) is Verdict.UNKNOWN
    assert overall([Finding(NOTE, "x", Verdict.VALID)]) is Verdict.UNKNOWN


def test_one_invalid_outweighs_all():
    findings = [Finding("x", "y", verdict) for verdict in (*Verdict, Verdict.UNKNOWN)]
    assert overall(findings) is Verdict.INVALID


def test_a_key_ring_from_a_file():
    ring = read_key_ring(SIGNER.listed(), "keys.json")
    assert ring.keys == {SIGNER.fingerprint: SIGNER.der}
    assert not ring.complete
    for text in (b"", b"{}", b'{"PublicKeyList":[{"Value":"!"}]}', b"\xff"):
        with pytest.raises(UsageError, match=r"keys.json is not what aws cloudtrail"):
            read_key_ring(text, "keys.json")


def test_a_key_goes_by_its_own_fingerprint_and_not_by_the_one_that_is_said(world):
    lying = SIGNER.listed().replace(SIGNER.fingerprint.encode(), b"f" * 32)
    assert world.wrong(ring=read_key_ring(lying, "x")) == []


def test_a_key_that_is_none():
    ring = KeyRing.of([b"junk"], complete=True)
    (fingerprint,) = ring.keys
    verdict, reason = ring.verify(fingerprint, b"", "00")
    assert verdict is Verdict.UNKNOWN
    assert reason == f"Unable to load PKCS #1 key with fingerprint {fingerprint}"


def test_a_signature_that_is_not_hex():
    found = RING.verify(SIGNER.fingerprint, b"", "zz")
    assert found == (Verdict.INVALID, "signature verification failed")


@pytest.mark.parametrize("over", [0, 1])
def test_what_unpacks_to_more_than_a_digest_has(over):
    data = gzip.compress(bytes(DIGEST_BYTES_MAX + over), 1)
    if over:
        with pytest.raises(NotOneMember, match="unpacks to more than"):
            unpacked(data)
    else:
        assert len(unpacked(data)) == DIGEST_BYTES_MAX
    assert len(sha256_of(data)) == 64


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
    assert log_name("AWSLogs/x") is None
    assert digest_name(world.trail.digests[0].replace("T", "T9", 1)) is None
