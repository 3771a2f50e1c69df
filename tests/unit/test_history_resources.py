# SPDX-License-Identifier: Apache-2.0
"""The alias list: every name and ARN of what an event is about, typed where AWS has a type."""

from typing import Any

import pytest
from support.history_oracle import record

from opentrail.history.derive import derive
from opentrail.history.resources import ALIASES_MAX

SAGEMAKER = "arn:aws:sagemaker:us-east-1:111122223333:"
PERSONALIZE = "arn:aws:personalize:us-east-1:111122223333:"
CLOUDTRAIL = "arn:aws:cloudtrail:us-east-1:111122223333:"
ROLE = "arn:aws:iam::111122223333:role/Dev"
BALANCERS = "arn:aws:elasticloadbalancing:us-east-1:111122223333:"
BALANCER = f"{BALANCERS}loadbalancer/app/b/4c89e21113613302"
LISTENER = f"{BALANCERS}listener/app/b/4c89e21113613302/2e7801118647d076"
TARGETS = f"{BALANCERS}targetgroup/t/a770c60c3b857577"


def aliases(source: str, name: str, parameters: object, response: object = None, **more: Any):
    data = record(
        eventSource=f"{source}.amazonaws.com",
        eventName=name,
        requestParameters=parameters,
        responseElements=response,
        **more,
    )
    found = derive(data)
    assert found is not None
    return [tuple(each) for each in found.resources]


CASES = {
    "created: name, what it refers to, ARN": (
        ("sagemaker", "CreateEndpoint"),
        {"endpointName": "Ex", "endpointConfigName": "cfg"},
        {"endpointArn": f"{SAGEMAKER}endpoint/ex"},
        [
            ("AWS::SageMaker::Endpoint", "Ex"),
            ("AWS::SageMaker::EndpointConfig", "cfg"),
            ("AWS::SageMaker::Endpoint", f"{SAGEMAKER}endpoint/ex"),
        ],
    ),
    "roles of the call are not what it is about": (
        ("sagemaker", "CreateModel"),
        {"modelName": "m", "executionRoleArn": ROLE, "tags": [{"key": "k", "value": "v"}]},
        {"modelArn": f"{SAGEMAKER}model/m"},
        [("AWS::SageMaker::Model", "m"), ("AWS::SageMaker::Model", f"{SAGEMAKER}model/m")],
    ),
    "acronyms": (
        ("sagemaker", "CreateAutoMLJob"),
        {"autoMLJobName": "a"},
        {"autoMLJobArn": f"{SAGEMAKER}automl-job/a"},
        [
            ("AWS::SageMaker::AutoMLJob", "a"),
            ("AWS::SageMaker::AutoMLJob", f"{SAGEMAKER}automl-job/a"),
        ],
    ),
    "an ARN is typed by itself": (
        ("sagemaker", "AddTags"),
        {"resourceArn": f"{SAGEMAKER}feature-group/f"},
        None,
        [("AWS::SageMaker::FeatureGroup", f"{SAGEMAKER}feature-group/f")],
    ),
    "a name member that holds an ARN": (
        ("sagemaker", "DescribeModelPackage"),
        {"modelPackageName": f"{SAGEMAKER}model-package/g/1"},
        None,
        [("AWS::SageMaker::ModelPackage", f"{SAGEMAKER}model-package/g/1")],
    ),
    "no published type, no type": (
        ("sagemaker", "CreateLabelingJob"),
        {"labelingJobName": "l"},
        {"labelingJobArn": f"{SAGEMAKER}labeling-job/l"},
        [("", "l"), ("", f"{SAGEMAKER}labeling-job/l")],
    ),
    "a part of a pipeline is another kind": (
        ("sagemaker", "StopPipelineExecution"),
        {"pipelineExecutionArn": f"{SAGEMAKER}pipeline/p/execution/e"},
        None,
        [("AWS::SageMaker::PipelineExecution", f"{SAGEMAKER}pipeline/p/execution/e")],
    ),
    "Feature Store's data events": (
        ("sagemaker", "PutRecord"),
        {"featureGroupName": "f"},
        None,
        [("AWS::SageMaker::FeatureGroup", "f")],
    ),
    "Personalize calls all names alike": (
        ("personalize", "CreateSolution"),
        {"name": "s", "datasetGroupArn": f"{PERSONALIZE}dataset-group/g"},
        {"solutionArn": f"{PERSONALIZE}solution/s"},
        [
            ("AWS::Personalize::Solution", "s"),
            ("AWS::Personalize::DatasetGroup", f"{PERSONALIZE}dataset-group/g"),
            ("AWS::Personalize::Solution", f"{PERSONALIZE}solution/s"),
        ],
    ),
    "a version of a solution is no solution": (
        ("personalize", "CreateCampaign"),
        {"name": "c", "solutionVersionArn": f"{PERSONALIZE}solution/s/1f"},
        {"campaignArn": f"{PERSONALIZE}campaign/c"},
        [("", "c"), ("", f"{PERSONALIZE}solution/s/1f"), ("", f"{PERSONALIZE}campaign/c")],
    ),
    "DevOps Guru, raw casing": (
        ("devops-guru", "RemoveNotificationChannel"),
        {"Id": "7f"},
        None,
        [("AWS::DevOpsGuru::NotificationChannel", "7f")],
    ),
    "an insight has no type": (
        ("devops-guru", "DescribeInsight"),
        {"Id": "9a"},
        None,
        [("", "9a")],
    ),
    "IAM, one level down": (
        ("iam", "CreateUser"),
        {"userName": "bob"},
        {"user": {"userName": "bob", "arn": "arn:aws:iam::1:user/bob", "userId": "AIDAEXAMPLE"}},
        [
            ("AWS::IAM::User", "bob"),
            ("AWS::IAM::User", "arn:aws:iam::1:user/bob"),
            ("AWS::IAM::User", "AIDAEXAMPLE"),
        ],
    ),
    "an access key and its user": (
        ("iam", "CreateAccessKey"),
        {"userName": "bob"},
        {"accessKey": {"accessKeyId": "AKIAEXAMPLE", "userName": "bob", "status": "Active"}},
        [("AWS::IAM::User", "bob"), ("AWS::IAM::AccessKey", "AKIAEXAMPLE")],
    ),
    "another service": (("ec2", "RunInstances"), {"name": "x"}, None, []),
    "hidden, empty or of another type": (
        ("sagemaker", "CreateModel"),
        {"modelName": "HIDDEN_DUE_TO_SECURITY_REASONS", "endpointName": "", "imageName": 7},
        {"hubName": None, "domainId": ["d"]},
        [],
    ),
    "a user: name, ARN and id": (
        ("iam", "CreateUser"),
        {"userName": "u"},
        {"user": {"path": "/", "userName": "u", "userId": "AIDA1", "arn": "arn:aws:iam::1:user/u"}},
        [
            ("AWS::IAM::User", "u"),
            ("AWS::IAM::User", "AIDA1"),
            ("AWS::IAM::User", "arn:aws:iam::1:user/u"),
        ],
    ),
    "a key and its user": (
        ("iam", "CreateAccessKey"),
        None,
        {"accessKey": {"accessKeyId": "AKIA1", "userName": "u", "status": "Active"}},
        [("AWS::IAM::AccessKey", "AKIA1"), ("AWS::IAM::User", "u")],
    ),
    "a session: key, role session": (
        ("sts", "AssumeRole"),
        {"roleArn": ROLE, "roleSessionName": "s"},
        {
            "credentials": {"accessKeyId": "ASIA1", "sessionToken": "x"},
            "assumedRoleUser": {"assumedRoleId": "AROA1:s", "arn": "arn:aws:sts::1:r/s"},
        },
        [
            ("AWS::STS::AssumedRole", "s"),
            ("AWS::IAM::AccessKey", "ASIA1"),
            ("AWS::STS::AssumedRole", "AROA1:s"),
            ("AWS::STS::AssumedRole", "arn:aws:sts::1:r/s"),
        ],
    ),
    "a load balancer of the newer kind, and what belongs to it, by ARNs at any depth": (
        ("elasticloadbalancing", "CreateListener"),
        {"loadBalancerArn": BALANCER, "defaultActions": [{"targetGroupArn": TARGETS}]},
        {"listeners": [{"listenerArn": LISTENER, "loadBalancerArn": BALANCER}]},
        [
            ("AWS::ElasticLoadBalancingV2::LoadBalancer", BALANCER),
            ("AWS::ElasticLoadBalancingV2::TargetGroup", TARGETS),
            ("AWS::ElasticLoadBalancingV2::Listener", LISTENER),
        ],
    ),
    "a load balancer of the older kind": (
        ("elasticloadbalancing", "DeleteLoadBalancer"),
        {"loadBalancerName": "b"},
        None,
        [("AWS::ElasticLoadBalancing::LoadBalancer", "b")],
    ),
    "what an instance is made of, at any depth": (
        ("ec2", "RunInstances"),
        {"instancesSet": {"items": [{"imageId": "ami-0123abcd", "keyName": "k"}]}},
        {
            "instancesSet": {
                "items": [
                    {"instanceId": "i-0123456789abcdef0", "subnetId": "subnet-0123abcd"},
                    {"instanceId": "i-1123456789abcdef0", "note": "not vpc-0123abcd"},
                ]
            }
        },
        [
            ("AWS::EC2::Ami", "ami-0123abcd"),
            ("AWS::EC2::Instance", "i-0123456789abcdef0"),
            ("AWS::EC2::Subnet", "subnet-0123abcd"),
            ("AWS::EC2::Instance", "i-1123456789abcdef0"),
        ],
    ),
    "a newer EC2 message": (
        ("ec2", "DeleteTransitGatewayVpcAttachment"),
        {"DelTGwVpcAttachReq": {"TransitGatewayAttachmentId": "tgw-attach-0123456789abcdef0"}},
        None,
        [("AWS::EC2::TransitGatewayAttachment", "tgw-attach-0123456789abcdef0")],
    ),
    "lists of names": (
        ("monitoring", "DeleteAlarms"),
        {"alarmNames": ["a", "b"]},
        None,
        [("AWS::CloudWatch::Alarm", "a"), ("AWS::CloudWatch::Alarm", "b")],
    ),
    "a database under its own name": (
        ("rds", "DeleteDBInstance"),
        {"dBInstanceIdentifier": "d"},
        {"dBInstanceArn": "arn:aws:rds:r:1:db:d", "kmsKeyId": "arn:aws:kms:r:1:key/k"},
        [("AWS::RDS::DBInstance", "d"), ("AWS::RDS::DBInstance", "arn:aws:rds:r:1:db:d")],
    ),
    "a trail, by its name and its ARN": (
        ("cloudtrail", "StopLogging"),
        {"name": f"{CLOUDTRAIL}trail/t"},
        None,
        [("AWS::CloudTrail::Trail", f"{CLOUDTRAIL}trail/t")],
    ),
    "whose tags are changed": (
        ("cloudtrail", "AddTags"),
        {"resourceId": f"{CLOUDTRAIL}trail/t", "tagsList": [{"key": "k", "value": "v"}]},
        None,
        [("AWS::CloudTrail::Trail", f"{CLOUDTRAIL}trail/t")],
    ),
    "whose tags are listed": (
        ("cloudtrail", "ListTags"),
        {"resourceIdList": [f"{CLOUDTRAIL}trail/t", f"{CLOUDTRAIL}channel/c"]},
        None,
        [
            ("AWS::CloudTrail::Trail", f"{CLOUDTRAIL}trail/t"),
            ("AWS::CloudTrail::Channel", f"{CLOUDTRAIL}channel/c"),
        ],
    ),
    "an event data store is no trail": (
        ("cloudtrail", "CreateEventDataStore"),
        {"name": "s"},
        {"name": "s", "eventDataStoreArn": f"{CLOUDTRAIL}eventdatastore/1f"},
        [
            ("AWS::CloudTrail::EventDataStore", "s"),
            ("AWS::CloudTrail::EventDataStore", f"{CLOUDTRAIL}eventdatastore/1f"),
        ],
    ),
    "parameters that are a text": (("sagemaker", "CreateModel"), "modelName=m", None, []),
}


@pytest.mark.parametrize("case", CASES)
def test_aliases(case: str):
    (source, name), parameters, response, expected = CASES[case]
    assert aliases(source, name, parameters, response) == expected


def test_the_records_own_resources_follow():
    listed = [
        {"accountId": "1", "type": "AWS::S3::Object", "ARN": "arn:aws:s3:::b/k"},
        {"accountId": "1", "ARN": "arn:aws:ssm:us-east-1:1:parameter/p"},
        {"type": "AWS::S3::Object", "ARNPrefix": "arn:aws:s3:::b/"},
    ]
    assert aliases("s3", "GetObject", {"bucketName": "b", "key": "k"}, resources=listed) == [
        ("AWS::S3::Bucket", "b"),
        ("AWS::S3::Object", "arn:aws:s3:::b/k"),
        ("", "arn:aws:ssm:us-east-1:1:parameter/p"),
    ]


def test_odd_resources_name_nothing():
    assert aliases("ssm", "GetParameter", None, resources=[7]) == []
    assert aliases("ssm", "GetParameter", None, resources="x-and-more") == []


def test_aliases_are_bounded():
    for count in (ALIASES_MAX, ALIASES_MAX + 1):
        ids = [{"resourceId": f"i-{n:017x}"} for n in range(count)]
        found = aliases("ec2", "CreateTags", {"resourcesSet": {"items": ids}})
        assert len(found) == ALIASES_MAX
