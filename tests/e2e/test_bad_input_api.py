# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a call of OpenTrail's own is answered in AWS's words, and recorded."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError
from support import raw_http, upstreams
from support.aws_clients import Key
from support.server import OpenTrail, wait_until
from support.signing import Signer, lookup
from support.upstreams import Upstream

from opentrail.capture.admit import REQUEST_BYTES_MAX

STRANGER = Key("AKIAQAAAAAAAAAAAAAAA", "a-secret-that-nobody-knows")
ROLE = "arn:aws:iam::123456789012:role/TestRole"
SESSION = Key("ASIAQAAAAAAAAAAAAAAA", "the-session-secret", "the-session-token")
ASSUME_ROLE = """<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
<AssumeRoleResult><Credentials><AccessKeyId>{key}</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey>
<SessionToken>{token}</SessionToken><Expiration>{expiration}</Expiration></Credentials>
<AssumedRoleUser><AssumedRoleId>AROAEXAMPLE:session</AssumedRoleId>
<Arn>arn:aws:sts::123456789012:assumed-role/TestRole/session</Arn></AssumedRoleUser></AssumeRoleResult>
<ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></AssumeRoleResponse>"""


@pytest.fixture(scope="module")
def upstream():
    with upstreams.upstream() as found:
        yield found


@pytest.fixture(scope="module")
def server(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory):
    config = f"""
        regions = ["eu-west-1"]
        accounts = ["444455556666"]
        [upstream.default]
        url = "{upstream.url}"
        [upstream.sts]
        url = "{upstream.url}"
        trusted_identity = true
    """
    with OpenTrail(tmp_path_factory.mktemp("api") / "data", config=config) as found:
        yield found
        assert not upstream.received or upstream.last().target == b"/"
        seen, accounted = found.accounted()
        assert seen == accounted
        assert found.failures() == ""


def refused(server: OpenTrail, request: bytes) -> tuple[int, str, str]:
    """Return status, code and message of an error that is in the answer and in the record."""
    answer = raw_http.call(server.endpoint, request)
    said = json.loads(answer.body)
    event = server.events()[-1]
    denied = said["__type"] == "AccessDeniedException"  # records have one name for a denial
    assert event["errorCode"] == ("AccessDenied" if denied else said["__type"])
    assert event["responseElements"] is None
    assert answer.header(b"x-amzn-requestid") == [event["requestID"].encode()]
    return answer.status, said["__type"], said["message"]


def wrong_secret(server: OpenTrail) -> bytes:
    return lookup(replace(server.admin, secret_access_key="not the secret"))


def body_changed(server: OpenTrail) -> bytes:
    return lookup(server.admin, b'{"MaxResults":1}').replace(b'"MaxResults":1', b'"MaxResults":2')


def target_changed(server: OpenTrail) -> bytes:
    return lookup(server.admin).replace(b"LookupEvents", b"DeleteTrail!")


def unsigned(_: OpenTrail) -> bytes:
    return raw_http.request(
        "/",
        b"{}",
        headers=(
            ("Content-Type", "application/x-amz-json-1.1"),
            ("X-Amz-Target", "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.LookupEvents"),
        ),
    )


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (wrong_secret, "InvalidSignatureException"),
        (body_changed, "InvalidSignatureException"),
        (target_changed, "InvalidSignatureException"),
        (lambda _: lookup(STRANGER), "UnrecognizedClientException"),
        (lambda s: lookup(replace(s.admin, session_token="x")), "UnrecognizedClientException"),
        (unsigned, "MissingAuthenticationTokenException"),
    ],
)
def test_who_cannot_prove_themselves_is_refused(server: OpenTrail, make, code: str) -> None:
    status, found, message = refused(server, make(server))
    assert (status, found) == (400, code)
    assert server.admin.secret_access_key not in message


@pytest.mark.parametrize("minutes", [-14, 14])
def test_a_clock_that_is_a_little_off(server: OpenTrail, minutes: int) -> None:
    request = lookup(server.admin, late=timedelta(minutes=minutes))
    assert raw_http.call(server.endpoint, request).status == 200


@pytest.mark.parametrize(
    ("minutes", "says"), [(-16, "Signature expired"), (16, "Signature not yet current")]
)
def test_clock_skew(server: OpenTrail, minutes: int, says: str) -> None:
    request = lookup(server.admin, late=timedelta(minutes=minutes))
    status, code, message = refused(server, request)
    assert (status, code) == (400, "InvalidSignatureException")
    assert message.startswith(says)


def test_an_expired_session(server: OpenTrail, upstream: Upstream) -> None:
    """Before its end a session may do what its policies allow, which is nothing; then it is over."""
    ends = datetime.now(UTC) + timedelta(seconds=2)
    answer = ASSUME_ROLE.format(
        key=SESSION.access_key_id,
        secret=SESSION.secret_access_key,
        token=SESSION.session_token,
        expiration=ends.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
    )
    upstream.script = upstreams.answer(200, answer.encode(), (("Content-Type", "text/xml"),))
    server.client("sts").assume_role(RoleArn=ROLE, RoleSessionName="session")
    assert refused(server, lookup(SESSION))[1] == "AccessDeniedException"
    wait_until(lambda: datetime.now(UTC) > ends)
    assert refused(server, lookup(SESSION))[:2] == (400, "ExpiredTokenException")
    assert refused(server, lookup(replace(SESSION, session_token="x")))[1] == (
        "UnrecognizedClientException"
    )
    log = b"".join(path.read_bytes() for path in (server.data / "log").iterdir())
    assert b"the-session" not in log
    assert "the-session" not in json.dumps(server.events())


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "SerializationException"),
        (b"[]", "SerializationException"),
        (b'{"MaxResults":"many"}', "SerializationException"),
        (b"\xff\xfe", "SerializationException"),
        (b'{"a":' * 20_000 + b"1" + b"}" * 20_000, "SerializationException"),
        (b'{"MaxResults":51}', "InvalidMaxResultsException"),
        (b'{"MaxResults":0}', "InvalidMaxResultsException"),
        (b'{"NextToken":"AAAA"}', "InvalidNextTokenException"),
        (b'{"StartTime":2,"EndTime":1}', "InvalidTimeRangeException"),
        (b'{"StartTime":99999999999}', "InvalidTimeRangeException"),
        (b'{"EventCategory":"other"}', "InvalidEventCategoryException"),
        (
            b'{"LookupAttributes":[{"AttributeKey":"Nope","AttributeValue":"x"}]}',
            "InvalidLookupAttributesException",
        ),
        (
            b'{"LookupAttributes":[{"AttributeKey":"EventId","AttributeValue":""}]}',
            "InvalidLookupAttributesException",
        ),
    ],
)
def test_invalid_lookups(server: OpenTrail, body: bytes, code: str) -> None:
    assert refused(server, lookup(server.admin, body))[:2] == (400, code)


@pytest.mark.parametrize(
    ("target", "code"),
    [
        ("CloudTrail_20131101.Nope", "UnknownOperationException"),
        ("SageMaker.DeleteModel", "UnknownOperationException"),
        ("CloudTrail_20131101.", "UnknownOperationException"),
        ("../../x", "UnknownOperationException"),
        ("CloudTrail_20131101.CreateChannel", "UnsupportedOperationException"),
    ],
)
def test_what_cloudtrail_does_not_have_is_never_forwarded(
    server: OpenTrail, upstream: Upstream, target: str, code: str
) -> None:
    before = len(upstream.received)
    assert refused(server, Signer(server.admin, "cloudtrail").sign(target=target))[:2] == (
        400,
        code,
    )
    assert server.events()[-1]["eventSource"] == "cloudtrail.amazonaws.com"
    assert len(upstream.received) == before


def test_cloudtrails_target_under_another_services_signature_is_that_services(
    server: OpenTrail, upstream: Upstream
) -> None:
    upstream.script = upstreams.answer()
    request = Signer(server.admin, "sagemaker").sign(target="CloudTrail_20131101.LookupEvents")
    assert raw_http.call(server.endpoint, request).body == b"{}"
    assert server.events()[-1]["eventSource"] == "sagemaker.amazonaws.com"


@pytest.mark.parametrize("over", [0, 1])
def test_the_longest_request(server: OpenTrail, over: int) -> None:
    body = b'{"MaxResults":1}' + b" " * (REQUEST_BYTES_MAX + over - 16)
    if over:
        status, code, message = refused(server, lookup(server.admin, body))
        assert (status, code) == (413, "RequestEntityTooLargeException")
        assert str(REQUEST_BYTES_MAX) in message
    else:
        assert raw_http.call(server.endpoint, lookup(server.admin, body)).status == 200


def test_what_boto3_shows_of_an_error(server: OpenTrail) -> None:
    client = server.client("cloudtrail")
    with pytest.raises(client.exceptions.UnsupportedOperationException):
        client.list_channels()
    with pytest.raises(ClientError) as error:
        server.client("cloudtrail", STRANGER).lookup_events()
    assert error.value.response["Error"]["Code"] == "UnrecognizedClientException"


@pytest.mark.parametrize(
    ("region", "recorded", "claim"),
    [
        ("eu-west-1", "eu-west-1", None),
        ("us-east-1", "us-east-1", None),
        ("ap-south-1", "us-east-1", "ap-south-1"),
        ("..%2F..%2Fx", "us-east-1", "..%2F..%2Fx"),
        ("x" * 100, "us-east-1", "x" * 64),
        ("EU-WEST-1", "us-east-1", "EU-WEST-1"),
    ],
)
def test_regions_outside_the_list(
    server: OpenTrail, upstream: Upstream, region: str, recorded: str, claim: str | None
) -> None:
    upstream.script = upstreams.answer()
    request = Signer(server.admin, "sagemaker", region=region).sign(target="SageMaker.ListModels")
    assert raw_http.call(server.endpoint, request).status == 200
    event = server.events()[-1]
    assert event["awsRegion"] == recorded
    assert event.get("additionalEventData", {}).get("claimedRegion") == claim


def test_a_path_in_a_regions_name_is_no_credential(server: OpenTrail, upstream: Upstream) -> None:
    """A slash ends the part of the scope: what is left is no scope at all."""
    upstream.script = upstreams.answer()
    request = Signer(server.admin, "sagemaker", region="../../x").sign(
        target="SageMaker.ListModels"
    )
    assert raw_http.call(server.endpoint, request).status == 200
    event = server.events()[-1]
    assert (event["awsRegion"], event["userIdentity"]) == ("us-east-1", {"type": "Unknown"})
    names = {path.name for path in server.data.rglob("*")}
    assert "x" not in names


@pytest.mark.parametrize(
    ("key_id", "account", "claim"),
    [
        ("444455556666", "444455556666", None),
        ("999999999999", "123456789012", "999999999999"),
        ("99999999999", "123456789012", None),
    ],
)
def test_accounts_outside_the_list(
    server: OpenTrail, upstream: Upstream, key_id: str, account: str, claim: str | None
) -> None:
    upstream.script = upstreams.answer()
    request = Signer(Key(key_id, "x"), "sagemaker").sign(target="SageMaker.ListModels")
    assert raw_http.call(server.endpoint, request).status == 200
    event = server.events()[-1]
    assert event["recipientAccountId"] == account
    assert event["additionalEventData"].get("claimedAccount") == claim
    assert event["additionalEventData"]["identityVerified"] is False
