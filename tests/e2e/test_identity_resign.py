# SPDX-License-Identifier: Apache-2.0
"""Calls that are signed anew reach a moto that checks every signature and every permission."""

import json
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, Request, build_opener

import pytest
from botocore.exceptions import ClientError
from support.aws_clients import Key, client
from support.server import OpenTrail
from support.signed_chunks import put_chunks

from opentrail.sandbox.moto import start_moto

ADA = Key("AKIAQAAAAAAAAAAAAAAA", "not-a-real-secret/used-only-by-tests+0000")
BOB = Key("AKIAQAAAAAAAAAAAAAAB", "not-a-real-secret/used-only-by-tests+0001")
EVE = Key("AKIAQAAAAAAAAAAAAAAC", "not-a-real-secret/used-only-by-tests+0002")
ALLOW_ALL = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
)
_open = build_opener(ProxyHandler({})).open


def moto_user(url: str, name: str) -> Key:
    iam = client("iam", url, ADA)
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName="all", PolicyDocument=ALLOW_ALL)
    made = iam.create_access_key(UserName=name)["AccessKey"]
    return Key(made["AccessKeyId"], made["SecretAccessKey"])


@pytest.fixture(scope="module")
def moto():
    """Yield moto's address and two users that it knows; from then on it lets in nobody else."""
    with start_moto() as running:
        users = [moto_user(running.url, name) for name in ("everybody", "bob")]
        plain = {"content-type": "text/plain"}
        reset = Request(f"{running.url}/moto-api/reset-auth", b"0", plain, method="POST")
        with _open(reset) as done:
            assert done.status == 200
        yield running.url, users


@pytest.fixture(scope="module")
def server(tmp_path_factory, moto):
    url, (everybody, bob) = moto
    folder: Path = tmp_path_factory.mktemp("resign")
    (folder / ".aws").mkdir()
    profiles = {"everybody": everybody, "bob": bob, "wrong": Key(bob.access_key_id, "wrong")}
    (folder / ".aws" / "credentials").write_text(
        "".join(
            f"[{name}]\naws_access_key_id={key.access_key_id}\n"
            f"aws_secret_access_key={key.secret_access_key}\n"
            for name, key in profiles.items()
        )
    )
    config = f"""
[forward]
mode = "resign"
[upstream.default]
url = "{url.replace("0.0.0.0", "localhost")}"
credentials_profile = "everybody"
[upstream.default.principals]
"arn:aws:iam::123456789012:user/bob" = "bob"
"arn:aws:iam::123456789012:user/eve" = "wrong"
"""
    for name, key in (("ada", ADA), ("bob", BOB), ("eve", EVE)):
        config += f'[access_keys.{key.access_key_id}]\nuser_name = "{name}"\n'
        config += f'secret_access_key = "{key.secret_access_key}"\n'
    with OpenTrail(folder / "data", config=config) as server:
        yield server


def code_of(call: Any, **arguments: Any) -> str:
    with pytest.raises(ClientError) as refused:
        call(**arguments)
    code: str = refused.value.response["Error"]["Code"]
    return code


def test_every_protocol_and_whom_moto_sees(server):
    sts = [server.client("sts", key).get_caller_identity()["Arn"] for key in (ADA, BOB)]
    assert [arn.rpartition("/")[2] for arn in sts] == ["everybody", "bob"]
    server.client("sqs", ADA).create_queue(QueueName="q")
    server.client("sagemaker", ADA).list_models()
    # REST-JSON is in test_identity_resign_rest: moto takes boto3's own signature of it for wrong.
    server.client("dynamodb", ADA).list_tables()
    users = {event["userIdentity"]["userName"] for event in server.events()}
    assert users == {"ada", "bob"}


def test_s3_with_odd_keys_presigned_urls_and_chunks(server):
    s3 = server.client("s3", ADA)
    s3.create_bucket(Bucket="resigned")
    name = "a b/é+~=&/c"
    s3.put_object(Bucket="resigned", Key=name, Body=b"data", Metadata={"a": "b"})
    assert s3.get_object(Bucket="resigned", Key=name)["Body"].read() == b"data"
    assert [each["Key"] for each in s3.list_objects_v2(Bucket="resigned")["Contents"]] == [name]
    signed = server.client("s3", ADA, signature_version="s3v4")
    url = signed.generate_presigned_url("get_object", Params={"Bucket": "resigned", "Key": name})
    with _open(url) as found:
        assert found.read() == b"data"
    data = [bytes([65 + number]) * 65_536 for number in range(6)]
    assert put_chunks(f"{server.endpoint}/resigned/chunked", ADA, data)[0] == 200
    # moto keeps zeros of such bodies; their signatures are checked in the unit tests.
    length = s3.head_object(Bucket="resigned", Key="chunked")["ContentLength"]
    assert length == sum(map(len, data))


def test_nobody_passes_who_is_not_proven_here_or_there(server):
    wrong = server.client("sqs", Key(ADA.access_key_id, "wrong"))
    assert code_of(wrong.list_queues) in ("SignatureDoesNotMatch", "InvalidSignatureException")
    # moto does check: with a wrong secret of ours it lets nobody in.
    assert code_of(server.client("sqs", EVE).list_queues) != ""
    assert server.events()[-1]["errorCode"]
    log = json.dumps(server.events()) + server.errors()
    for key in (ADA, BOB, EVE):
        assert key.secret_access_key not in log
