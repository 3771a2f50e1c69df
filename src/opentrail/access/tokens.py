# SPDX-License-Identifier: Apache-2.0
"""Who a JSON Web Token says its bearer is, once it is proven (RFC 7519, RFC 8725).

Algorithms are pinned by the operator and are never symmetric; a token is only as good as a key of
the issuer's set (RFC 7517), which somebody else keeps up to date.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

import jwt

from opentrail.access.keys import AccessKey, IdentityType, identity_of_arn, is_account
from opentrail.errors import ClientError, UsageError

TOKEN_CHARS_MAX = 8192
"""The longest token that is looked at; one with a hundred groups has 6 KB."""
KEY_SET_BYTES_MAX = 256 * 1024
"""The largest key set: a hundred RSA keys with their certificates."""
KEYS_MAX = 100
"""Keys of a set: issuers publish two to ten."""
TOKENS_CACHED_MAX = 1024
"""Tokens that were proven and are not proven anew at each call; past it all are forgotten."""
NAME_CHARS_MAX = 256
"""Of a name, an issuer or an audience in an identity."""

KeySet = Mapping[str, jwt.PyJWK]
"""Keys by their id; "" is the only key of a set without ids."""


@dataclass(frozen=True, slots=True)
class TokenRules:
    """What a token must say, and what its claims mean."""

    issuer: str
    audience: str
    algorithms: tuple[str, ...]
    skew_s: int
    name_claim: str
    arn_claim: str
    """A claim that holds a caller's ARN; empty: none does."""
    account_claim: str


class BadToken(ClientError):
    """The token is not good; the message says why, and repeats nothing of it."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            "UnrecognizedClientException", f"The bearer token is not good: {reason}.", 403
        )


def read_key_set(data: bytes) -> KeySet:
    """Return the signing keys of a JSON Web Key Set. Raises: UsageError: it is none."""
    if len(data) > KEY_SET_BYTES_MAX:
        raise UsageError(f"the key set is longer than {KEY_SET_BYTES_MAX} bytes")
    try:
        entries = json.loads(data)["keys"][:KEYS_MAX]
        usable = [entry for entry in entries if entry.get("use", "sig") == "sig"]
        keys = {str(entry.get("kid", "")): entry for entry in usable if entry["kty"] != "oct"}
        found = {kid: jwt.PyJWK.from_dict(entry) for kid, entry in keys.items()}
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise UsageError("the key set is not a JSON Web Key Set") from error
    except jwt.PyJWTError as error:
        raise UsageError(f"the key set has a key that cannot be used: {error}") from error
    if not found:
        raise UsageError("the key set has no public key for signatures")
    return found


class Tokens:
    """Proves tokens. Not safe from several threads: the gateway's loop owns it."""

    def __init__(self, rules: TokenRules, account: str) -> None:
        """``account``: of tokens that name none."""
        self._rules = rules
        self._account = account
        self._keys: KeySet = {}
        self._proven: dict[bytes, tuple[AccessKey, int]] = {}
        self.wants_keys = False
        """Whether a token came that names a key which is not in the set: it may be a new one."""

    def use(self, keys: KeySet) -> None:
        """Take the issuer's keys as they are now; what older ones proved is proven anew."""
        self._keys = keys
        self._proven.clear()
        self.wants_keys = False

    def identity(self, token: str, now_ms: int) -> AccessKey:
        """Return who bears ``token`` at ``now_ms``. Raises: BadToken."""
        if len(token) > TOKEN_CHARS_MAX:
            raise BadToken("it is too long")
        slot = hashlib.sha256(token.encode("utf-8", "replace")).digest()
        found = self._proven.get(slot)
        if found is not None and now_ms < found[1]:
            return found[0]
        claims = self._claims(token)
        until_ms = self._check_time(claims, now_ms)
        identity = self._identity(claims)
        if len(self._proven) >= TOKENS_CACHED_MAX:
            self._proven.clear()
        self._proven[slot] = (identity, until_ms)
        return identity

    def _claims(self, token: str) -> dict[str, object]:
        rules = self._rules
        try:
            kid = str(jwt.get_unverified_header(token).get("kid", ""))
            key = self._keys.get(kid)
            if key is None:
                self.wants_keys = True
                raise BadToken("no key of the issuer's set has signed it")
            claims: dict[str, object] = jwt.decode(
                token,
                key,
                algorithms=list(rules.algorithms),
                audience=rules.audience,
                issuer=rules.issuer,
                # The times are checked by our own clock, with bounds.
                options={
                    "require": ["exp", "iss", "aud"],
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                },
            )
        except jwt.PyJWTError as error:
            raise BadToken(_reason(error)) from None
        except (ValueError, TypeError, RecursionError):
            raise BadToken("it is not a token") from None
        return claims

    def _check_time(self, claims: dict[str, object], now_ms: int) -> int:
        """Return until when, exclusive, the token is good. Raises: BadToken."""
        skew_ms = self._rules.skew_s * 1000
        until_ms = _ms(claims.get("exp")) + skew_ms
        if until_ms <= now_ms:
            raise BadToken("it has expired")
        begins = [_ms(claims[name]) for name in ("nbf", "iat") if name in claims]
        if any(now_ms + skew_ms < begin for begin in begins):
            raise BadToken("it is not yet valid")
        return until_ms

    def _identity(self, claims: dict[str, object]) -> AccessKey:
        """Return the identity: the ARN's that the issuer vouches for, else a web identity user."""
        rules = self._rules
        name = claims.get(rules.name_claim)
        if not isinstance(name, str) or not name or len(name) > NAME_CHARS_MAX:
            raise BadToken(f"its claim {rules.name_claim} names nobody")
        account = str(claims.get(rules.account_claim, "")) if rules.account_claim else ""
        if not rules.arn_claim:
            return web_identity(
                f"{rules.issuer}:{rules.audience}:{name}",
                name,
                rules.issuer,
                account if is_account(account) else self._account,
            )
        arn = identity_of_arn(str(claims.get(rules.arn_claim, "")))
        if arn is None:
            raise BadToken(f"its claim {rules.arn_claim} is not a caller's ARN")
        return arn


def web_identity(principal_id: str, name: str, provider: str, account: str) -> AccessKey:
    """Return the identity of somebody for whom ``provider`` vouches, and who has no ARN."""
    return AccessKey(
        access_key_id="",
        secret_access_key="",
        type=IdentityType.WEB_IDENTITY_USER,
        account=account,
        principal_id=principal_id,
        user_name=name,
        identity_provider=provider,
    )


def _ms(value: object) -> int:
    """Return a NumericDate (RFC 7519, 2) in milliseconds. Raises: BadToken."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadToken("a time in it is not a number")
    if not 0 <= value < _SECONDS_END:
        raise BadToken("a time in it is out of range")
    return int(value * 1000)


_SECONDS_END = 1 << 40
"""Past the year 30000: whoever means for ever; milliseconds of it still are whole numbers."""


def _reason(error: jwt.PyJWTError) -> str:
    for kind, reason in _REASONS:
        if isinstance(error, kind):
            return reason
    return "it is not a token"


_REASONS: tuple[tuple[type[jwt.PyJWTError], str], ...] = (
    (jwt.InvalidAudienceError, "it is meant for another audience"),
    (jwt.InvalidIssuerError, "it is from another issuer"),
    (jwt.MissingRequiredClaimError, "it lacks iss, aud or exp"),
    (jwt.InvalidAlgorithmError, "its algorithm is not one that is accepted"),
    (jwt.InvalidSignatureError, "its signature is not the issuer's"),
)
