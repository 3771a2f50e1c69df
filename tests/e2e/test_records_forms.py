# SPDX-License-Identifier: Apache-2.0
"""Real boto3 calls against moto are recorded in the forms of delivered records, without secrets."""

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from support.aws_clients import Key
from support.server import OpenTrail

from opentrail.capture.compare import Figures
from opentrail.sandbox.moto import start_moto

KEY = Key("AKIAQAAAAAAAAAAAAAAA", "a-secret-that-moto-does-not-check")
SECRET = "a-Pr1vate-value"


def calls(server: OpenTrail) -> None:
    """Make a few calls of every form, some with secrets, some that fail."""
    ec2, s3 = server.client("ec2", KEY), server.client("s3", KEY)
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    ec2.describe_vpcs(VpcIds=[vpc], Filters=[{"Name": "state", "Values": ["available"]}])
    ec2.run_instances(ImageId="ami-12c6146b", MinCount=1, MaxCount=1, UserData=SECRET)
    ec2.describe_flow_logs(MaxResults=5)
    with pytest.raises(ClientError):
        ec2.describe_subnets(SubnetIds=["subnet-0123456789abcdef0"])
    s3.create_bucket(Bucket="forms", ACL="private")
    s3.put_object(Bucket="forms", Key="a/b", Body=SECRET.encode())
    s3.put_bucket_tagging(Bucket="forms", Tagging={"TagSet": [{"Key": "k", "Value": "v"}]})
    s3.list_objects_v2(Bucket="forms", Prefix="a/")
    with pytest.raises(ClientError):
        s3.get_bucket_website(Bucket="forms")
    iam = server.client("iam", KEY)
    iam.create_user(UserName="u")
    iam.create_login_profile(UserName="u", Password=SECRET)
    with pytest.raises(ClientError):
        iam.get_user(UserName="nobody")
    server.client("rds", KEY).create_db_instance(
        DBInstanceIdentifier="d",
        DBInstanceClass="db.t3.micro",
        Engine="mysql",
        AllocatedStorage=10,
        MasterUsername="m",
        MasterUserPassword=SECRET,
    )
    key = server.client("kms", KEY).create_key()["KeyMetadata"]["KeyId"]
    server.client("kms", KEY).encrypt(KeyId=key, Plaintext=SECRET.encode())
    server.client("ssm", KEY).put_parameter(Name="/p", Value=SECRET, Type="SecureString")
    server.client("secretsmanager", KEY).create_secret(Name="s", SecretString=SECRET)
    table = server.client("dynamodb", KEY)
    table.create_table(
        TableName="t",
        KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    table.put_item(TableName="t", Item={"k": {"S": "1"}, "v": {"S": SECRET}})
    table.get_item(TableName="t", Key={"k": {"S": "1"}})


@pytest.fixture(scope="module")
def moto_url() -> Iterator[str]:
    """A moto of its own: these names are others' as well."""
    with start_moto() as moto:
        yield moto.url


@pytest.fixture(scope="module")
def events(moto_url: str, tmp_path_factory: pytest.TempPathFactory):
    with OpenTrail(tmp_path_factory.mktemp("forms") / "data", upstream=moto_url) as server:
        calls(server)
        found: dict[str, dict[str, Any]] = {e["eventName"]: e for e in server.events()}
        server.wait_indexed()
        found["lookup"] = {e["EventName"]: e["Resources"] for e in server.lookup()}
        yield found


def test_all_is_as_the_comparison_with_delivered_records_expects(events):
    figures = Figures()
    for record in events.values():
        figures.add(record)
    assert figures.records == figures.known == len(events) - 1
    assert (figures.read_only, figures.misses) == (figures.read_only_right, {})


def test_no_secret_is_anywhere(events):
    text = str(events)
    assert SECRET not in text
    assert "YS1QcjF2YXRlLXZhbHVl" not in text  # the same in base64


def test_ec2_is_shown_as_its_messages(events):
    vpc = events["CreateVpc"]["responseElements"]["vpc"]["vpcId"]
    assert events["DescribeVpcs"]["requestParameters"] == {
        "vpcSet": {"items": [{"vpcId": vpc}]},
        "filterSet": {
            "items": [{"name": "state", "valueSet": {"items": [{"value": "available"}]}}]
        },
    }
    run = events["RunInstances"]
    assert run["requestParameters"]["instancesSet"] == {
        "items": [{"imageId": "ami-12c6146b", "minCount": 1, "maxCount": 1}]
    }
    assert run["requestParameters"]["userData"] == "<sensitiveDataRemoved>"
    (instance,) = run["responseElements"]["instancesSet"]["items"]
    assert isinstance(instance["launchTime"], int)
    assert {"ResourceType": "AWS::EC2::Instance", "ResourceName": instance["instanceId"]} in events[
        "lookup"
    ]["RunInstances"]
    assert events["DescribeSubnets"]["errorCode"] == "Client.InvalidSubnetID.NotFound"
    assert events["DescribeFlowLogs"]["requestParameters"] == {
        "DescribeFlowLogsRequest": {"MaxResults": 5}
    }


def test_s3_is_shown_as_on_the_wire(events):
    put = events["PutObject"]
    assert (put["requestParameters"]["bucketName"], put["requestParameters"]["key"]) == (
        "forms",
        "a/b",
    )
    assert put["eventCategory"] == "Data"
    assert [each["type"] for each in put["resources"]] == ["AWS::S3::Object", "AWS::S3::Bucket"]
    assert put["additionalEventData"]["SignatureVersion"] == "SigV4"
    assert put["additionalEventData"]["bytesTransferredIn"] == len(SECRET)
    assert events["CreateBucket"]["requestParameters"]["x-amz-acl"] == "private"
    assert events["PutBucketTagging"]["requestParameters"]["Tagging"]["TagSet"] == {
        "Tag": {"Key": "k", "Value": "v"}
    }
    assert events["ListObjects"]["resources"][0]["ARNPrefix"] == "arn:aws:s3:::forms/a/"
    assert events["GetBucketWebsite"]["errorCode"] == "NoSuchWebsiteConfiguration"


def test_the_others_have_their_own_ways(events):
    assert events["CreateLoginProfile"]["requestParameters"] == {"userName": "u"}
    assert events["GetUser"]["errorCode"] == "NoSuchEntityException"
    names = [each["ResourceName"] for each in events["lookup"]["CreateUser"]]
    user = events["CreateUser"]["responseElements"]["user"]
    assert names == ["u", user["userId"], user["arn"]]
    assert events["CreateDBInstance"]["responseElements"]["dBInstanceIdentifier"] == "d"
    arn = events["CreateKey"]["responseElements"]["keyMetadata"]["arn"]
    assert [each["ARN"] for each in events["Encrypt"]["resources"]] == [arn]
    assert list(events["CreateSecret"]["responseElements"]) == ["arn"]
    assert events["PutParameter"]["resources"][0]["ARN"].endswith(":parameter/p")
    assert events["PutItem"]["requestParameters"]["item"] == ["k", "v"]
    assert events["GetItem"]["requestParameters"]["key"] == {"k": "1"}
