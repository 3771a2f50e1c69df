# SPDX-License-Identifier: Apache-2.0
"""aws_cloudtrail as Terraform's own provider handles it: create, empty plan, update, import, destroy."""

from collections.abc import Iterator
from typing import Any

import pytest
from support.aws_clients import Key, client
from support.server import OpenTrail
from support.terraform import Terraform, provider_mirror, running_provider, terraform_binary

ACCOUNT = "123456789012"
ARN = f"arn:aws:cloudtrail:us-east-1:{ACCOUNT}:trail"
SETTINGS = """
[organization]
id = "o-exampleorgid"
members = ["222222222222"]
"""

CREATED = """
resource "aws_cloudtrail" "plain" {
  name           = "plain"
  s3_bucket_name = "tf-logs"
}

resource "aws_cloudtrail" "connected" {
  name                       = "connected"
  s3_bucket_name             = "tf-logs"
  sns_topic_name             = "tf-topic"
  kms_key_id                 = "KEY_ARN"
  cloud_watch_logs_group_arn = "arn:aws:logs:us-east-1:123456789012:log-group:tf-group:*"
  cloud_watch_logs_role_arn  = "arn:aws:iam::123456789012:role/tf-role"
}

resource "aws_cloudtrail" "basic" {
  name                          = "basic"
  s3_bucket_name                = "tf-logs"
  s3_key_prefix                 = "audit/tf"
  enable_logging                = false
  enable_log_file_validation    = true
  include_global_service_events = false
  tags = {
    team  = "ml"
    stage = "test"
  }
  event_selector {
    read_write_type                  = "WriteOnly"
    include_management_events        = true
    exclude_management_event_sources = ["kms.amazonaws.com", "rdsdata.amazonaws.com"]
    data_resource {
      type   = "AWS::S3::Object"
      values = ["arn:aws:s3:::data/in/", "arn:aws:s3:::data/out/"]
    }
    data_resource {
      type   = "AWS::Lambda::Function"
      values = ["arn:aws:lambda"]
    }
  }
  event_selector {
    read_write_type           = "All"
    include_management_events = false
  }
}

resource "aws_cloudtrail" "advanced" {
  name                  = "advanced"
  s3_bucket_name        = "tf-logs"
  is_multi_region_trail = true
  is_organization_trail = true
  advanced_event_selector {
    name = "writes"
    field_selector {
      field  = "eventCategory"
      equals = ["Management"]
    }
    field_selector {
      field      = "eventSource"
      not_equals = ["kms.amazonaws.com"]
    }
    field_selector {
      field  = "readOnly"
      equals = ["false"]
    }
  }
  advanced_event_selector {
    field_selector {
      field  = "eventCategory"
      equals = ["Data"]
    }
    field_selector {
      field  = "resources.type"
      equals = ["AWS::S3::Object"]
    }
    field_selector {
      field           = "resources.ARN"
      starts_with     = ["arn:aws:s3:::data/"]
      not_starts_with = ["arn:aws:s3:::data/tmp/"]
      not_ends_with   = [".tmp"]
    }
    field_selector {
      field     = "eventName"
      ends_with = ["Object", "Objects"]
    }
  }
}
"""

UPDATED = """
resource "aws_cloudtrail" "connected" {
  name           = "connected"
  s3_bucket_name = "tf-logs"
  sns_topic_name = "arn:aws:sns:eu-west-1:123456789012:tf-topic"
}

resource "aws_cloudtrail" "plain" {
  name                       = "plain"
  s3_bucket_name             = "tf-other-logs"
  s3_key_prefix              = "moved"
  enable_log_file_validation = true
  is_multi_region_trail      = true
  tags = {
    team = "ml"
  }
  advanced_event_selector {
    field_selector {
      field  = "eventCategory"
      equals = ["Management"]
    }
  }
}

resource "aws_cloudtrail" "basic" {
  name           = "basic"
  s3_bucket_name = "tf-logs"
  tags = {
    stage = "production"
  }
}

resource "aws_cloudtrail" "advanced" {
  name           = "advanced"
  s3_bucket_name = "tf-logs"
  advanced_event_selector {
    field_selector {
      field  = "eventCategory"
      equals = ["NetworkActivity"]
    }
    field_selector {
      field  = "eventSource"
      equals = ["s3.amazonaws.com"]
    }
  }
}
"""


@pytest.fixture
def server(tmp_path, moto_url) -> Iterator[OpenTrail]:
    with OpenTrail(tmp_path / "data", upstream=moto_url, config=SETTINGS) as running:
        yield running


@pytest.fixture
def key_arn(moto_url) -> str:
    """Make what the trails are connected with at moto; return the KMS key's ARN."""

    def made(service: str, region: str = "us-east-1") -> Any:
        return client(service, moto_url, Key("AKIATEST", "secret-of-the-test"), region)

    for name in ("tf-logs", "tf-other-logs"):
        made("s3").create_bucket(Bucket=name)
    for region in ("us-east-1", "eu-west-1"):  # of its own region the provider wants the name
        made("sns", region).create_topic(Name="tf-topic")
    made("logs").create_log_group(logGroupName="tf-group")
    made("iam").create_role(RoleName="tf-role", AssumeRolePolicyDocument="{}")
    arn: str = made("kms").create_key()["KeyMetadata"]["Arn"]
    return arn


@pytest.fixture
def terraform(server, tmp_path) -> Iterator[Terraform]:
    binary, mirror = terraform_binary(), provider_mirror()
    home = tmp_path / "terraform"
    home.mkdir()
    made = Terraform(home, server.endpoint, server.admin, binary, mirror)
    with running_provider(mirror) as attached:
        made.begin(attached)
        yield made


def test_every_argument_of_a_trail_from_its_creation_to_its_end(server, terraform, key_arn):
    trails = server.client("cloudtrail")
    terraform.write(CREATED.replace("KEY_ARN", key_arn))
    terraform.apply()
    assert terraform.changes() == ""
    check_created(trails, key_arn)

    terraform.write(UPDATED)
    terraform.apply()
    check_updated(trails)

    terraform.run("state", "rm", "aws_cloudtrail.plain")
    terraform.run("import", "-input=false", "aws_cloudtrail.plain", f"{ARN}/plain")
    assert terraform.changes() == ""

    terraform.destroy()
    assert trails.describe_trails()["trailList"] == []


def check_created(trails, key_arn):
    made = {each["Name"]: each for each in trails.describe_trails()["trailList"]}
    assert made.keys() == {"plain", "basic", "advanced", "connected"}
    assert made["connected"]["KmsKeyId"] == key_arn
    assert made["connected"]["SnsTopicARN"].endswith(":tf-topic")
    assert made["connected"]["CloudWatchLogsRoleArn"].endswith(":role/tf-role")
    assert made["basic"]["S3KeyPrefix"] == "audit/tf"
    assert made["advanced"]["IsOrganizationTrail"]
    logging = {name: trails.get_trail_status(Name=name)["IsLogging"] for name in made}
    assert [name for name, is_logging in logging.items() if not is_logging] == ["basic"]


def check_updated(trails):
    connected = trails.get_trail(Name="connected")["Trail"]
    assert not {"KmsKeyId", "CloudWatchLogsRoleArn", "CloudWatchLogsLogGroupArn"} & set(connected)
    assert connected["SnsTopicName"].startswith("arn:")
    plain = trails.get_trail(Name="plain")["Trail"]
    assert (plain["S3BucketName"], plain["S3KeyPrefix"]) == ("tf-other-logs", "moved")
    assert not trails.get_trail(Name="basic")["Trail"]["HasCustomEventSelectors"]
    assert trails.get_trail_status(Name="basic")["IsLogging"]
    assert not trails.get_trail(Name="advanced")["Trail"]["IsOrganizationTrail"]
    (tagged,) = trails.list_tags(ResourceIdList=[f"{ARN}/basic"])["ResourceTagList"]
    assert tagged["TagsList"] == [{"Key": "stage", "Value": "production"}]
