# SPDX-License-Identifier: Apache-2.0
"""What an organization trail delivers: every member's records, below the organization."""

import json
from collections import Counter
from collections.abc import Callable

import msgspec
import pytest
from support.delivery_world import ACCOUNTS, BUCKETS, REGIONS, World

from opentrail.errors import ClientError, Unavailable
from opentrail.trails.membership import CHANGE, LOOK_S, Membership
from opentrail.trails.organization import Organization
from opentrail.trails.trail import Control

ORG = "o-exampleorgid"
BOSS, MEMBER = ACCOUNTS
LONER = "333333333333"


class Company:
    """An organization whose members a test says."""

    def __init__(self, *members):
        self.members = members
        self.asked = 0
        self.trouble: Exception | None = None
        self.there: Organization | None = Organization(ORG, BOSS)
        self.meanwhile: Callable[[], object] = lambda: None

    def of(self, account):
        self.asked += 1
        self.meanwhile()
        if self.trouble is not None:
            raise self.trouble
        if self.there is None or self.there.members or account != BOSS:
            return self.there if account == BOSS else None
        return Organization(ORG, BOSS, self.members)

    def delegate(self, _organization, _accounts):
        raise NotImplementedError


def organization_trail(world, *members):
    more = {"is_organization": True, "organization_id": ORG, "members": members}
    return world.registry.start(world.create("org", prefix="p", **more))


def where(world):
    """Return (key's beginning, account in the file's name, eventID) of all records delivered."""
    found: Counter[tuple[str, str, str]] = Counter()
    for bucket, key in world.objects("CloudTrail"):
        head, _, name = key.partition("/CloudTrail/")
        for event in json.loads(world.buckets.all[bucket].unpacked(key))["Records"]:
            found[head, name.split("/")[-1].split("_")[0], event["eventID"]] += 1
    return found


def test_every_members_files_and_digests_lie_below_the_organization():
    world = World()
    organization_trail(world, MEMBER)
    mine, theirs = world.write(BOSS), world.write(MEMBER)
    world.write(LONER)
    world.pass_time()
    world.run()
    home = f"p/AWSLogs/{ORG}"
    assert where(world) == {
        (f"{home}/{BOSS}", BOSS, mine): 1,
        (f"{home}/{MEMBER}", MEMBER, theirs): 1,
    }
    listed: dict[str, list[str]] = {}
    for bucket, key in world.objects("CloudTrail-Digest"):
        digest = json.loads(world.buckets.all[bucket].unpacked(key))
        account = digest["awsAccountId"]
        assert key.startswith(f"{home}/{account}/CloudTrail-Digest/{REGIONS[0]}/")
        assert digest["digestS3Object"] == key
        listed.setdefault(account, []).extend(f["s3Object"] for f in digest["logFiles"])
    assert {account: len(files) for account, files in listed.items()} == {BOSS: 1, MEMBER: 1}
    assert all(file.startswith(f"{home}/{a}/") for a, files in listed.items() for file in files)


def test_whoever_joins_is_in_from_then_on_and_whoever_leaves_is_not():
    world = World()
    company = Company()
    membership = Membership(world.registry, company, world.clock)
    organization_trail(world)
    before = world.write(MEMBER)
    membership.step()
    company.members = (MEMBER,)
    membership.step()
    world.write(MEMBER)  # nobody has looked yet
    world.clock.seconds += LOOK_S
    membership.step()
    during = world.write(MEMBER)
    company.members = ()
    world.clock.seconds += LOOK_S
    membership.step()
    after = world.write(MEMBER)
    world.pass_time()
    world.run()
    assert [event for _, _, event in where(world)] == [during]
    assert before != during != after
    changes = [json.loads(m.payload)["change"] for m in marks(world)]
    assert changes.count(CHANGE) == 2, "only what differs is written"


@pytest.mark.parametrize(
    ("there", "members", "organization_id"),
    [
        (None, (), ORG),
        (Organization(ORG, MEMBER, (BOSS, LONER)), (), ORG),
        (Organization("o-otherorgid1", MEMBER, (BOSS, LONER)), (), ORG),
        (Organization("o-otherorgid1", BOSS, (LONER,)), (LONER,), "o-otherorgid1"),
    ],
)
def test_a_trail_takes_members_of_the_organization_that_its_account_manages(
    there, members, organization_id
):
    world = World()
    organization_trail(world, MEMBER)
    company = Company()
    company.there = there
    Membership(world.registry, company, world.clock).step()
    (trail,) = world.registry.trails()
    assert (trail.members, trail.organization_id) == (members, organization_id)


def marks(world):
    found = []
    for mark in world.log.marks(0, world.log.durable_end()):
        if b'"change"' in mark.payload:
            assert isinstance(json.loads(mark.payload)["trail"], dict)
            found.append(mark)
    return found


def test_the_organization_is_not_asked_where_no_trail_is_its_own():
    world = World()
    company = Company(MEMBER)
    world.registry.start(world.create("own"))
    Membership(world.registry, company, world.clock).step()
    assert company.asked == 0


def test_what_was_delivered_before_a_conversion_stays_where_it_is():
    world = World()
    trail = world.registry.start(world.create("trail"))
    old = world.write(BOSS)
    more = {"is_organization": True, "organization_id": ORG, "members": (MEMBER,)}
    world.update(trail, **more)
    new = world.write(BOSS)
    world.pass_time()
    world.run()
    assert where(world) == {
        (f"AWSLogs/{BOSS}", BOSS, old): 1,
        (f"AWSLogs/{ORG}/{BOSS}", BOSS, new): 1,
    }
    assert {bucket for bucket, _ in world.objects("CloudTrail-Digest")} == {BUCKETS[0]}


def test_an_organization_that_cannot_be_seen_leaves_its_trails_as_they_are():
    world = World()
    company = Company(MEMBER)
    organization_trail(world)
    for trouble in (
        ClientError("AccessDeniedException", "no"),
        Unavailable("AccessDeniedException"),
    ):
        company.trouble = trouble
        # Its loop tells that once, and tries again.
        with pytest.raises(Unavailable, match="AccessDeniedException"):
            Membership(world.registry, company, world.clock).step()
    assert [trail.members for trail in world.registry.trails()] == [()]


def test_a_trail_that_becomes_one_accounts_again_meanwhile_gets_no_members():
    """The organization's API may take long."""
    world = World()
    company = Company(MEMBER)
    trail = organization_trail(world)
    again = {"is_organization": False, "organization_id": "", "members": ()}
    company.meanwhile = lambda: world.update(trail, **again)
    membership = Membership(world.registry, company, world.clock)
    for _ in range(2):
        membership.step()
        (found,) = world.registry.trails()
        assert (found.is_organization, found.members) == (False, ())
        assert company.asked == 1


def test_an_operation_that_changes_trails_comes_first():
    world = World()
    company = Company(MEMBER)
    membership = Membership(world.registry, company, world.clock)
    organization_trail(world)
    with world.registry.changing():
        membership.step()
    assert [trail.members for trail in world.registry.trails()] == [()]
    membership.step()
    assert [trail.members for trail in world.registry.trails()] == [(MEMBER,)]


def test_a_control_of_an_older_version_has_no_members():
    old = {"id": "1", "name": "a", "account": BOSS, "home_region": "r", "bucket": "b"}
    payload = json.dumps({"change": "CreateTrail", "trail": old})
    trail = msgspec.json.decode(payload, type=Control).trail
    assert (trail.members, trail.organization_id, trail.recursive_logging) == ((), "", True)
