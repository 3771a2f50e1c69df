# SPDX-License-Identifier: Apache-2.0
"""Evaluate IAM JSON policies for OpenTrail's own API.

Follows the IAM User Guide, "Policy evaluation logic" and "IAM JSON policy elements reference":
an explicit Deny wins, then an Allow, else the answer is no. What is not evaluated here (any
Condition, policy variables such as ``${aws:username}``) is read to the safe side: such a statement
never allows, and always denies.
"""

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from opentrail.errors import UsageError

POLICY_CHARS_MAX = 6144
"""IAM's own limit for a managed policy; it does not count white space (IAM and AWS STS quotas)."""

POLICIES_CACHED = 256
"""Parsed policies that are kept; an installation has a handful."""

_ARN_PARTS = 6

_FULL_ACCESS = """{"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": ["cloudtrail:*", "cloudtrail-data:*", "opentrail:*"],
     "Resource": "*"},
    {"Effect": "Allow", "Action": ["s3:Get*", "s3:List*"], "Resource": "*"}]}"""

_READ_ONLY = """{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Resource": "*",
    "Action": ["cloudtrail:Get*", "cloudtrail:Describe*", "cloudtrail:List*",
               "cloudtrail:LookupEvents", "opentrail:Search"]}]}"""

_SEND = """{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Resource": "*",
    "Action": "opentrail:PutRecords"}]}"""

_IMPORT = """{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Resource": "*",
    "Action": "opentrail:ImportRecords"}]}"""

BUILT_IN = {
    "CloudTrailFullAccess": _FULL_ACCESS,
    "AWSCloudTrail_FullAccess": _FULL_ACCESS,
    "CloudTrailReadOnlyAccess": _READ_ONLY,
    "AWSCloudTrail_ReadOnlyAccess": _READ_ONLY,
    "OpenTrailSendAccess": _SEND,
    "OpenTrailImportAccess": _IMPORT,
}
"""Name -> document. AWS's own names mean the same as ours."""


class _Statement(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="pascal"):
    """One statement as written; the fields are AWS's."""

    effect: Literal["Allow", "Deny"]
    sid: str = ""
    action: str | list[str] | None = None
    not_action: str | list[str] | None = None
    resource: str | list[str] | None = None
    not_resource: str | list[str] | None = None
    condition: dict[str, dict[str, msgspec.Raw]] = {}


class _Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="pascal"):
    """One identity-based policy as written: it has no Principal."""

    statement: _Statement | list[_Statement]
    version: Literal["2012-10-17", "2008-10-17"] = "2008-10-17"
    id: str = ""


@dataclass(frozen=True, slots=True)
class _Rule:
    """One statement, ready to be matched."""

    allows: bool
    actions: re.Pattern[str]
    not_actions: bool
    resources: re.Pattern[str]
    not_resources: bool
    everywhere: bool
    """The resources hold policy variables: a Deny is then about every resource."""

    def applies(self, action: str, resource: str) -> bool:
        """Return whether the statement is about this action on this resource."""
        return self.covers(action) and self._is_about(resource)

    def covers(self, action: str) -> bool:
        """Return whether the statement is about this action, on some resource."""
        return bool(self.actions.fullmatch(action.lower())) != self.not_actions

    def is_about_all(self) -> bool:
        """Return whether no resource is left out."""
        return self.everywhere or (bool(self.resources.fullmatch("*")) and not self.not_resources)

    def _is_about(self, resource: str) -> bool:
        return self.everywhere or bool(self.resources.fullmatch(resource)) != self.not_resources


def check_policy(policy: str) -> None:
    """Check that ``policy`` is a built-in's name or an IAM JSON document.

    Raises UsageError, which says what is wrong.
    """
    _rules(policy)


def authorize(policies: Sequence[str], action: str, resource: str) -> bool:
    """Return whether ``policies`` let a caller do ``action`` on ``resource``.

    ``policies`` are names of built-in policies or IAM JSON documents, ``action`` is like
    ``cloudtrail:LookupEvents``, ``resource`` an ARN or ``*`` where the action knows none.
    Raises UsageError for a policy that ``check_policy`` refuses.
    """
    applying = [
        rule.allows
        for policy in policies
        for rule in _rules(policy)
        if rule.applies(action, resource)
    ]
    return bool(applying) and all(applying)


def authorize_everywhere(policies: Sequence[str], action: str, resource: str) -> bool:
    """Return whether ``policies`` let a caller do ``action`` on every resource like ``resource``.

    A Deny of the action counts whichever resource it is about.
    """
    rules = [rule for policy in policies for rule in _rules(policy)]
    denied = any(not rule.allows and rule.covers(action) for rule in rules)
    return not denied and authorize(policies, action, resource)


def authorize_somewhere(policies: Sequence[str], action: str) -> bool:
    """Return whether ``policies`` may let a caller do ``action`` on some resource.

    For what can be told before it is known which resource is meant.
    """
    rules = [rule for policy in policies for rule in _rules(policy) if rule.covers(action)]
    denied = any(not rule.allows and rule.is_about_all() for rule in rules)
    return not denied and any(rule.allows for rule in rules)


def denies(policies: Sequence[str], action: str, resource: str) -> bool:
    """Return whether a Deny, not only the lack of an Allow, keeps a caller from it."""
    rules = (rule for policy in policies for rule in _rules(policy))
    return any(not rule.allows and rule.applies(action, resource) for rule in rules)


@functools.lru_cache(maxsize=POLICIES_CACHED)
def _rules(policy: str) -> tuple[_Rule, ...]:
    text = BUILT_IN.get(policy, policy)
    if not text.lstrip().startswith("{"):
        known = ", ".join(BUILT_IN)
        msg = f"policy {policy[:64]!r} is neither a JSON document nor one of {known}"
        raise UsageError(msg)
    size = len("".join(text.split()))
    if size > POLICY_CHARS_MAX:
        msg = f"policy of {size} characters besides white space: {POLICY_CHARS_MAX} is IAM's limit"
        raise UsageError(msg)
    try:
        document = msgspec.json.decode(text, type=_Document)
    except msgspec.DecodeError as error:
        msg = f"policy is not an IAM JSON document: {error}"
        raise UsageError(msg) from None
    statements = document.statement
    listed = statements if isinstance(statements, list) else [statements]
    rules = [(statement, _rule(statement)) for statement in listed]
    return tuple(rule for statement, rule in rules if not _unusable(statement, rule))


def _unusable(statement: _Statement, rule: _Rule) -> bool:
    """Return whether this is an Allow that depends on what is not evaluated here."""
    return rule.allows and (rule.everywhere or bool(statement.condition))


def _rule(statement: _Statement) -> _Rule:
    actions, not_actions = _either(statement.action, statement.not_action, "Action")
    resources, not_resources = _either(statement.resource, statement.not_resource, "Resource")
    return _Rule(
        allows=statement.effect == "Allow",
        actions=_any_of([_action_pattern(action) for action in actions]),
        not_actions=not_actions,
        resources=_any_of([_resource_pattern(resource) for resource in resources]),
        not_resources=not_resources,
        everywhere=any("${" in resource for resource in resources),
    )


def _either(
    given: str | list[str] | None, inverse: str | list[str] | None, element: str
) -> tuple[list[str], bool]:
    """Return the element's values, and whether they are those of its Not form."""
    if (given is None) == (inverse is None):
        msg = f"policy statement needs one of {element} and Not{element}"
        raise UsageError(msg)
    values = given if inverse is None else inverse
    return [values] if isinstance(values, str) else values or [], inverse is not None


def _action_pattern(action: str) -> str:
    if action != "*" and ":" not in action:
        msg = f"policy action {action[:64]!r} must be '*' or like 'cloudtrail:LookupEvents'"
        raise UsageError(msg)
    return _glob(action.lower(), ".")


def _resource_pattern(resource: str) -> str:
    """Match part by part: a wildcard in an ARN does not reach over a colon but in its last part."""
    if resource == "*":
        return ".*"
    parts = resource.split(":", _ARN_PARTS - 1)
    if len(parts) != _ARN_PARTS or parts[0] != "arn":
        msg = f"policy resource {resource[:64]!r} must be '*' or an ARN of six parts"
        raise UsageError(msg)
    return ":".join([*(_glob(part, "[^:]") for part in parts[:-1]), _glob(parts[-1], ".")])


def _glob(pattern: str, character: str) -> str:
    pieces = re.split(r"(\*+|\?)", pattern)
    return "".join(
        f"{character}*"
        if piece.startswith("*")
        else character
        if piece == "?"
        else re.escape(piece)
        for piece in pieces
    )


def _any_of(patterns: list[str]) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns) or "(?!)", re.DOTALL)
