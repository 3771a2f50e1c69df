# SPDX-License-Identifier: Apache-2.0
"""Trails as the AWS CLI and Terraform's provider handle them."""

import json

import pytest
from support.aws_clients import aws, client
from support.trail_calls import ARN, plain
from support.trail_rooms import BUCKET, TrailRooms
from support.wire_server import ACCOUNT, ADMIN, READER, SmallHistory, serving

from opentrail.trails.keys import PublicKey

AUDIT = ARN + "audit"


@pytest.fixture
def rooms():
    return TrailRooms()


@pytest.fixture
def endpoint(rooms):
    with serving(SmallHistory(), rooms) as address:
        yield address


@pytest.fixture
def cli(endpoint, tmp_path):
    def run(*arguments, key=ADMIN):
        return aws("cloudtrail", *arguments, endpoint=endpoint, key=key, home=tmp_path)

    return run


def test_the_aws_cli_makes_a_trail_and_takes_it_away(cli, rooms):
    made = cli("create-trail", "--name", "audit", "--s3-bucket-name", BUCKET)
    assert made.returncode == 0, made.stderr
    assert json.loads(made.stdout)["TrailARN"] == AUDIT
    assert cli("start-logging", "--name", "audit").returncode == 0
    status = json.loads(cli("get-trail-status", "--name", AUDIT).stdout)
    assert status["IsLogging"] is True
    denied = cli("delete-trail", "--name", "audit", key=READER)
    assert "AccessDeniedException" in denied.stderr
    selectors = '[{"ReadWriteType":"WriteOnly","IncludeManagementEvents":true}]'
    put = cli("put-event-selectors", "--trail-name", "audit", "--event-selectors", selectors)
    assert put.returncode == 0, put.stderr
    rooms.keys = [PublicKey(b"der", 0, 2**41, "0f" * 16)]
    keys = json.loads(cli("list-public-keys").stdout)["PublicKeyList"]
    assert keys[0]["Fingerprint"] == "0f" * 16
    assert json.loads(cli("list-trails", key=READER).stdout)["Trails"][0]["TrailARN"] == AUDIT
    assert cli("delete-trail", "--name", "audit").returncode == 0
    assert json.loads(cli("describe-trails").stdout) == {"trailList": []}


def test_the_sequence_of_terraforms_provider(endpoint, rooms):
    """Create, read, update, reset the selectors, delete, read again; by ARN after the creation."""
    made = client("cloudtrail", endpoint, ADMIN)
    arn = made.create_trail(
        Name="audit",
        S3BucketName=BUCKET,
        IncludeGlobalServiceEvents=True,
        TagsList=[{"Key": "owner", "Value": "platform"}],
    )["TrailARN"]
    made.start_logging(Name=arn)
    groups = [
        {"Field": "eventCategory", "Equals": ["Data"]},
        {"Field": "resources.type", "Equals": ["AWS::SageMaker::FeatureGroup"]},
    ]
    advanced = [{"Name": "feature store", "FieldSelectors": groups}]
    made.put_event_selectors(TrailName=arn, AdvancedEventSelectors=advanced)

    (read,) = made.describe_trails(trailNameList=[arn])["trailList"]
    assert read["HasCustomEventSelectors"]
    assert made.get_trail_status(Name=arn)["IsLogging"]
    assert made.get_event_selectors(TrailName=arn)["AdvancedEventSelectors"] == advanced
    (tagged,) = made.list_tags(ResourceIdList=[arn])["ResourceTagList"]
    assert tagged["TagsList"] == [{"Key": "owner", "Value": "platform"}]

    made.update_trail(Name=arn, EnableLogFileValidation=True, S3KeyPrefix="tf")
    default = {"ReadWriteType": "All", "IncludeManagementEvents": True, "DataResources": []}
    made.put_event_selectors(TrailName=arn, EventSelectors=[default])
    (read,) = made.describe_trails(trailNameList=[arn])["trailList"]
    assert read["LogFileValidationEnabled"]
    assert read["S3KeyPrefix"] == "tf"
    assert not read["HasCustomEventSelectors"]

    made.stop_logging(Name=arn)
    assert not made.get_trail_status(Name=arn)["IsLogging"]
    made.delete_trail(Name=arn)
    assert made.describe_trails(trailNameList=[arn])["trailList"] == []
    with pytest.raises(made.exceptions.TrailNotFoundException):
        made.delete_trail(Name=arn)
    assert f"tf/AWSLogs/{ACCOUNT}/CloudTrail-Digest/" in rooms.buckets[BUCKET].objects
    made.close()


def test_trails_are_there_after_a_restart(rooms):
    with serving(SmallHistory(), rooms) as endpoint:
        made = client("cloudtrail", endpoint, ADMIN)
        made.create_trail(Name="audit", S3BucketName=BUCKET)
        made.start_logging(Name="audit")
        before = plain(made.describe_trails()), plain(made.get_trail_status(Name="audit"))
        made.close()
    rooms.reopen()
    with serving(SmallHistory(), rooms) as endpoint:
        made = client("cloudtrail", endpoint, ADMIN)
        after = plain(made.describe_trails()), plain(made.get_trail_status(Name="audit"))
        made.close()
    assert after == before
