# SPDX-License-Identifier: Apache-2.0
"""Tokens prove who calls, or nothing: every way to forge one that is known is tried."""

import base64
import functools
import hmac
import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from opentrail.access.keys import IdentityType
from opentrail.access.tokens import (
    KEY_SET_BYTES_MAX,
    NAME_CHARS_MAX,
    TOKEN_CHARS_MAX,
    TOKENS_CACHED_MAX,
    BadToken,
    TokenRules,
    Tokens,
    read_key_set,
)
from opentrail.errors import UsageError

NOW_S = 1_700_000_000
NOW_MS = NOW_S * 1000
ISSUER, AUDIENCE = "https://idp.example.com", "opentrail"
ACCOUNT = "123456789012"
SKEW_S = 60
ARN = f"arn:aws:iam::{ACCOUNT}:user/ada"


@functools.cache
def private(name: str) -> Any:
    if name.startswith("ec"):
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(65_537, 2048)


def jwk(name: str, **more: str) -> dict[str, Any]:
    if name.startswith("ec"):
        found = jwt.algorithms.ECAlgorithm.to_jwk(private(name).public_key(), as_dict=True)
    else:
        found = jwt.algorithms.RSAAlgorithm.to_jwk(private(name).public_key(), as_dict=True)
    found.pop("key_ops", None)
    return {**found, "kid": name, "use": "sig", **more}


def key_set(*names: str) -> bytes:
    return json.dumps({"keys": [jwk(name) for name in names]}).encode()


def tokens(**rules: Any) -> Tokens:
    said = {
        "issuer": ISSUER,
        "audience": AUDIENCE,
        "algorithms": ("RS256", "ES256"),
        "skew_s": SKEW_S,
        "name_claim": "sub",
        "arn_claim": "",
        "account_claim": "",
    }
    found = Tokens(TokenRules(**{**said, **rules}), ACCOUNT)
    found.use(read_key_set(key_set("rsa", "ec")))
    return found


def claims(**more: Any) -> dict[str, Any]:
    said = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "exp": NOW_S + 600, **more}
    return {name: value for name, value in said.items() if value is not None}


def token(signer: str = "rsa", kid: str | None = None, **more: Any) -> str:
    algorithm = "ES256" if signer.startswith("ec") else "RS256"
    headers = {"kid": kid or signer}
    return jwt.encode(claims(**more), private(signer), algorithm=algorithm, headers=headers)


def part(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


@pytest.mark.parametrize("signer", ["rsa", "ec"])
def test_a_token_is_a_web_identity_user(signer):
    found = tokens().identity(token(signer), NOW_MS)
    assert found.type is IdentityType.WEB_IDENTITY_USER
    assert (found.principal_id, found.user_name) == (f"{ISSUER}:{AUDIENCE}:ada", "ada")
    assert (found.identity_provider, found.account) == (ISSUER, ACCOUNT)


def test_claims_say_more():
    found = tokens(name_claim="email", account_claim="acct").identity(
        token(email="ada@example.com", acct="210987654321"), NOW_MS
    )
    assert (found.user_name, found.account) == ("ada@example.com", "210987654321")
    found = tokens(arn_claim="arn").identity(token(arn=ARN), NOW_MS)
    assert (found.type, found.arn, found.user_name) == (IdentityType.IAM_USER, ARN, "ada")


def public_pem() -> bytes:
    public = private("rsa").public_key()
    found: bytes = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return found


def with_public_key_as_secret() -> str:
    signed = f"{part({'alg': 'HS256', 'kid': 'rsa'})}.{part(claims())}"
    digest = hmac.digest(public_pem(), signed.encode(), "sha256")
    return f"{signed}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


def spliced() -> str:
    head, _, signature = token().split(".")
    return f"{head}.{part(claims(sub='eve'))}.{signature}"


def with_own_key() -> str:
    headers = {"kid": "rsa", "jwk": jwk("rsa-eve"), "jku": "https://eve.example.com/keys"}
    return jwt.encode(claims(), private("rsa-eve"), algorithm="RS256", headers=headers)


FORGED = {
    "no algorithm": f"{part({'alg': 'none', 'kid': 'rsa'})}.{part(claims())}.",
    "no algorithm, odd": f"{part({'alg': 'nOnE', 'kid': 'rsa'})}.{part(claims())}.",
    "the public key as a secret": with_public_key_as_secret(),
    "another key": token("rsa-eve", kid="rsa"),
    "another key's id": token("rsa-eve"),
    "a key of its own": with_own_key(),
    "an algorithm that is not pinned": jwt.encode(
        claims(), private("rsa"), algorithm="RS512", headers={"kid": "rsa"}
    ),
    "other claims": spliced(),
    "another audience": token(aud="other"),
    "no audience": token(aud=None),
    "another issuer": token(iss="https://eve.example.com"),
    "no issuer": token(iss=None),
    "no end": token(exp=None),
    "an end in words": token(exp="never"),
    "an end that is endless": token(exp=1e300),
    "no name": token(sub=None),
    "an empty name": token(sub=""),
    "a name that is too long": token(sub="a" * (NAME_CHARS_MAX + 1)),
    "a name that is a list": token(sub=None, aud=[AUDIENCE], name=["ada"]),
    "nothing": "",
    "dots": "..",
    "not base64": "é.é.é",
    "deep": "[" * 8000,
    "too long": "a" * (TOKEN_CHARS_MAX + 1),
}


@pytest.mark.parametrize("how", FORGED)
def test_a_forged_token_proves_nothing(how):
    with pytest.raises(BadToken) as refused:
        tokens().identity(FORGED[how], NOW_MS)
    assert "eve" not in refused.value.message


def test_an_arn_that_is_none_proves_nothing():
    with pytest.raises(BadToken):
        tokens(arn_claim="arn").identity(token(arn="arn:aws:s3:::bucket"), NOW_MS)


def test_the_clock_on_both_sides():
    end_ms = (NOW_S + 600 + SKEW_S) * 1000
    known = tokens()
    assert known.identity(token(), end_ms - 1).user_name == "ada"
    for proven in (known, tokens()):
        with pytest.raises(BadToken, match="expired"):
            proven.identity(token(), end_ms)
    for claim in ("nbf", "iat"):
        said: dict[str, Any] = {claim: NOW_S + 120}
        early = token(**said)
        begin_ms = (NOW_S + 120 - SKEW_S) * 1000
        assert tokens().identity(early, begin_ms).user_name == "ada"
        with pytest.raises(BadToken, match="not yet"):
            tokens().identity(early, begin_ms - 1)


def test_a_name_of_the_longest():
    name = "a" * NAME_CHARS_MAX
    assert tokens().identity(token(sub=name), NOW_MS).user_name == name


def test_keys_that_were_revoked_prove_nothing_any_more():
    known = tokens()
    assert known.identity(token(), NOW_MS).user_name == "ada"
    known.use(read_key_set(key_set("ec")))
    assert not known.wants_keys
    with pytest.raises(BadToken):
        known.identity(token(), NOW_MS)
    assert known.wants_keys


def test_proven_tokens_are_bounded():
    known = tokens()
    for number in range(TOKENS_CACHED_MAX + 1):
        known._proven[number.to_bytes(4)] = (known.identity(token("ec"), NOW_MS), NOW_MS + 1)
    assert known.identity(token("ec", sub="bob"), NOW_MS).user_name == "bob"
    assert len(known._proven) <= TOKENS_CACHED_MAX + 1


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[]",
        b'{"keys": []}',
        b'{"keys": [1]}',
        b'{"keys": [{"kty": "oct", "k": "AAAA"}]}',
        b'{"keys": [{"kty": "RSA"}]}',
        b'{"keys": [{"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}]}',
        b'{"keys": {"a": 1}}',
        b"[" * 10_000,
        b"\xff",
        b" " * (KEY_SET_BYTES_MAX + 1),
        json.dumps({"keys": [jwk("rsa", use="enc")]}).encode(),
    ],
)
def test_what_is_no_key_set(data):
    with pytest.raises(UsageError):
        read_key_set(data)
