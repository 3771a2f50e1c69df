# SPDX-License-Identifier: Apache-2.0
"""A request that two servers can read differently must not be recorded as another than was made."""

import time

import pytest
from support import raw_http, upstreams
from support.aws_clients import Key
from support.post_forms import KIND, form
from support.server import OpenTrail
from support.upstreams import Upstream

OWN, OTHER = "111111111111", "222222222222"
BOB = Key("AKIAQAAAAAAAAAAAAAAB", "a-secret-of-bob")
SESSION = Key("ASIAQAAAAAAAAAAAAAAC", "a-secret-of-a-session", "a-token")
CONFIG = f"""
account = "{OWN}"
[upstream]
trusted_identity = true
verifies_signatures = true
[access_keys.{BOB.access_key_id}]
secret_access_key = "{BOB.secret_access_key}"
account = "{OTHER}"
user_name = "bob"
policies = ["CloudTrailReadOnlyAccess"]
"""
SIGNATURE = (
    f"AWS4-HMAC-SHA256 Credential={BOB.access_key_id}/20260101/us-east-1/sagemaker/aws4_request,"
    " SignedHeaders=host, Signature=00ff"
)
CALL = (
    ("Content-Type", "application/x-amz-json-1.1"),
    ("X-Amz-Target", "SageMaker.DeleteModel"),
    ("Authorization", SIGNATURE),
)
BODY = b'{"ModelName":"m"}'


@pytest.fixture(scope="module")
def upstream():
    with upstreams.upstream() as found:
        yield found


@pytest.fixture(scope="module")
def server(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory):
    data = tmp_path_factory.mktemp("readings") / "data"
    with OpenTrail(data, upstream=upstream.url, config=CONFIG) as found:
        yield found
        seen, accounted = found.accounted()
        assert seen == accounted


@pytest.mark.parametrize(
    ("name", "second"),
    [
        ("X-Amz-Target", "SageMaker.ListModels"),
        ("Authorization", SIGNATURE.replace(BOB.access_key_id, "AKIAIOSFODNN7EXAMPLE")),
        ("Content-Type", "application/x-www-form-urlencoded"),
        ("X-Amz-Date", "20260101T000000Z"),
    ],
)
def test_a_header_that_decides_stands_once(
    server: OpenTrail, upstream: Upstream, name: str, second: str
) -> None:
    before = len(upstream.received)
    headers = (*CALL, ("X-Amz-Date", "20260102T000000Z"), (name, second))
    answer = raw_http.call(server.endpoint, raw_http.request("/", BODY, headers=headers))
    assert answer.status == 400
    assert f"'{name.lower()}' must not stand twice".encode() in answer.body
    assert len(upstream.received) == before
    event = server.events()[-1]
    assert (event["errorCode"], event["responseElements"]) == ("InvalidRequest", None)
    assert event["additionalEventData"] == {"identityVerified": False}


HEADER = {"Authorization": SIGNATURE.replace("/sagemaker/", "/s3/")}
PRESIGNED = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=00&X-Amz-Credential="
MALLORY = f"{PRESIGNED}AKIAIOSFODNN7EXAMPLE%2F20260101%2Fus-east-1%2Fs3%2Faws4_request"
FORM = {"Content-Type": KIND, **HEADER}


@pytest.mark.parametrize(
    ("method", "target", "headers"),
    [
        ("GET", f"/bucket/key?{MALLORY}", HEADER),
        ("GET", f"/bucket/key?{MALLORY.replace('Amz-C', '%41mz%2dC')}", HEADER),
        ("GET", "/bucket/key?AWSAccessKeyId=AKIAIOSFODNN7EXAMPLE&Signature=00", HEADER),
        ("GET", f"/bucket/key?{MALLORY}&AWSAccessKeyId={BOB.access_key_id}&Signature=00", {}),
        ("GET", f"/bucket/key?{MALLORY}&X-Amz-Credential={BOB.access_key_id}", {}),
        ("POST", "/bucket", FORM),
        ("POST", f"/bucket?{MALLORY}", {"Content-Type": KIND}),
    ],
)
def test_one_key_is_named(
    server: OpenTrail, upstream: Upstream, method: str, target: str, headers: dict[str, str]
) -> None:
    upstream.script = upstreams.answer()
    before = len(upstream.received)
    body = form([("key", "k")], b"data") if method == "POST" else b""
    request = raw_http.request(target, body, headers=tuple(headers.items()), method=method)
    answer = raw_http.call(server.endpoint, request)
    assert (answer.status, len(upstream.received)) == (400, before)
    assert b"Only one auth mechanism allowed" in answer.body
    assert server.events()[-1]["additionalEventData"]["identityVerified"] is False


@pytest.mark.parametrize("query", ["acl&policy", "&" * 1000 + "policy"])
def test_a_query_string_names_one_operation(
    server: OpenTrail, upstream: Upstream, query: str
) -> None:
    before = len(upstream.received)
    put = raw_http.request(f"/bucket?{query}", b"{}", method="PUT", headers=(*HEADER.items(),))
    assert raw_http.call(server.endpoint, put).status == 400
    assert len(upstream.received) == before
    event = server.events()[-1]
    assert (event["eventSource"], event["errorCode"]) == ("s3.amazonaws.com", "InvalidRequest")


def test_one_operation_is_named(server: OpenTrail, upstream: Upstream) -> None:
    before = len(upstream.received)
    call = raw_http.request("/?Action=DeleteModel", BODY, headers=CALL)
    assert raw_http.call(server.endpoint, call).status == 400
    assert len(upstream.received) == before
    event = server.events()[-1]
    assert (event["errorCode"], event["readOnly"]) == ("InvalidRequest", False)


def test_a_header_that_names_two_keys_proves_neither(server: OpenTrail, upstream: Upstream) -> None:
    upstream.script = upstreams.answer()
    two = f"{SIGNATURE}, Credential=AKIAIOSFODNN7EXAMPLE/20260101/us-east-1/s3/aws4_request"
    headers = (*CALL[:2], ("Authorization", two))
    raw_http.call(server.endpoint, raw_http.request("/", BODY, headers=headers))
    event = server.events()[-1]
    assert event["userIdentity"] == {"type": "Unknown"}
    assert event["additionalEventData"]["identityVerified"] is False


def test_other_headers_may_stand_twice(server: OpenTrail, upstream: Upstream) -> None:
    upstream.script = upstreams.answer()
    headers = (*CALL, ("X-Forwarded-For", "192.0.2.1"), ("X-Forwarded-For", "192.0.2.2"))
    request = raw_http.request("/", BODY, headers=headers)
    assert raw_http.call(server.endpoint, request).status == 200
    assert upstream.last().header(b"x-forwarded-for") == [b"192.0.2.1", b"192.0.2.2"]


def test_connection_cannot_take_back_what_is_recorded(
    server: OpenTrail, upstream: Upstream
) -> None:
    upstream.script = upstreams.answer()
    hop = (("Connection", "keep-alive"), ("Connection", "X-Amz-Target, content-type, X-Hop"))
    request = raw_http.request("/", BODY, headers=(*CALL, *hop, ("X-Hop", "1")))
    assert raw_http.call(server.endpoint, request).status == 200
    got = upstream.last()
    assert got.header(b"x-amz-target") == [b"SageMaker.DeleteModel"]
    assert got.header(b"content-type") == [b"application/x-amz-json-1.1"]
    assert got.header(b"x-hop") == []


def test_an_offer_of_http2_in_two_packets(server: OpenTrail, upstream: Upstream) -> None:
    upstream.script = upstreams.answer()
    offer = (("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", "h2c"))
    request = raw_http.request("/", BODY, headers=(*CALL, *offer))
    begin = request.index(b"\r\nUpgrade")
    with raw_http.connection(server.endpoint) as connection:
        for split in (*range(begin, begin + 12), len(request) - len(BODY) - 1):
            connection.send(request[:split])
            time.sleep(0.02)  # so that they arrive as two
            connection.send(request[split:])
            assert connection.answer().status == 200
            assert upstream.last().body == BODY


UNSIGNED = (
    ("Content-Type", "application/x-amz-json-1.1"),
    ("X-Amz-Target", "AWSCognitoIdentityProviderService.InitiateAuth"),
    ("Authorization", SIGNATURE.replace("/sagemaker/", "/cognito-idp/")),
)


@pytest.mark.parametrize(
    ("status", "headers", "marked"),
    [
        (200, CALL, []),
        (204, CALL, []),
        (307, CALL, [False]),
        (400, CALL, [False]),
        (403, CALL, [False]),
        (200, CALL[:2], [False]),
        (200, UNSIGNED, [False]),
    ],
)
def test_only_a_success_proves_that_the_upstream_took_the_signature(
    server: OpenTrail,
    upstream: Upstream,
    status: int,
    headers: tuple[tuple[str, str], ...],
    marked: list[bool],
) -> None:
    # JSON services answer 400 to a signature that is not good.
    upstream.script = upstreams.answer(status, b'{"__type":"InvalidSignatureException"}')
    raw_http.call(server.endpoint, raw_http.request("/", BODY, headers=headers))
    said = server.events()[-1].get("additionalEventData", {})
    assert [value for name, value in said.items() if name == "identityVerified"] == marked


def test_asking_what_a_browser_may_do_proves_nothing(server: OpenTrail, upstream: Upstream) -> None:
    upstream.script = upstreams.answer()
    request = raw_http.request("/b/k", headers=tuple(HEADER.items()), method="OPTIONS")
    assert raw_http.call(server.endpoint, request).status == 200
    assert server.events()[-1]["additionalEventData"]["identityVerified"] is False


def test_a_session_sees_the_events_of_its_own_account(
    server: OpenTrail, upstream: Upstream
) -> None:
    until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 900))
    made = (
        "<GetSessionTokenResponse><GetSessionTokenResult><Credentials>"
        f"<AccessKeyId>{SESSION.access_key_id}</AccessKeyId>"
        f"<SecretAccessKey>{SESSION.secret_access_key}</SecretAccessKey>"
        f"<SessionToken>{SESSION.session_token}</SessionToken><Expiration>{until}</Expiration>"
        "</Credentials></GetSessionTokenResult></GetSessionTokenResponse>"
    )
    upstream.script = upstreams.answer(200, made.encode(), (("Content-Type", "text/xml"),))
    server.client("sts", BOB).get_session_token()
    upstream.script = upstreams.answer()
    server.client("sagemaker").delete_model(ModelName="of-another-account")
    server.wait_indexed()
    events = server.client("cloudtrail", SESSION).lookup_events()["Events"]
    assert events
    assert {OTHER} == {
        event["recipientAccountId"]
        for event in server.events()
        if event["eventID"] in {shown["EventId"] for shown in events}
    }
    own = server.events()[-1]
    assert (own["eventName"], own["recipientAccountId"]) == ("LookupEvents", OTHER)
