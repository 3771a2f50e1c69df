# SPDX-License-Identifier: Apache-2.0
"""Say who made a call, in the words of the record.

Follows the CloudTrail User Guide, "CloudTrail userIdentity element", in the field order of real
records. What a caller merely claims is kept beside the record as a claim, never as a fact.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from opentrail.access.key_table import KeyTable
from opentrail.access.keys import (
    AccessKey,
    IdentityType,
    account_of,
    identity_of_arn,
    is_account,
)
from opentrail.aws.request import Credential, Target
from opentrail.capture import iam, sts
from opentrail.capture.call import Call, Caller
from opentrail.capture.cross_account import owner_of
from opentrail.capture.user_identity import encode_identity
from opentrail.errors import UsageError

CALLERS_CACHED_MAX = 4096
"""Callers whose identity is kept ready, 1 KB each; past it all are forgotten and made anew."""

REGION_CHARS_MAX = 32
"""The longest region name there is has 16 characters; names of in-house regions get room."""

CLAIM_CHARS_MAX = 64
"""How much of a claim that was not accepted is kept."""

ACCESS_KEY_CHARS_MAX = 128
"""IAM's own bound for an access key id."""

_REGION = re.compile(rf"[a-z0-9](?:[a-z0-9-]{{0,{REGION_CHARS_MAX - 2}}}[a-z0-9])?")
_NEVER_MS = 1 << 62


@dataclass(frozen=True, slots=True)
class IdentitySettings:
    """What a call may claim, and what holds when it claims nothing or too much."""

    account: str
    """The default account: twelve digits."""
    region: str
    """The default region."""
    accounts: frozenset[str] = frozenset()
    """Accounts that calls may claim besides the default one."""
    regions: frozenset[str] = frozenset()
    """Regions that calls may claim besides the default one; empty: every well-formed one."""
    default_identity: str = ""
    """The ARN that an unknown key stands for; empty: it is Unknown."""
    bucket_owners: Mapping[str, str] = field(default_factory=dict)
    """S3 bucket -> the account that owns it."""


def teaches(target: Target) -> bool:
    """Return whether the answers of this operation are learned from: their bodies are needed."""
    return sts.teaches(target) or iam.teaches(target)


class Identities:
    """Callers by access key. Not safe from several threads: the gateway's loop owns it."""

    def __init__(self, settings: IdentitySettings, keys: KeyTable) -> None:
        """Check the settings.

        Raises UsageError for a region or default identity that cannot be one.
        """
        for region in (settings.region, *settings.regions):
            if _REGION.fullmatch(region) is None:
                msg = f"{region[:CLAIM_CHARS_MAX]!r} cannot be a region's name"
                raise UsageError(msg)
        self._settings = settings
        self._keys = keys
        self._version = keys.version
        self._accounts = self._all_accounts()
        self._users = iam.Users()
        self._default = _default_identity(settings.default_identity)
        self._callers: dict[tuple[str, str, bool], tuple[Caller, int]] = {}

    def _all_accounts(self) -> frozenset[str]:
        return self._settings.accounts | self._keys.accounts() | {self._settings.account}

    def caller(self, credential: Credential | None, now_ms: int, *, verified: bool) -> Caller:
        """Return who made a call at ``now_ms`` (milliseconds since 1970 UTC).

        ``credential`` is what the request claims, None for an unsigned one; ``verified`` whether
        its signature was checked. The result is shared: it must not be changed.
        """
        if credential is None:
            return self._unsigned()
        if self._version != self._keys.version:
            self._callers.clear()
            self._version = self._keys.version
            self._accounts = self._all_accounts()
        slot = (credential.access_key_id, credential.region, verified)
        cached = self._callers.get(slot)
        if cached is not None and now_ms < cached[1]:
            return cached[0]
        caller, until_ms = self._make(credential, now_ms, verified=verified)
        self._keep(slot, caller, until_ms)
        return caller

    def learn(self, call: Call, now_ms: int) -> None:
        """Learn whose a key is from an answer of a trusted STS or IAM; others teach nothing.

        The caller of this method vouches for the upstream (``trusted_identity``), and releases
        the answer only afterwards: the session's first call is then known already.
        """
        found = sts.session_of(call, self._keys, now_ms)
        found = found or self._users.key_of(call, self._keys, now_ms)
        if found is not None:
            self._keys.learn(found, now_ms)

    def vouched(self, key: AccessKey) -> Caller:
        """Return the caller of a call without an AWS credential that was proven to be ``key``'s."""
        additional: dict[str, object] = {}
        account = self._account(key, "", additional)
        return _caller(key, (account, self._settings.region), additional, verified=True)

    def other_account(self, call: Call) -> str:
        """Return the account served here that owns what ``call`` acted upon, if not the caller's.

        Empty where there is none. Only one account is served: nothing is looked at.
        """
        if len(self._accounts) == 1 or not call.caller.verified:
            return ""
        owner = owner_of(call, self._settings.bucket_owners)
        return owner if owner != call.caller.account and self._accepts(owner) else ""

    def asker(self, call: Call) -> Caller | None:
        """Return who made a call without a key, as the answer of a trusted STS says; or None."""
        asker = sts.asker_of(call)
        if asker is None:
            return None
        account = asker.account if self._accepts(asker.account) else call.caller.account
        return Caller(encode_identity(asker), account, call.caller.region, verified=True)

    def _keep(self, slot: tuple[str, str, bool], caller: Caller, until_ms: int) -> None:
        if len(slot[0]) > ACCESS_KEY_CHARS_MAX or len(slot[1]) > REGION_CHARS_MAX:
            return
        if len(self._callers) >= CALLERS_CACHED_MAX:
            self._callers.clear()
        self._callers[slot] = (caller, until_ms)

    def _unsigned(self) -> Caller:
        identity = encode_identity(_unknown("", ""))
        return Caller(identity, self._settings.account, self._settings.region, verified=False)

    def _make(self, credential: Credential, now_ms: int, *, verified: bool) -> tuple[Caller, int]:
        """Return the caller, and until when (exclusive) that stays true."""
        access_key_id = credential.access_key_id
        key = self._keys.find(access_key_id)
        if key is not None and key.expired(now_ms):
            key = None
        additional: dict[str, object] = {}
        region = self._region(credential.region, additional)
        account = self._account(key, access_key_id, additional)
        until_ms = (key.expires_ms if key is not None else 0) or _NEVER_MS
        if now_ms < (disputed_until_ms := self._keys.disputed_until(access_key_id)):
            additional["identityConflict"] = True
            until_ms = disputed_until_ms
            key = _unknown(access_key_id, "")
        identity = key or self._supposed(access_key_id)
        caller = _caller(identity, (account, region), additional, verified=verified)
        return caller, until_ms

    def _region(self, claimed: str, additional: dict[str, object]) -> str:
        """Return the region that the call is recorded under; mark a claim that is not accepted."""
        settings = self._settings
        if claimed in ("", settings.region):
            return settings.region
        if claimed in settings.regions or (not settings.regions and _REGION.fullmatch(claimed)):
            return claimed
        additional["claimedRegion"] = claimed[:CLAIM_CHARS_MAX]
        return settings.region

    def _account(
        self, key: AccessKey | None, access_key_id: str, additional: dict[str, object]
    ) -> str:
        """Return the account that the call belongs to; mark a claim that is not accepted."""
        if key is not None and key.configured:
            return key.account
        claimed = key.account if key is not None else _claimed_account(access_key_id)
        if not claimed or self._accepts(claimed):
            return claimed or self._settings.account
        additional["claimedAccount"] = claimed
        return self._settings.account

    def _accepts(self, account: str) -> bool:
        return account in self._accounts

    def _supposed(self, access_key_id: str) -> AccessKey:
        """Return who an unknown key is taken for."""
        if self._default is not None:
            return replace(self._default, access_key_id=access_key_id[:ACCESS_KEY_CHARS_MAX])
        claimed = _claimed_account(access_key_id)
        return _unknown(access_key_id, claimed if self._accepts(claimed) else "")


def _caller(
    key: AccessKey, scope: tuple[str, str], additional: dict[str, object], *, verified: bool
) -> Caller:
    """Return the caller whose identity is ``key``'s; ``scope``: account and region."""
    return Caller(
        encode_identity(key),
        *scope,
        verified,
        additional,
        invoked_by=key.invoked_by,
        is_service=key.type is IdentityType.AWS_SERVICE,
        # A thief of the key's id must not lend its mark to calls of its own.
        from_console=key.from_console and verified,
    )


def _default_identity(arn: str) -> AccessKey | None:
    identity = identity_of_arn(arn)
    if arn and identity is None:
        msg = (
            f"default identity {arn[:ACCESS_KEY_CHARS_MAX]!r} is not a caller's ARN: write one like"
            " arn:aws:iam::123456789012:root, arn:aws:iam::123456789012:user/NAME or"
            " arn:aws:sts::123456789012:assumed-role/ROLE/SESSION"
        )
        raise UsageError(msg)
    return identity


def _claimed_account(access_key_id: str) -> str:
    """Return the account that a key id names or encodes; empty when it does neither."""
    return access_key_id if is_account(access_key_id) else account_of(access_key_id) or ""


def _unknown(access_key_id: str, account: str) -> AccessKey:
    return AccessKey(
        access_key_id=access_key_id[:ACCESS_KEY_CHARS_MAX],
        secret_access_key="",
        type=IdentityType.UNKNOWN,
        account=account,
    )
