# SPDX-License-Identifier: Apache-2.0
"""Topic, log group, bus, webhook and KMS key of a trail, at the real server in front of moto's."""

import gzip
import hashlib
import hmac
import json
import re

import pytest
from botocore.exceptions import ClientError
from support.receiver import receiver
from support.server import OpenTrail, wait_until

from opentrail.sandbox.moto import start_moto

ACCOUNT = "123456789012"
NO_KEY = "11111111-2222-3333-4444-555555555555"
SECRET = "what-the-receiver-knows"
CONFIG = """
account = "{account}"

[delivery]
file_interval_s = 1

[targets]
events = true
logs_retention_days = 7

[webhooks.siem]
url = "{url}"
secret = "{secret}"
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Yield (server, what the webhook got), the trail logging."""
    home = tmp_path_factory.mktemp("targets")
    with start_moto() as moto, receiver() as hook:
        config = CONFIG.format(account=ACCOUNT, url=hook.url, secret=SECRET)
        with OpenTrail(home / "data", upstream=moto.url, config=config) as server:
            yield server, hook


def connections(server):
    """Make a bucket, a topic with a queue, a group, a role, a rule and a key; return their names."""
    made = {name: server.client(name) for name in ("s3", "sns", "sqs", "logs", "events", "kms")}
    made["s3"].create_bucket(Bucket="trail-logs")
    topic = made["sns"].create_topic(Name="files")["TopicArn"]
    queue = made["sqs"].create_queue(QueueName="files")["QueueUrl"]
    arn = f"arn:aws:sqs:us-east-1:{ACCOUNT}:files"
    raw = {"RawMessageDelivery": "true"}
    made["sns"].subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes=raw)
    for group in ("audit", "/aws/events/all"):
        made["logs"].create_log_group(logGroupName=group)
    made["events"].put_rule(Name="all", EventPattern='{"source": ["aws.sqs"]}')
    target = f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:/aws/events/all"
    made["events"].put_targets(Rule="all", Targets=[{"Id": "1", "Arn": target}])
    key = made["kms"].create_key()["KeyMetadata"]
    made["kms"].create_alias(AliasName="alias/audit", TargetKeyId=key["KeyId"])
    return made, queue, key


GROUP = f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:audit:*"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/trail-logs"


def messages(sqs, queue):
    found: list[str] = []
    while True:
        got = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
        if not got:
            return found
        for each in got:
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=each["ReceiptHandle"])
            found.append(each["Body"])


def on_bus(made):
    """Return what a rule of the bus wrote to its log group."""
    bus = made["logs"].filter_log_events(logGroupName="/aws/events/all")["events"]
    return [json.loads(each["message"]) for each in bus]


def test_all_of_them_get_what_the_trail_delivers(world):
    server, hook = world
    made, queue, key = connections(server)
    trails = server.client("cloudtrail")
    shown = trails.create_trail(
        Name="audit",
        S3BucketName="trail-logs",
        SnsTopicName="files",
        CloudWatchLogsLogGroupArn=GROUP,
        CloudWatchLogsRoleArn=ROLE,
        KmsKeyId="alias/audit",
    )
    assert shown["KmsKeyId"] == key["Arn"]
    assert messages(made["sqs"], queue) == ["CloudTrail validation message."]
    streams = made["logs"].describe_log_streams(logGroupName="audit")["logStreams"]
    assert [each["logStreamName"] for each in streams] == [f"{ACCOUNT}_CloudTrail_us-east-1"]
    (group,) = made["logs"].describe_log_groups(logGroupNamePrefix="audit")["logGroups"]
    assert group["retentionInDays"] == 7
    trails.start_logging(Name="audit")
    for number in range(3):
        made["sqs"].create_queue(QueueName=f"made-{number}")
    trails.stop_logging(Name="audit")

    status: dict[str, object] = {}

    def told():
        status.update(trails.get_trail_status(Name="audit"))
        copied = made["logs"].filter_log_events(logGroupName="audit")["events"]
        stopped = any('"StopLogging"' in each["message"] for each in copied)
        queues = sum('"CreateQueue"' in each["message"] for each in copied)
        times = ("LatestNotificationTime", "LatestCloudWatchLogsDeliveryTime")
        done = all(status.get(name) for name in times)
        return done and hook.came and len(on_bus(made)) == 3 and (stopped or queues == 3)

    wait_until(told, seconds_max=20)
    errors = {name for name in status if name.endswith("Error")}
    assert errors == set(), status
    assert status["LatestNotificationAttemptSucceeded"]
    check_copies(made, queue, hook)
    arn = shown["TrailARN"]
    named = {
        f'opentrail_trail_failing{{target="{target}",trail="{arn}"}}'
        for target in ("bucket", "sns", "logs", "webhook-siem")
    }
    wait_until(lambda: named <= server.metrics().keys())
    assert {server.metrics()[name] for name in named} == {0}


def check_copies(made, queue, hook):
    """Check what topic, group, bus and webhook got against the files in the bucket."""
    pages = made["s3"].list_objects_v2(Bucket="trail-logs")["Contents"]
    keys = [each["Key"] for each in pages if each["Key"].endswith(".json.gz")]
    told = [json.loads(body) for body in messages(made["sqs"], queue)]
    assert {each["s3Bucket"] for each in told} == {"trail-logs"}
    assert sorted(key for each in told for key in each["s3ObjectKey"]) == sorted(keys)
    records = []
    for key in keys:
        got = made["s3"].get_object(Bucket="trail-logs", Key=key)
        assert (got["ServerSideEncryption"], got["ContentEncoding"]) == ("aws:kms", "gzip")
        records += json.loads(gzip.decompress(got["Body"].read()))["Records"]
    ids = sorted(each["eventID"] for each in records)
    assert len([each for each in records if each["eventName"] == "CreateQueue"]) == 3
    copied = made["logs"].filter_log_events(logGroupName="audit")["events"]
    assert sorted(json.loads(each["message"])["eventID"] for each in copied) == ids
    details = on_bus(made)
    assert {each["detail-type"] for each in details} == {"AWS API Call via CloudTrail"}
    assert {each["detail"]["eventName"] for each in details} == {"CreateQueue"}
    assert len(details) == 3
    check_webhook(hook, keys)


def check_webhook(hook, keys):
    for headers, body in hook.came:
        found = re.fullmatch(r"t=(\d+),v1=([0-9a-f]{64})", headers["OpenTrail-Signature"])
        assert found is not None
        wanted = hmac.new(SECRET.encode(), f"{found[1]}.".encode() + body, hashlib.sha256)
        assert wanted.hexdigest() == found[2]
        assert headers["Idempotency-Key"] == json.loads(body)["id"]
    posted = [key for _, body in hook.came for key in json.loads(body)["s3ObjectKey"]]
    assert sorted(posted) == sorted(keys)


@pytest.mark.parametrize(
    ("members", "code", "text"),
    [
        (
            {"SnsTopicName": "none"},
            "InsufficientSnsTopicPolicyException",
            "SNS Topic does not exist or the topic policy is incorrect!",
        ),
        (
            {"CloudWatchLogsLogGroupArn": GROUP.replace("audit", "none")},
            "InvalidCloudWatchLogsLogGroupArnException",
            "CloudTrail cannot validate the specified log group ARN.",
        ),
        (
            {"KmsKeyId": NO_KEY},
            "InsufficientEncryptionPolicyException",
            f"Insufficient permissions to access S3 bucket trail-logs or KMS key {NO_KEY}.",
        ),
    ],
)
def test_what_does_not_take_it_is_refused_in_cloudtrails_words(world, members, code, text):
    trails = world[0].client("cloudtrail")
    role = {"CloudWatchLogsRoleArn": ROLE} if "CloudWatchLogsLogGroupArn" in members else {}
    with pytest.raises(ClientError) as caught:
        trails.create_trail(Name="other", S3BucketName="trail-logs", **members, **role)
    error = caught.value.response["Error"]
    assert (error["Code"], error["Message"]) == (code, text)


def test_a_disabled_key_is_said_to_be(world):
    kms = world[0].client("kms")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    kms.disable_key(KeyId=key)
    trails = world[0].client("cloudtrail")
    with pytest.raises(trails.exceptions.KmsException):
        trails.create_trail(Name="other", S3BucketName="trail-logs", KmsKeyId=key)
