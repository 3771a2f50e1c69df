# SPDX-License-Identifier: Apache-2.0
"""Verifying a trail that was given another prefix while it logged: its chain goes on below another root."""

import gzip

import pytest
from support.signed_bucket import HOUR, START, SignedBucket
from support.verified_world import HOURS, RING, SIGNER, World, name

from opentrail.objects.readdir import ReadDir
from opentrail.verification.bucketkeys import digest_name
from opentrail.verification.examine import OUTSIDE, Examiner
from opentrail.verification.link import Link
from opentrail.verification.prefixes import TURNS_MAX, put_together
from opentrail.verification.survey import Asked, survey

END = START + HOURS * HOUR
NEXT, ORG = "moved/", "AWSLogs/o-abcdefghij/"


def _nowhere(_bucket):
    """Return no other bucket."""


def go_to(trail, second, *more, prefix="", org="AWSLogs/"):
    """Let a trail deliver below another root from ``second`` on."""
    trail.prefix, trail.org = prefix, org
    trail.digest(second, second + HOUR, [*more, trail.log(second + 600)])


class Moved(World):
    """The trail of a ``World`` goes on for two hours below another root of the bucket."""

    def __init__(self, root, **where):
        super().__init__(root)
        self.last = self.trail.log(END + 120)
        """The trail's last file below the old root: the first digest below the new one lists it."""
        go_to(self.trail, END, self.last, **where)
        self.trail.digest(END + HOUR, END + 2 * HOUR, [self.trail.log(END + HOUR + 600)])

    def head(self):
        """Return what the server's state says of the chain's end."""
        newest = self.trail.previous
        assert newest is not None
        return Link(newest["key"], newest["sha256"], newest["signature"], "the server's state")


@pytest.fixture(params=[{"prefix": NEXT}, {"org": ORG}], ids=["a prefix", "an organization"])
def world(tmp_path, request):
    return Moved(tmp_path / "logs", **request.param)


def test_a_chain_is_one_below_both_roots(world):
    kinds = [each.kind for each in world.verify(unlisted=END + 9 * HOUR)]
    assert (kinds.count("Digest file"), kinds.count("Log file")) == (HOURS + 3, 2 * HOURS + 3)
    assert kinds.count("Covered") == 1
    assert world.wrong() == []


def test_another_trail_goes_on_where_it_was(world):
    """Its digests of that time do not list the last file of the trail that moved."""
    SignedBucket(world.bucket, SIGNER, trail="other").chain(START, HOURS + 2)
    assert world.wrong() == []
    world.rewrite(world.last["s3Object"], gzip.compress(b"{}"))
    told = [(name(world.last["s3Object"]), "INVALID", "hash value doesn't match")]
    assert world.wrong() == told


def test_the_state_knows_the_chain_by_its_end(world):
    assert world.wrong(ends=[world.head()], until_s=END + 3 * HOUR) == []
    gone = world.trail.digests[HOURS]
    world.path(gone).unlink()
    told = world.wrong(ends=[world.head()], until_s=END + 3 * HOUR)
    assert (name(gone), "INVALID", "not found") in told


def test_a_forged_file_where_it_was(world):
    forged = SignedBucket(world.bucket, SIGNER)
    forged.log(END + HOUR + 1200)
    assert world.wrong() == [(name(forged.logs[0]), "INVALID", "is in no digest")]


def test_back_again_after_a_stop(tmp_path):
    world = Moved(tmp_path / "logs", prefix=NEXT)
    ended = world.head()
    world.trail.previous = None
    world.trail.digest(END + HOUR + 60, END + 2 * HOUR + 60)
    world.trail.digest(END + 2 * HOUR + 60, END + 3 * HOUR, [world.trail.log(END + 2 * HOUR + 600)])
    go_to(world.trail, END + 3 * HOUR)
    heads = {"ends": [ended, world.head()], "until_s": END + 5 * HOUR}
    assert world.wrong(**heads) == []
    world.path(ended.key).unlink()
    assert (name(ended.key), "INVALID", "not found") in world.wrong(**heads)


def test_only_the_old_root_by_who_knows_where_the_chain_goes_on(tmp_path):
    world = Moved(tmp_path / "logs", prefix=NEXT)
    SignedBucket(world.bucket, SIGNER, trail="other").chain(START, HOURS + 2)
    told = [(name(world.last["s3Object"]), "INVALID", "is in no digest")]
    assert world.wrong(prefix="", trail="other") == told
    newest = digest_name(world.trail.digests[-1])
    assert newest is not None
    known = [("logs", newest)]
    assert world.wrong(prefix="", trail="other", all_ends=known) == []


class Counted(ReadDir):
    """A directory that counts what is read."""

    count = 0

    def read(self, key):
        self.count += 1
        return super().read(key)


def test_trails_of_one_name_at_two_roots_are_two(tmp_path):
    world = World(tmp_path / "logs", hours=TURNS_MAX)
    SignedBucket(world.bucket, SIGNER, prefix=NEXT).chain(START, TURNS_MAX)
    assert world.wrong() == []
    source = Counted(world.root, "logs")
    found = survey(source, Asked()).digests
    whole, names = put_together(found, Examiner(source, _nowhere, RING, "logs"))
    assert (whole, names) == (found, {each: each for each in found})
    assert source.count == TURNS_MAX


@pytest.mark.parametrize("turns", [TURNS_MAX, TURNS_MAX + 1])
def test_how_far_back_a_change_of_prefix_is_looked_for(tmp_path, turns):
    world = World(tmp_path / "logs")
    go_to(world.trail, END, prefix=NEXT)
    for turn in range(1, turns):
        world.trail.previous = None
        go_to(world.trail, END + turn * HOUR, prefix="" if turn % 2 else NEXT)
    source = ReadDir(world.root, "logs")
    examiner = Examiner(source, _nowhere, RING, "logs")
    whole, _ = put_together(survey(source, Asked()).digests, examiner)
    assert len(whole) == (1 if turns == TURNS_MAX else 2)


def test_a_copy_of_one_prefix_alone(tmp_path):
    """What the chain has below the other is not there to be looked at; what is gone of this one is."""
    world = Moved(tmp_path / "logs", prefix=NEXT)
    before = {name(world.last["s3Object"]), name(world.trail.digests[HOURS])}
    world.source = ReadDir(world.root / NEXT, "logs", NEXT)
    first, newest = world.trail.digests[-2:]
    head = [world.head()]
    told = world.wrong(ends=head, with_metadata=False)
    assert sorted(told) == [(each, "UNKNOWN", OUTSIDE) for each in sorted(before)]
    world.path(first).unlink()
    told = world.wrong(ends=head, with_metadata=False)
    assert (name(first), "INVALID", "not found") in told
    assert name(newest) not in {each for each, _, _ in told}
