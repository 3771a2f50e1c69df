# SPDX-License-Identifier: Apache-2.0
"""Which access keys are known.

Configured keys come from the operator and are never overwritten. Sessions and users' keys are
learned from the answers of a trusted STS and IAM; their secrets are in memory only.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum

from opentrail.access.keys import AccessKey, IdentityType
from opentrail.errors import UsageError

SESSIONS_MAX = 20_000
"""Learned keys that are kept: about 1.8 KB each with a token of 800 characters, 35 MB of the
gateway's 150. Past it the one that was learned first is forgotten: its calls are then recorded as
Unknown."""

_SESSION_KEY_ID = re.compile(r"ASIA[A-Z0-9]{12,124}")
"""A temporary key's id; STS's model bounds ids to 16..128 characters."""
_USER_KEY_ID = re.compile(r"AKIA[A-Z0-9]{12,124}(?<!EXAMPLE)")
"""A user's key; those of the documentation, which stand-ins hand out, mean nobody."""

_LONG_TERM = frozenset({IdentityType.ROOT, IdentityType.IAM_USER})
"""Whose keys need not be temporary."""


class Learned(Enum):
    """What became of a key that was offered to the table."""

    NEW = "new"
    SAME = "same"
    """Known already, and nothing that is said now contradicts what is known."""
    CONFLICT = "conflict"
    """Known with another identity or secret: nobody is believed until both have expired."""
    REFUSED = "refused"
    """Not an id that may be learned, a configured key's, or over already."""


@dataclass(frozen=True, slots=True)
class Known:
    """What was learned of one key, to be kept for the next start: never its secret."""

    key: AccessKey
    disputed_until_ms: int = 0
    """Until when two answers name different owners of it; 0: they never did."""


class KeyTable:
    """The access keys that are known. Not safe from several threads: the gateway's loop owns it."""

    def __init__(self, configured: Iterable[AccessKey] = ()) -> None:
        """Take the operator's keys.

        Raises UsageError when two of them have the same id.
        """
        self._configured: dict[str, AccessKey] = {}
        self._sessions: dict[str, AccessKey] = {}
        self._disputed: dict[str, int] = {}
        self._changed: dict[str, None] = {}
        self.version = 0
        """Grows with every change: what was derived from the table is then stale."""
        self.conflicts = 0
        """Keys offered with another identity than the one known."""
        self.forgotten = 0
        """Learned keys dropped before their time because SESSIONS_MAX was reached."""
        self.configure(configured)
        self.version = 0

    def configure(self, configured: Iterable[AccessKey]) -> None:
        """Take these as the operator's keys, instead of those that were.

        Raises UsageError when two of them have the same id; nothing has changed then.
        """
        found: dict[str, AccessKey] = {}
        for key in configured:
            if key.access_key_id in found:
                msg = f"access key {key.access_key_id} is configured twice: remove one of them"
                raise UsageError(msg)
            found[key.access_key_id] = key
        self._configured = found
        self.version += 1

    def find(self, access_key_id: str) -> AccessKey | None:
        """Return the key with that id, expired or not; None when unknown or disputed."""
        key = self._configured.get(access_key_id)
        if key is None and access_key_id not in self._disputed:
            key = self._sessions.get(access_key_id)
        return key

    def is_configured(self, access_key_id: str) -> bool:
        """Return whether the operator gave this key."""
        return access_key_id in self._configured

    def accounts(self) -> frozenset[str]:
        """Return the accounts of the operator's keys."""
        return frozenset(key.account for key in self._configured.values())

    def disputed_until(self, access_key_id: str) -> int:
        """Return until when two answers name different owners of this id; 0: they never did."""
        if access_key_id in self._configured:
            return 0
        return self._disputed.get(access_key_id, 0)

    def learn(self, key: AccessKey, now_ms: int) -> Learned:
        """Take a key from a trusted answer; the first mapping wins until it expires."""
        if not self._may_learn(key, now_ms):
            return Learned.REFUSED
        known = self._sessions.get(key.access_key_id)
        if known is None or max(known.expires_ms, self.disputed_until(key.access_key_id)) <= now_ms:
            self._store(key)
            self.forgotten += self._make_room(now_ms)
            return Learned.NEW
        if _may_be_same(known, key) and key.access_key_id not in self._disputed:
            if (completed := _completed(known, key)) != known:
                self._sessions[key.access_key_id] = completed
                self._mark(key.access_key_id)
            return Learned.SAME
        self._dispute(known, key)
        return Learned.CONFLICT

    def _may_learn(self, key: AccessKey, now_ms: int) -> bool:
        temporary = key.session is not None or key.session_token or key.type not in _LONG_TERM
        form = _SESSION_KEY_ID if temporary else _USER_KEY_ID
        return (
            form.fullmatch(key.access_key_id) is not None
            and key.access_key_id not in self._configured
            and now_ms < key.expires_ms
        )

    def _mark(self, access_key_id: str) -> None:
        self._changed[access_key_id] = None
        self.version += 1

    def _store(self, key: AccessKey) -> None:
        self._sessions.pop(key.access_key_id, None)
        self._disputed.pop(key.access_key_id, None)
        self._sessions[key.access_key_id] = key
        self._mark(key.access_key_id)

    def _make_room(self, now_ms: int) -> bool:
        """Forget what was learned first, if there is too much; return whether its time was not over."""
        if len(self._sessions) <= SESSIONS_MAX:
            return False
        first = next(iter(self._sessions))
        self._disputed.pop(first, None)
        self._changed.pop(first, None)
        return not self._sessions.pop(first).expired(now_ms)

    def _dispute(self, known: AccessKey, key: AccessKey) -> None:
        until_ms = max(known.expires_ms, key.expires_ms, self._disputed.get(key.access_key_id, 0))
        self._disputed[key.access_key_id] = until_ms
        self.conflicts += 1
        self._mark(key.access_key_id)

    def restore(self, known: Known, now_ms: int) -> None:
        """Take what an earlier process has learned, unless its time is over."""
        key = known.key
        if max(key.expires_ms, known.disputed_until_ms) <= now_ms:
            return
        self._store(key)
        if now_ms < known.disputed_until_ms:
            self._disputed[key.access_key_id] = known.disputed_until_ms
        self._make_room(now_ms)

    def changes(self) -> list[Known]:
        """Return what was learned since this was asked last."""
        changed, self._changed = self._changed, {}
        return [self._known(access_key_id) for access_key_id in changed]

    def learned(self) -> list[Known]:
        """Return all that was learned and is kept, in the order in which it was learned."""
        return [self._known(access_key_id) for access_key_id in self._sessions]

    def _known(self, access_key_id: str) -> Known:
        key = replace(self._sessions[access_key_id], secret_access_key="", session_token="")
        return Known(key, self._disputed.get(access_key_id, 0))


def _said(key: AccessKey) -> tuple[str, ...]:
    return (
        key.arn,
        key.principal_id,
        key.user_name,
        key.secret_access_key,
        key.session_token,
    )


def _may_be_same(one: AccessKey, other: AccessKey) -> bool:
    """Whether nothing that both say differs: an answer need not say all (CreateAccessKey has no ARN)."""
    return (
        one.type is other.type
        and one.account == other.account
        and all(not a or not b or a == b for a, b in zip(_said(one), _said(other), strict=True))
    )


def _completed(known: AccessKey, key: AccessKey) -> AccessKey:
    """Return ``known`` with what only ``key`` says."""
    return replace(
        known,
        arn=known.arn or key.arn,
        principal_id=known.principal_id or key.principal_id,
        user_name=known.user_name or key.user_name,
        secret_access_key=known.secret_access_key or key.secret_access_key,
        session_token=known.session_token or key.session_token,
    )
