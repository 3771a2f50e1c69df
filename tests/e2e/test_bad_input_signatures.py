# SPDX-License-Identifier: Apache-2.0
"""With forward.verify, nothing passes that its sender did not sign; the refusal is recorded."""

import hashlib
from dataclasses import replace
from datetime import timedelta

import pytest
from botocore.exceptions import ClientError
from support import raw_http, upstreams
from support.aws_clients import Key
from support.server import OpenTrail
from support.signing import Signer
from support.upstreams import Upstream

from opentrail.event.caps import BODY_KEPT_MAX

STRANGER = Key("AKIAQAAAAAAAAAAAAAAA", "a-secret-that-nobody-knows")


@pytest.fixture(scope="module")
def upstream():
    with upstreams.upstream() as found:
        yield found


@pytest.fixture(scope="module")
def server(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory):
    data = tmp_path_factory.mktemp("signatures") / "data"
    config = "[forward]\nverify = true\n"
    with OpenTrail(data, upstream=upstream.url, config=config) as found:
        yield found
        seen, accounted = found.accounted()
        assert seen == accounted
        assert found.failures() == ""


CALLS = {
    "json": (
        "sagemaker",
        lambda client: client.delete_model(ModelName="m"),
        {
            "key": ("UnrecognizedClientException", 400),
            "secret": ("InvalidSignatureException", 400),
        },
    ),
    "rest-json": (
        "devops-guru",
        lambda client: client.describe_account_health(),
        {
            "key": ("UnrecognizedClientException", 403),
            "secret": ("InvalidSignatureException", 403),
        },
    ),
    "query": (
        "iam",
        lambda client: client.delete_user(UserName="u"),
        {"key": ("InvalidClientTokenId", 403), "secret": ("SignatureDoesNotMatch", 403)},
    ),
    "rest-xml": (
        "s3",
        lambda client: client.delete_bucket(Bucket="bucket"),
        {"key": ("InvalidAccessKeyId", 403), "secret": ("SignatureDoesNotMatch", 403)},
    ),
    "ec2": (
        "ec2",
        lambda client: client.delete_vpc(VpcId="v"),
        {"key": ("AuthFailure", 401), "secret": ("AuthFailure", 401)},
    ),
}


@pytest.mark.parametrize("protocol", CALLS)
@pytest.mark.parametrize("wrong", ["key", "secret"])
def test_the_refusal_speaks_the_clients_protocol(
    server: OpenTrail, upstream: Upstream, protocol: str, wrong: str
) -> None:
    service, call, errors = CALLS[protocol]
    key = STRANGER if wrong == "key" else replace(server.admin, secret_access_key="wrong")
    before = len(upstream.received)
    with pytest.raises(ClientError) as error:
        call(server.client(service, key))
    response = error.value.response
    found = (response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"])
    assert found == errors[wrong]
    assert len(upstream.received) == before
    event = server.events()[-1]
    assert (event["errorCode"], event["responseElements"]) == (errors[wrong][0], None)
    assert event["additionalEventData"]["identityVerified"] is False


def test_what_was_signed_passes_and_is_verified(server: OpenTrail, upstream: Upstream) -> None:
    upstream.script = upstreams.answer(200, b"", ())
    for key in ("a/b", "a b+c", "\u00fc/\U0001f600", "x" * 200, "a//b/", "~$&'()*,;=:@!", "%2F"):
        server.client("s3").put_object(Bucket="bucket", Key=key, Body=b"body")
        event = server.events()[-1]
        assert event["eventName"] == "PutObject"
        assert "additionalEventData" not in event or (
            "identityVerified" not in event["additionalEventData"]
        )
    for target in ("/b/k?x=1&a=2", "/b/k?a=%20&acl=", "/b/../k"):
        request = Signer(server.admin, "execute-api").sign(path=target, method="GET", body=b"")
        assert raw_http.call(server.endpoint, request).status == 200


@pytest.mark.parametrize("size", [BODY_KEPT_MAX, BODY_KEPT_MAX + 1, 5_000_000])
def test_long_uploads_are_checked_as_they_stream(
    server: OpenTrail, upstream: Upstream, size: int
) -> None:
    upstream.script = upstreams.answer(200, b"", ())
    body = hashlib.shake_128(b"upload").digest(size)
    server.client("s3").put_object(Bucket="bucket", Key="k", Body=body)
    assert upstream.last().sha256 == hashlib.sha256(body).hexdigest()
    assert "identityVerified" not in server.events()[-1].get("additionalEventData", {})


@pytest.mark.parametrize("size", [1000, BODY_KEPT_MAX + 1, 5_000_000])
def test_a_body_that_was_not_signed_never_arrives_whole(
    server: OpenTrail, upstream: Upstream, size: int
) -> None:
    complete: list[int] = []

    def script(exchange: upstreams.Exchange) -> bool:
        complete.append(exchange.read().size)
        exchange.send(upstreams.head(200, (("Content-Length", "0"),)))
        return True

    upstream.script = script
    body = bytes(size)
    declared = (("X-Amz-Content-SHA256", hashlib.sha256(body).hexdigest()),)
    request = Signer(server.admin, "s3").sign(body, method="PUT", path="/b/k", headers=declared)
    answer = raw_http.call(server.endpoint, request[:-1] + b"!")
    assert (answer.status, b"XAmzContentSHA256Mismatch" in answer.body) == (400, True)
    assert complete == []
    event = server.events()[-1]
    assert (event["eventName"], event["errorCode"]) == ("PutObject", "XAmzContentSHA256Mismatch")


def test_a_long_body_that_declares_nothing_is_refused(
    server: OpenTrail, upstream: Upstream
) -> None:
    before = len(upstream.received)
    request = Signer(server.admin, "sagemaker").sign(
        bytes(BODY_KEPT_MAX + 1), target="SageMaker.CreateModel"
    )
    answer = raw_http.call(server.endpoint, request)
    assert (answer.status, str(BODY_KEPT_MAX).encode() in answer.body) == (400, True)
    assert len(upstream.received) == before


@pytest.mark.parametrize("hours", [-1, 1])
def test_another_hour_is_refused(server: OpenTrail, upstream: Upstream, hours: int) -> None:
    before = len(upstream.received)
    late = timedelta(hours=hours)
    request = Signer(server.admin, "sagemaker", late=late).sign(target="SageMaker.ListModels")
    assert raw_http.call(server.endpoint, request).status == 400
    assert server.events()[-1]["errorCode"] == "InvalidSignatureException"
    assert len(upstream.received) == before


def test_presigned_urls(server: OpenTrail, upstream: Upstream) -> None:
    upstream.script = upstreams.answer(200, b"object")
    client = server.client("s3", signature_version="s3v4")
    url = client.generate_presigned_url("get_object", Params={"Bucket": "b1c", "Key": "a b"})
    path = url.removeprefix(server.endpoint)
    host = server.endpoint.removeprefix("http://")
    request = raw_http.request(path, method="GET", host=host)
    assert raw_http.call(server.endpoint, request).body == b"object"
    assert server.events()[-1]["eventName"] == "GetObject"
    forged = request.replace(b"a%20b", b"a%20c")
    assert raw_http.call(server.endpoint, forged).status == 403
