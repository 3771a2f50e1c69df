# SPDX-License-Identifier: Apache-2.0
"""Signatures made by botocore are accepted, and nothing else."""

import hashlib
from dataclasses import replace
from urllib.parse import quote

import msgspec
import pytest
from botocore.auth import SigV4Auth
from botocore.credentials import Credentials
from hypothesis import given, settings
from hypothesis import strategies as st
from support.signed_requests import SECRET, Signed, Signer

from opentrail.access.sigv4 import (
    CLOCK_WINDOW_S,
    PRESIGNED_SECONDS_MAX,
    needs_body_hash,
    verify,
)
from opentrail.errors import ClientError

TARGET = {"X-Amz-Target": "SageMaker.ListModels", "Content-Type": "application/x-amz-json-1.1"}
PRINTABLE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=20)
SEGMENT = st.text(
    st.characters(exclude_categories=["Cs"], max_codepoint=0x2FFF, exclude_characters="/?#\r\n\t"),
    max_size=8,
)


def check(signed: Signed, secret: str = SECRET, shift_s: int = 0) -> None:
    now_ms = signed.signed_ms + shift_s * 1000
    verify(signed.head, signed.credential, signed.digest, secret, now_ms)


def refusal(signed: Signed, secret: str = SECRET, shift_s: int = 0) -> ClientError:
    with pytest.raises(ClientError) as caught:
        check(signed, secret, shift_s)
    for hidden in (SECRET, signed.credential.signature, signed.credential.session_token):
        assert not hidden or hidden not in str(caught.value)
    return caught.value


def with_header(signed: Signed, name: str, value: str) -> Signed:
    headers = {**signed.head.headers, name: value}
    return replace(signed, head=msgspec.structs.replace(signed.head, headers=headers))


requests = st.fixed_dictionaries(
    {
        "method": st.sampled_from(["GET", "POST", "PUT", "DELETE"]),
        "body": st.binary(max_size=40),
        "headers": st.dictionaries(
            st.from_regex(r"X-Amz-Meta-[a-z0-9]{1,5}", fullmatch=True), PRINTABLE, max_size=4
        ),
        "params": st.dictionaries(st.text(min_size=1, max_size=6), st.text(max_size=8), max_size=5),
    }
)
signers = st.builds(
    Signer,
    service=st.sampled_from(["sagemaker", "s3", "execute-api", "sts", "cloudtrail"]),
    region=st.sampled_from(["us-east-1", "eu-central-1", "eu-dc-1"]),
    token=st.sampled_from([None, "session/token+of=a-test"]),
    presigned_s=st.sampled_from([0, 0, 60]),
)


@settings(max_examples=200, deadline=None)
@given(signers, requests, st.lists(SEGMENT, max_size=5), st.booleans())
def test_what_botocore_signs_is_accepted_and_one_change_is_not(signer, request, segments, slash):
    path = "/" + "/".join(quote(segment, safe="~") for segment in segments)
    url = f"http://127.0.0.1:4540{path}{'/' if slash else ''}"
    if signer.presigned_s:  # a URL carries no body
        request = {**request, "body": b""}
    signed = signer.sign(url=url, **request)
    check(signed)
    assert refusal(signed, secret=SECRET + "x").code == "InvalidSignatureException"
    moved = replace(signed, head=msgspec.structs.replace(signed.head, method="PATCH"))
    assert refusal(moved).code == "InvalidSignatureException"
    elsewhere = replace(
        signed, head=msgspec.structs.replace(signed.head, path=signed.head.path + "x")
    )
    assert refusal(elsewhere).code == "InvalidSignatureException"


@given(st.sampled_from(["s3", "sagemaker"]), st.binary(min_size=1, max_size=40))
@settings(deadline=None)
def test_another_body_is_refused(service, other):
    signed = Signer(service).sign("PUT", "http://127.0.0.1/b/k", body=b"the body\n")
    code = {"s3": "XAmzContentSHA256Mismatch", "sagemaker": "InvalidSignatureException"}[service]
    assert refusal(replace(signed, body=other)).code == code


@pytest.mark.parametrize(
    "path",
    ["/a/./b/../c", "//a//b/", "/a%20b/c%2Fd", "/%C3%A9", "/.", "/..", "/a/..", "/a:b/(c)", "/~x"],
)
@pytest.mark.parametrize("service", ["s3", "sagemaker"])
def test_paths_as_botocore_signs_them(path, service):
    check(Signer(service).sign("GET", f"http://127.0.0.1:4540{path}"))


@pytest.mark.parametrize(
    "query", ["acl", "acl=", "b=2&a=1&a=0", "x=%20%2B", "list-type=2&prefix=a%2Fb", "a=%C3%A9"]
)
def test_queries_as_botocore_signs_them(query):
    check(Signer("s3").sign("GET", f"http://127.0.0.1:4540/bucket?{query}"))


def test_a_query_that_the_client_wrote_with_less_encoding_is_encoded_as_aws_does():
    signed = Signer("s3").sign("GET", "http://127.0.0.1/b?prefix=a%2Fb%3Ac%20d")
    loose = replace(signed, head=msgspec.structs.replace(signed.head, query="prefix=a/b:c+d"))
    check(loose)


@pytest.mark.parametrize(
    "value", ["one   two", "one\ttwo", " one two", "one two ", "\tone two", "  one  \t two\t"]
)
def test_blanks_in_header_values_are_folded(value):
    signed = Signer().sign(headers={"X-Amz-Meta-a": "one   two"})
    check(with_header(signed, "x-amz-meta-a", value))


def test_header_values_are_taken_byte_by_byte():
    signed = Signer().sign(headers={"X-Amz-Meta-a": "voilà"})
    on_the_wire = "voilà".encode().decode("latin-1")
    assert on_the_wire.endswith("\xa0")
    check(with_header(signed, "x-amz-meta-a", on_the_wire))


class Declaring(Signer):
    """Signs what the client declared of its body; botocore's S3 signer would declare anew."""

    def _auth(self):
        return SigV4Auth(Credentials(self.key_id, self.secret), self.service, self.region)


@pytest.mark.parametrize("service", ["s3", "sagemaker"])
@pytest.mark.parametrize(
    "declared",
    [
        "UNSIGNED-PAYLOAD",
        "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
    ],
)
def test_declared_payloads_are_signed_literally(service, declared):
    headers = {"X-Amz-Content-SHA256": declared}
    signed = Declaring(service).sign("PUT", "http://127.0.0.1/b/k", headers, b"body")
    assert not needs_body_hash(signed.head, signed.credential)
    check(signed)
    check(replace(signed, body=b"another"))


def test_a_declared_hash_must_be_the_bodys():
    signed = Signer("s3").sign("PUT", "http://127.0.0.1/b/k", body=b"body")
    assert signed.head.headers["x-amz-content-sha256"] == hashlib.sha256(b"body").hexdigest()
    assert needs_body_hash(signed.head, signed.credential)


def test_a_presigned_s3_url_leaves_the_body_open_and_others_do_not():
    s3 = Signer("s3", presigned_s=60).sign("PUT", "http://127.0.0.1/b/k")
    assert not needs_body_hash(s3.head, s3.credential)
    check(replace(s3, body=b"any"))
    sts = Signer("sts", presigned_s=60).sign("GET", "http://127.0.0.1/?Action=GetCallerIdentity")
    assert needs_body_hash(sts.head, sts.credential)
    assert refusal(replace(sts, body=b"any")).code == "InvalidSignatureException"


def test_the_clock_window_on_both_sides():
    signed = Signer().sign(headers=TARGET)
    check(signed, shift_s=CLOCK_WINDOW_S)
    check(signed, shift_s=-CLOCK_WINDOW_S)
    late = refusal(signed, shift_s=CLOCK_WINDOW_S + 1)
    assert late.code == "InvalidSignatureException"
    assert late.message.startswith("Signature expired: ")
    assert late.message.endswith("- 15 min.)")
    early = refusal(signed, shift_s=-CLOCK_WINDOW_S - 1)
    assert early.code == "InvalidSignatureException"
    assert early.message.startswith("Signature not yet current: ")
    assert early.message.endswith("+ 15 min.)")


@pytest.mark.parametrize("expires_s", [1, 59, 3600, PRESIGNED_SECONDS_MAX])
def test_a_presigned_url_lives_as_long_as_it_says(expires_s):
    signed = Signer("s3", presigned_s=expires_s).sign("GET", "http://127.0.0.1/b/k")
    check(signed, shift_s=expires_s)
    assert "Signature expired" in refusal(signed, shift_s=expires_s + 1).message


@pytest.mark.parametrize("expires_s", [PRESIGNED_SECONDS_MAX + 1, -1])
def test_a_presigned_url_cannot_live_longer_than_a_week(expires_s):
    signed = Signer("s3", presigned_s=expires_s).sign("GET", "http://127.0.0.1/b/k")
    assert "X-Amz-Expires" in refusal(signed).message


def test_a_presigned_url_without_lifetime_has_the_clock_window():
    signed = Signer("sts", presigned_s=60).sign("GET", "http://127.0.0.1/")
    query = signed.head.query.replace("X-Amz-Expires=60", "X-Other=60")
    signed = replace(signed, head=msgspec.structs.replace(signed.head, query=query))
    assert "does not match" in refusal(signed, shift_s=CLOCK_WINDOW_S).message
    assert "Signature expired" in refusal(signed, shift_s=CLOCK_WINDOW_S + 1).message


def test_the_date_header_serves_where_there_is_no_x_amz_date():
    signed = Signer().sign(headers={"Date": "Mon, 01 Jan 2024 00:00:00 GMT", **TARGET})
    assert "x-amz-date" not in signed.head.headers
    check(signed)


@pytest.mark.parametrize("presign", [False, True])
def test_what_s3_goes_by_is_signed(presign):
    signed = Signer("s3", presigned_s=60 * presign).sign("PUT", "http://127.0.0.1/b/k")
    check(with_header(signed, "x-amz-cf-id", "from CloudFront"))
    check(with_header(signed, "range", "bytes=0-1"))
    error = refusal(with_header(signed, "x-amz-copy-source", "bucket/other"))
    assert (error.code, "not signed" in error.message) == ("InvalidSignatureException", True)


@pytest.mark.parametrize(
    "date", ["Fri, 31 Dec 9999 23:59:59 -0100", "Mon, 01 Jan 99999999999999 00:00:00 GMT"]
)
def test_a_date_header_of_no_year_that_there_is(date):
    signed = Signer().sign(headers={"Date": "Mon, 01 Jan 2024 00:00:00 GMT", **TARGET})
    assert refusal(with_header(signed, "date", date)).code == "IncompleteSignatureException"


@pytest.mark.parametrize("date", ["", "yesterday", "20240230T000000Z", "20241301T000000Z"])
def test_a_date_that_is_none(date):
    signed = Signer().sign(headers=TARGET)
    broken = with_header(signed, "x-amz-date", date)
    credential = msgspec.structs.replace(signed.credential, date=date[:8] or "20240101")
    with pytest.raises(ClientError) as caught:
        verify(broken.head, credential, signed.digest, SECRET, signed.signed_ms)
    assert caught.value.code == "IncompleteSignatureException"


@pytest.mark.parametrize(
    ("change", "code", "text"),
    [
        ({"signature": ""}, "IncompleteSignatureException", "'Signature'"),
        ({"signature": "0" * 64}, "InvalidSignatureException", "does not match"),
        ({"signature": "é"}, "InvalidSignatureException", "does not match"),
        ({"region": ""}, "IncompleteSignatureException", "Credential"),
        ({"region": "r" * 129}, "IncompleteSignatureException", "Credential"),
        ({"signing_name": "s" * 129}, "IncompleteSignatureException", "Credential"),
        ({"region": "eu-west-1"}, "InvalidSignatureException", "does not match"),
        ({"signing_name": "s3"}, "InvalidSignatureException", "does not match"),
        ({"date": "20010101"}, "InvalidSignatureException", "Date in Credential scope"),
        ({"signed_headers": ("x-amz-date",)}, "InvalidSignatureException", "'Host'"),
        ({"signed_headers": ("host",)}, "InvalidSignatureException", "'X-Amz-Target'"),
    ],
)
def test_a_credential_that_says_something_else(change, code, text):
    signed = Signer().sign(headers=TARGET)
    credential = msgspec.structs.replace(signed.credential, **change)
    with pytest.raises(ClientError) as caught:
        verify(signed.head, credential, signed.digest, SECRET, signed.signed_ms)
    assert caught.value.code == code
    assert text in caught.value.message


def test_a_signed_header_that_is_not_there_is_a_mismatch():
    signed = Signer().sign(headers={"X-Amz-Meta-a": "1"})
    headers = {k: v for k, v in signed.head.headers.items() if k != "x-amz-meta-a"}
    missing = replace(signed, head=msgspec.structs.replace(signed.head, headers=headers))
    assert "does not match" in refusal(missing).message


@given(st.text(max_size=30), st.text(max_size=30), st.text(max_size=30))
def test_junk_is_refused_and_never_crashes(path, query, value):
    signed = Signer().sign(headers=TARGET)
    head = msgspec.structs.replace(
        signed.head,
        path="/" + path,
        query=query,
        headers={**signed.head.headers, "x-amz-target": value},
    )
    with pytest.raises(ClientError):
        verify(head, signed.credential, "x" + signed.digest, SECRET, signed.signed_ms)
