# SPDX-License-Identifier: Apache-2.0
"""Callers without AWS credentials: a proxy's word, a certificate, and who tries to use them."""

import asyncio
import ipaddress
import json
from dataclasses import replace

import pytest
from support.signed_requests import SECRET, Signer

from opentrail.access.key_table import KeyTable
from opentrail.access.keys import AccessKey, IdentityType, identity_of_arn
from opentrail.access.tokens import NAME_CHARS_MAX
from opentrail.capture.admit import Admission, Admitted, Request
from opentrail.capture.arrival import Arrival, RequestBody, arrive
from opentrail.capture.call import Tls
from opentrail.capture.identity import Identities, IdentitySettings
from opentrail.capture.stream import Stream
from opentrail.capture.vouched import ProxyRules, Vouched, VouchedRules
from opentrail.config import load
from opentrail.errors import UsageError

ACCOUNT = "123456789012"
ARN = f"arn:aws:iam::{ACCOUNT}:user/ada"
NETWORKS = [ipaddress.ip_network("10.0.0.0/24")]
PROXY = ProxyRules(NETWORKS, "x-user", "x-account", "x-console", "corp")
SUBJECT = "CN=ada,O=Example"
ADA = identity_of_arn(ARN)
assert ADA is not None
BOB = identity_of_arn(f"arn:aws:iam::{ACCOUNT}:user/bob")
assert BOB is not None
CERTIFICATES = {
    SUBJECT: replace(ADA, configured=True),
    "URI:spiffe://example.org/ada": replace(ADA, configured=True),
    "DNS:bob.example.org": replace(BOB, configured=True),
}
RULES = VouchedRules(ACCOUNT, PROXY, certificates=CERTIFICATES)
USER = AccessKey(
    "AKIAQAAAAAAAAAAAAAAA", SECRET, IdentityType.IAM_USER, ACCOUNT, user_name="bob", configured=True
)
TLS = Tls("TLSv1.3", "x", (SUBJECT,))


def arrival(
    *headers: tuple[str, str], peer: str = "10.0.0.7", tls: Tls | None = None, trusted: bool = False
) -> Arrival:
    raw = [(name.encode(), value.encode()) for name, value in headers]
    return arrive(("GET", "/", ""), raw, peer, NETWORKS if trusted else (), tls)


def admitted(came: Arrival, signer: Signer | None = None, *, required: bool = True) -> Admitted:
    credential = None
    now_ms = 0
    if signer is not None:
        signed = signer.sign("GET", headers={})
        headers = {**came.head.headers, **signed.head.headers}
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        came = arrive(("GET", "/", ""), raw, came.peer, ())
        credential, now_ms = signed.credential, signed.signed_ms
    stream = Stream(asyncio.Transport())
    stream.end()
    body = RequestBody(stream, 0)
    body.begin()
    admission = Admission(
        KeyTable([USER]),
        Vouched(RULES, None),
        verify_calls=required,
        verify_own=True,
        instance="log",
    )
    return admission.check(
        Request(came, credential, body, "json", own=False, reads_bucket=False), now_ms
    )


def name_of(found: Admitted) -> str:
    return found.vouched.user_name if found.vouched else ""


def test_a_trusted_proxy_names_the_caller():
    found = admitted(arrival(("x-user", "ada@example.com"), ("x-account", "210987654321")))
    assert found.verified
    assert found.refusal is None
    assert found.vouched is not None
    assert (found.vouched.type, found.vouched.user_name) == ("WebIdentityUser", "ada@example.com")
    assert (found.vouched.principal_id, found.vouched.account) == (
        "corp:ada@example.com",
        "210987654321",
    )
    named = admitted(arrival(("x-user", ARN), ("x-console", "true")))
    assert named.vouched is not None
    assert (named.vouched.type, named.vouched.arn) == ("IAMUser", ARN)
    assert named.from_console


@pytest.mark.parametrize(
    "came",
    [
        arrival(("x-user", "ada"), peer="10.0.1.7"),
        arrival(("x-user", "ada"), peer=""),
        arrival(("x-user", "ada"), ("x-forwarded-for", "10.0.0.7"), peer="192.0.2.1"),
        # A client behind a trusted proxy is not that proxy.
        arrival(("x-user", "")),
        arrival(),
    ],
)
def test_nobody_else_may_name_a_caller(came):
    found = admitted(came)
    assert not found.verified
    assert found.refusal is not None
    assert name_of(admitted(came, required=False)) == ""


def test_what_x_forwarded_for_says_does_not_make_a_proxy():
    came = arrival(("x-user", "ada"), ("x-forwarded-for", "192.0.2.9"), trusted=True)
    assert came.source_ip == "192.0.2.9"
    assert name_of(admitted(came)) == "ada"


@pytest.mark.parametrize(
    "headers",
    [
        (("x-user", "ada"), ("x-user", "eve")),
        (("x-user", "ada"), ("x-account", ACCOUNT), ("x-account", "210987654321")),
        (("x-user", "ada"), ("x-console", "false"), ("x-console", "true")),
        (("x-user", "a" * (NAME_CHARS_MAX + 1)),),
        (("x-user", "ada\x1b[2J"),),
        (("x-user", "ada"), ("x-account", "12")),
    ],
)
@pytest.mark.parametrize("required", [True, False])
def test_what_cannot_be_read_in_one_way_is_refused(headers, required):
    found = admitted(arrival(*headers), required=required)
    assert found.refusal is not None
    assert found.refusal.code == "InvalidRequest"


def test_the_same_twice_from_anybody_else_is_nothing():
    came = arrival(("x-user", "ada"), ("x-user", "eve"), peer="192.0.2.1")
    assert admitted(came, required=False) == Admitted()


def test_a_signature_is_never_overruled():
    named = arrival(("x-user", "eve"), ("x-console", "true"))
    good = admitted(named, Signer(key_id=USER.access_key_id))
    assert (good.verified, good.vouched, good.from_console) == (True, None, True)
    bad = admitted(named, Signer(key_id=USER.access_key_id, secret="wrong"))
    assert not bad.verified
    assert bad.refusal is not None
    loose = admitted(named, Signer(secret="wrong"), required=False)
    assert loose == Admitted()


def test_a_certificate_names_its_owner_and_no_other():
    found = admitted(arrival(peer="192.0.2.1", tls=TLS))
    assert found.vouched is not None
    assert found.vouched.arn == ARN
    for subject in ("", "CN=ada", SUBJECT + ",O=More", SUBJECT.lower()):
        other = admitted(arrival(tls=Tls("TLSv1.3", "x", (subject,))), required=False)
        assert other.vouched is None


@pytest.mark.parametrize(
    ("names", "arn"),
    [
        (("CN=host", "URI:spiffe://example.org/ada"), ARN),
        ((SUBJECT, "URI:spiffe://example.org/ada"), ARN),
        (("CN=host", "DNS:spiffe://example.org/ada"), ""),
        # Names of two callers: whose call it is cannot be told.
        ((SUBJECT, "DNS:bob.example.org"), ""),
    ],
)
def test_alternative_names_of_a_certificate_count_too(names, arn):
    found = admitted(arrival(tls=Tls("TLSv1.3", "x", names)), required=False)
    assert (found.vouched.arn if found.vouched else "") == arn


def test_the_record_says_what_was_proven():
    identities = Identities(IdentitySettings(account=ACCOUNT, region="us-east-1"), KeyTable())
    found = admitted(arrival(("x-user", "ada"), ("x-account", "210987654321")))
    assert found.vouched is not None
    caller = identities.vouched(found.vouched)
    assert json.loads(bytes(caller.user_identity)) == {
        "type": "WebIdentityUser",
        "principalId": "corp:ada",
        "userName": "ada",
        "identityProvider": "corp",
    }
    # An account that is not served is a claim, however well it is proven who makes it.
    assert (caller.account, caller.verified) == (ACCOUNT, True)
    assert caller.additional == {"claimedAccount": "210987654321"}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('[proxy]\nuser_header = "x-user"', "proxy.networks"),
        ('[proxy]\nuser_header = "x-user"\nnetworks = ["0.0.0.0/0"]', "everybody"),
        ('[proxy]\nuser_header = "x-user"\nnetworks = ["nowhere"]', "proxy.networks"),
        ('[proxy]\nuser_header = "X User"\nnetworks = ["10.0.0.1"]', "user_header"),
        ('[jwt]\naudience = "a"', "jwt.issuer"),
        ('[jwt]\nissuer = "a"', "jwt.audience"),
        ('[jwt]\nissuer = "a"\naudience = "b"\njwks = "http://idp/keys"', "https"),
        ('[jwt]\nissuer = "a"\naudience = "b"\njwks = "f"\nalgorithms = ["HS256"]', "algorithms"),
        ('[jwt]\nissuer = "a"\naudience = "b"\njwks = "f"\nalgorithms = ["none"]', "algorithms"),
        ("[jwt]\nskew_s = 301", "skew_s"),
        ('[client_certificates."CN=a"]\narn = "arn:aws:iam::123456789012:root"', "tls_client_ca"),
    ],
)
def test_settings_that_would_believe_too_much_are_refused(tmp_path, text, wanted):
    file = tmp_path / "opentrail.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=wanted):
        load(file, {}, {})
