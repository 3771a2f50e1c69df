# SPDX-License-Identifier: Apache-2.0
"""Verifying a trail that was given another bucket while it logged: its chain goes on in the one before."""

import gzip
import json
import threading

import msgspec
import pytest
from click.testing import CliRunner
from support.aws_clients import without_aws
from support.open_buckets import SettableClock
from support.signed_bucket import ACCOUNT, HOUR, START, TRAIL, SignedBucket, when
from support.signed_state import IT, write_state
from support.verified_world import HOURS, RING, SIGNER, World, name

from opentrail.cli.main import cli
from opentrail.errors import Unavailable
from opentrail.objects.localdir import LocalDir
from opentrail.objects.readdir import ReadDir
from opentrail.state.base import Change
from opentrail.trails.progress import Chain, head_key
from opentrail.verification.abroad import BEGINS
from opentrail.verification.bucketkeys import digest_name
from opentrail.verification.examine import Examiner
from opentrail.verification.link import Link
from opentrail.verification.survey import Asked, survey
from opentrail.verification.verdict import COVERED, NOTE
from opentrail.verification.verify import Expected, Files, verify
from opentrail.verification.workers import Threads

END = START + HOURS * HOUR


class Moved(World):
    """The trail of a ``World`` goes on for two hours in bucket ``second``, the last in ``logs`` again."""

    def __init__(self, home):
        super().__init__(home / "logs")
        self.second = LocalDir(home / "second", "second", SettableClock())
        self.last = self.trail.log(END + 120)
        """The trail's last file in ``logs``: the first digest in ``second`` lists it."""
        self.go_to(self.second, END, self.last)
        self.trail.digest(END + HOUR, END + 2 * HOUR, [self.trail.log(END + HOUR + 600)])
        self.all = {
            "logs": ReadDir(home / "logs", "logs"),
            "second": ReadDir(home / "second", "second"),
        }

    def go_to(self, bucket, second, *more):
        """Let the trail deliver to another bucket from ``second`` on."""
        before, self.trail.bucket = self.trail.bucket.name, bucket
        key = self.trail.digest(second, second + HOUR, [*more, self.trail.log(second + 600)])
        body = json.loads(gzip.decompress(bucket.get(key)[1]))
        self.trail.put_digest(key, body | {"previousDigestS3Bucket": before})

    def wrong_in(self, bucket, **options):
        self.source = self.all[bucket]
        options = {"elsewhere": self.all, "bucket": bucket, "unlisted": END + 9 * HOUR} | options
        return self.wrong(**options)


@pytest.fixture
def world(tmp_path):
    return Moved(tmp_path)


def test_a_chain_is_followed_into_the_bucket_before(world):
    assert world.wrong_in("second") == []
    found = world.verify(elsewhere=world.all, bucket="second")
    kinds = [each.kind for each in found]
    assert (kinds.count("Digest file"), kinds.count("Log file")) == (HOURS + 3, 2 * HOURS + 3)
    notes = [(each.subject, each.reason) for each in found if each.kind == NOTE]
    assert notes == [("s3://logs", BEGINS)]
    assert [(each.subject, each.reason) for each in found if each.kind == COVERED] == [
        (f"{when(start)} to {when(end)}", f"{TRAIL} 111122223333 us-east-1 in s3://{bucket}")
        for start, end, bucket in ((START - HOUR, END, "logs"), (END, END + 2 * HOUR, "second"))
    ]


@pytest.mark.parametrize("what", ["digests", "logs"])
def test_what_is_gone_there_is_told(world, what):
    gone = getattr(world.trail, what)[2]
    world.path(gone).unlink()
    assert world.wrong_in("second") == [(name(gone), "INVALID", "not found")]


def test_a_digest_that_was_changed_there(world):
    world.rewrite(world.trail.digests[3], gzip.compress(b"{}"))
    assert world.wrong_in("second")[0][1:] == ("INVALID", "invalid format")


def test_a_digest_of_another_there(world):
    key = world.trail.digests[HOURS]
    SignedBucket(world.bucket, SIGNER).digest(END - HOUR, END)
    told = [(name(key), "INVALID", "is not the one that the digest after it names")]
    assert world.wrong_in("second") == told


def test_only_as_far_as_was_asked_for(world):
    world.path(world.trail.digests[2]).unlink()
    assert world.wrong_in("second", start_s=START + 2 * HOUR + 1) == []
    assert world.wrong_in("second", end_s=END - HOUR)[0] == (
        name(world.trail.digests[2]), "INVALID", "not found",
    )  # fmt: skip


def test_a_bucket_that_is_not_at_hand_is_a_note(world):
    there = [(name(world.last["s3Object"]), "UNKNOWN", "is in another bucket")]
    assert world.wrong_in("second", elsewhere={}) == there
    (told,) = [each for each in world.verify(bucket="second") if each.kind == NOTE]
    assert (told.subject.rpartition("/")[2], told.reason) == (
        name(world.trail.digests[HOURS]), "the chain goes on there",
    )  # fmt: skip


def test_a_chain_that_comes_back(world):
    """What lies before is told of as what lies after: the newest of before may be gone."""
    world.go_to(world.bucket, END + 2 * HOUR)
    assert world.wrong_in("logs") == []
    world.path(world.trail.digests[HOURS]).unlink()
    gone = (name(world.trail.digests[HOURS]), "INVALID", "not found")
    assert gone in world.wrong_in("logs")
    path = world.all["second"].path / world.trail.digests[-2]
    path.unlink()
    assert world.wrong_in("logs")[0] == (name(world.trail.digests[-2]), "INVALID", "not found")


def test_windows_that_do_not_join_there(world):
    world.trail.bucket = world.second
    world.trail.digest(END + 3 * HOUR, END + 4 * HOUR)
    world.go_to(world.bucket, END + 4 * HOUR)
    assert [each[0] for each in world.wrong_in("logs")] == [
        f"{when(END + 2 * HOUR)} to {when(END + 3 * HOUR)}"
    ]


def by_state(world, **options):
    """Return what is said of the bucket of before, by who knows where the chain goes on."""
    end = ("second", digest_name(world.trail.digests[-1]))
    return world.wrong_in("logs", all_ends=[end], **options)


@pytest.mark.parametrize("beside", [False, True])
def test_the_last_files_of_the_bucket_before_are_listed_in_the_next(world, beside):
    """Another trail that goes on to deliver there has digests of that time, which do not list them."""
    if beside:
        SignedBucket(world.bucket, SIGNER, trail="other").chain(START, HOURS + 2)
    told = [verdict for _, verdict, _ in world.wrong_in("logs")]
    assert told == ["INVALID" if beside else "UNKNOWN"]
    assert by_state(world) == []
    world.rewrite(world.last["s3Object"], gzip.compress(b"{}"))
    name_of_last = name(world.last["s3Object"])
    assert by_state(world) == [(name_of_last, "INVALID", "hash value doesn't match")]
    assert by_state(world, end_s=END + 60)[-1][0] != name_of_last


def test_the_newest_digests_of_the_bucket_before(world):
    gone = world.trail.digests[HOURS]
    world.path(gone).unlink()
    assert (name(gone), "INVALID", "not found") in by_state(world)


@pytest.mark.parametrize("trouble", ["not there", "nothing in it"])
def test_a_next_bucket_that_does_not_help(world, trouble):
    path = world.all["second"].path
    path.rename(path.with_name("gone"))
    if trouble != "not there":
        path.mkdir()
    assert by_state(world) == world.wrong_in("logs") != []


class Silent(ReadDir):
    """A bucket that is out of reach."""

    def read(self, key):
        raise Unavailable("no answer", key)

    def keys(self, prefix, after=""):
        raise Unavailable("no answer", prefix + after)


@pytest.mark.parametrize("listed", [False, True])
def test_a_bucket_out_of_reach_leaves_its_own_in_doubt(world, listed, monkeypatch):
    """Of the others all is said: nobody must keep a bucket for ever so that these can be verified."""
    heads = ended(world)
    world.all["second"] = Silent(world.all["second"].path, "second")
    if listed:
        monkeypatch.delattr(Silent, "keys")
    told = world.wrong_in("logs", **heads)
    assert (name(heads["ends"][0].key), "UNKNOWN", "cannot be read: no answer") in told
    end = ("second", digest_name(heads["ends"][0].key))
    assert world.wrong_in("logs", **heads, all_ends=[end]) == told
    assert "INVALID" not in {verdict for _, verdict, _ in told}
    assert world.wrong_in("logs", **heads, start_s=END + 3 * HOUR) == []


class Watched(ReadDir):
    """A directory that is slow, and sees how many of its digests are read at once."""

    now = most = 0
    counting = threading.Lock()

    def read(self, key):
        with self.counting:
            self.now += 1
            self.most = max(self.most, self.now)
        threading.Event().wait(0.05)
        with self.counting:
            self.now -= 1
        return super().read(key)


def test_digests_there_are_read_before_they_are_come_to(world):
    there = Watched(world.root, "logs")
    asked = Asked(bucket="second")
    examiner = Examiner(world.all["second"], {"logs": there}.get, RING, "second")
    workers = Threads(examiner, 4)
    try:
        files = Files(examiner, workers, survey(examiner.source, asked))
        found = list(verify(files, Expected(), asked, END + 9 * HOUR))
    finally:
        workers.close()
    assert [each for each in found if each.verdict] == []
    assert [each.kind for each in found].count("Digest file") == HOURS + 3
    assert there.most > 1


def ended(world):
    """Let the chain end where it is, and the trail begin another in ``logs``; return the ends of both."""
    newest = world.trail.previous
    far = Link(newest["key"], newest["sha256"], newest["signature"], "the server's state", "second")
    world.trail.bucket = world.bucket
    world.trail.chain(END + 4 * HOUR, 2)
    newest = world.trail.previous
    here = Link(newest["key"], newest["sha256"], newest["signature"], "the server's state", "logs")
    return {"ends": [far, here], "until_s": END + 7 * HOUR}


def test_a_chain_that_ended_in_another_bucket(world):
    """What that lists and names here is vouched for."""
    heads = ended(world)
    assert world.wrong_in("logs", **heads) == []
    assert world.wrong_in("logs", **heads, end_s=END + HOUR) == []
    assert world.wrong_in("logs", **heads, start_s=END + 3 * HOUR) == []


@pytest.mark.parametrize("gone", [-5, -4, HOURS])
def test_what_is_gone_of_a_chain_that_ended_in_another_bucket(world, gone):
    heads, key = ended(world), world.trail.digests[gone]
    path = world.all["second" if gone < 0 else "logs"].path / key
    path.unlink()
    assert (name(key), "INVALID", "not found") in world.wrong_in("logs", **heads)
    if (
        gone == -4
    ):  # it ends behind the time asked for, and nothing vouches for that time without it
        told = world.wrong_in("logs", **heads, end_s=END + HOUR)
        assert (name(key), "INVALID", "not found") in told
    assert world.wrong_in("logs", **heads, start_s=END + 3 * HOUR) == []


def test_a_bucket_that_is_gone_with_a_chain_that_ended_there(world):
    heads, path = ended(world), world.all["second"].path
    path.rename(path.with_name("gone"))
    told = world.wrong_in("logs", **heads)
    assert (name(heads["ends"][0].key), "UNKNOWN", "cannot be read: NoSuchBucket") in told


def test_the_servers_state_says_where_a_chain_goes_on(world, tmp_path, monkeypatch):
    without_aws(monkeypatch)
    data = tmp_path / "data"
    (data / "buckets").mkdir(parents=True)
    for bucket in ("logs", "second"):
        (tmp_path / bucket).rename(data / "buckets" / bucket)
    state = write_state(data, world.trail)
    head = Chain(
        1, "second", **world.trail.previous, end_s=END + 2 * HOUR, digests=1, log_files=1, records=1
    )
    state.commit([Change(head_key(IT, (ACCOUNT, "us-east-1"), 1), msgspec.json.encode(head), None)])
    state.close()
    asked = ["verify", "s3://logs", "--data", str(data)]
    done = CliRunner().invoke(cli, asked)
    assert (done.exit_code, done.stdout.splitlines()[-1]) == (0, "verdict: valid"), done.output
    (data / "buckets" / "logs" / world.trail.digests[HOURS]).unlink()
    assert CliRunner().invoke(cli, asked).exit_code == 1


@pytest.mark.parametrize(("bucket", "prefix"), [("old", ""), ("logs", "before/")])
def test_what_a_trail_delivered_before_it_was_stopped_and_moved(
    tmp_path, monkeypatch, bucket, prefix
):
    """With all of it deleted there is nothing that names it, but the server's state."""
    without_aws(monkeypatch)
    data = tmp_path / "data"
    buckets = {
        each: LocalDir(data / "buckets" / each, each, SettableClock()) for each in ("old", "logs")
    }
    before = SignedBucket(buckets[bucket], SIGNER, prefix=prefix)
    before.chain(START - 9 * HOUR, 2)
    now = SignedBucket(buckets["logs"], SIGNER)
    now.chain(START, 2)
    assert before.previous is not None
    state = write_state(data, now)
    head = Chain(0, bucket, **before.previous, end_s=START - 7 * HOUR, digests=3, log_files=4)
    where = head_key(IT, (ACCOUNT, "us-east-1"), 0)
    state.commit([Change(where, msgspec.json.encode(head), None)])
    state.close()
    asked = ["verify", TRAIL, "--data", str(data)]
    done = CliRunner().invoke(cli, asked)
    said = [line for line in done.stdout.splitlines() if "/" in line and "Note" not in line]
    assert (done.exit_code, said[:2]) == (0, ["6/6 digest files valid", "8/8 log files valid"])
    for key in (*before.digests, *before.logs):
        (buckets[bucket].path / key).unlink()
    done = CliRunner().invoke(cli, asked)
    assert (done.exit_code, done.stdout.count("INVALID: not found")) == (1, 1), done.output
    assert CliRunner().invoke(cli, [*asked, "--start-time", when(START)]).exit_code == 0
