# SPDX-License-Identifier: Apache-2.0
"""The documented samples, rebuilt from calls and compared field by field, order included."""

import pytest
from support.calls import Made, caller

INTERN = {
    "type": "IAMUser",
    "principalId": "AIXDAYQEXAMPLEUMLYNGL",
    "arn": "arn:aws:iam::123456789012:user/intern",
    "accountId": "123456789012",
    "accessKeyId": "ASXIAGXEXAMPLEQULKNXV",
    "userName": "intern",
}
ROLE = {
    "type": "AssumedRole",
    "principalId": "AAAAAAAAAEXAMPLE:TestSession",
    "arn": "arn:aws:sts::123456789012:assumed-role/TestRole/TestSession",
    "accountId": "123456789012",
    "accessKeyId": "AKIAIOSFODNN7EXAMPLE",
    "sessionContext": {
        "sessionIssuer": {
            "type": "Role",
            "principalId": "AIDACKCEVSQ6C2EXAMPLE",
            "arn": "arn:aws:iam::123456789012:role/TestRole",
            "accountId": "123456789012",
            "userName": "sample-user-name",
        },
        "webIdFederationData": {},
        "attributes": {"mfaAuthenticated": "false", "creationDate": "2020-12-03T15:29:51Z"},
    },
}

# The samples of 2018 are of eventVersion 1.05, which had none of these three; the versions that
# are in use now have them all.
SINCE_1_07 = {
    "read": {"readOnly": True, "managementEvent": True, "eventCategory": "Management"},
    "write": {"readOnly": False, "managementEvent": True, "eventCategory": "Management"},
}


def as_of(finished_ms, identity, account, region, **more):
    return {
        "finished_ms": finished_ms,
        "caller": caller(identity=identity, account=account, region=region),
        **more,
    }


CREATE_ENDPOINT = (
    Made(
        "sagemaker",
        "CreateEndpoint",
        {"EndpointName": "ExampleEndpoint", "EndpointConfigName": "ExampleEndpointConfig"},
        {"EndpointArn": "arn:aws:sagemaker:us-west-2:123456789012:endpoint/exampleendpoint"},
        more=as_of(
            1_514_900_346_000,
            INTERN,
            "444455556666",
            "us-west-2",
            source_ip="127.0.0.1",
            user_agent="USER_AGENT",
            response_headers={"x-amzn-requestid": "6b1b42b9-EXAMPLE"},
            event_id="a6f85b21-EXAMPLE",
        ),
    ),
    {
        "eventVersion": "1.11",  # the sample: 1.05
        "userIdentity": INTERN,
        "eventTime": "2018-01-02T13:39:06Z",
        "eventSource": "sagemaker.amazonaws.com",
        "eventName": "CreateEndpoint",
        "awsRegion": "us-west-2",
        "sourceIPAddress": "127.0.0.1",
        "userAgent": "USER_AGENT",
        "requestParameters": {
            "endpointName": "ExampleEndpoint",
            "endpointConfigName": "ExampleEndpointConfig",
        },
        "responseElements": {
            "endpointArn": "arn:aws:sagemaker:us-west-2:123456789012:endpoint/exampleendpoint"
        },
        "requestID": "6b1b42b9-EXAMPLE",
        "eventID": "a6f85b21-EXAMPLE",
        "eventType": "AwsApiCall",
        "recipientAccountId": "444455556666",
        **SINCE_1_07["write"],
    },
)

CREATE_MODEL = (
    Made(
        "sagemaker",
        "CreateModel",
        # On the wire in another order than the model's, which is the record's.
        {
            "ExecutionRoleArn": "arn:aws:iam::123456789012:role/EXAMPLEARN",
            "PrimaryContainer": {
                "Image": "174872318107.dkr.ecr.us-west-2.amazonaws.com/kmeans:latest"
            },
            "ModelName": "ExampleModel",
        },
        {
            "ModelArn": "arn:aws:sagemaker:us-west-2:123456789012:model/"
            "barkinghappy2018-01-02t15-23-32-275z-ivrdog"
        },
        more=as_of(
            1_514_906_626_000,
            INTERN,
            "444455556666",
            "us-west-2",
            source_ip="127.0.0.1",
            user_agent="USER_AGENT",
            response_headers={"x-amzn-requestid": "417b8dab-EXAMPLE"},
            event_id="0f2b3e81-EXAMPLE",
        ),
    ),
    {
        "eventVersion": "1.11",  # the sample: 1.05
        "userIdentity": INTERN,
        "eventTime": "2018-01-02T15:23:46Z",
        "eventSource": "sagemaker.amazonaws.com",
        "eventName": "CreateModel",
        "awsRegion": "us-west-2",
        "sourceIPAddress": "127.0.0.1",
        "userAgent": "USER_AGENT",
        "requestParameters": {
            "modelName": "ExampleModel",
            "primaryContainer": {
                "image": "174872318107.dkr.ecr.us-west-2.amazonaws.com/kmeans:latest"
            },
            "executionRoleArn": "arn:aws:iam::123456789012:role/EXAMPLEARN",
        },
        "responseElements": {
            "modelArn": "arn:aws:sagemaker:us-west-2:123456789012:model/"
            "barkinghappy2018-01-02t15-23-32-275z-ivrdog"
        },
        "requestID": "417b8dab-EXAMPLE",
        "eventID": "0f2b3e81-EXAMPLE",
        "eventType": "AwsApiCall",
        "recipientAccountId": "444455556666",
        **SINCE_1_07["write"],
    },
)

LIST_DATASET_GROUPS_IDENTITY = {
    "type": "IAMUser",
    "principalId": "principal-id",
    "arn": "arn:aws:iam::user-arn",
    "accountId": "account-id",
    "accessKeyId": "access-key",
    "userName": "user-name",
}
LIST_DATASET_GROUPS = (
    Made(
        "personalize",
        "ListDatasetGroups",
        {},
        {
            "datasetGroups": [
                {
                    "name": "testdatasetgroup",
                    "datasetGroupArn": "arn:aws:personalize:us-west-2:1:dataset-group/testdataset",
                    "status": "ACTIVE",
                    "creationDateTime": 1541397961.0,
                }
            ]
        },
        more=as_of(
            1_542_853_083_000,
            LIST_DATASET_GROUPS_IDENTITY,
            "recipient-account-id",
            "us-west-2",
            source_ip="source-ip-address",
            user_agent="aws-cli/1.11.16 Python/2.7.11 Darwin/15.6.0 botocore/1.4.73",
            event_id="event-id",
        ),
    ),
    {
        # The sample: 1.05. A record with managementEvent and eventCategory is 1.07 or later.
        "eventVersion": "1.08",
        "userIdentity": LIST_DATASET_GROUPS_IDENTITY,
        "eventTime": "2018-11-22T02:18:03Z",
        "eventSource": "personalize.amazonaws.com",
        "eventName": "ListDatasetGroups",
        "awsRegion": "us-west-2",
        "sourceIPAddress": "source-ip-address",
        "userAgent": "aws-cli/1.11.16 Python/2.7.11 Darwin/15.6.0 botocore/1.4.73",
        "requestParameters": None,
        # As the newer page has it: a read's response is null. (The older page showed the list.)
        "responseElements": None,
        "requestID": "request-id",
        "eventID": "event-id",
        "eventType": "AwsApiCall",
        "recipientAccountId": "recipient-account-id",
        **SINCE_1_07["read"],
    },
)

UPDATE_RESOURCE_COLLECTION = (
    Made(
        "devops-guru",
        "UpdateResourceCollection",
        {"Action": "REMOVE", "ResourceCollection": {"CloudFormation": {"StackNames": ["*"]}}},
        {},
        method="PUT",
        path="/resource-collections",
        more=as_of(
            1_606_839_271_000,
            ROLE,
            "123456789012",
            "us-east-1",
            source_ip="sample-ip-address",
            user_agent="aws-internal/3 aws-sdk-java/1.11.901",
            response_headers={"x-amzn-requestid": " cb8c167e-EXAMPLE "},
            event_id=" e3c6f4ce-EXAMPLE ",
        ),
    ),
    {
        "eventVersion": "1.08",
        "userIdentity": ROLE,
        "eventTime": "2020-12-01T16:14:31Z",
        "eventSource": "devops-guru.amazonaws.com",
        "eventName": "UpdateResourceCollection",
        "awsRegion": "us-east-1",
        "sourceIPAddress": "sample-ip-address",
        "userAgent": "aws-internal/3 aws-sdk-java/1.11.901",
        "requestParameters": {
            "Action": "REMOVE",
            "ResourceCollection": {"CloudFormation": {"StackNames": ["*"]}},
        },
        "responseElements": None,
        "requestID": " cb8c167e-EXAMPLE ",
        "eventID": " e3c6f4ce-EXAMPLE ",
        "readOnly": False,
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "eventCategory": "Management",
        "recipientAccountId": "123456789012",
    },
)

FEATURE_STORE_USER = {
    "type": "IAMUser",
    "principalId": "USERPRINCIPALID",
    "arn": "arn:aws:iam::123456789012:user/user",
    "accountId": "123456789012",
    "accessKeyId": "USERACCESSKEYID",
    "userName": "your-user-name",
}
PUT_RECORD = (
    Made(
        "sagemaker-featurestore-runtime",
        "PutRecord",
        {"Record": [{"FeatureName": "age", "ValueAsString": "41"}]},
        None,
        method="PUT",
        path="/FeatureGroup/your-feature-group-name",
        more=as_of(
            1_672_534_800_000,
            FEATURE_STORE_USER,
            "123456789012",
            "us-east-1",
            source_ip="192.0.2.0",
            user_agent="your-user-agent",
            event_id="event-id",
        ),
    ),
    {
        "eventVersion": "1.11",  # the sample: 1.08, as sagemaker.amazonaws.com had it then
        "userIdentity": FEATURE_STORE_USER,
        "eventTime": "2023-01-01T01:00:00Z",
        "eventSource": "sagemaker.amazonaws.com",
        "eventName": "PutRecord",
        "awsRegion": "us-east-1",
        "sourceIPAddress": "192.0.2.0",
        "userAgent": "your-user-agent",
        "requestParameters": {"featureGroupName": "your-feature-group-name"},
        "responseElements": None,
        "requestID": "request-id",
        "eventID": "event-id",
        "readOnly": False,
        "resources": [
            {
                "accountId": "123456789012",
                "type": "AWS::SageMaker::FeatureGroup",
                "ARN": "arn:aws:sagemaker:us-east-1:123456789012:feature-group/"
                "your-feature-group-name",
            }
        ],
        "eventType": "AwsApiCall",
        "managementEvent": False,
        "recipientAccountId": "123456789012",
        "eventCategory": "Data",
        # The sample has tlsDetails: nobody but the TLS endpoint itself knows them.
    },
)

SEEDS = {
    "CreateEndpoint": CREATE_ENDPOINT,
    "CreateModel": CREATE_MODEL,
    "ListDatasetGroups": LIST_DATASET_GROUPS,
    "UpdateResourceCollection": UPDATE_RESOURCE_COLLECTION,
    "PutRecord": PUT_RECORD,
}


@pytest.mark.parametrize("name", SEEDS)
def test_the_documented_sample_is_reproduced(name):
    made, expected = SEEDS[name]
    record = made.record()
    assert record == expected
    request = expected["requestParameters"]
    if isinstance(request, dict):
        assert list(record["requestParameters"]) == list(request)
