# SPDX-License-Identifier: Apache-2.0
"""What moto's STS really answers is understood."""

from urllib.parse import urlencode, urlsplit
from urllib.request import Request, urlopen

import pytest
from moto.server import ThreadedMotoServer
from support.signed_requests import Signer

from opentrail.access.key_table import KeyTable
from opentrail.access.keys import AccessKey, IdentityType, account_of
from opentrail.aws.route import identify
from opentrail.capture.call import Body, Call, Caller, Outcome
from opentrail.capture.sts import session_of
from opentrail.capture.user_identity import encode_identity

ACCOUNT = "123456789012"
ROLE_ARN = f"arn:aws:iam::{ACCOUNT}:role/team/Role"
USER = AccessKey(
    "AKIAQAAAAAAAAAAAAAAA",
    "secret",
    IdentityType.IAM_USER,
    ACCOUNT,
    arn=f"arn:aws:iam::{ACCOUNT}:user/alice",
    configured=True,
)


@pytest.fixture(scope="module")
def moto_url():
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}/"
    server.stop()


def answered(url: str, parameters: dict[str, str]) -> Call:
    body = urlencode({"Version": "2011-06-15", **parameters}).encode()
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    signed = Signer("sts", key_id=USER.access_key_id).sign("POST", url, headers, body)
    assert urlsplit(url).path == signed.head.path
    with urlopen(Request(url, body, dict(signed.head.headers))) as response:  # a real call
        data = response.read()
    return Call(
        event_id="0f2b3e81-0000-4000-8000-000000000001",
        target=identify(signed.head, signed.credential, body),
        head=signed.head,
        caller=Caller(encode_identity(USER), ACCOUNT, "us-east-1", verified=True),
        source_ip="127.0.0.1",
        user_agent="",
        finished_ms=signed.signed_ms,
        outcome=Outcome.ANSWERED,
        request=Body(body, len(body)),
        status=200,
        response=Body(data, len(data)),
    )


def test_an_assumed_role(moto_url):
    parameters = {"Action": "AssumeRole", "RoleArn": ROLE_ARN, "RoleSessionName": "alice"}
    call = answered(moto_url, parameters)
    session = session_of(call, KeyTable([USER]), call.finished_ms)
    assert session is not None
    assert session.type is IdentityType.ASSUMED_ROLE
    assert session.arn.endswith(":assumed-role/Role/alice")
    assert session.principal_id.endswith(":alice")
    assert session.session_token
    assert session.session is not None
    assert session.session.issuer is not None
    assert session.session.issuer.arn == ROLE_ARN
    assert account_of(session.access_key_id) == session.account == ACCOUNT
    hour_ms = session.expires_ms - call.finished_ms
    assert 3_590_000 < hour_ms < 3_610_000


@pytest.mark.parametrize("action", ["GetSessionToken", "GetFederationToken"])
def test_the_constant_documentation_key_is_not_learned(moto_url, action):
    call = answered(moto_url, {"Action": action, "Name": "bob"})
    keys = KeyTable([USER])
    session = session_of(call, keys, call.finished_ms)
    if session is not None:
        keys.learn(session, call.finished_ms)
    assert keys.version == 0
