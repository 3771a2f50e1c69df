# SPDX-License-Identifier: Apache-2.0
"""Uploads from a browser's form: botocore makes the policies, and what is no such form is none."""

import json
from typing import Any

import pytest
from botocore.config import Config
from botocore.session import Session
from support import post_forms
from support.calls import Made
from support.post_forms import BOUNDARY

from opentrail.aws.post_form import FIELDS_MAX, POST_OBJECT, post_object
from opentrail.aws.request import RequestHead
from opentrail.aws.route import identify, parse_credential
from opentrail.capture.call import Body

KEY_ID, SECRET, TOKEN = "AKIAQAAAAAAAAAAAAAAA", "not-a-secret", "the-session-token"


def policy(version: str = "s3v4", key: str = "a b/${filename}") -> dict[str, str]:
    session = Session()
    session.set_credentials(KEY_ID, SECRET, TOKEN)
    session.set_config_variable("region", "eu-west-1")
    s3: Any = session.create_client("s3", config=Config(signature_version=version))
    fields = {"acl": "private", "x-amz-storage-class": "GLACIER"}
    made: dict[str, str] = s3.generate_presigned_post("bucket", key, Fields=fields)["fields"]
    return made


def form(fields: list[tuple[str, str]]) -> bytes:
    return post_forms.form(fields, b"hidden-bytes", "C:\\pics\\é.png")


def head(
    path: str = "/bucket", kind: str = f"multipart/form-data; boundary={BOUNDARY}"
) -> RequestHead:
    return RequestHead("POST", path, "", {"content-type": kind, "host": "h.example"})


@pytest.mark.parametrize("version", ["s3v4", "s3"])
def test_the_object_and_whose_policy_it_is(version):
    found = post_object(head(), form(list(policy(version).items())))
    assert found is not None
    assert found.head.path == "/bucket/a%20b/%C3%A9.png"
    assert found.credential is not None
    assert found.credential.access_key_id == KEY_ID
    assert found.credential.signing_name == "s3"
    assert found.credential.session_token == TOKEN
    assert found.credential.region == ("eu-west-1" if version == "s3v4" else "")


def test_its_record_is_an_objects_and_shows_nothing_that_proves_anything():
    fields = policy()
    found = post_object(head("/bucket/"), form(list(fields.items())))
    assert found is not None
    made = Made("s3", "PostObject", more={"head": found.head, "target": POST_OBJECT, "status": 204})
    record = made.record()
    assert (record["eventName"], record["eventCategory"]) == ("PostObject", "Data")
    assert record["readOnly"] is False
    assert record["requestParameters"] == {
        "bucketName": "bucket",
        "key": "a b/é.png",
        "x-amz-storage-class": "GLACIER",
        "Host": "h.example",
    }
    assert record["resources"][0]["ARN"] == "arn:aws:s3:::bucket/a b/é.png"
    text = json.dumps(record)
    for secret in (TOKEN, fields["policy"], fields["x-amz-signature"], "hidden-bytes"):
        assert secret not in text


GOOD = [("key", "k"), ("policy", "p"), ("x-amz-credential", f"{KEY_ID}/20260101/r/s3/aws4_request")]


@pytest.mark.parametrize(
    ("where", "body"),
    [
        (head(), form([("key", "k")])),  # without a policy it may be anybody's form
        (head(), form([("policy", "p")])),
        (head(), form([*GOOD, ("key", "other")])),
        (head(), form([*((f"f{n}", "") for n in range(FIELDS_MAX)), *GOOD])),
        (head(), form([("key", "k" * 30_000), *GOOD[1:]])),
        (head(), b""),
        (head(), b"--" + BOUNDARY.encode()),
        (head("/"), form(GOOD)),
        (head("/bucket/key"), form(GOOD)),
        (head(kind="application/json"), form(GOOD)),
        (head(kind="multipart/form-data"), form(GOOD)),
        (head(kind="multipart/form-data; boundary=other"), form(GOOD)),
        (RequestHead("PUT", "/bucket", "", head().headers), form(GOOD)),
    ],
)
def test_what_is_no_such_form_is_none(where, body):
    assert post_object(where, body) is None


@pytest.mark.parametrize("scope", ["", "AKIA/x", f"{KEY_ID}/20260101/r/iam/aws4_request"])
def test_a_policy_of_nobody_names_nobody(scope):
    found = post_object(head(), form([*GOOD[:2], ("x-amz-credential", scope)]))
    assert found is not None
    assert found.credential is None


@pytest.mark.parametrize(
    "signed",
    [
        f"X-Amz-Credential={KEY_ID}/20260101/r/iam/aws4_request&X-Amz-Signature=s1gnature",
        f"AWSAccessKeyId={KEY_ID}&SignatureVersion=2&SignatureMethod=HmacSHA256&Signature=s1gnature",
    ],
)
def test_signatures_inside_a_querys_form_are_nobodys_and_not_recorded(signed):
    where = head("/", "application/x-www-form-urlencoded")
    body = f"Action=CreateUser&Version=2010-05-08&UserName=u&{signed}".encode()
    assert parse_credential(where) is None
    found = identify(where, None, body)
    assert (found.service, found.operation, found.known) == ("iam", "CreateUser", True)
    more = {"head": where, "target": found, "request": Body(body, len(body))}
    record = Made("iam", "CreateUser", more=more).record()
    assert record["requestParameters"] == {"userName": "u"}
    assert "s1gnature" not in json.dumps(record)
    # In the URL they count, as AWS has it.
    credential = parse_credential(RequestHead("POST", "/", signed, where.headers))
    assert (credential is not None) is ("X-Amz-" in signed)
