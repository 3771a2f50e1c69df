# SPDX-License-Identifier: Apache-2.0
"""Policies: Deny wins, then Allow, else no; what is not evaluated is read to the safe side."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opentrail.access.policy import BUILT_IN, POLICY_CHARS_MAX, authorize, check_policy
from opentrail.errors import UsageError

LOOKUP = "cloudtrail:LookupEvents"
TRAIL = "arn:aws:cloudtrail:us-east-1:123456789012:trail/main"


def policy(*statements: dict[str, object]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(**elements: object) -> dict[str, object]:
    defaults = {} if "NotAction" in elements else {"Action": "*"}
    if "NotResource" not in elements:
        defaults["Resource"] = "*"
    return {"Effect": "Allow", **defaults, **elements}


def deny(**elements: object) -> dict[str, object]:
    return {**allow(**elements), "Effect": "Deny"}


@pytest.mark.parametrize("name", ["CloudTrailFullAccess", "AWSCloudTrail_FullAccess"])
def test_full_access(name):
    assert authorize([name], "cloudtrail:DeleteTrail", TRAIL)
    assert authorize([name], "cloudtrail-data:PutAuditEvents", "*")
    assert authorize([name], "s3:GetObject", "*")  # what trails delivered
    assert not authorize([name], "s3:PutObject", "*")


@pytest.mark.parametrize("name", ["CloudTrailReadOnlyAccess", "AWSCloudTrail_ReadOnlyAccess"])
def test_read_only_access(name):
    for verb in ("LookupEvents", "GetTrailStatus", "DescribeTrails", "ListTags"):
        assert authorize([name], f"cloudtrail:{verb}", "*")
    for verb in ("CreateTrail", "StopLogging", "StartQuery", "PutEventSelectors"):
        assert not authorize([name], f"cloudtrail:{verb}", TRAIL)
    assert not authorize([name], "cloudtrail-data:PutAuditEvents", "*")


def test_without_a_policy_nothing_is_allowed():
    assert not authorize([], LOOKUP, "*")
    assert not authorize([policy()], LOOKUP, "*")


def test_a_deny_wins_wherever_it_stands():
    for policies in (
        [policy(allow(), deny(Action=LOOKUP))],
        [policy(deny(Action=LOOKUP), allow())],
        ["CloudTrailFullAccess", policy(deny(Action=LOOKUP))],
    ):
        assert not authorize(policies, LOOKUP, "*")
        assert authorize(policies, "cloudtrail:GetTrail", "*")


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        ("cloudtrail:LookupEvents", True),
        ("CloudTrail:lookupevents", True),
        ("cloudtrail:Lookup*", True),
        ("cloudtrail:*Events", True),
        ("cloudtrail:LookupEvent?", True),
        ("cloudtrail:????????????", True),
        ("cloudtrail:???????????", False),
        ("cloudtrail:Lookup", False),
        ("cloudtrail:.*", False),
        ("*:LookupEvents", True),
        ("s3:*", False),
        ("*", True),
    ],
)
def test_actions(pattern, matches):
    assert authorize([policy(allow(Action=[pattern]))], LOOKUP, "*") is matches
    assert authorize([policy(allow(NotAction=pattern))], LOOKUP, "*") is not matches


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        (TRAIL, True),
        ("arn:aws:cloudtrail:*:123456789012:trail/*", True),
        ("arn:aws:cloudtrail:*:*:*", True),
        ("arn:aws:cloudtrail:us-east-?:123456789012:trail/main", True),
        ("arn:aws:cloudtrail:us-east-1:123456789012:trail/MAIN", False),
        ("arn:aws:cloudtrail:eu-*:123456789012:trail/main", False),
        ("arn:aws:*:123456789012:trail/main:x:y", False),
        ("*", True),
    ],
)
def test_resources(pattern, matches):
    assert authorize([policy(allow(Resource=pattern))], LOOKUP, TRAIL) is matches
    assert authorize([policy(allow(NotResource=[pattern]))], LOOKUP, TRAIL) is not matches


def test_a_wildcard_does_not_reach_over_a_colon():
    short = "arn:aws:cloudtrail:*:trail/main:x"
    assert not authorize([policy(allow(Resource=short))], LOOKUP, TRAIL)


def test_an_allow_under_a_condition_never_allows():
    condition = {"StringEquals": {"aws:SourceIp": "127.0.0.1"}}
    assert not authorize([policy(allow(Condition=condition))], LOOKUP, "*")
    assert authorize([policy(allow(Condition={}))], LOOKUP, "*")


def test_a_deny_under_a_condition_always_denies():
    condition = {"Bool": {"aws:MultiFactorAuthPresent": "false"}}
    statements = [allow(), deny(Action=LOOKUP, Condition=condition)]
    assert not authorize([policy(*statements)], LOOKUP, "*")
    assert authorize([policy(*statements)], "cloudtrail:GetTrail", "*")


def test_policy_variables_are_read_to_the_safe_side():
    variable = "arn:aws:cloudtrail:us-east-1:123456789012:trail/${aws:username}"
    assert not authorize([policy(allow(Resource=variable))], LOOKUP, TRAIL)
    assert not authorize([policy(allow(NotResource=variable))], LOOKUP, TRAIL)
    assert not authorize([policy(allow(), deny(Resource=variable))], LOOKUP, TRAIL)
    assert not authorize([policy(allow(), deny(NotResource=variable))], LOOKUP, TRAIL)


def test_a_single_statement_needs_no_list():
    assert authorize([json.dumps({"Statement": allow()})], LOOKUP, "*")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "neither a JSON document"),
        ("CloudTrailFullAcces", "CloudTrailFullAccess"),
        ("{", "not an IAM JSON document"),
        ("{}", "Statement"),
        (policy(allow(Effect="allow")), "allow"),
        (policy(allow(Principal="*")), "Principal"),
        (policy(allow(Action=None)), "one of Action and NotAction"),
        (policy(allow(NotAction="*", Action="*")), "one of Action and NotAction"),
        (policy(allow(Resource=None)), "one of Resource and NotResource"),
        (policy(allow(Action="LookupEvents")), "'LookupEvents'"),
        (policy(allow(Resource="arn:aws:s3")), "six parts"),
        (policy(allow(Resource="trail/main")), "six parts"),
        (json.dumps({"Version": "2013", "Statement": []}), "2013"),
    ],
)
def test_what_is_no_policy_says_so(text, says):
    with pytest.raises(UsageError, match="policy") as caught:
        check_policy(text)
    assert says in str(caught.value)


def test_the_length_bound_on_both_sides():
    def sized(characters: int) -> str:
        left = characters - len("".join(policy(allow(Sid="")).split()))
        return policy(allow(Sid="s" * left)).replace("{", "{\n    ")

    assert len(sized(POLICY_CHARS_MAX)) > POLICY_CHARS_MAX, "IAM does not count white space"
    check_policy(sized(POLICY_CHARS_MAX))
    with pytest.raises(UsageError, match="6145 characters besides white space: 6144"):
        check_policy(sized(POLICY_CHARS_MAX + 1))


def test_the_built_in_policies_are_policies():
    for name in BUILT_IN:
        check_policy(name)


patterns = st.text("ab*?", max_size=6)


@given(patterns, st.text("ab", max_size=6))
def test_wildcards_match_as_the_obvious_matcher_does(pattern, name):
    assert authorize([policy(allow(Action="s:" + pattern))], "s:" + name, "*") is obvious(
        pattern, name
    )


def obvious(pattern: str, name: str) -> bool:
    if not pattern:
        return not name
    if pattern[0] == "*":
        return any(obvious(pattern[1:], name[at:]) for at in range(len(name) + 1))
    return bool(name) and pattern[0] in ("?", name[0]) and obvious(pattern[1:], name[1:])
