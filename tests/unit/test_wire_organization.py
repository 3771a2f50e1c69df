# SPDX-License-Identifier: Apache-2.0
"""Organization trails and delegated administrators: who may make, see and change them."""

from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError as Refused
from support import wire_server
from support.aws_clients import Key, client
from support.trail_calls import create, plain, refused
from support.trail_rooms import BUCKET, TrailRooms
from support.wire_server import PRINCIPALS, REGION, SmallHistory, serving

from opentrail.errors import ClientError
from opentrail.trails.organization import DELEGATED_MAX, ListedOrganization, Organization

ORG = "o-exampleorgid"
BOSS, MEMBER, DELEGATE, LONER = "111122223333", "222222222222", "333333333333", "444455556666"
OTHERS = ("555555555555", "666666666666", "777777777777")
ACCOUNTS = (BOSS, MEMBER, DELEGATE, LONER)
ARN = f"arn:aws:cloudtrail:{REGION}:{BOSS}:trail/org"
IT: dict[str, Any] = {"name": "org", "IsOrganizationTrail": True}
NOT_ENABLED = (
    "The request could not be processed because your organization hasn't enabled CloudTrail "
    "service access. Enable service access for CloudTrail, and then try again"
)
NO_ACCESS = (
    "AWS CloudTrail cannot create resources for your organization because access to one or more "
    "required APIs has been denied."
)
DENIED = (
    "AccessDeniedException",
    "Access Denied: You do not have permission to operate on this resource",
)


def organization(**changes):
    members = (MEMBER, DELEGATE, *OTHERS)
    usual = Organization(ORG, BOSS, members, (DELEGATE,))
    return Organization(**({f: getattr(usual, f) for f in usual.__struct_fields__} | changes))


class Changing:
    """An organization that changes."""

    def __init__(self, rooms):
        self._rooms = rooms
        self.belong()

    def belong(self, **changes):
        self.now = ListedOrganization(organization(**changes), self._rooms.state)

    def of(self, account):
        return self.now.of(account)

    def delegate(self, of, accounts):
        self.now.delegate(of, accounts)


@pytest.fixture
def rooms():
    made = TrailRooms()
    made.organizations = Changing(made)
    return made


@pytest.fixture
def call(rooms, monkeypatch):
    """Return a client of an account."""
    admin = PRINCIPALS[wire_server.ADMIN.access_key_id]
    keys = {account: Key(f"AKIA{account}", "a-secret-of-the-tests") for account in ACCOUNTS}
    known = {
        key.access_key_id: replace(admin, account=account, access_key_id=key.access_key_id)
        for account, key in keys.items()
    }
    monkeypatch.setattr(wire_server, "PRINCIPALS", known)
    made = []
    with serving(SmallHistory(), rooms) as address:

        def of(account, region=REGION):
            made.append(client("cloudtrail", address, keys[account], region=region, validate=False))
            return made[-1]

        yield of
        for each in made:
            each.close()


def test_all_accounts_see_the_organizations_trail_and_the_management_account_changes_it(
    call, rooms
):
    boss, member = call(BOSS), call(MEMBER)
    made = create(boss, **IT, EnableLogFileValidation=True)
    assert (made["TrailARN"], made["IsOrganizationTrail"]) == (ARN, True)
    home = f"AWSLogs/{ORG}/{BOSS}"
    objects = [f"{home}/CloudTrail/", f"{home}/CloudTrail-Digest/"]
    assert list(rooms.buckets[BUCKET].objects) == objects
    (seen,) = member.describe_trails()["trailList"]
    assert seen == boss.get_trail(Name="org")["Trail"] == member.get_trail(Name=ARN)["Trail"]
    assert [t["TrailARN"] for t in member.list_trails()["Trails"]] == [ARN]
    assert not member.get_trail_status(Name=ARN)["IsLogging"]
    assert member.get_event_selectors(TrailName=ARN)["TrailARN"] == ARN
    boss.start_logging(Name="org")
    assert member.get_trail_status(Name=ARN)["IsLogging"]
    # A bare name is of the account's own trails.
    assert refused(member.get_trail, Name="org")[0] == "TrailNotFoundException"
    assert call(LONER).describe_trails()["trailList"] == []
    assert refused(call(LONER).get_trail, Name=ARN)[0] == "TrailNotFoundException"


def test_a_member_touches_nothing(call):
    create(call(BOSS), **IT, IsMultiRegionTrail=True)
    member = call(MEMBER)
    tags = {"ResourceId": ARN, "TagsList": [{"Key": "k"}]}
    for function, members in (
        (member.update_trail, {"Name": ARN}),
        (member.delete_trail, {"Name": ARN}),
        (member.start_logging, {"Name": ARN}),
        (member.stop_logging, {"Name": ARN}),
    ):
        with pytest.raises(Refused) as raised:
            function(**members)
        error = raised.value.response["Error"]
        assert (error["Code"], error["Message"]) == DENIED
    for function in (member.add_tags, member.remove_tags):
        with pytest.raises(Refused) as raised:
            function(**tags)
        assert raised.value.response["Error"]["Code"] == DENIED[0]
    code = "CloudTrailARNInvalidException"
    text = f"AccountID in ARN is wrong, you can only access resources with AccountID {MEMBER}."
    own = create(member, "mine")["TrailARN"]
    for arns in ([ARN], [own, ARN], [ARN.replace(BOSS, LONER)]):
        assert refused(member.list_tags, ResourceIdList=arns) == (code, text)
    assert member.list_tags(ResourceIdList=[own])["ResourceTagList"][0]["ResourceId"] == own
    member.delete_trail(Name=own)
    abroad = call(MEMBER, "eu-west-1")
    assert [t["HomeRegion"] for t in abroad.describe_trails()["trailList"]] == [REGION]
    assert abroad.describe_trails(includeShadowTrails=False)["trailList"] == []


def test_a_delegated_administrator_makes_trails_of_the_management_account(call):
    delegate = call(DELEGATE)
    assert create(delegate, **IT)["TrailARN"] == ARN
    delegate.start_logging(Name=ARN)
    assert delegate.update_trail(Name=ARN, S3KeyPrefix="p")["S3KeyPrefix"] == "p"
    assert call(BOSS).get_trail_status(Name="org")["IsLogging"]
    delegate.add_tags(ResourceId=ARN, TagsList=[{"Key": "k"}])
    assert delegate.list_tags(ResourceIdList=[ARN])["ResourceTagList"][0]["TagsList"] == [
        {"Key": "k", "Value": ""}
    ]
    delegate.delete_trail(Name=ARN)
    assert call(BOSS).describe_trails()["trailList"] == []


def test_who_cannot_make_one(call, rooms):
    assert refused(create, trails=call(MEMBER), **IT)[0] == "NotOrganizationMasterAccountException"
    assert refused(create, trails=call(LONER), **IT)[0] == "OrganizationsNotInUseException"
    rooms.organizations.belong(trusted=False)
    assert refused(create, trails=call(BOSS), **IT) == (
        "CloudTrailAccessNotEnabledException",
        NOT_ENABLED,
    )
    rooms.organizations.belong(all_features=False, trusted=False)
    code, _ = refused(create, trails=call(BOSS), **IT)
    assert code == "OrganizationNotInAllFeaturesModeException"
    rooms.organizations.now = Denied()
    assert refused(create, trails=call(BOSS), **IT) == (
        "InsufficientDependencyServiceAccessPermissionException",
        NO_ACCESS,
    )
    assert rooms.buckets[BUCKET].objects == {}


class Denied:
    """An organization that may not be looked into."""

    def of(self, _account):
        raise ClientError("AccessDeniedException", "no", 400)

    def delegate(self, _organization, _accounts):
        raise NotImplementedError


def test_a_trail_becomes_the_organizations_and_one_accounts_again(call, rooms):
    boss, delegate = call(BOSS), call(DELEGATE)
    create(boss, "org")
    assert boss.update_trail(Name="org", IsOrganizationTrail=True)["IsOrganizationTrail"]
    assert len(call(MEMBER).describe_trails()["trailList"]) == 1
    marker = f"AWSLogs/{ORG}/{BOSS}/CloudTrail/"
    assert marker in rooms.buckets[BUCKET].objects
    assert not boss.update_trail(Name="org", IsOrganizationTrail=False)["IsOrganizationTrail"]
    assert call(MEMBER).describe_trails()["trailList"] == []
    create(delegate, "its-own")
    code = "NotOrganizationMasterAccountException"
    boss.update_trail(Name="org", IsOrganizationTrail=True)
    assert refused(delegate.update_trail, Name=ARN, IsOrganizationTrail=False)[0] == code
    # Its owner takes it back, whatever became of the organization.
    for gone in (Denied(), ListedOrganization(Organization("", ""), rooms.state)):
        rooms.organizations.now = gone
        assert not boss.update_trail(Name="org", IsOrganizationTrail=False)["IsOrganizationTrail"]
        rooms.organizations.belong()
        boss.update_trail(Name="org", IsOrganizationTrail=True)
    assert refused(delegate.update_trail, Name="its-own", IsOrganizationTrail=True)[0] == code


def test_the_organizations_trails_do_not_count_for_members(call, rooms):
    create(call(BOSS), **IT)
    code = "MaximumNumberOfTrailsExceededException"
    for account, own in ((MEMBER, rooms.trails_max), (BOSS, rooms.trails_max - 1)):
        for number in range(own):
            create(call(account), f"own-{number}")
        assert refused(create, trails=call(account), name="one-more")[0] == code


def test_delegated_administrators_come_and_go(call, rooms):
    boss = call(BOSS)
    add, drop = (
        boss.register_organization_delegated_admin,
        boss.deregister_organization_delegated_admin,
    )
    for account in OTHERS[: DELEGATED_MAX - 1]:
        assert plain(add(MemberAccountId=account)) == {}
    full = "DelegatedAdminAccountLimitExceededException"
    assert refused(add, MemberAccountId=OTHERS[-1])[0] == full
    assert plain(drop(DelegatedAdminAccountId=DELEGATE)) == {}
    assert refused(create, trails=call(DELEGATE), **IT)[0] == (
        "NotOrganizationMasterAccountException"
    )
    assert refused(drop, DelegatedAdminAccountId=DELEGATE)[0] == "AccountNotRegisteredException"
    assert refused(add, MemberAccountId=OTHERS[0])[0] == "AccountRegisteredException"
    assert refused(add, MemberAccountId=BOSS)[0] == "CannotDelegateManagementAccountException"
    for bad in ("", "1", "o-exampleorgid"):
        assert refused(add, MemberAccountId=bad)[0] == "InvalidParameterException"
        assert refused(drop, DelegatedAdminAccountId=bad)[0] == "InvalidParameterException"
    for function, name in ((add, "MemberAccountId"), (drop, "DelegatedAdminAccountId")):
        assert refused(function, **{name: LONER})[0] == "AccountNotFoundException"
    # Who leaves the organization manages nothing of it.
    rooms.organizations.belong(members=(MEMBER,))
    assert refused(drop, DelegatedAdminAccountId=OTHERS[0])[0] == "AccountNotFoundException"


def test_only_the_management_account_delegates(call, rooms):
    for account, code in (
        (MEMBER, "NotOrganizationManagementAccountException"),
        (DELEGATE, "NotOrganizationManagementAccountException"),
        (LONER, "OrganizationsNotInUseException"),
    ):
        asked = call(account)
        add = asked.register_organization_delegated_admin
        assert refused(add, MemberAccountId=MEMBER)[0] == code
        drop = asked.deregister_organization_delegated_admin
        assert refused(drop, DelegatedAdminAccountId=DELEGATE)[0] == code
    rooms.organizations.belong(trusted=False)
    add = call(BOSS).register_organization_delegated_admin
    assert refused(add, MemberAccountId=MEMBER)[0] == "CloudTrailAccessNotEnabledException"
