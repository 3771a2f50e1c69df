# SPDX-License-Identifier: Apache-2.0
"""boto3 on services of every protocol: OpenTrail changes no byte of a call or of its answer.

A tap on each side of OpenTrail tells what went in and what came out. Hop-by-hop headers, the mark
that OpenTrail adds to find loops, and the reason phrase (which means nothing: RFC 9112, 4) are the
only differences.
"""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from support.aws_clients import Key, client
from support.server import OpenTrail
from support.tap import Exchange, Message, Tap, tap

KEY = Key("AKIAQAAAAAAAAAAAAAAA", "a-secret-that-moto-does-not-check")
HOP_BY_HOP = frozenset((b"connection", b"keep-alive", b"transfer-encoding", b"expect"))
OWN = frozenset((b"x-opentrail-instance",))
ROLE = '{"Version":"2012-10-17","Statement":[]}'
ARN = "arn:aws:iam::123456789012:role/r"

Calls = list[tuple[str, dict[str, Any]]]
"""Method of the client and its members; each service ends with one that moto refuses."""

CALLS: dict[str, Calls] = {
    # rest-json
    "apigateway": [("create_rest_api", {"name": "a"}), ("get_rest_api", {"restApiId": "absent"})],
    "backup": [
        ("create_backup_vault", {"BackupVaultName": "v"}),
        ("describe_backup_vault", {"BackupVaultName": "absent"}),
    ],
    "efs": [
        ("create_file_system", {"CreationToken": "t"}),
        ("delete_file_system", {"FileSystemId": "fs-00000000"}),
    ],
    "servicediscovery": [
        ("create_http_namespace", {"Name": "n"}),
        ("discover_instances", {"NamespaceName": "n", "ServiceName": "absent"}),
    ],
    "eks": [("list_clusters", {}), ("describe_cluster", {"name": "absent"})],
    "lambda": [("list_functions", {}), ("get_function", {"FunctionName": "absent"})],
    # json 1.0 and 1.1
    "cognito-idp": [
        ("create_user_pool", {"PoolName": "p"}),
        ("describe_user_pool", {"UserPoolId": "us-east-1_absent"}),
    ],
    "dynamodb": [
        (
            "create_table",
            {
                "TableName": "t",
                "KeySchema": [{"AttributeName": "k", "KeyType": "HASH"}],
                "AttributeDefinitions": [{"AttributeName": "k", "AttributeType": "S"}],
                "BillingMode": "PAY_PER_REQUEST",
            },
        ),
        ("put_item", {"TableName": "t", "Item": {"k": {"S": "\u00fc"}, "b": {"B": b"\0\1"}}}),
        ("get_item", {"TableName": "t", "Key": {"k": {"S": "\u00fc"}}}),
        ("describe_table", {"TableName": "absent"}),
    ],
    "ecr": [
        ("create_repository", {"repositoryName": "repository"}),
        ("delete_repository", {"repositoryName": "absent"}),
    ],
    "ecs": [("create_cluster", {"clusterName": "c"}), ("delete_cluster", {"cluster": "absent"})],
    "events": [
        ("put_rule", {"Name": "r", "ScheduleExpression": "rate(1 hour)"}),
        ("describe_rule", {"Name": "absent"}),
    ],
    "kinesis": [
        ("create_stream", {"StreamName": "s", "ShardCount": 1}),
        ("describe_stream", {"StreamName": "absent"}),
    ],
    "kms": [("create_key", {}), ("describe_key", {"KeyId": "absent"})],
    "logs": [
        ("create_log_group", {"logGroupName": "g"}),
        ("get_log_events", {"logGroupName": "absent", "logStreamName": "absent"}),
    ],
    "organizations": [("create_organization", {}), ("describe_account", {"AccountId": "0" * 12})],
    "sagemaker": [
        ("create_model", {"ModelName": "m", "ExecutionRoleArn": ARN}),
        ("describe_model", {"ModelName": "absent"}),
    ],
    "secretsmanager": [
        ("create_secret", {"Name": "s", "SecretString": "hush"}),
        ("describe_secret", {"SecretId": "absent"}),
    ],
    "sqs": [("create_queue", {"QueueName": "q"}), ("get_queue_url", {"QueueName": "absent"})],
    "ssm": [
        ("put_parameter", {"Name": "p", "Value": "v", "Type": "String"}),
        ("get_parameter", {"Name": "absent"}),
    ],
    "stepfunctions": [
        ("create_state_machine", {"name": "s", "definition": "{}", "roleArn": ARN}),
        ("describe_execution", {"executionArn": "arn:aws:states:us-east-1:1:execution:a:b"}),
    ],
    # query
    "autoscaling": [
        ("describe_auto_scaling_groups", {}),
        ("delete_auto_scaling_group", {"AutoScalingGroupName": "absent"}),
    ],
    "cloudformation": [("list_stacks", {}), ("describe_stacks", {"StackName": "absent"})],
    "elbv2": [("describe_load_balancers", {}), ("describe_listeners", {"ListenerArns": ["x"]})],
    "iam": [
        (
            "create_role",
            {
                "RoleName": "r",
                "AssumeRolePolicyDocument": ROLE,
                "Tags": [{"Key": "a b", "Value": "\u00fc&="}],
            },
        ),
        ("get_user", {"UserName": "absent"}),
    ],
    "rds": [
        (
            "create_db_subnet_group",
            {"DBSubnetGroupName": "g", "DBSubnetGroupDescription": "d", "SubnetIds": ["subnet-1"]},
        ),
        ("describe_db_instances", {"DBInstanceIdentifier": "absent"}),
    ],
    "ses": [
        ("verify_email_identity", {"EmailAddress": "a@example.org"}),
        ("get_template", {"TemplateName": "absent"}),
    ],
    "sns": [
        ("create_topic", {"Name": "t"}),
        ("delete_topic", {"TopicArn": "arn:aws:sns:x:1:y"}),
        ("get_topic_attributes", {"TopicArn": "arn:aws:sns:us-east-1:123456789012:absent"}),
    ],
    "sts": [
        ("get_caller_identity", {}),
        ("assume_role", {"RoleArn": ARN, "RoleSessionName": "session"}),
    ],
    # ec2, with the host prefixes of some others switched off
    "ec2": [
        ("run_instances", {"ImageId": "ami-12345678", "MinCount": 1, "MaxCount": 1}),
        ("describe_instances", {"Filters": [{"Name": "tag:a", "Values": ["b", "c"]}]}),
        ("describe_vpcs", {"VpcIds": ["vpc-absent"]}),
    ],
    # rest-xml
    "cloudfront": [("list_distributions", {}), ("get_distribution", {"Id": "absent"})],
    "route53": [
        ("create_hosted_zone", {"Name": "example.org", "CallerReference": "c"}),
        ("get_hosted_zone", {"Id": "absent"}),
    ],
    "s3": [
        ("create_bucket", {"Bucket": "compared"}),
        ("put_object", {"Bucket": "compared", "Key": "a b/\u00fc", "Body": b"\0\xff" * 999}),
        ("get_object", {"Bucket": "compared", "Key": "a b/\u00fc"}),
        ("head_object", {"Bucket": "compared", "Key": "a b/\u00fc"}),
        (
            "put_bucket_tagging",
            {"Bucket": "compared", "Tagging": {"TagSet": [{"Key": "<", "Value": "&"}]}},
        ),
        ("delete_objects", {"Bucket": "compared", "Delete": {"Objects": [{"Key": "a b/\u00fc"}]}}),
        ("get_object", {"Bucket": "compared", "Key": "absent"}),
    ],
    # smithy-rpc-v2-cbor
    "cloudwatch": [
        ("put_metric_data", {"Namespace": "n", "MetricData": [{"MetricName": "m", "Value": 1.5}]}),
        ("list_metrics", {}),
    ],
}
DATED = re.compile(r"20[0-9]{2}_?[0-9]{2}_?[0-9]{2}(v[0-9])?\Z")
"""What event names of Lambda have behind the operation's."""


@pytest.fixture(scope="module")
def upstream(moto_url: str) -> Iterator[Tap]:
    with tap(moto_url) as found:
        yield found


@pytest.fixture(scope="module")
def server(upstream: Tap, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenTrail]:
    data = tmp_path_factory.mktemp("compared") / "data"
    with OpenTrail(data, upstream=upstream.url) as found:
        yield found
        assert found.resident_bytes() <= 150 * 1024 * 1024
        assert found.failures() == ""


@pytest.fixture(scope="module")
def entrance(server: OpenTrail) -> Iterator[Tap]:
    with tap(server.endpoint) as found:
        yield found


def difference(one: Message, other: Message, names: frozenset[bytes]) -> str:
    first, second = one.without(names), other.without(names)
    return "" if first == second else f"{first!r:.2000}\n{second!r:.2000}"


def unchanged(outside: list[Exchange], inside: list[Exchange]) -> None:
    assert len(outside) == len(inside) > 0
    for before, after in zip(outside, inside, strict=True):
        assert not difference(before.request, after.request, HOP_BY_HOP | OWN)
        assert not difference(after.answer, before.answer, HOP_BY_HOP)


@pytest.mark.parametrize("service", CALLS)
def test_no_byte_is_changed(server: OpenTrail, entrance: Tap, upstream: Tap, service: str) -> None:
    aws: Any = client(service, entrance.url, KEY)
    before = len(server.events()), len(entrance.exchanges()), len(upstream.exchanges())
    refused = 0
    for name, members in CALLS[service]:
        try:
            getattr(aws, name)(**members)
        except ClientError:
            refused += 1
    outside, inside = entrance.exchanges()[before[1] :], upstream.exchanges()[before[2] :]
    unchanged(outside, inside)
    assert len(outside) == len(CALLS[service])
    events = server.events()[before[0] :]
    names = [aws.meta.method_to_api_mapping[name] for name, _ in CALLS[service]]
    assert [DATED.sub("", e["eventName"]) for e in events] == names
    source = f"{aws.meta.service_model.signing_name}.amazonaws.com"
    assert {e["eventSource"] for e in events} == {source}
    failed = [e for e in events if "errorCode" in e]
    assert len(failed) == refused == sum(e.answer.status >= 300 for e in outside)


def test_a_gzipped_request_is_passed_on_as_it_came(
    server: OpenTrail, entrance: Tap, upstream: Tap
) -> None:
    before = len(entrance.exchanges()), len(upstream.exchanges())
    data = [{"MetricName": f"metric-{n}", "Value": n, "Unit": "Count"} for n in range(500)]
    client("cloudwatch", entrance.url, KEY).put_metric_data(Namespace="big", MetricData=data)
    outside, inside = entrance.exchanges()[before[0] :], upstream.exchanges()[before[1] :]
    unchanged(outside, inside)
    assert (b"content-encoding", b"gzip") in outside[0].request.headers
    assert server.events()[-1]["eventName"] == "PutMetricData"
