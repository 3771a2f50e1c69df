# SPDX-License-Identifier: Apache-2.0
"""Verifying: no "valid" for what nothing shows, no "INVALID" for what may be so."""

import gzip
import json
import os
import shutil
from dataclasses import replace

import msgspec
import pytest
from click.testing import CliRunner
from support.signed_bucket import ACCOUNT, HOUR, REGION, START, TRAIL, SignedBucket, when
from support.verified_world import HOURS, LATER, SIGNER, STRANGER, World, name, overall

from opentrail.cli.main import cli
from opentrail.errors import UsageError
from opentrail.objects.base import Put
from opentrail.objects.readdir import ReadDir
from opentrail.trails.keys import PublicKey, SigningKey
from opentrail.verification.chain import NO_DIGESTS
from opentrail.verification.link import Link
from opentrail.verification.receipt import VERSION, Head, Payload, sign
from opentrail.verification.survey import STRAYS_MAX
from opentrail.verification.uncovered import NOT_OURS, Known
from opentrail.verification.verdict import NOTE, Verdict

END = START + HOURS * HOUR
OTHERS = "444455556666"
FORGED = f"{ACCOUNT}_CloudTrail_us-east-1_20231114T2210Z_A.json.gz"
THEIRS = f"{OTHERS}_CloudTrail_us-east-1_20231114T2210Z_A.json.gz"
"""How log files are named."""
MISNAMED = "is not named as log files are"
ARN = f"arn:aws:cloudtrail:{REGION}:{ACCOUNT}:trail/{TRAIL}"


@pytest.fixture
def world(tmp_path):
    return World(tmp_path / "logs")


def body_of(world, key):
    return json.loads(gzip.decompress(world.path(key).read_bytes()))


def notes(world, **options):
    return [(each.subject, each.reason) for each in world.verify(**options) if each.kind == NOTE]


@pytest.mark.parametrize(
    "place",
    [
        "CloudTrail/x.json.gz",
        f"CloudTrail/US-EAST-1/2023/11/14/{ACCOUNT}_CloudTrail_us-east-1_20231114T2210Z_A.json.gz",
        "CloudTrail/us_east_1/x",
        "CloudTrail-Insight/x",
        "CloudTrail/us-east-1/2023/11/14/X.JSON.GZ",
        "CloudTrail/us-east-1/x",
        "CloudTrail/us-east-10",
        f"CloudTrail/eu-west-1/2023/AWSLogs/{OTHERS}/CloudTrail/us-east-1/2023/{THEIRS}",
        f"CloudTrail-Digest/us-east-1/2023/11/14/{FORGED}",
        f"CloudTrail2/us-east-1/2023/11/14/{FORGED}",
        FORGED,
        f"../{FORGED}",
        f"../o-UPPER/{ACCOUNT}/CloudTrail/us-east-1/2023/11/14/{FORGED}",
    ],
)
def test_what_readers_of_log_files_would_find_is_told_wherever_it_lies(world, place):
    key = os.path.normpath(f"AWSLogs/{ACCOUNT}/{place}")
    world.bucket.put(key, b"x", Put())
    found = [(name(place), "INVALID", MISNAMED)]
    asked = {"account": ACCOUNT, "prefix": "", "trail": TRAIL, "home_region": REGION}
    assert world.wrong(**asked) == found
    if OTHERS not in place:
        assert world.wrong() == found
        assert world.wrong(account="777788889999") == (found if place.startswith("..") else [])
    assert world.wrong(unlisted=None) == []


def test_what_is_none_of_theirs_is_not_told(world):
    for key in (
        f"AWSLogs/{ACCOUNT}/Config/x",
        f"AWSLogs/{ACCOUNT}/x",
        "x",
        "AWSLogs/1/CloudTrail/x",
        FORGED,
        f"backup/{FORGED}",
    ):
        world.bucket.put(key, b"x", Put())
    assert world.wrong() == []


def test_so_many_are_told(world, monkeypatch):
    assert STRAYS_MAX == 10_000
    monkeypatch.setattr("opentrail.verification.survey.STRAYS_MAX", 3)
    for number in range(5):
        world.bucket.put(f"AWSLogs/{ACCOUNT}/CloudTrail/{number}.json", b"x", Put())
    assert len(world.wrong()) == 3


KNOWN = Known(END, END + 20 * 60, alone=True, trails=frozenset({(TRAIL, REGION)}))
NOW = END + 30 * 60


def doubted(world, second, region=REGION, **state):
    """Return what is said of a file that was put there at ``second``, half an hour after the chain."""
    forged = SignedBucket(world.bucket, STRANGER, region=region)
    number = hash(forged.log(second)["s3Object"])
    if state.pop("waits", False):
        state["others"] = frozenset({number})
    return [(verdict, reason) for _, verdict, reason in world.wrong(unlisted=NOW, **state)]


def test_a_new_file_that_the_servers_trails_did_not_deliver_is_in_doubt_at_once(world):
    assert doubted(world, END + 600) == []
    assert doubted(world, END + 600, known=KNOWN, waits=True) == []
    assert doubted(world, END + 600, known=KNOWN) == [("UNKNOWN", NOT_OURS)]


@pytest.mark.parametrize(
    ("second", "known", "told"),
    [
        (END + 19 * 60, KNOWN, True),
        (END + 20 * 60, KNOWN, False),
        (END - 900, KNOWN, True),
        (END - 900, replace(KNOWN, alone=False), False),
        (END + 600, replace(KNOWN, since_s=END + 660), False),
        (END + 600, replace(KNOWN, trails=frozenset()), False),
    ],
    ids=["last", "later", "closed", "not alone", "before", "others"],
)
def test_when_all_that_was_delivered_is_known(world, second, known, told):
    assert doubted(world, second, known=known) == ([("UNKNOWN", NOT_OURS)] if told else [])


def test_a_new_file_in_a_region_that_has_no_digests_is_in_doubt_too(world):
    assert doubted(world, END + 600, "eu-west-1", known=KNOWN, waits=True) == []
    told = ("UNKNOWN", "1 log file and no valid digest")
    assert doubted(world, END + 600, "eu-west-1", known=KNOWN) == [told]


class Marked:
    """A bucket with an object whose key ends as a folder's does."""

    def __init__(self, inner, key, content):
        self._inner, self._key, self._content = inner, key, content
        self.name = inner.name

    def read(self, key):
        return self._inner.read(key)

    def data(self, key):
        return self._content if key == self._key else self._inner.data(key)

    def keys(self, prefix, after=""):
        found = [*self._inner.keys(prefix, after), self._key]
        return iter(sorted(key for key in found if key.startswith(prefix) and key > after))

    def close(self):
        """Nothing is held."""


@pytest.mark.parametrize(("content", "told"), [(b"", False), (b"x", True)])
def test_an_object_that_is_named_like_a_folder_is_one_only_if_it_is_empty(world, content, told):
    key = f"AWSLogs/{ACCOUNT}/CloudTrail/us-east-1/2023/11/14/x.json.gz/"
    world.source = Marked(ReadDir(world.root, "logs"), key, content)
    assert [each[1:] for each in world.wrong()] == ([("INVALID", MISNAMED)] if told else [])


@pytest.mark.parametrize("region", ["us-east-1", "eu-west-1"])
@pytest.mark.parametrize("first", ["2023/", "!/"])
def test_an_empty_object_that_is_named_like_a_folder_hides_no_files(world, region, first):
    """S3's console makes such objects; listed first, they are the first thing seen of a region."""
    SignedBucket(world.bucket, STRANGER, region=region).log(START + HOUR + 900)
    marker = f"AWSLogs/{ACCOUNT}/CloudTrail/{region}/{first}"
    world.source = Marked(ReadDir(world.root, "logs"), marker, b"")
    told = "is in no digest" if region == REGION else "1 log file and no valid digest"
    assert [each[2] for each in world.wrong()] == [told]


def test_keys_behind_all_others_of_a_folder_end_no_listing(world):
    """What is passed over ends with the last character that there is."""
    key = f"AWSLogs/{ACCOUNT}/CloudTrail/us-east-1/\U0010ffff"
    for last in ("\U0010ffff", "\U0010ffffx"):
        world.bucket.put(key.replace("\U0010ffff", last), b"x", Put())
    SignedBucket(world.bucket, STRANGER, region="us-west-2").log(START + HOUR)
    assert [each[2] for each in world.wrong()] == [
        MISNAMED, MISNAMED, "1 log file and no valid digest",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("ahead_s", "told"),
    [(-2 * HOUR - 60, "digest"), (0, "note"), (2 * HOUR, "note"), (2 * HOUR + 60, "early")],
)
def test_a_file_of_a_time_that_has_not_come(world, ahead_s, told):
    now = END + 3 * HOUR
    world.trail.log(now + ahead_s)
    wrong = [each[1:] for each in world.wrong(unlisted=now)]
    reasons = {
        "digest": [
            ("UNKNOWN", "1 log file in no digest: there were none then, or they were deleted")
        ],
        "note": [],
        "early": [
            (
                "UNKNOWN",
                "1 log file of a time that has not come: a clock is wrong, or no trail put them there",
            )
        ],
    }
    assert wrong == reasons[told]
    waiting = [(when(now), "1 log file in no digest yet")]
    assert notes(world, unlisted=now) == (waiting if told == "note" else [])


def test_forged_files_of_the_future_where_there_are_no_digests(world):
    SignedBucket(world.bucket, SIGNER, region="eu-west-1").log(LATER + 9999 * HOUR)
    assert world.wrong() == [(f"{ACCOUNT} eu-west-1", "UNKNOWN", "1 log file and no valid digest")]


def ended_and_begun_anew(world):
    """Let the trail stop, and log again three hours later; return what a receipt says of both."""
    heads = [head_of(world)]
    world.trail.chain(END + 3 * HOUR, 1)
    return [*heads, head_of(world)]


def head_of(world):
    newest = world.trail.previous
    return Link(newest["key"], newest["sha256"], newest["signature"], "the receipt")


def test_a_time_between_two_chains_is_vouched_for_or_in_doubt(world):
    heads = ended_and_begun_anew(world)
    span = f"{when(END)} to {when(END + 3 * HOUR)}"
    assert world.wrong() == [(span, "UNKNOWN", NO_DIGESTS)]
    until = {"ends": heads, "until_s": END + 4 * HOUR}
    assert world.wrong(**until) == []
    assert notes(world, **until) == [(span, "no digests: a new chain begins")]
    part = f"{when(END + HOUR)} to {when(END + 3 * HOUR)}"
    assert world.wrong(ends=heads, until_s=END + HOUR) == [(part, "UNKNOWN", NO_DIGESTS)]


def test_the_end_of_a_chain_that_ended_deleted(world):
    heads = ended_and_begun_anew(world)
    gone = world.trail.digests[HOURS]
    for key in (gone, *world.trail.logs[2 * HOURS - 2 : 2 * HOURS]):
        world.path(key).unlink()
    assert overall(world.verify()) is Verdict.UNKNOWN
    wrong = world.wrong(ends=heads, until_s=END + 4 * HOUR)
    assert wrong == [(name(gone), "INVALID", "not found")]


def test_who_knows_one_trail_vouches_for_no_other(world):
    other = SignedBucket(world.bucket, SIGNER, trail="second")
    other.chain(START, HOURS)
    asked = {"end_s": END + 5 * HOUR, "ends": [head_of(world)], "until_s": END + 5 * HOUR}
    assert world.wrong(trail=TRAIL, **asked) == []
    assert [each[1:] for each in world.wrong(**asked)] == [("UNKNOWN", NO_DIGESTS)]


def test_who_knows_a_trail_of_one_account_vouches_for_none_of_another(world):
    other = SignedBucket(world.bucket, SIGNER, account="444455556666")
    other.chain(START, HOURS)
    asked = {"end_s": END + 5 * HOUR, "ends": [head_of(world)], "until_s": END + 5 * HOUR}
    assert world.wrong(account=ACCOUNT, **asked) == []
    assert [each[1:] for each in world.wrong(**asked)] == [("UNKNOWN", NO_DIGESTS)]


def backfilled(world, start, end, files):
    """Put a backfill digest of a time."""
    world.trail.previous = None
    key = world.trail.digest(start, end, files)
    late = key.replace(".json", "_backfill.json")
    body = body_of(world, key) | {"digestS3Object": late}
    world.path(world.trail.digests.pop()).unlink()
    world.trail.put_digest(late, body)
    head, data = world.bucket.get(late)
    made = {"backfill-generation-timestamp": when(end + 9 * HOUR)}
    world.bucket.put(late, data, Put(metadata={**head.metadata, **made}))


@pytest.mark.parametrize("whole", [True, False])
def test_a_backfill_digest_fills_a_hole(world, whole):
    last = world.trail.previous
    backfilled(world, END, END + HOUR, [world.trail.log(END + 600)])
    world.trail.previous = last
    world.trail.digest(END + (1 if whole else 2) * HOUR, END + 3 * HOUR)
    span = f"{when(END)} to {when(END + 2 * HOUR)}"
    reason = "two digests that follow one another do not join there"
    assert world.wrong() == ([] if whole else [(span, "UNKNOWN", reason)])
    assert bool(notes(world)) is whole
    assert world.wrong(trail=TRAIL, end_s=END + 3 * HOUR) == world.wrong()


def test_a_file_that_came_late_is_in_the_digest_after_the_time_asked_for(world):
    late = world.trail.log(END - 120)
    world.trail.digest(END, END + HOUR, [late])
    assert world.wrong(end_s=END) == []
    world.path(world.trail.digests[-1]).unlink()
    assert world.wrong(end_s=END) == [(name(late["s3Object"]), "INVALID", "is in no digest")]


def run(*arguments):
    result = CliRunner().invoke(cli, ["verify", *map(str, arguments)])
    if isinstance(result.exception, UsageError):
        raise result.exception
    return result.exit_code, result.stdout


@pytest.fixture
def keys(tmp_path):
    (tmp_path / "keys.json").write_bytes(SIGNER.listed())
    return "--public-keys", tmp_path / "keys.json", "--data", tmp_path / "none"


def test_a_copy_without_metadata_is_valid_but_for_its_newest_digest(world, keys, tmp_path):
    """Each digest has the signature of the one before it: that proves itself."""
    copy = tmp_path / "copy"
    shutil.copytree(world.root / "AWSLogs", copy / "AWSLogs")
    for original in ((), ("--original", "s3://logs")):
        code, output = run(copy, *keys, *original)
        assert code == 2
        assert "4/5 digest files valid, 1/5 digest files cannot tell" in output
        assert "6/8 log files valid, 2/8 log files cannot tell" in output
    newest = copy / world.trail.digests[-1]
    body = json.loads(gzip.decompress(newest.read_bytes()))
    newest.write_bytes(gzip.compress(json.dumps(body | {"previousDigestSignature": "00"}).encode()))
    code, output = run(copy, *keys)
    assert code == 2
    assert "3/5 digest files valid, 2/5 digest files cannot tell" in output
    (copy / world.trail.digests[1]).write_bytes(b"x")
    assert run(copy, *keys)[0] == 1


def test_a_copy_of_two_buckets_says_not_which(world, keys, tmp_path):
    copy = tmp_path / "copy"
    other = World(tmp_path / "other")
    other.bucket.name = "other"
    trail = SignedBucket(other.bucket, SIGNER, region="eu-west-1")
    trail.chain(START, 1)
    for root in (world.root, other.root):
        shutil.copytree(root / "AWSLogs", copy / "AWSLogs", dirs_exist_ok=True)
    code, output = run(copy, *keys)
    assert code == 2
    assert "INVALID" not in output


def receipt_of(*heads, signer=SIGNER, arn=ARN):
    """Return a receipt as a file's text."""
    payload = Payload(version=VERSION, log_id="", trail_arn=arn, made_time=when(END), heads=heads)
    public = PublicKey(signer.der, 0, 0, signer.fingerprint)
    return msgspec.json.encode(sign(payload, SigningKey(1, public, signer.private)))


def head(world, **changes):
    newest = world.trail.previous
    whole = {
        "account": ACCOUNT, "region": REGION, "chain": 1, "digest_s3_bucket": "logs",
        "digest_s3_object": newest["key"], "digest_end_time": when(END),
        "digest_hash_value": newest["sha256"], "digest_signature": newest["signature"],
        "digests": 5, "log_files": 8, "records": 8,
    }  # fmt: skip
    return Head(**whole | changes)


@pytest.mark.parametrize("heads", ["none", "another"])
def test_a_receipt_that_says_nothing_of_a_bucket_is_no_proof(world, keys, tmp_path, heads):
    file = tmp_path / "receipt.json"
    told = () if heads == "none" else (head(world, digest_s3_bucket="others"),)
    file.write_bytes(receipt_of(*told))
    code, output = run(world.root, *keys, "--receipt", file)
    assert (code, "names no digest in this bucket" in output) == (2, True)
    file.write_bytes(receipt_of(head(world)))
    assert run(world.root, *keys, "--receipt", file)[0] == 0


def test_a_receipt_that_nobody_vouches_for_is_not_believed(world, keys, tmp_path):
    """Its digests are neither valid by it nor missing."""
    file = tmp_path / "receipt.json"
    lie = head(world, digest_s3_object=world.trail.digests[-1].replace("T02", "T05"))
    file.write_bytes(receipt_of(lie, signer=STRANGER))
    code, output = run(world.root, *keys, "--receipt", file)
    assert (code, "5/5 digest files valid" in output, "INVALID" in output) == (2, True, False)
    stranger = SignedBucket(world.bucket, STRANGER)
    stranger.chain(START, HOURS)
    world.trail.previous = stranger.previous
    file.write_bytes(receipt_of(head(world), signer=STRANGER))
    code, output = run(world.root, *keys, "--receipt", file)
    assert (code, "5/5 digest files cannot tell" in output) == (2, True)


@pytest.mark.parametrize("arn", ["", "x", "arn:aws:cloudtrail::trail/x", ARN + "/y"])
def test_a_receipt_names_a_trail(world, keys, tmp_path, arn):
    file = tmp_path / "receipt.json"
    file.write_bytes(receipt_of(head(world), arn=arn))
    with pytest.raises(UsageError, match="is no receipt"):
        run(world.root, *keys, "--receipt", file)
