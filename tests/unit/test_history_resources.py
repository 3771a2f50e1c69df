# SPDX-License-Identifier: Apache-2.0
"""The alias list: every name and ARN of what an event is about, typed where AWS has a type."""

from typing import Any

import pytest
from support.history_oracle import record

from opentrail.history.derive import derive

SAGEMAKER = "arn:aws:sagemaker:us-east-1:111122223333:"
PERSONALIZE = "arn:aws:personalize:us-east-1:111122223333:"
ROLE = "arn:aws:iam::111122223333:role/Dev"


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
