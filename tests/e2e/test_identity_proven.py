# SPDX-License-Identifier: Apache-2.0
"""Callers that are proven by tokens, proxies and chunk signatures, and those that only say so."""

import json
import time
from typing import Any
from urllib.request import Request

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from support.aws_clients import Key
from support.post_forms import post_form
from support.server import OpenTrail
from support.signed_chunks import answer, put_chunks

ISSUER, AUDIENCE = "https://idp.example.com", "opentrail"
PRIVATE = rsa.generate_private_key(65_537, 2048)
SECRET = "not-a-real-secret/used-only-by-tests+0000"
KEY_ID = "AKIAQAAAAAAAAAAAAAAA"
ADA = Key(KEY_ID, SECRET)
PIECES = [bytes([65 + number]) * 65_536 for number in range(12)]
SPOIL = (b"JJJJ", b"JJxJ")


def key_set(kid: str) -> str:
    public = jwt.algorithms.RSAAlgorithm.to_jwk(PRIVATE.public_key(), as_dict=True)
    return json.dumps({"keys": [{**public, "kid": kid, "key_ops": ["verify"]}]})


@pytest.fixture(scope="module")
def server(tmp_path_factory, moto_url):
    folder = tmp_path_factory.mktemp("proven")
    (folder / "keys.json").write_text(key_set("k1"), encoding="utf-8")
    config = f"""
[upstream.default]
url = "{moto_url}"
[forward]
verify = true
[jwt]
issuer = "{ISSUER}"
audience = "{AUDIENCE}"
jwks = "{folder / "keys.json"}"
[proxy]
networks = ["127.0.0.1/32"]
user_header = "x-auth-user"
[access_keys.{KEY_ID}]
secret_access_key = "{SECRET}"
user_name = "ada"
"""
    with OpenTrail(folder / "data", config=config) as server:
        yield server


def call(server: OpenTrail, **headers: str) -> tuple[int, dict[str, Any]]:
    """Call ListModels without a signature; return the status and the record."""
    target = {"x-amz-target": "SageMaker.ListModels", "content-type": "application/x-amz-json-1.1"}
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    request = Request(f"{server.endpoint}/_svc/sagemaker/", b"{}", {**target, **names})
    status, _ = answer(request)
    return status, server.events()[-1]


def token(**more: Any) -> str:
    said = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "exp": int(time.time()) + 60, **more}
    return "Bearer " + jwt.encode(said, PRIVATE, algorithm="RS256", headers={"kid": "k1"})


def test_a_token_a_proxy_and_nobody(server):
    status, event = call(server, authorization=token())
    assert (status, event["userIdentity"]["userName"]) == (200, "ada")
    assert event["userIdentity"]["identityProvider"] == ISSUER
    assert "additionalEventData" not in event
    status, event = call(server, x_auth_user="arn:aws:iam::123456789012:user/bob")
    assert (status, event["userIdentity"]["arn"]) == (200, "arn:aws:iam::123456789012:user/bob")
    for headers in ({}, {"authorization": token(exp=int(time.time()) - 61)}):
        status, event = call(server, **headers)
        assert event["userIdentity"] == {"type": "Unknown"}
        assert status in (400, 403)
        assert event["errorCode"]
        assert event["additionalEventData"] == {"identityVerified": False}
    log = json.dumps(server.events()) + server.errors()
    assert token()[:20] not in log


def test_a_service_of_its_own_is_not_opened_by_a_token(server):
    target = "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.LookupEvents"
    headers = {"x-amz-target": target, "content-type": "application/x-amz-json-1.1"}
    headers |= {"authorization": token(), "x-auth-user": "root"}
    status, body = answer(Request(f"{server.endpoint}/", b"{}", headers))
    assert status in (400, 403)
    assert b"Events" not in body


def test_chunks_are_checked_as_they_stream(server):
    s3 = server.client("s3", ADA)
    s3.create_bucket(Bucket="chunked")
    assert put_chunks(f"{server.endpoint}/chunked/good", ADA, PIECES)[0] == 200
    assert s3.head_object(Bucket="chunked", Key="good")["ContentLength"] == 12 * 65_536
    status, body = put_chunks(f"{server.endpoint}/chunked/bad", ADA, PIECES, SPOIL)
    assert status == 403
    assert b"SignatureDoesNotMatch" in body
    event = server.events()[-1]
    assert (event["eventName"], event["errorCode"]) == ("PutObject", "SignatureDoesNotMatch")
    listed = s3.list_objects_v2(Bucket="chunked")["Contents"]
    assert [entry["Key"] for entry in listed] == ["good"]


def test_a_form_whose_policy_nobody_checked_is_refused(server):
    s3 = server.client("s3", ADA, signature_version="s3v4")
    s3.create_bucket(Bucket="forms-proven")
    fields = s3.generate_presigned_post("forms-proven", "k")["fields"]
    assert post_form(f"{server.endpoint}/forms-proven", fields, b"data") == 403
    event = server.events()[-1]
    assert (event["eventName"], event["errorCode"]) == ("PostObject", "AccessDenied")
    assert "Contents" not in s3.list_objects_v2(Bucket="forms-proven")
