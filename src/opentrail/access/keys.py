# SPDX-License-Identifier: Apache-2.0
"""Access keys: whose they are, which are known, and what their ids give away.

Configured keys come from the operator and are never overwritten. Sessions are learned from the
answers of a trusted STS and live in memory only.
"""

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum, StrEnum

from opentrail.clock import Ids
from opentrail.errors import UsageError

SESSIONS_MAX = 20_000
"""Learned sessions that are kept: about 1.8 KB each with a token of 800 characters, 35 MB of the gateway's
150. Past it the
session that was learned first is forgotten: its calls are then recorded as Unknown."""

_ID_PREFIXES = ("AKIA", "ASIA")
_ID_CHARS = 20
_BASE32 = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")
_ACCOUNT_SHIFT = 7
_ACCOUNT_MASK = 0x7FFF_FFFF_FF80
_ACCOUNT_END = 10**12
_ACCOUNT_DIGITS = 12
_NO_ACCOUNT_BEFORE_2019 = ("I", "J")


class IdentityType(StrEnum):
    """``userIdentity.type``, in AWS's words."""

    ROOT = "Root"
    IAM_USER = "IAMUser"
    ASSUMED_ROLE = "AssumedRole"
    FEDERATED_USER = "FederatedUser"
    UNKNOWN = "Unknown"


_CALLER_KINDS = {
    ("iam", "root"): IdentityType.ROOT,
    ("iam", "user"): IdentityType.IAM_USER,
    ("sts", "assumed-role"): IdentityType.ASSUMED_ROLE,
    ("sts", "federated-user"): IdentityType.FEDERATED_USER,
}
"""Service and first word of the resource in a caller's ARN."""

_NO_ARN = ("",) * 6

_SESSION_KEY_ID = re.compile(r"ASIA[A-Z0-9]{12,124}")
"""A temporary key's id; STS's model bounds ids to 16..128 characters."""


@dataclass(frozen=True, slots=True)
class SessionIssuer:
    """Who issued a session: the role that was assumed, or the user who asked for a federation."""

    type: str
    """``Role``, ``IAMUser`` or ``Root``."""
    principal_id: str
    arn: str
    account: str
    user_name: str
    """The role's or the user's name."""


@dataclass(frozen=True, slots=True)
class Session:
    """What a temporary key knows of its making."""

    created_ms: int
    """Milliseconds since 1970 UTC; 0: not known."""
    mfa: bool = False
    issuer: SessionIssuer | None = None
    source_identity: str = ""
    federated_provider: str = ""
    """The OIDC or SAML provider of a web identity session; empty for others."""


@dataclass(frozen=True, slots=True)
class AccessKey:
    """One access key and whose it is."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    """Empty: the identity is known and its signatures cannot be checked."""
    type: IdentityType
    account: str
    """Twelve digits: the account that owns the key."""
    arn: str = ""
    principal_id: str = ""
    user_name: str = ""
    """Of an IAM user; empty for roles and root."""
    session_token: str = field(default="", repr=False)
    """Empty for long-term keys."""
    session: Session | None = None
    policies: tuple[str, ...] = ()
    """Names of built-in policies or IAM JSON documents (``access.policy``)."""
    expires_ms: int = 0
    """Milliseconds since 1970 UTC; 0: never."""
    configured: bool = False
    """Whether the operator gave it: such a key is never overwritten."""

    def expired(self, now_ms: int) -> bool:
        """Return whether the key's time is over at ``now_ms``."""
        return 0 < self.expires_ms <= now_ms


def identity_of_arn(arn: str) -> AccessKey | None:
    """Return what an ARN says of a caller: a key without id, secret and principal id.

    Takes the ARNs of root, IAM users, assumed roles and federated users; None for any other text.
    """
    _, partition, service, region, account, resource = (*arn.split(":", 5), *_NO_ARN)[:6]
    kind, _, name = resource.partition("/")
    type_ = _CALLER_KINDS.get((service, kind))
    if type_ is None or region or not is_account(account) or not arn.isprintable():
        return None
    if bool(name) == (type_ is IdentityType.ROOT):
        return None
    session = None
    if type_ is IdentityType.ASSUMED_ROLE:
        role = name.partition("/")[0]
        role_arn = f"arn:{partition}:iam::{account}:role/{role}"
        session = Session(0, issuer=SessionIssuer("Role", "", role_arn, account, role))
    return AccessKey(
        access_key_id="",
        secret_access_key="",
        type=type_,
        account=account,
        arn=arn,
        user_name=name.rpartition("/")[2] if type_ is IdentityType.IAM_USER else "",
        session=session,
    )


class Learned(Enum):
    """What became of a session that was offered to the table."""

    NEW = "new"
    SAME = "same"
    """Known already, with the same identity and secret."""
    CONFLICT = "conflict"
    """Known with another identity or secret: nobody is believed until both have expired."""
    REFUSED = "refused"
    """Not a temporary key's id, a configured key's, or over already."""


class KeyTable:
    """The access keys that are known. Not safe from several threads: the gateway's loop owns it."""

    def __init__(self, configured: Iterable[AccessKey] = ()) -> None:
        """Take the operator's keys.

        Raises UsageError when two of them have the same id.
        """
        self._configured: dict[str, AccessKey] = {}
        self._sessions: dict[str, AccessKey] = {}
        self._disputed: dict[str, int] = {}
        self.version = 0
        """Grows with every change: what was derived from the table is then stale."""
        self.conflicts = 0
        """Sessions offered with another identity than the one known."""
        self.forgotten = 0
        """Sessions dropped before their time because SESSIONS_MAX was reached."""
        for key in configured:
            if key.access_key_id in self._configured:
                msg = f"access key {key.access_key_id} is configured twice: remove one of them"
                raise UsageError(msg)
            self._configured[key.access_key_id] = key

    def find(self, access_key_id: str) -> AccessKey | None:
        """Return the key with that id, expired or not; None when unknown or disputed."""
        key = self._configured.get(access_key_id)
        if key is None and access_key_id not in self._disputed:
            key = self._sessions.get(access_key_id)
        return key

    def accounts(self) -> frozenset[str]:
        """Return the accounts of the operator's keys."""
        return frozenset(key.account for key in self._configured.values())

    def disputed_until(self, access_key_id: str) -> int:
        """Return until when two answers name different owners of this id; 0: they never did."""
        return self._disputed.get(access_key_id, 0)

    def learn(self, key: AccessKey, now_ms: int) -> Learned:
        """Take a session from a trusted answer; the first mapping wins until it expires."""
        if (
            _SESSION_KEY_ID.fullmatch(key.access_key_id) is None
            or key.access_key_id in self._configured
            or not now_ms < key.expires_ms
        ):
            return Learned.REFUSED
        known = self._sessions.get(key.access_key_id)
        if known is None or max(known.expires_ms, self.disputed_until(key.access_key_id)) <= now_ms:
            self._store(key, now_ms)
            return Learned.NEW
        if _same_owner(known, key) and key.access_key_id not in self._disputed:
            return Learned.SAME
        self._dispute(known, key)
        return Learned.CONFLICT

    def _store(self, key: AccessKey, now_ms: int) -> None:
        self._sessions.pop(key.access_key_id, None)
        self._disputed.pop(key.access_key_id, None)
        if len(self._sessions) >= SESSIONS_MAX:
            first = next(iter(self._sessions))
            self.forgotten += not self._sessions.pop(first).expired(now_ms)
            self._disputed.pop(first, None)
        self._sessions[key.access_key_id] = key
        self.version += 1

    def _dispute(self, known: AccessKey, key: AccessKey) -> None:
        until_ms = max(known.expires_ms, key.expires_ms, self._disputed.get(key.access_key_id, 0))
        self._disputed[key.access_key_id] = until_ms
        self.conflicts += 1
        self.version += 1


def _same_owner(one: AccessKey, other: AccessKey) -> bool:
    return (
        one.type is other.type
        and one.account == other.account
        and one.arn == other.arn
        and one.principal_id == other.principal_id
        and one.secret_access_key == other.secret_access_key
        and one.session_token == other.session_token
    )


def is_account(text: str) -> bool:
    """Return whether ``text`` is an account id: twelve ASCII digits."""
    return len(text) == _ACCOUNT_DIGITS and text.isascii() and text.isdigit()


def account_of(access_key_id: str) -> str | None:
    """Return the account that an access key id encodes, twelve digits, or None.

    The ten bytes behind ``AKIA``/``ASIA`` (base32) hold one set bit, the account in forty bits,
    then randomness. Ids of before 2019 begin with I or J there and hold none; documentation keys
    (``…EXAMPLE``) mean nobody.
    """
    body = access_key_id[4:]
    if (
        len(access_key_id) != _ID_CHARS
        or not access_key_id.startswith(_ID_PREFIXES)
        or body.startswith(_NO_ACCOUNT_BEFORE_2019)
        or body.endswith("EXAMPLE")
        or not _BASE32.issuperset(body)
    ):
        return None
    number = int.from_bytes(base64.b32decode(body)[:6])
    account = (number & _ACCOUNT_MASK) >> _ACCOUNT_SHIFT
    return f"{account:012d}" if account < _ACCOUNT_END else None


def make_access_key_id(account: str, ids: Ids, prefix: str = "AKIA") -> str:
    """Return a new access key id of ``account`` (twelve digits): ``account_of`` gives it back."""
    raw = bytearray(ids.random_bytes(10))
    head = 1 << 47 | int(account) << _ACCOUNT_SHIFT | raw[5] & 0x7F
    raw[:6] = head.to_bytes(6)
    return prefix + base64.b32encode(raw).decode()
