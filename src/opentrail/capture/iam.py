# SPDX-License-Identifier: Apache-2.0
"""Read from answers of IAM, and of GetCallerIdentity, whose a long-term key is.

Follows the IAM API Reference (CreateAccessKey, CreateUser) and the STS API Reference
(GetCallerIdentity). Only what the answer says itself is taken: a user's ARN has a path that nobody
can guess from the name.
"""

from dataclasses import replace

import msgspec

from opentrail.access.key_table import KeyTable
from opentrail.access.keys import AccessKey, IdentityType, identity_of_arn, is_account
from opentrail.aws.model import operation
from opentrail.aws.protocol import parse_identity
from opentrail.aws.request import Target
from opentrail.aws.route import parse_credential
from opentrail.capture.call import Call, plain
from opentrail.capture.sts import is_plain_success

LEARNED_KEY_MS = 365 * 24 * 3600 * 1000
"""How long a long-term key is believed to be whose it was: no id is given out twice, and what was
learned by mistake ends by itself."""
USERS_MAX = 10_000
"""Users whose ARN is remembered until their keys are made: 300 bytes each; IAM's own bound for an
account is 5,000."""

_OPERATIONS = frozenset(
    {
        ("iam.amazonaws.com", "CreateAccessKey"),
        ("iam.amazonaws.com", "CreateUser"),
        ("sts.amazonaws.com", "GetCallerIdentity"),
    }
)
_KEYS_OF = (IdentityType.ROOT, IdentityType.IAM_USER)


class _User(msgspec.Struct, frozen=True, rename="pascal"):
    user_name: str
    user_id: str
    arn: str


class _AccessKey(msgspec.Struct, frozen=True, rename="pascal"):
    user_name: str
    access_key_id: str
    secret_access_key: str

    def __repr__(self) -> str:
        return "_AccessKey()"


class _Answer(msgspec.Struct, frozen=True, rename="pascal"):
    """What the answers of the three operations have, as far as it is used."""

    user: _User | None = None
    access_key: _AccessKey | None = None
    arn: str = ""
    user_id: str = ""
    account: str = ""


def teaches(target: Target) -> bool:
    """Return whether the answers of this operation say whose a key is."""
    return (target.event_source, target.operation) in _OPERATIONS


class Users:
    """What is learned of users and their keys. Not safe from several threads."""

    def __init__(self) -> None:
        self._users: dict[tuple[str, str], AccessKey] = {}

    def key_of(self, call: Call, keys: KeyTable, now_ms: int) -> AccessKey | None:
        """Return the key that the answer to ``call`` says something of, or None.

        Its account is the caller's; where the answer names another, it teaches nothing.
        """
        answer = _answer(call)
        if answer is None:
            return None
        if "claimedAccount" in call.caller.additional and not answer.account:
            return None  # it is recorded under another account than its own
        if answer.user is not None:
            self._remember(answer.user, call.caller.account)
            return None
        if answer.access_key is not None:
            found = self._created(answer.access_key, call.caller.account)
        else:
            found = _caller(call, answer, keys)
        return found and replace(found, expires_ms=now_ms + LEARNED_KEY_MS)

    def _remember(self, user: _User, account: str) -> None:
        identity = identity_of_arn(user.arn)
        if identity is None or identity.type is not IdentityType.IAM_USER:
            return
        if identity.account != account or identity.user_name != user.user_name:
            return
        slot = (account, user.user_name)
        self._users.pop(slot, None)
        if len(self._users) >= USERS_MAX:
            del self._users[next(iter(self._users))]
        self._users[slot] = replace(identity, principal_id=user.user_id)

    def _created(self, made: _AccessKey, account: str) -> AccessKey | None:
        known = self._users.get((account, made.user_name))
        user = known or AccessKey("", "", IdentityType.IAM_USER, account, user_name=made.user_name)
        return replace(
            user, access_key_id=made.access_key_id, secret_access_key=made.secret_access_key
        )


def _answer(call: Call) -> _Answer | None:
    model = operation(call.target) if teaches(call.target) and is_plain_success(call) else None
    if model is None:
        return None
    members = parse_identity(model, plain(call.response, call.response_headers).data)
    try:
        return msgspec.convert(members, _Answer)
    except msgspec.ValidationError:
        return None


def _caller(call: Call, answer: _Answer, keys: KeyTable) -> AccessKey | None:
    """Return whose the caller's own key is; a session's tells too little (its issuer, its end)."""
    credential = parse_credential(call.head)
    identity = identity_of_arn(answer.arn)
    if credential is None or identity is None or identity.type not in _KEYS_OF:
        return None
    if credential.session_token or not is_account(answer.account):
        return None
    if identity.account != answer.account or keys.is_configured(credential.access_key_id):
        return None
    return replace(identity, access_key_id=credential.access_key_id, principal_id=answer.user_id)
