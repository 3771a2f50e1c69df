# SPDX-License-Identifier: Apache-2.0
"""A request is let in as the known key that signed it, or refused in AWS's words."""

from dataclasses import replace

import pytest
from support.signed_requests import KEY_ID, SECRET, Signed, Signer

from opentrail.access import refusals
from opentrail.access.authenticate import authenticate
from opentrail.access.key_table import KeyTable
from opentrail.access.keys import AccessKey, IdentityType
from opentrail.aws.request import RequestHead
from opentrail.errors import ClientError

TOKEN = "token-of-a-test"
USER = AccessKey(KEY_ID, SECRET, IdentityType.IAM_USER, "123456789012", configured=True)
SESSION = AccessKey(
    "ASIAQAAAAAAAAAAAAAAA",
    SECRET,
    IdentityType.ASSUMED_ROLE,
    "123456789012",
    session_token=TOKEN,
    expires_ms=1 << 50,
)


def refused(signed: Signed, keys: KeyTable, now_ms: int = 0) -> ClientError:
    with pytest.raises(ClientError) as caught:
        authenticate(
            signed.head, signed.credential, signed.digest, keys, now_ms or signed.signed_ms
        )
    assert SECRET not in str(caught.value)
    assert TOKEN not in str(caught.value)
    return caught.value


def learned(session: AccessKey) -> KeyTable:
    keys = KeyTable([USER])
    keys.learn(session, 0)
    return keys


@pytest.mark.parametrize("presigned_s", [0, 60])
def test_known_keys_are_let_in(presigned_s):
    keys = learned(SESSION)
    for key, token in ((USER, None), (SESSION, TOKEN)):
        signer = Signer("sts", key_id=key.access_key_id, token=token, presigned_s=presigned_s)
        signed = signer.sign("GET")
        answer = authenticate(signed.head, signed.credential, signed.digest, keys, signed.signed_ms)
        assert answer is key


def test_an_unknown_key_and_one_without_secret():
    for keys in (KeyTable(), KeyTable([replace(USER, secret_access_key="")])):
        error = refused(Signer().sign(), keys)
        assert error.code == "UnrecognizedClientException"
        assert error.message == "The security token included in the request is invalid."
        assert error.status == 400


@pytest.mark.parametrize("token", [None, "another", TOKEN + "x", "tökén"])
def test_a_session_needs_its_own_token(token):
    signed = Signer(key_id=SESSION.access_key_id, token=token).sign()
    assert refused(signed, learned(SESSION)).code == "UnrecognizedClientException"


def test_a_long_term_key_has_no_token():
    error = refused(Signer(token=TOKEN).sign(), KeyTable([USER]))
    assert error.code == "UnrecognizedClientException"


def test_the_end_of_a_session_on_both_sides():
    signed = Signer(key_id=SESSION.access_key_id, token=TOKEN).sign()
    at_ms = signed.signed_ms
    late = learned(replace(SESSION, expires_ms=at_ms + 1))
    authenticate(signed.head, signed.credential, signed.digest, late, at_ms)
    error = refused(signed, learned(replace(SESSION, expires_ms=at_ms)))
    assert error.code == "ExpiredTokenException"


def test_that_a_session_is_over_is_told_only_to_its_holder():
    signed = Signer(key_id=SESSION.access_key_id, token=TOKEN, secret="guessed").sign()
    error = refused(signed, learned(replace(SESSION, expires_ms=1)))
    assert error.code == "InvalidSignatureException"


def test_a_wrong_secret():
    error = refused(Signer(secret="guessed").sign(), KeyTable([USER]))
    assert error.code == "InvalidSignatureException"


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "MissingAuthenticationTokenException"),
        ({"authorization": "Bearer abc"}, "IncompleteSignatureException"),
        ({"authorization": "AWS4-HMAC-SHA256 x"}, "IncompleteSignatureException"),
    ],
)
def test_without_a_credential(headers, code):
    head = RequestHead("POST", "/", "", headers)
    with pytest.raises(ClientError) as caught:
        authenticate(head, None, "", KeyTable(), 0)
    assert caught.value.code == code
    assert "abc" not in str(caught.value)


@pytest.mark.parametrize(
    ("protocol", "code", "status"),
    [
        ("json", "UnrecognizedClientException", 400),
        ("", "UnrecognizedClientException", 400),
        ("rest-json", "UnrecognizedClientException", 403),
        ("smithy-rpc-v2-cbor", "UnrecognizedClientException", 403),
        ("query", "InvalidClientTokenId", 403),
        ("ec2", "AuthFailure", 401),
        ("rest-xml", "InvalidAccessKeyId", 403),
    ],
)
def test_each_protocol_has_its_own_codes(protocol, code, status):
    error = refusals.in_protocol(refusals.unknown_key(), protocol)
    assert (error.code, error.status) == (code, status)
    assert error.message == refusals.unknown_key().message


@pytest.mark.parametrize("protocol", ["json", "rest-json", "query", "ec2", "rest-xml"])
def test_every_refusal_has_a_code_in_every_protocol(protocol):
    errors = [
        refusals.missing_token(),
        refusals.incomplete("why"),
        refusals.unknown_key(),
        refusals.mismatch(),
        refusals.expired_token(),
        refusals.access_denied("arn", "cloudtrail:LookupEvents"),
    ]
    codes = {refusals.in_protocol(error, protocol).code for error in errors}
    assert all(not code.endswith("Exception") or "json" in protocol for code in codes)
    other = ClientError("LimitExceededException", "no")
    assert refusals.in_protocol(other, protocol) is other


def test_access_denied_reads_as_aws_writes_it():
    arn = "arn:aws:iam::123456789012:user/alice"
    assert refusals.access_denied(arn, "cloudtrail:LookupEvents").message == (
        f"User: {arn} is not authorized to perform: cloudtrail:LookupEvents"
        " because no identity-based policy allows the cloudtrail:LookupEvents action"
    )
