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
from support.signed_bucket import ACCOUNT, HOUR, START, TRAIL, SignedBucket, when
from support.verified_world import HOURS, SIGNER, STRANGER, World, name, overall

from opentrail.errors import ClientError
from opentrail.objects.base import Put
from opentrail.objects.localdir import LocalDir
from opentrail.objects.readdir import ReadDir
from opentrail.verification.link import Link
from opentrail.verification.verdict import NOTE, Finding, KeyRing, KnownKey, Verdict


@pytest.fixture
def world(tmp_path):
    return World(tmp_path / "logs")


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
            gzip.compress(b'{"Records":[{"hidden":1}]}', mtime=0),
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


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"\x1f\x8b\x08", gzip.compress(b"x" * 999, mtime=0)[:-9]]
)
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
    open_ring = KeyRing.of([KnownKey(SIGNER.der)], complete=False)
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
    assert world.wrong(ends=[end]) == [
        (name(world.trail.digests[-1]), "INVALID", "not found"),
        (f"{ACCOUNT} us-east-1", "UNKNOWN", "8 log files and no valid digest"),
    ]


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
    lasts = [world.trail.previous]
    world.trail.chain(restart, 1)
    lasts.append(world.trail.previous)
    ends = [Link(each["key"], each["sha256"], each["signature"], "the receipt") for each in lasts]
    findings = world.verify(until_s=restart, ends=ends)
    assert overall(findings) is Verdict.VALID
    (note,) = [each for each in findings if each.kind == NOTE]
    assert note.subject == f"{when(START + HOURS * HOUR)} to {when(restart)}"
    assert overall(world.verify()) is Verdict.UNKNOWN


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
    elsewhere = {"old-logs": ReadDir(other.path, "old-logs")}
    assert world.wrong(elsewhere=elsewhere) == []
    world.bucket.put(file["s3Object"], b"forged", Put())  # under the same key, and nobody's
    wrong = world.wrong(elsewhere=elsewhere)
    assert wrong == [(name(file["s3Object"]), "INVALID", "is in no digest")]


def test_a_chain_that_comes_from_another_bucket(world, tmp_path):
    moved = SignedBucket(LocalDir(tmp_path / "new", "new-logs", SettableClock()), SIGNER)
    moved.previous = world.trail.previous
    begin = START + HOURS * HOUR
    key = moved.digest(begin, begin + HOUR)
    body = json.loads(gzip.decompress((tmp_path / "new" / key).read_bytes()))
    body["previousDigestS3Bucket"] = "logs"
    moved.put_digest(key, body)
    world.source = ReadDir(tmp_path / "new", "new-logs")
    findings = world.verify(bucket="new-logs")
    assert [each.reason for each in findings[:-1]] == ["", "the chain goes on there"]
    assert overall(findings) is Verdict.VALID


class Denied:
    """A bucket that lets itself be listed and not read."""

    def __init__(self, bucket):
        self.name = bucket.name
        self.keys = bucket.keys

    def read(self, key):
        raise ClientError("AccessDenied", f"no {key}", 403)


def test_what_may_not_be_read_cannot_be_told(world):
    world.source = Denied(ReadDir(world.root, "logs"))
    reasons = {(verdict, why) for _, verdict, why in world.wrong(unlisted=None)}
    assert reasons == {("UNKNOWN", "cannot be read: AccessDenied")}
    assert {verdict for _, verdict, _ in world.wrong()} == {"UNKNOWN"}


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
