# SPDX-License-Identifier: Apache-2.0
"""Verifying: what a signer could not have meant, keys out of their time, chains with holes."""

import gzip
import json
import shutil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.signed_bucket import ACCOUNT, HOUR, REGION, START, TRAIL, SignedBucket, when
from support.verified_world import HOURS, LATER, SIGNER, STRANGER, World, name, overall

from opentrail.objects.base import Put
from opentrail.verification.link import Link
from opentrail.verification.verdict import COVERED, KeyRing, KnownKey, Verdict

END = START + HOURS * HOUR


@pytest.fixture
def world(tmp_path):
    return World(tmp_path / "logs")


def body_of(world, key):
    return json.loads(gzip.decompress(world.path(key).read_bytes()))


def head_of(world):
    """Return what a receipt says of the newest digest."""
    newest = world.trail.previous
    assert newest is not None
    return Link(newest["key"], newest["sha256"], newest["signature"], "the receipt")


def signed_anew(world, number, **changes):
    """Sign one of the newest digests again, with other content."""
    key = world.trail.digests[number]
    world.trail.put_digest(key, body_of(world, key) | changes)


def reasons(world, **options):
    return [(verdict, reason) for _, verdict, reason in world.wrong(**options)]


@pytest.mark.parametrize(
    ("start", "end", "valid"),
    [
        (0, END, True),
        (0, END - 1, False),
        (END + 2 * HOUR, END + 9 * HOUR, True),
        (END + 2 * HOUR + 1, END + 9 * HOUR, False),
    ],
)
def test_a_key_must_have_been_valid_when_it_signed(world, start, end, valid):
    ring = KeyRing.of([KnownKey(SIGNER.der, start, end)], complete=True)
    asked = {"start_s": END, "unlisted": None}
    reason = f"its key was not valid then: fingerprint {SIGNER.fingerprint}"
    assert reasons(world, ring=ring, **asked) == ([] if valid else [("INVALID", reason)])


@pytest.mark.parametrize("algorithm", ["SHA1withRSA", "", None])
def test_another_algorithm_in_the_metadata(world, algorithm):
    newest = world.trail.digests[-1]
    head, data = world.bucket.get(newest)
    metadata = {**head.metadata, "signature-algorithm": algorithm}
    kept = {each: value for each, value in metadata.items() if value is not None}
    world.bucket.put(newest, data, Put(metadata=kept))
    ((verdict, reason),) = reasons(world, unlisted=None)
    assert verdict == "INVALID"
    assert reason.startswith("signature ")


@pytest.mark.parametrize("odd", ["{} ", " {}", "\t{}", "0x{}", "{}\n", "{}é", "{}0", ""])
def test_a_signature_that_others_cannot_read(world, odd):
    key = world.trail.digests[-1]
    kept = dict(world.bucket.head(key).metadata)
    data = world.path(key).read_bytes()
    metadata = kept | {"signature": odd.format(kept["signature"])}
    world.bucket.put(key, data, Put(metadata=metadata))
    assert reasons(world, unlisted=None)[0] == ("INVALID", "signature verification failed")


def test_another_algorithm_that_the_digest_itself_names(world):
    signed_anew(world, -1, digestSignatureAlgorithm="SHA1withRSA")
    reason = "signature algorithm is not SHA256withRSA"
    assert reasons(world, unlisted=None) == [("INVALID", reason)]


def test_a_log_file_with_another_hash_algorithm(world):
    (file, other) = body_of(world, world.trail.digests[-1])["logFiles"]
    signed_anew(world, -1, logFiles=[file | {"hashAlgorithm": "MD5"}, other])
    assert reasons(world) == [("INVALID", "hash algorithm MD5 is not known")]


def test_a_log_file_that_is_listed_twice(world):
    files = body_of(world, world.trail.digests[-1])["logFiles"]
    world.trail.digest(END, END + HOUR, [files[0], world.trail.log(END + 60)])
    assert world.wrong() == [(name(files[0]["s3Object"]), "INVALID", "is listed twice")]


def test_a_log_file_of_another_account(world):
    other = SignedBucket(world.bucket, SIGNER, account="444455556666")
    world.trail.digest(END, END + HOUR, [other.log(END + 60)])
    reason = "is not one of its digest's account and region"
    assert ("UNKNOWN", reason) in reasons(world, account=ACCOUNT)


@pytest.mark.parametrize(
    "changes",
    [
        {"awsAccountId": "444455556666"},
        {"digestEndTime": when(END - 1)},
        {"digestStartTime": when(END)},
    ],
)
def test_a_digest_that_is_not_what_its_name_says(world, changes):
    signed_anew(world, -1, **changes)
    reason = "its account or time is not that of its name"
    assert reasons(world, unlisted=None) == [("INVALID", reason)]


@pytest.mark.parametrize(
    "field",
    ["S3Bucket", "S3Object", "HashValue", "HashAlgorithm", "Signature"],
)
def test_a_digest_that_names_half_of_one_before_it(world, field):
    signed_anew(world, -1, **{f"previousDigest{field}": None})
    assert reasons(world, unlisted=None)[0] == ("INVALID", "invalid format")


@pytest.mark.parametrize("shift", [60, -60])
def test_two_windows_that_do_not_join(world, shift):
    world.trail.digest(END + shift, END + HOUR)
    reason = "two digests that follow one another do not join there"
    ((_, verdict, why),) = world.wrong(unlisted=None)
    assert (verdict, why) == ("UNKNOWN", reason)


@pytest.mark.parametrize(("missing", "count"), [([2], "1 window"), ([2, 3], "2 windows")])
def test_a_hole_is_as_long_as_the_digests_that_are_missing(world, missing, count):
    for number in missing:
        world.path(world.trail.digests[number]).unlink()
    newest = world.trail.digests[max(missing)]
    span = f"{when(START + HOUR)} to {when(START + max(missing) * HOUR)}"
    assert world.wrong(unlisted=None) == [
        (name(newest), "INVALID", "not found"),
        (span, "INVALID", f"no valid digest, and {count} should be there"),
    ]


def test_a_digest_past_which_the_chain_goes(world):
    second = body_of(world, world.trail.digests[2])
    key = world.trail.digests[3]
    world.trail.previous = None
    world.trail.put_digest(key, body_of(world, key) | named_by(second))
    world.path(world.trail.digests[4]).unlink()  # it knows better
    reason = "the digest after it names an earlier one"
    wrong = world.wrong(unlisted=None, end_s=START + 3 * HOUR)
    assert (name(world.trail.digests[2]), "UNKNOWN", reason) in wrong


def named_by(body):
    """What names the same digest as ``body`` does."""
    return {each: value for each, value in body.items() if each.startswith("previousDigest")}


def test_the_whole_chain_of_a_region_deleted(world):
    other = SignedBucket(world.bucket, SIGNER, region="eu-west-1")
    other.chain(START, 2)
    assert reasons(world) == []
    for key in other.digests:
        world.path(key).unlink()
    lost = (f"{ACCOUNT} eu-west-1", "UNKNOWN", "4 log files and no valid digest")
    assert world.wrong() == [lost]
    assert world.wrong(trail=TRAIL) == [lost]
    assert reasons(world, unlisted=None) == []


@pytest.mark.parametrize(
    ("asked", "now", "told"),
    [(1, 99, True), (0.9, 99, True), (9, 3, True), (9, 2.9, False), (2.9, 2.9, False)],
)
def test_digests_must_reach_to_the_end_that_was_asked_for(world, asked, now, told):
    """Hours behind the last digest: asked for, and as of which it is asked."""
    end, as_of = (END + int(hours * HOUR) for hours in (asked, now))
    reason = "no digests: the trail did not log then, or they were deleted"
    span = f"{when(END)} to {when(min(end, as_of))}"
    expected = [(span, "UNKNOWN", reason)] if told else []
    assert world.wrong(end_s=end, unlisted=as_of) == expected
    vouched = {"until_s": end, "ends": [head_of(world)]}
    assert world.wrong(end_s=end, unlisted=as_of, **vouched) == []
    assert world.wrong(end_s=end, unlisted=as_of, until_s=end) == expected


def test_the_digest_behind_the_time_asked_for_says_what_is_the_newest_of_it(world):
    end = START + 2 * HOUR
    assert world.wrong(end_s=end) == []
    gone = world.trail.digests[2]
    world.path(gone).unlink()
    assert (name(gone), "INVALID", "not found") in world.wrong(end_s=end)


MIDST = START + 2 * HOUR + 2000
"""In the midst of the third hour, whose digest ends behind it; the AWS CLI looks at that, too."""


def test_what_was_delivered_until_the_end_of_the_time_is_in_the_digest_that_is_about_it(world):
    found = [each.kind for each in world.verify(end_s=MIDST)]
    assert (found.count("Digest file"), found.count("Log file")) == (4, 6)
    world.path(world.trail.logs[4]).unlink()  # of ten minutes past
    world.path(world.trail.logs[6]).unlink()  # an hour later: nobody asked
    assert world.wrong(end_s=MIDST) == [(name(world.trail.logs[4]), "INVALID", "not found")]
    assert reasons(world, start_s=MIDST - HOUR, end_s=MIDST) == [("INVALID", "not found")]


def test_harm_to_the_hour_in_which_the_time_ends(world):
    key = world.trail.digests[3]
    world.trail.log(START + 2 * HOUR + 900)
    assert reasons(world, end_s=MIDST) == [("INVALID", "is in no digest")]
    world.path(key).write_bytes(b"x")
    assert (name(key), "INVALID", "invalid format") in world.wrong(end_s=MIDST)
    world.path(key).unlink()
    assert (name(key), "INVALID", "not found") in world.wrong(end_s=MIDST)


def test_a_receipt_vouches_for_no_time_of_which_its_digests_are_gone(world):
    """It was made later than the time that is asked for ends, and names a digest behind that."""
    head = {"ends": [head_of(world)], "until_s": END + HOUR}
    for key in (*world.trail.digests[2:], *world.trail.logs[2:]):
        world.path(key).unlink()
    gone = "no digests: the trail did not log then, or they were deleted"
    span = f"{when(START + HOUR)} to {when(MIDST)}"
    assert world.wrong(end_s=MIDST, **head) == [(span, "UNKNOWN", gone)]
    SignedBucket(world.bucket, SIGNER, region="eu-west-1").chain(START, HOURS)
    for key in (*world.trail.digests[:2], *world.trail.logs[:2]):
        world.path(key).unlink()
    assert world.wrong(end_s=MIDST, **head)[-1][1:] == ("UNKNOWN", gone)


def test_a_file_that_came_late_is_looked_at(world):
    """It was delivered in the time asked for, and is in the digest after it."""
    late = world.trail.log(END - 120)
    world.trail.digest(END, END + HOUR, [late, world.trail.log(END + 600)])
    assert world.wrong(end_s=END) == []
    world.rewrite(world.trail.logs[-1], b"x")
    assert world.wrong(end_s=END) == []
    world.rewrite(late["s3Object"], gzip.compress(b"{}"))
    assert world.wrong(end_s=END) == [
        (name(late["s3Object"]), "INVALID", "hash value doesn't match")
    ]


def test_no_digest_at_all_in_the_time_that_was_asked_for(world):
    other = SignedBucket(world.bucket, SIGNER, region="eu-west-1")
    other.chain(START, 2)
    asked = {"start_s": START + 3 * HOUR, "end_s": END}
    assert reasons(world, **asked) == [
        ("UNKNOWN", "no digests: the trail did not log then, or they were deleted")
    ]
    assert reasons(world, region=REGION, **asked) == []


def test_a_forged_digest_of_another_trail_hides_no_forged_file(world):
    ring = KeyRing.of([KnownKey(SIGNER.der)], complete=False)
    forger = SignedBucket(world.bucket, STRANGER, trail="theirs")
    begin = START + 2 * HOUR
    forger.digest(begin, begin + HOUR, [forger.log(begin + 900)])
    assert ("INVALID", "is in no digest") in reasons(world, ring=ring, trail=TRAIL)


def test_what_valid_digests_cover_is_told(world):
    (found,) = [each for each in world.verify() if each.kind == COVERED]
    assert found.subject == f"{when(START - HOUR)} to {when(END)}"
    assert found.reason == f"{TRAIL} {ACCOUNT} {REGION} in s3://logs"


def test_an_older_state_of_the_whole_bucket(world):
    """The bucket as it was two hours ago: nothing in it is wrong but that it is old."""
    head = head_of(world)
    for key in [*world.trail.digests[-2:], *world.trail.logs[-4:]]:
        world.path(key).unlink()
    assert reasons(world) == []
    assert reasons(world, ends=[head]) == [("INVALID", "not found")]


def backfill(world, **metadata):
    """Put a backfill digest of the time after the last digest; return its key."""
    key = world.trail.digests[-1].replace(".json", "_backfill.json")
    body = body_of(world, world.trail.digests[-1])
    nothing = {each: None for each in body if each.startswith("previousDigest")}
    world.trail.put_digest(key, body | nothing | {"digestS3Object": key})
    head, data = world.bucket.get(key)
    world.bucket.put(key, data, Put(metadata={**head.metadata, **metadata}))
    return key


GENERATED = "backfill-generation-timestamp"


def test_a_backfill_digest(world):
    made = END + 50 * HOUR
    key = backfill(world, **{GENERATED: when(made)})
    late = KeyRing.of([KnownKey(SIGNER.der, made - 60, made + 60)], complete=True)
    (found,) = [each for each in world.verify(ring=late) if each.kind == "Backfill digest file"]
    assert (found.verdict, name(found.subject)) == (Verdict.VALID, name(key))
    assert reasons(world) == []


def test_a_backfill_digest_that_does_not_say_when_it_was_made(world):
    backfill(world)
    assert reasons(world) == [("INVALID", f"has no {GENERATED}")]


ATTACKS = ("delete", "swap", "append", "replay", "move", "truncate", "copy")


def attacked(world, kind, key, other):
    """Harm the bucket; return whether anything is different."""
    path, second = world.path(key), world.path(other)
    before = path.read_bytes()
    if kind == "delete":
        path.unlink()
        return True
    if kind in ("swap", "replay", "copy"):
        path.write_bytes(second.read_bytes() if second.exists() else b"")
    elif kind == "append":
        path.write_bytes(before + gzip.compress(b"{}"))
    elif kind == "move":
        path.rename(path.with_name(path.name.replace("Z", "Z0", 1)))
        return True
    else:
        path.write_bytes(before[:-1])
    return path.read_bytes() != before


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_no_attack_on_any_files_leaves_a_bucket_valid(tmp_path_factory, data):
    world = World(tmp_path_factory.mktemp("attacked") / "logs", 2)
    head = head_of(world)
    assert overall(world.verify(ends=[head])) is Verdict.VALID
    keys = [*world.trail.logs, *world.trail.digests]
    chosen = data.draw(st.lists(st.sampled_from(keys), min_size=1, unique=True))
    changed = False
    for key in chosen:
        kind, other = data.draw(st.sampled_from(ATTACKS)), data.draw(st.sampled_from(keys))
        changed |= attacked(world, kind, key, other)
    verdict = overall(world.verify(ends=[head], unlisted=LATER))
    assert (verdict is Verdict.VALID) is not changed


def continued(world, signer):
    """Go on with the chain for two hours, by another key."""
    world.trail.signer = signer
    for begin in (END, END + HOUR):
        world.trail.digest(begin, begin + HOUR, [world.trail.log(begin + 600)])


def test_a_digest_that_a_valid_one_names_needs_no_key_of_its_own(world):
    """Who has only the newest key of a trail still has all of its chain."""
    continued(world, STRANGER)
    newest = KeyRing.of([KnownKey(STRANGER.der)], complete=False)
    assert reasons(world, ring=newest) == []
    assert ("UNKNOWN", f"public key not found for fingerprint {STRANGER.fingerprint}") in reasons(
        world, ring=KeyRing.of([KnownKey(SIGNER.der)], complete=False)
    )


def test_a_digest_that_a_valid_one_names_is_no_better_for_it(world):
    """Of a server whose keys are all known no other has signed, and none out of its time."""
    continued(world, STRANGER)
    count = len(world.trail.digests) - 2
    newest = KeyRing.of([KnownKey(STRANGER.der)], complete=True)
    unknown = ("INVALID", f"public key not found for fingerprint {SIGNER.fingerprint}")
    assert reasons(world, ring=newest).count(unknown) == count
    keys = [KnownKey(STRANGER.der), KnownKey(SIGNER.der, 0, START - 2 * HOUR)]
    late = ("INVALID", f"its key was not valid then: fingerprint {SIGNER.fingerprint}")
    assert reasons(world, ring=KeyRing.of(keys, complete=True)).count(late) == count


@pytest.mark.parametrize("named", ["AWSLogs/notes.txt", "x"])
def test_a_digest_that_names_no_digest_before_it(world, named):
    """The AWS CLI looks for what is named, and does not find it."""
    signed_anew(world, -1, previousDigestS3Object=named)
    assert ("INVALID", "invalid format") in reasons(world)


def test_digests_of_a_copy_are_checked_by_the_signatures_that_others_have_of_them(world):
    shutil.rmtree(world.root / ".opentrail")  # as a copy that keeps no metadata
    asked = {"ends": [head_of(world)], "with_metadata": False}
    assert reasons(world, **asked) == []
    late = KeyRing.of([KnownKey(SIGNER.der, END + HOUR + 1, LATER)], complete=True)
    reason = f"its key was not valid then: fingerprint {SIGNER.fingerprint}"
    assert ("INVALID", reason) in reasons(world, ring=late, **asked)
