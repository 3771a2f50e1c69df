# SPDX-License-Identifier: Apache-2.0
"""The samples that the services' guides show, made again by real calls, identities verified.

boto3 calls a real server; an upstream answers as the service did in the sample. Compared field by
field, order included. What differs is said beside it, and why.
"""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from support import upstreams
from support.aws_clients import Key
from support.server import OpenTrail
from support.upstreams import Exchange, Upstream

from opentrail.event.record import FIELD_ORDER

ACCOUNT = "123456789012"
USER_AGENT = "sample-user-agent/1.0"
INTERN = Key("ASXIAGXEXAMPLEQULKNXV", "secret-of-the-intern")
USER = Key("USERACCESSKEYID", "secret-of-the-user")
PERSONALIZE_USER = Key("PERSONALIZEKEY", "secret-of-the-personalize-user")
SESSION = Key("ASIAQAAAAAAAAAAAAAAA", "secret-of-the-session", "token-of-the-session")
ROLE_ARN = f"arn:aws:iam::{ACCOUNT}:role/TestRole"
CONFIG = f"""
account = "{ACCOUNT}"
[forward]
verify = true
[listen]
trusted_proxies = ["127.0.0.1"]
[access_keys.{INTERN.access_key_id}]
secret_access_key = "{INTERN.secret_access_key}"
user_name = "intern"
principal_id = "AIXDAYQEXAMPLEUMLYNGL"
[access_keys.{USER.access_key_id}]
secret_access_key = "{USER.secret_access_key}"
user_name = "your-user-name"
principal_id = "USERPRINCIPALID"
[access_keys.{PERSONALIZE_USER.access_key_id}]
secret_access_key = "{PERSONALIZE_USER.secret_access_key}"
user_name = "user-name"
principal_id = "principal-id"
"""
VARIES = ("eventTime", "eventID")
"""Made anew for each call; their forms are checked instead."""
SINCE_1_07 = {"managementEvent": True, "eventCategory": "Management"}
"""The samples of 2018 (eventVersion 1.05) are older than these two fields (1.06, 1.07)."""


def user(key: Key, principal_id: str, name: str) -> dict[str, str]:
    """Return the userIdentity of an IAM user."""
    return {
        "type": "IAMUser",
        "principalId": principal_id,
        "arn": f"arn:aws:iam::{ACCOUNT}:user/{name}",
        "accountId": ACCOUNT,
        "accessKeyId": key.access_key_id,
        "userName": name,
    }


@pytest.fixture(scope="module")
def upstream():
    with upstreams.upstream() as found:
        yield found


@pytest.fixture(scope="module")
def server(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory):
    config = CONFIG + f'[upstream.default]\nurl = "{upstream.url}"\ntrusted_identity = true\n'
    with OpenTrail(tmp_path_factory.mktemp("samples") / "data", config=config) as found:
        yield found
        assert found.failures() == ""


def client(server: OpenTrail, service: str, key: Key, region: str, source_ip: str) -> Any:
    """Return a client that the server takes for one at ``source_ip``."""
    found = server.client(service, key, region=region)

    def send_as(request: Any, **_: Any) -> None:  # neither header is signed
        request.headers["X-Forwarded-For"] = source_ip
        request.headers["User-Agent"] = USER_AGENT

    found.meta.events.register("before-send", send_as)
    return found


def answers(upstream: Upstream, body: object, request_id: str) -> None:
    """Have the upstream answer as the service does: AWS JSON with a request id."""
    headers = (("x-amzn-RequestId", request_id), ("Content-Type", "application/x-amz-json-1.1"))
    upstream.script = upstreams.answer(200, json.dumps(body).encode(), headers)


def compare(server: OpenTrail, expected: dict[str, Any]) -> None:
    """Compare the last record with the sample: all fields, all values, real records' order."""
    record = server.events()[-1]
    when = datetime.strptime(record["eventTime"] + "+0000", "%Y-%m-%dT%H:%M:%SZ%z")
    assert abs(datetime.now(UTC) - when) < timedelta(seconds=30)
    assert len(record["eventID"]) == 36
    assert {k: v for k, v in record.items() if k not in VARIES} == expected
    places = [FIELD_ORDER.index(name) for name in record]
    assert places == sorted(places)
    for part in ("userIdentity", "requestParameters", "responseElements"):
        if expected[part]:
            assert list(record[part]) == list(expected[part])


def test_create_endpoint(server: OpenTrail, upstream: Upstream) -> None:
    arn = f"arn:aws:sagemaker:us-west-2:{ACCOUNT}:endpoint/exampleendpoint"
    answers(upstream, {"EndpointArn": arn}, "6b1b42b9-EXAMPLE")
    client(server, "sagemaker", INTERN, "us-west-2", "127.0.0.1").create_endpoint(
        EndpointName="ExampleEndpoint", EndpointConfigName="ExampleEndpointConfig"
    )
    compare(
        server,
        {
            "eventVersion": "1.11",  # the sample: 1.05; SageMaker emits 1.11 now
            "userIdentity": user(INTERN, "AIXDAYQEXAMPLEUMLYNGL", "intern"),
            "eventSource": "sagemaker.amazonaws.com",
            "eventName": "CreateEndpoint",
            "awsRegion": "us-west-2",
            "sourceIPAddress": "127.0.0.1",
            "userAgent": USER_AGENT,
            "requestParameters": {
                "endpointName": "ExampleEndpoint",
                "endpointConfigName": "ExampleEndpointConfig",
            },
            "responseElements": {"endpointArn": arn},
            "requestID": "6b1b42b9-EXAMPLE",
            "readOnly": False,  # optional in 1.05, absent in the sample
            "eventType": "AwsApiCall",
            # The sample has 444455556666 without a sharedEventID: it is the caller's account here.
            "recipientAccountId": ACCOUNT,
            **SINCE_1_07,
        },
    )


def test_create_model(server: OpenTrail, upstream: Upstream) -> None:
    arn = f"arn:aws:sagemaker:us-west-2:{ACCOUNT}:model/barkinghappy2018-01-02t15-23-32-275z-ivrdog"
    answers(upstream, {"ModelArn": arn}, "417b8dab-EXAMPLE")
    image = "174872318107.dkr.ecr.us-west-2.amazonaws.com/kmeans:latest"
    client(server, "sagemaker", INTERN, "us-west-2", "127.0.0.1").create_model(
        ModelName="ExampleModel",
        PrimaryContainer={"Image": image},
        ExecutionRoleArn=f"arn:aws:iam::{ACCOUNT}:role/EXAMPLEARN",
    )
    compare(
        server,
        {
            "eventVersion": "1.11",  # the sample: 1.05
            "userIdentity": user(INTERN, "AIXDAYQEXAMPLEUMLYNGL", "intern"),
            "eventSource": "sagemaker.amazonaws.com",
            "eventName": "CreateModel",
            "awsRegion": "us-west-2",
            "sourceIPAddress": "127.0.0.1",
            "userAgent": USER_AGENT,
            "requestParameters": {
                "modelName": "ExampleModel",
                "primaryContainer": {"image": image},
                "executionRoleArn": f"arn:aws:iam::{ACCOUNT}:role/EXAMPLEARN",
            },
            "responseElements": {"modelArn": arn},
            "requestID": "417b8dab-EXAMPLE",
            "readOnly": False,
            "eventType": "AwsApiCall",
            "recipientAccountId": ACCOUNT,  # the sample: 444455556666, as above
            **SINCE_1_07,
        },
    )


def test_list_dataset_groups(server: OpenTrail, upstream: Upstream) -> None:
    group = {
        "name": "testdatasetgroup",
        "datasetGroupArn": f"arn:aws:personalize:us-west-2:{ACCOUNT}:dataset-group/testdataset",
        "status": "ACTIVE",
        "creationDateTime": 1541397961.0,
    }
    answers(upstream, {"datasetGroups": [group]}, "request-id")
    personalize = client(server, "personalize", PERSONALIZE_USER, "us-west-2", "198.51.100.1")
    assert len(personalize.list_dataset_groups()["datasetGroups"]) == 1
    compare(
        server,
        {
            "eventVersion": "1.08",  # the sample: 1.05; the first with all of these fields is 1.07
            "userIdentity": user(PERSONALIZE_USER, "principal-id", "user-name"),
            "eventSource": "personalize.amazonaws.com",
            "eventName": "ListDatasetGroups",
            "awsRegion": "us-west-2",
            "sourceIPAddress": "198.51.100.1",
            "userAgent": USER_AGENT,
            "requestParameters": None,
            "responseElements": None,  # as the guide has it now; its older edition had the list
            "requestID": "request-id",
            "readOnly": True,
            "eventType": "AwsApiCall",
            "recipientAccountId": ACCOUNT,
            **SINCE_1_07,
        },
    )


def test_put_record(server: OpenTrail, upstream: Upstream) -> None:
    answers(upstream, {}, "request-id")
    runtime = client(server, "sagemaker-featurestore-runtime", USER, "us-east-1", "192.0.2.0")
    runtime.put_record(
        FeatureGroupName="your-feature-group-name",
        Record=[{"FeatureName": "age", "ValueAsString": "41"}],
    )
    arn = f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:feature-group/your-feature-group-name"
    compare(
        server,
        {
            "eventVersion": "1.11",  # the sample: 1.08
            # The sample's arn ends in "user" beside the userName "your-user-name": placeholders.
            "userIdentity": user(USER, "USERPRINCIPALID", "your-user-name"),
            "eventSource": "sagemaker.amazonaws.com",
            "eventName": "PutRecord",
            "awsRegion": "us-east-1",
            "sourceIPAddress": "192.0.2.0",
            "userAgent": USER_AGENT,
            "requestParameters": {"featureGroupName": "your-feature-group-name"},
            "responseElements": None,
            "requestID": "request-id",
            "readOnly": False,
            "resources": [
                {"accountId": ACCOUNT, "type": "AWS::SageMaker::FeatureGroup", "ARN": arn}
            ],
            "eventType": "AwsApiCall",
            "managementEvent": False,
            "recipientAccountId": ACCOUNT,
            "eventCategory": "Data",
            # The sample has tlsDetails: this call was made without TLS.
        },
    )
    assert "41" not in json.dumps(server.events()[-1]["requestParameters"])


def assume_role(exchange: Exchange) -> bool:
    """Answer AssumeRole with the session of the sample."""
    exchange.read()
    ends = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    body = f"""<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
      <AssumeRoleResult>
        <AssumedRoleUser>
          <AssumedRoleId>AAAAAAAAAEXAMPLE:TestSession</AssumedRoleId>
          <Arn>arn:aws:sts::{ACCOUNT}:assumed-role/TestRole/TestSession</Arn>
        </AssumedRoleUser>
        <Credentials>
          <AccessKeyId>{SESSION.access_key_id}</AccessKeyId>
          <SecretAccessKey>{SESSION.secret_access_key}</SecretAccessKey>
          <SessionToken>{SESSION.session_token}</SessionToken>
          <Expiration>{ends}</Expiration>
        </Credentials>
      </AssumeRoleResult>
      <ResponseMetadata><RequestId>r</RequestId></ResponseMetadata>
    </AssumeRoleResponse>""".encode()
    headers = (("Content-Type", "text/xml"), ("Content-Length", str(len(body))))
    exchange.send(upstreams.head(200, headers) + body)
    return True


def session_identity(assumed_at: str) -> dict[str, Any]:
    """Return the userIdentity of the role's session."""
    return {
        "type": "AssumedRole",
        "principalId": "AAAAAAAAAEXAMPLE:TestSession",
        "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/TestRole/TestSession",
        "accountId": ACCOUNT,
        # The sample has a long-term key's documentation id; a session's begins with ASIA.
        "accessKeyId": SESSION.access_key_id,
        "sessionContext": {
            "sessionIssuer": {
                "type": "Role",
                # The sample has a user's id and a made-up name: a role has its own id,
                # the part before the colon, and the name that is in its ARN.
                "principalId": "AAAAAAAAAEXAMPLE",
                "arn": ROLE_ARN,
                "accountId": ACCOUNT,
                "userName": "TestRole",
            },
            # The sample has "webIdFederationData": {}, which records now leave out.
            # Real records have creationDate first.
            "attributes": {"creationDate": assumed_at, "mfaAuthenticated": "false"},
        },
    }


def test_update_resource_collection_by_an_assumed_role(
    server: OpenTrail, upstream: Upstream
) -> None:
    upstream.script = assume_role
    sts = client(server, "sts", INTERN, "us-east-1", "198.51.100.1")
    given = sts.assume_role(RoleArn=ROLE_ARN, RoleSessionName="TestSession")["Credentials"]
    key = Key(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
    assumed_at = server.events()[-1]["eventTime"]
    answers(upstream, {}, "cb8c167e-EXAMPLE")
    client(server, "devops-guru", key, "us-east-1", "198.51.100.2").update_resource_collection(
        Action="REMOVE", ResourceCollection={"CloudFormation": {"StackNames": ["*"]}}
    )
    compare(
        server,
        {
            "eventVersion": "1.08",
            "userIdentity": session_identity(assumed_at),
            "eventSource": "devops-guru.amazonaws.com",
            "eventName": "UpdateResourceCollection",
            "awsRegion": "us-east-1",
            "sourceIPAddress": "198.51.100.2",
            "userAgent": USER_AGENT,
            "requestParameters": {
                "Action": "REMOVE",
                "ResourceCollection": {"CloudFormation": {"StackNames": ["*"]}},
            },
            "responseElements": None,
            "requestID": "cb8c167e-EXAMPLE",
            "readOnly": False,
            "eventType": "AwsApiCall",
            "managementEvent": True,
            "recipientAccountId": ACCOUNT,
            "eventCategory": "Management",
        },
    )
    text = json.dumps(server.events())
    for secret in (
        SESSION.secret_access_key,
        SESSION.session_token or "",
        INTERN.secret_access_key,
    ):
        assert secret not in text
