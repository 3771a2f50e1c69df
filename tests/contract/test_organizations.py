# SPDX-License-Identifier: Apache-2.0
"""Who knows the organization: the settings and the upstream's API keep one contract; moto answers."""

import json

import pytest
from support.aws_clients import Key, client, without_aws
from support.log_files import HandClock
from support.memory_state import MemoryState
from support.upstreams import answer, upstream

from opentrail.errors import ClientError, Unavailable
from opentrail.sandbox.moto import start_moto
from opentrail.trails.organization import Organization
from opentrail.trails.organization_upstream import (
    PRINCIPAL,
    UpstreamOrganization,
    organizations_of,
)
from opentrail.trails.target_client import Clients, Endpoints
from opentrail.trails.target_setting import TargetSetting

BOSS = "123456789012"
KNOWN = "guardduty.amazonaws.com"
"""A service that moto delegates to; it does not know CloudTrail as one."""
KEY = ("AKIATEST", "secret-of-the-test")
MEMBERS = 25
"""More than one page of ListAccounts has."""


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    """Let nobody's AWS settings reach the clients."""
    without_aws(monkeypatch)


@pytest.fixture
def moto():
    with start_moto() as running:
        yield running.url


def asked(url):
    """Return what asks the Organizations API at ``url``."""
    endpoints = Endpoints({"organizations": url}, KEY)
    return organizations_of(None, endpoints, MemoryState(), HandClock(), "us-east-1")


def listed(organization):
    return organizations_of(organization, Endpoints(), MemoryState(), HandClock(), "us-east-1")


def made(url):
    """Make an organization at moto; return a client of its API, and its members."""
    api = client("organizations", url, Key(*KEY))
    api.create_organization(FeatureSet="ALL")
    members = [
        api.create_account(Email=f"m{n}@example.com", AccountName=f"m{n}") for n in range(MEMBERS)
    ]
    return api, sorted(each["CreateAccountStatus"]["AccountId"] for each in members)


def test_the_api_and_the_settings_say_the_same(moto):
    upstream = asked(moto)
    assert upstream.of(BOSS) is None, "no organization is in use"
    api, members = made(moto)
    found = upstream.of(BOSS)
    assert found is not None
    described = api.describe_organization()["Organization"]
    assert found == Organization(described["Id"], BOSS, tuple(members), (), trusted=False)
    api.enable_aws_service_access(ServicePrincipal=PRINCIPAL)
    api.enable_aws_service_access(ServicePrincipal=KNOWN)
    trusted = upstream.of(BOSS)
    assert trusted is not None
    assert trusted.trusted
    with pytest.raises(ClientError):
        upstream.delegate(trusted, (members[0],))
    clients = Clients(TargetSetting(), Endpoints({"organizations": moto}, KEY), HandClock())
    delegating = UpstreamOrganization(clients, "us-east-1", KNOWN)
    for organizations in (delegating, listed(trusted)):
        assert organizations.of("999999999999") is None
        assert organizations.of(members[-1]) == organizations.of(BOSS) == trusted
        check_delegation(organizations, members)
    registered = api.list_delegated_administrators(ServicePrincipal=KNOWN)
    assert [each["Id"] for each in registered["DelegatedAdministrators"]] == [members[1]]


def check_delegation(organizations, members):
    """Delegate to two members, then to one of them."""
    for accounts in ((members[0], members[1]), (members[1],)):
        now = organizations.of(BOSS)
        organizations.delegate(now, accounts)
        changed = organizations.of(BOSS)
        assert changed.delegated == accounts
        assert [changed.manages(each) for each in (BOSS, members[1], members[2])] == [
            True,
            True,
            False,
        ]


@pytest.mark.parametrize("body", [b"{}", b'{"Organization": {"Id": "o-exampleorgid"}}'])
def test_an_api_that_answers_anything_is_unavailable(body):
    with upstream(answer(200, body)) as odd, pytest.raises(Unavailable):
        asked(odd.url).of(BOSS)


STATES = {"1" * 12: ("ACTIVE", None), "2" * 12: ("SUSPENDED", None), "3" * 12: (None, "ACTIVE")}
STATES |= {
    "4" * 12: (None, "SUSPENDED"),
    "5" * 12: ("PENDING_CLOSURE", "ACTIVE"),
    BOSS: (None, None),
}


def speaking(accounts, feature_set="ALL"):
    """Return a script: the Organizations API as AWS's is, with these accounts."""
    about = {"Id": "o-exampleorgid", "MasterAccountId": BOSS, "FeatureSet": feature_set}

    def script(exchange):
        target = exchange.received.header(b"x-amz-target")[0].rpartition(b".")[2]
        answers = {
            b"DescribeOrganization": {"Organization": about},
            b"ListAccounts": {"Accounts": accounts},
        }
        return answer(200, json.dumps(answers.get(target, {})).encode())(exchange)

    return script


def test_only_active_accounts_are_members_by_the_newer_word_for_it_too():
    """AWS tells State instead of Status from September 2026 on."""
    named = [
        {"Id": number, "State": state, "Status": status}
        for number, (state, status) in STATES.items()
    ]
    accounts = [{k: v for k, v in each.items() if v is not None} for each in named]
    with upstream(speaking(accounts)) as api:
        found = asked(api.url).of(BOSS)
    assert found is not None
    assert found.members == ("1" * 12, "3" * 12)


def test_an_organization_for_billing_alone_is_asked_nothing_that_it_may_refuse():
    script = speaking([{"Id": BOSS}], "CONSOLIDATED_BILLING")
    with upstream(script) as api:
        found = asked(api.url).of(BOSS)
        targets = [each.header(b"x-amz-target")[0] for each in api.received]
    assert found is not None
    assert not found.all_features
    assert [each.rpartition(b".")[2] for each in targets] == [
        b"DescribeOrganization",
        b"ListAccounts",
    ]


def test_an_api_that_lists_nobody_has_not_lost_all_members():
    with upstream(speaking([])) as api, pytest.raises(Unavailable, match="no account"):
        asked(api.url).of(BOSS)


def test_an_api_that_is_not_there_is_unavailable_and_none_is_an_error():
    with pytest.raises(Unavailable):
        asked("http://127.0.0.1:9").of(BOSS)
    with pytest.raises(ClientError):
        asked("").of(BOSS)
