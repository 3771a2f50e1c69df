# SPDX-License-Identifier: Apache-2.0
"""Whose calls are: keys added to a running server, sessions and users learned, a restart."""

import json
import subprocess
from typing import Any

import pytest
from support.aws_clients import Key
from support.post_forms import post_form
from support.server import PROGRAM, OpenTrail, clean_environment, wait_until

ACCOUNT = "123456789012"
OTHER = "210987654321"


@pytest.fixture(scope="module")
def server(tmp_path_factory, moto_url):
    config = (
        f'accounts = ["{OTHER}"]\n[bucket_owners]\n"theirs-as-set" = "{OTHER}"\n'
        f'[upstream.default]\nurl = "{moto_url}"\ntrusted_identity = true\n'
    )
    with OpenTrail(tmp_path_factory.mktemp("identity") / "data", config=config) as server:
        yield server


def access_keys(server: OpenTrail, *arguments: str) -> Any:
    command = [PROGRAM, "access-keys", arguments[0], "--data", str(server.data), *arguments[1:]]
    environment = clean_environment(server.data.parent)
    done = subprocess.run(command, env=environment, capture_output=True, check=True, text=True)
    return json.loads(done.stdout) if "--json" in arguments else done.stdout


def last(server: OpenTrail) -> dict[str, Any]:
    return server.events()[-1]


def call(server: OpenTrail, key: Key) -> dict[str, Any]:
    server.client("sqs", key).list_queues()
    return last(server)


def added(server: OpenTrail, *arguments: str) -> Key:
    made = access_keys(server, "add", "--json", *arguments)
    key = Key(made["accessKeyId"], made["secretAccessKey"])
    wait_until(lambda: "identityVerified" not in call(server, key).get("additionalEventData", {}))
    return key


def test_keys_are_taken_up_and_dropped_while_it_runs(server):
    key = added(server, "--user", "ada", "--from-console")
    event = call(server, key)
    assert event["userIdentity"]["arn"] == f"arn:aws:iam::{ACCOUNT}:user/ada"
    assert event["sessionCredentialFromConsole"] == "true"
    assert list(event)[-1] == "sessionCredentialFromConsole"
    forged = call(server, Key(key.access_key_id, "a-wrong-secret"))
    assert forged["additionalEventData"] == {"identityVerified": False}
    assert "sessionCredentialFromConsole" not in forged
    access_keys(server, "remove", key.access_key_id)
    wait_until(lambda: call(server, key)["userIdentity"]["type"] == "Unknown")


def test_a_service_calls_under_its_own_name(server):
    key = added(server, "--service", "sagemaker.amazonaws.com")
    event = call(server, key)
    name = "sagemaker.amazonaws.com"
    assert event["userIdentity"] == {"type": "AWSService", "invokedBy": name}
    assert (event["sourceIPAddress"], event["userAgent"]) == (name, name)
    assert len(event["sharedEventID"]) == 36
    names = list(event)
    assert names.index("sharedEventID") == names.index("recipientAccountId") + 1
    forged = call(server, Key(key.access_key_id, "a-wrong-secret"))
    assert forged["sourceIPAddress"] == "127.0.0.1"
    assert forged["userAgent"] != name


def test_users_and_sessions_are_learned_and_outlive_a_restart(server):
    iam, sts = server.client("iam"), server.client("sts")
    iam.create_user(UserName="bob", Path="/team/")
    made = iam.create_access_key(UserName="bob")["AccessKey"]
    bob = Key(made["AccessKeyId"], made["SecretAccessKey"])
    role = iam.create_role(RoleName="Deploy", AssumeRolePolicyDocument="{}")["Role"]
    got = sts.assume_role(RoleArn=role["Arn"], RoleSessionName="ci")["Credentials"]
    session = Key(got["AccessKeyId"], got["SecretAccessKey"], got["SessionToken"])
    before = [call(server, key) for key in (bob, session)]
    assert before[0]["userIdentity"]["arn"] == f"arn:aws:iam::{ACCOUNT}:user/team/bob"
    assert before[1]["userIdentity"]["arn"].endswith(":assumed-role/Deploy/ci")
    assert all("additionalEventData" not in event for event in before)
    server.restart()
    after = [call(server, key) for key in (bob, session)]
    assert [event["userIdentity"] for event in after] == [event["userIdentity"] for event in before]
    assert [event["additionalEventData"] for event in after] == [{"identityVerified": False}] * 2
    kept = b"".join(path.read_bytes() for path in server.data.glob("identities*"))
    assert bob.secret_access_key.encode() not in kept
    assert got["SessionToken"].encode() not in kept


def test_the_owner_of_a_role_has_an_event_too(server):
    role = f"arn:aws:iam::{OTHER}:role/Theirs"
    server.client("sts").assume_role(RoleArn=role, RoleSessionName="ci")
    ours, theirs = server.events()[-2:]
    assert ours["userIdentity"]["type"] == "IAMUser"
    assert theirs["userIdentity"]["type"] == "AWSAccount"
    assert (ours["recipientAccountId"], theirs["recipientAccountId"]) == (ACCOUNT, OTHER)
    assert ours["sharedEventID"] == theirs["sharedEventID"]
    assert [event["EventId"] for event in server.lookup()].count(ours["eventID"]) == 1
    assert theirs["eventID"] not in {event["EventId"] for event in server.lookup()}


def test_a_client_makes_no_event_for_an_account_by_its_word(server):
    """moto ignores x-amz-expected-bucket-owner: a wrong one succeeds, and tells nobody else."""
    s3 = server.client("s3")
    s3.create_bucket(Bucket="ours-as-found")
    s3.head_bucket(Bucket="ours-as-found", ExpectedBucketOwner=OTHER)
    *_, event = server.events()
    assert (event["eventName"], event["recipientAccountId"]) == ("HeadBucket", ACCOUNT)
    assert "sharedEventID" not in event
    s3.create_bucket(Bucket="theirs-as-set")
    accounts = [event["recipientAccountId"] for event in server.events()[-2:]]
    assert accounts == [ACCOUNT, OTHER]


def test_an_upload_from_a_browsers_form_is_its_signers(server):
    """By name: who signed the policy is not checked here."""
    s3 = server.client("s3", signature_version="s3v4")
    s3.create_bucket(Bucket="forms")
    fields = s3.generate_presigned_post("forms", "up/${filename}")["fields"]
    status = post_form(f"{server.endpoint}/forms", fields, b"data" * 100_000)
    assert status in (200, 204)
    event = last(server)
    assert (event["eventName"], event["eventSource"]) == ("PostObject", "s3.amazonaws.com")
    assert event["userIdentity"]["accessKeyId"] == server.admin.access_key_id
    assert event["additionalEventData"]["identityVerified"] is False
    assert event["requestParameters"]["key"] == "up/a.txt"
    assert fields["x-amz-signature"] not in json.dumps(server.events()) + server.errors()
    assert s3.head_object(Bucket="forms", Key="up/a.txt")["ContentLength"] == 400_000
