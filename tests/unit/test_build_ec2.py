# SPDX-License-Identifier: Apache-2.0
"""EC2 records are SOAP messages, or the XML of messages in an envelope: names, lists, answers."""

import pytest
from support.calls import called

REMOVED = "<sensitiveDataRemoved>"
XMLNS = "http://ec2.amazonaws.com/doc/2016-11-15/"


@pytest.mark.parametrize(
    ("operation", "params", "shown"),
    [
        ("DescribeInstances", {}, {"filterSet": {}, "instancesSet": {}}),
        (
            "DescribeInstances",
            {
                "InstanceIds": ["i-1", "i-2"],
                "Filters": [{"Name": "vpc-id", "Values": ["v"]}],
                "MaxResults": 5,
            },
            {
                "instancesSet": {"items": [{"instanceId": "i-1"}, {"instanceId": "i-2"}]},
                "filterSet": {
                    "items": [{"name": "vpc-id", "valueSet": {"items": [{"value": "v"}]}}]
                },
                "maxResults": 5,
            },
        ),
        ("DescribeRegions", {"AllRegions": True}, {"regionSet": {}, "allRegions": True}),
        (
            "CreateTags",
            {"Resources": ["i-1"], "Tags": [{"Key": "k", "Value": "v"}]},
            {
                "resourcesSet": {"items": [{"resourceId": "i-1"}]},
                "tagSet": {"items": [{"key": "k", "value": "v"}]},
            },
        ),
        (
            "CreateVpc",
            {
                "CidrBlock": "10.0.0.0/16",
                "TagSpecifications": [
                    {"ResourceType": "vpc", "Tags": [{"Key": "k", "Value": "true"}]}
                ],
            },
            {
                "cidrBlock": "10.0.0.0/16",
                "tagSpecificationSet": {
                    "items": [{"resourceType": "vpc", "tags": [{"key": "k", "value": "true"}]}]
                },
            },
        ),
        (
            "RunInstances",
            {
                "ImageId": "ami-1",
                "MinCount": 1,
                "MaxCount": 2,
                "UserData": "c2VjcmV0",
                "SecurityGroupIds": ["sg-1"],
                "Placement": {"Tenancy": "default"},
                "BlockDeviceMappings": [{"DeviceName": "/dev/sda", "Ebs": {"VolumeSize": 8}}],
            },
            {
                "instancesSet": {"items": [{"imageId": "ami-1", "minCount": 1, "maxCount": 2}]},
                "userData": REMOVED,
                "groupSet": {"items": [{"groupId": "sg-1"}]},
                "tenancy": "default",
                "blockDeviceMapping": {
                    "items": [{"deviceName": "/dev/sda", "ebs": {"volumeSize": 8}}]
                },
            },
        ),
        (
            "RunInstances",
            {"SecurityGroupIds": ["sg-1", "sg-2"], "SecurityGroups": ["default"]},
            {
                "groupSet": {
                    "items": [{"groupId": "sg-1"}, {"groupId": "sg-2"}, {"groupName": "default"}]
                }
            },
        ),
        (
            "RequestSpotInstances",
            {"LaunchSpecification": {"SecurityGroupIds": ["sg-1"], "SecurityGroups": ["default"]}},
            {
                "launchSpecification": {
                    "groupSet": {"items": [{"groupId": "sg-1"}, {"groupName": "default"}]}
                }
            },
        ),
        ("CreateVolume", {"AvailabilityZone": "z", "Size": 1}, {"zone": "z", "size": 1}),
        (
            "ModifySnapshotAttribute",
            {
                "SnapshotId": "snap-1",
                "Attribute": "createVolumePermission",
                "CreateVolumePermission": {"Add": [{"UserId": "1"}]},
            },
            {
                "snapshotId": "snap-1",
                "attributeType": "createVolumePermission",
                "createVolumePermission": {"add": {"items": [{"userId": "1"}]}},
            },
        ),
        ("DescribeHosts", {"MaxResults": 500}, {"DescribeHostsRequest": {"MaxResults": 500}}),
        ("EnableSerialConsoleAccess", {}, {"EnableSerialConsoleAccessRequest": ""}),
        (
            "DescribeVpcEndpoints",
            {"Filters": [{"Name": "vpc-id", "Values": ["a"]}, {"Name": "x", "Values": ["b", "c"]}]},
            {
                "DescribeVpcEndpointsRequest": {
                    "Filter": [
                        {"Name": "vpc-id", "Value": {"content": "a", "tag": 1}, "tag": 1},
                        {
                            "Name": "x",
                            "Value": [{"content": "b", "tag": 1}, {"content": "c", "tag": 2}],
                            "tag": 2,
                        },
                    ]
                }
            },
        ),
    ],
)
def test_ec2_requests_are_shown_as_their_messages(operation, params, shown):
    assert called("ec2", operation, params)["requestParameters"] == shown


@pytest.mark.parametrize(
    ("operation", "answer", "shown"),
    [
        (
            "DeleteVpc",
            b"<DeleteVpcResponse><requestId>r</requestId><return>true</return></DeleteVpcResponse>",
            {"requestId": "request-id", "_return": True},
        ),
        (
            "TerminateInstances",
            (
                b"<TerminateInstancesResponse><instancesSet><item><instanceId>i-1</instanceId>"
                b"<currentState><code>32</code><name>shutting-down</name></currentState></item>"
                b"</instancesSet></TerminateInstancesResponse>"
            ),
            {
                "requestId": "request-id",
                "instancesSet": {
                    "items": [
                        {
                            "instanceId": "i-1",
                            "currentState": {"code": 32, "name": "shutting-down"},
                        }
                    ]
                },
            },
        ),
        (
            "CreateSnapshot",
            (
                b"<CreateSnapshotResponse><snapshotId>s</snapshotId><tagSet/>"
                b"<startTime>2023-07-10T12:11:26.923Z</startTime></CreateSnapshotResponse>"
            ),
            {
                "requestId": "request-id",
                "tagSet": {},
                "snapshotId": "s",
                "startTime": 1688991086923,
            },
        ),
        (
            "CreateKeyPair",
            (
                b"<CreateKeyPairResponse><keyName>k</keyName><keyMaterial>SECRET</keyMaterial>"
                b"</CreateKeyPairResponse>"
            ),
            {"requestId": "request-id", "keyName": "k", "keyMaterial": REMOVED},
        ),
        (
            "CreateFlowLogs",
            (
                b"<CreateFlowLogsResponse><clientToken>c</clientToken><unsuccessful/>"
                b"<flowLogIdSet><item>fl-1</item></flowLogIdSet></CreateFlowLogsResponse>"
            ),
            {
                "CreateFlowLogsResponse": {
                    "xmlns": XMLNS,
                    "requestId": "request-id",
                    "clientToken": "c",
                    "flowLogIdSet": {"item": "fl-1"},
                    "unsuccessful": "",
                }
            },
        ),
    ],
)
def test_ec2_answers_are_shown_as_their_messages(operation, answer, shown):
    assert called("ec2", operation, {}, answer)["responseElements"] == shown


def test_a_read_of_ec2_has_no_response():
    assert called("ec2", "DescribeVpcs", {}, b"<x/>")["responseElements"] is None
