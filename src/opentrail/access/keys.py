# SPDX-License-Identifier: Apache-2.0
"""Access keys: whose they are, which are known, and what their ids give away.

``access.key_table`` knows which there are.
"""

import base64
from dataclasses import dataclass, field
from enum import StrEnum

from opentrail.clock import Ids

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
    AWS_SERVICE = "AWSService"
    AWS_ACCOUNT = "AWSAccount"
    IDENTITY_CENTER_USER = "IdentityCenterUser"
    SAML_USER = "SAMLUser"
    WEB_IDENTITY_USER = "WebIdentityUser"
    UNKNOWN = "Unknown"


_CALLER_KINDS = {
    ("iam", "root"): IdentityType.ROOT,
    ("iam", "user"): IdentityType.IAM_USER,
    ("sts", "assumed-role"): IdentityType.ASSUMED_ROLE,
    ("sts", "federated-user"): IdentityType.FEDERATED_USER,
}
"""Service and first word of the resource in a caller's ARN."""

_NO_ARN = ("",) * 6


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
class OnBehalfOf:
    """The user of IAM Identity Center for whom a call is made."""

    user_id: str
    identity_store_arn: str


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
    invoked_by: str = ""
    """The service that calls, "sagemaker.amazonaws.com"; empty: no service does."""
    on_behalf_of: OnBehalfOf | None = None
    credential_id: str = ""
    """Of a bearer token of IAM Identity Center."""
    identity_provider: str = ""
    """Of a SAML or web identity user: who vouches for it."""
    from_console: bool = False
    """Whether the key was born in a console's session (sessionCredentialFromConsole)."""
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
