# SPDX-License-Identifier: Apache-2.0
"""What a path prefix and a host name say of a call, and that they cannot make it another one."""

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.aws_requests import scope

from opentrail.aws.address import addressed, upstream_target
from opentrail.aws.protocol import unsupported
from opentrail.aws.request import RequestHead, Target
from opentrail.aws.route import identify, parse_credential
from opentrail.capture.call import MEMBERS_MAX, Body, plain
from opentrail.event.caps import BODY_KEPT_MAX

DOMAIN = "aws.example.org"


def head(path, host="127.0.0.1:4540", signed_for="", query="", method="GET"):
    headers = {"host": host}
    if signed_for:
        headers["authorization"] = scope(signed_for)
    return RequestHead(method, path, query, headers)


def reached(made, body=b"", domain=DOMAIN):
    """Return what the call is for, and its path."""
    credential = parse_credential(made)
    address = addressed(made, credential, domain)
    target = identify(address.head, credential, body, address.service)
    return target.service, target.operation, address.head.path


@pytest.mark.parametrize(
    ("path", "rest"),
    [
        ("/_svc/lex-models/imports", "/imports"),
        ("/_svc/lex-models/", "/"),
        ("/_svc/lex-models", "/"),
        ("/_svc/lex-models//x%2F", "//x%2F"),
        ("/_svc/lex-models/_svc/lex-models/", "/_svc/lex-models/"),
    ],
)
def test_the_prefix_is_taken_off(path, rest):
    made = head(path, signed_for="lex")
    found = addressed(made, parse_credential(made), "")
    assert (found.head.path, found.service, found.refusal) == (rest, "lex-models", None)
    assert upstream_target(made) == rest
    assert upstream_target(head(path, query="a=%20")) == f"{rest}?a=%20"


def test_without_a_prefix_nothing_changes():
    made = head("/_svcx/lex-models/imports", query="x=1", signed_for="lex")
    found = addressed(made, parse_credential(made), "")
    assert found.head is made
    assert not found.service
    assert upstream_target(made) == "/_svcx/lex-models/imports?x=1"


@pytest.mark.parametrize(
    ("service", "name"), [("lex-models", "StartImport"), ("lexv2-models", "ListImports")]
)
def test_the_prefix_tells_twins_apart(service, name):
    made = head(f"/_svc/{service}/imports", signed_for="lex", method="POST")
    assert reached(made) == (service, name, "/imports")


def test_a_prefix_cannot_make_a_call_another_one():
    made = head("/_svc/sagemaker/bucket/key", signed_for="s3", method="DELETE")
    found = addressed(made, parse_credential(made), "")
    assert found.refusal is not None
    assert (found.refusal.code, found.refusal.status) == ("InvalidRequest", 400)
    assert "signed for 's3', not for 'sagemaker'" in found.refusal.message
    # What is recorded of the refused call is what was signed.
    assert reached(made)[:2] == ("s3", "DeleteObject")


@pytest.mark.parametrize("name", ["", "sagemakr", "..", "x" * 5000, "s3%2f"])
def test_a_prefix_that_names_no_service_is_refused(name):
    made = head(f"/_svc/{name}/b", signed_for="s3")
    found = addressed(made, parse_credential(made), "")
    assert found.refusal is not None
    assert "no service" in found.refusal.message
    assert len(found.refusal.message) < 300


def test_a_prefix_names_the_service_of_an_unsigned_call():
    assert reached(head("/_svc/s3/b/k"))[:2] == ("s3", "GetObject")
    assert reached(head("/_svc/sso-oidc/token", method="POST"))[:2] == ("sso-oidc", "CreateToken")


def test_aliases_of_a_signing_name_fit_its_services():
    assert reached(head("/_svc/s3/b/k", signed_for="s3express"))[:2] == ("s3", "GetObject")


@pytest.mark.parametrize(
    ("host", "path"),
    [
        ("b.s3.amazonaws.com", "/b/k"),
        ("b.s3.us-west-2.amazonaws.com:443", "/b/k"),
        ("b.s3-us-west-2.amazonaws.com", "/b/k"),
        ("b.s3.dualstack.us-west-2.amazonaws.com", "/b/k"),
        ("my.b.s3.us-west-2.amazonaws.com", "/my.b/k"),
        ("b--az--x-s3.s3express-az.us-west-2.amazonaws.com", "/b--az--x-s3/k"),
        ("s3.us-west-2.amazonaws.com", "/k"),
        ("evil.example.com", "/k"),
        (f"b.s3.{DOMAIN}", "/b/k"),
        (f"b.s3.eu-west-1.{DOMAIN}:4540", "/b/k"),
        (f"B.{DOMAIN.upper()}", "/b/k"),
        (f"my.b.{DOMAIN}", "/my.b/k"),
        (f"s3.{DOMAIN}", "/k"),
        (f"s3.eu-west-1.{DOMAIN}", "/k"),
        (DOMAIN, "/k"),
        (f"b{DOMAIN}", "/k"),
        (f"b_{DOMAIN}", "/k"),
        (f"-b.{DOMAIN}", "/k"),
        (f"a/b.{DOMAIN}", "/k"),
        (f".{DOMAIN}", "/k"),
        (f"b.{DOMAIN}.", "/k"),
        ("", "/k"),
    ],
)
def test_buckets_in_host_names(host, path):
    assert reached(head("/k", host, "s3"))[2] == path
    assert upstream_target(head("/k", host)) == "/k"


def test_only_a_configured_domain_counts():
    assert reached(head("/k", f"b.{DOMAIN}", "s3"), domain="")[2] == "/k"


def test_a_bucket_alone():
    made = head("/", f"b.{DOMAIN}", "s3", query="list-type=2")
    assert reached(made) == ("s3", "ListObjectsV2", "/b/")


@pytest.mark.parametrize(
    ("path", "host", "signed_for"),
    [
        ("/v20180820/jobs", f"123456789012.{DOMAIN}", "s3"),
        ("/v20180820/jobs", f"123456789012.s3-control.us-east-1.{DOMAIN}", "s3"),
        ("/imports", f"models.lex.us-east-1.{DOMAIN}", "lex"),
        ("/", f"api.{DOMAIN}", "iotsitewise"),
        ("/token", f"oidc.{DOMAIN}", ""),
    ],
)
def test_other_host_names_name_no_bucket(path, host, signed_for):
    assert reached(head(path, host, signed_for))[2] == path


def test_an_unsigned_call_at_a_name_that_no_service_has_is_for_a_bucket():
    made = head("/k", f"pictures.{DOMAIN}")
    assert reached(made)[2] == "/pictures/k"


@given(
    path=st.text(st.characters(max_codepoint=255), max_size=40).map("/_svc/".__add__)
    | st.text(st.characters(max_codepoint=255), max_size=40),
    host=st.text(st.characters(max_codepoint=255), max_size=40).map(lambda t: f"{t}.{DOMAIN}")
    | st.text(st.characters(max_codepoint=255), max_size=40),
    signed_for=st.sampled_from(["", "s3", "lex", "\xff"]),
)
def test_nothing_makes_it_raise(path, host, signed_for):
    made = head(path, host, signed_for)
    credential = parse_credential(made)
    found = addressed(made, credential, DOMAIN)
    identify(found.head, credential, b"", found.service)
    assert path.endswith(upstream_target(made).lstrip("/"))


@pytest.mark.parametrize(
    ("service", "name"),
    [
        ("bedrock-runtime", "InvokeModelWithBidirectionalStream"),
        ("lexv2-runtime", "StartConversation"),
        ("qbusiness", "Chat"),
    ],
)
def test_event_streams_in_are_not_passed_on(service, name):
    error = unsupported(Target(service, "", name, "rest-json"))
    assert error is not None
    assert (error.code, error.status) == ("NotImplemented", 501)
    assert name in error.message


@pytest.mark.parametrize(
    ("service", "name"),
    [("bedrock-runtime", "InvokeModelWithResponseStream"), ("s3", "PutObject"), ("", "Chat")],
)
def test_everything_else_is(service, name):
    assert unsupported(Target(service, "", name, "rest-json")) is None


GZIPPED = {"content-encoding": "gzip"}


def test_a_gzipped_body_is_read_up_to_a_bound():
    for size in (0, 1, BODY_KEPT_MAX):
        data = gzip.compress(b"a" * size)
        assert plain(Body(data, len(data)), GZIPPED) == Body(b"a" * size, size)
    bomb = gzip.compress(b"a" * (BODY_KEPT_MAX + 1))
    found = plain(Body(bomb, len(bomb)), GZIPPED)
    assert (len(found.data), found.complete) == (BODY_KEPT_MAX, False)


def test_a_gzipped_body_of_too_many_members_is_not_read_to_its_end():
    empty, last = gzip.compress(b""), gzip.compress(b"last")
    few = empty * (MEMBERS_MAX - 1) + last
    assert plain(Body(few, len(few)), GZIPPED) == Body(b"last", 4)
    many = empty * MEMBERS_MAX + last
    assert not plain(Body(many, len(many)), GZIPPED).complete


def test_the_beginning_of_a_gzipped_body_says_what_is_called():
    data = gzip.compress(b"Action=PutMetricData&Version=2010-08-01&x=" + bytes(range(256)) * 9)
    half = plain(Body(data[:200], 10**6), GZIPPED)
    assert half.data.startswith(b"Action=PutMetricData")
    assert not half.complete
    made = RequestHead(
        "POST",
        "/",
        "",
        {"content-type": "application/x-www-form-urlencoded", "authorization": scope("monitoring")},
    )
    assert identify(made, parse_credential(made), half.data).operation == "PutMetricData"


def test_what_is_not_gzip_stays_as_it_is():
    for body in (Body(b"no gzip", 7), Body(b"", 0)):
        assert plain(body, GZIPPED) == body
    assert plain(Body(gzip.compress(b"x"), 99), {}).data == gzip.compress(b"x")
