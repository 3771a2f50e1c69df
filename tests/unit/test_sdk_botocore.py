# SPDX-License-Identifier: Apache-2.0
"""What the plugin records of a program's own AWS calls."""

import contextlib
import gc
import json
import os
import subprocess
import sys
from typing import Any

import boto3
import botocore.session
import pytest
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.exceptions import ClientError, EndpointConnectionError, ParamValidationError
from support.sdk_post import Listed, recorder

from opentrail.event.record import HIDDEN
from opentrail.sdk import botocore as plugin
from opentrail.sdk.botocore import PLUGINS_VARIABLE, Plugin, instrument

KEY_ID = "AKIAQAAAAAAAAAAAAAAA"
SECRET = "not-a-real-secret/used-only-by-tests+0000"


def _headers(status: int) -> Any:
    return {"x-amzn-RequestId": f"r-{status}"}


class Program:
    """A program that makes AWS calls, of which it scripts the answers."""

    def __init__(self) -> None:
        self.post = Listed()
        self.trail = recorder(self.post, account="210987654321")
        self.plugin = Plugin(self.trail)
        self.answers: list[tuple[int, dict[str, Any]]] = []

    def client(
        self, service: str, *, answered: bool = True, endpoint_url: str = "http://127.0.0.1:1"
    ) -> Any:
        session = botocore.session.Session()
        session.set_credentials(KEY_ID, SECRET, "a-session-token")
        self.plugin.attach(session.get_component("event_emitter"))
        client = session.create_client(
            service,
            region_name="eu-west-1",
            endpoint_url=endpoint_url,
            config=Config(retries={"mode": "standard", "max_attempts": 3}),
        )
        if answered:
            answer: Any = self._answered
            client.meta.events.register("before-send", answer)
        return client

    def _answered(self, request: Any, **_: Any) -> AWSResponse:
        status, body = self.answers.pop(0)
        response = AWSResponse(request.url, status, _headers(status), None)
        vars(response)["_content"] = json.dumps(body).encode()
        return response

    def record(self) -> dict[str, Any]:
        assert self.trail.flush()
        assert not self.trail.failures
        return self.post.records[-1]


@pytest.fixture
def program(monkeypatch):
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0)
    made = Program()
    yield made
    made.trail.close()


def test_a_call_is_one_event_with_all_its_attempts(program):
    failed = (500, {"__type": "InternalFailure", "message": "m"})
    program.answers = [failed, failed, (200, {"ModelArn": "arn:m"})]
    program.client("sagemaker").create_model(
        ModelName="m",
        ExecutionRoleArn="arn:aws:iam::123456789012:role/r",
        PrimaryContainer={"Image": "i", "Environment": {"KEY": "v"}},
    )
    record = program.record()
    assert len(program.post.records) == 1
    assert (record["eventSource"], record["eventName"]) == (
        "sagemaker.amazonaws.com",
        "CreateModel",
    )
    assert record["requestParameters"]["primaryContainer"] == {
        "image": "i",
        "environment": {"KEY": "v"},
    }
    assert record["responseElements"] == {"modelArn": "arn:m"}
    additional = record["additionalEventData"]
    assert [each["status"] for each in additional["attempts"]] == [500, 500, 200]
    assert additional["attempts"][2]["requestID"] == record["requestID"] == "r-200"
    assert additional["identityVerified"] is False
    assert record["userIdentity"] == {
        "type": "Unknown",
        "accountId": "210987654321",
        "accessKeyId": KEY_ID,
    }
    assert (record["awsRegion"], record["readOnly"]) == ("eu-west-1", False)
    assert "Botocore" in record["userAgent"]
    text = json.dumps(record)
    assert SECRET not in text
    assert "a-session-token" not in text


def test_a_call_for_data_is_a_data_event_without_the_data(program):
    program.answers = [(200, {})]
    program.client("sagemaker-featurestore-runtime").put_record(
        FeatureGroupName="clients",
        Record=[{"FeatureName": "income", "ValueAsString": "41234"}],
        TargetStores=["OnlineStore"],
    )
    record = program.record()
    assert record["requestParameters"] == {"featureGroupName": "clients"}
    assert (record["eventCategory"], record["managementEvent"]) == ("Data", False)
    assert record["resources"] == [{"type": "AWS::SageMaker::FeatureGroup"}]
    assert record["eventSource"] == "sagemaker.amazonaws.com"
    assert "41234" not in json.dumps(record)


def test_a_service_error_and_a_read(program):
    program.answers = [(400, {"__type": "ResourceNotFound", "message": "no such model"})]
    with pytest.raises(ClientError):
        program.client("sagemaker").describe_model(ModelName="m")
    record = program.record()
    assert (record["errorCode"], record["errorMessage"]) == ("ResourceNotFound", "no such model")
    assert (record["readOnly"], record["responseElements"]) == (True, None)


def test_a_connection_error_is_recorded_and_a_call_that_was_never_sent_is_not(program):
    client = program.client("sagemaker", answered=False)
    with pytest.raises(EndpointConnectionError):
        client.list_models(MaxResults=5)
    record = program.record()
    assert record["errorCode"] == "EndpointConnectionError"
    assert record["requestParameters"] == {"maxResults": 5}
    assert len(record["additionalEventData"]["attempts"]) == 4
    assert record["additionalEventData"]["attempts"][0]["error"] == "EndpointConnectionError"
    with pytest.raises(ParamValidationError):
        client.create_model(Nonsense=1)
    assert program.trail.flush()
    assert len(program.post.records) == 1


def test_a_call_that_is_broken_off_is_recorded_with_the_next(program):
    """As by Ctrl-C, or when its task is cancelled: botocore tells nobody of its end."""
    client = program.client("sagemaker", answered=False)

    def break_off(**_: Any) -> None:
        raise KeyboardInterrupt

    client.meta.events.register("before-send", break_off)
    with contextlib.suppress(KeyboardInterrupt):
        client.delete_model(ModelName="m")
    client.meta.events.unregister("before-send", break_off)
    gc.collect()
    program.plugin.tell_of_broken_off()
    record = program.record()
    assert (record["eventName"], record["errorCode"]) == ("DeleteModel", "NoResponse")
    assert record["requestParameters"] == {"modelName": "m"}
    with pytest.raises(EndpointConnectionError):
        client.delete_model(ModelName="n")
    gc.collect()
    program.plugin.tell_of_broken_off()
    assert program.record()["errorCode"] == "EndpointConnectionError"
    assert len(program.post.records) == 2


def test_what_the_model_calls_sensitive_is_hidden_and_blobs_are_left_out(program):
    program.answers = [(200, {"ARN": "arn:s", "Name": "n"})]
    secret = program.client("secretsmanager")
    secret.create_secret(Name="n", SecretString="very secret", SecretBinary=b"very secret", Tags=[])
    record = program.record()
    assert record["requestParameters"]["secretString"] == HIDDEN
    assert record["requestParameters"]["tags"] == []
    program.answers = [(200, {})]
    program.client("lambda").invoke(FunctionName="f", Payload=b"very secret")
    assert program.record()["requestParameters"] == {"functionName": "f"}
    program.answers = [(200, {})]
    program.client("sagemaker-featurestore-runtime").put_record(
        FeatureGroupName="g", Record=[{"FeatureName": "a", "ValueAsString": "very secret"}]
    )
    assert program.record()["requestParameters"] == {"featureGroupName": "g"}
    assert "very secret" not in json.dumps(program.post.records)


def test_secrets_are_hidden_in_maps_lists_and_addresses(program):
    program.answers = [(200, {"TrainingJobArn": "arn:t"})] * 2
    client = program.client("sagemaker", endpoint_url="http://who:very-secret@127.0.0.1:1")
    tags = [{"Key": "a", "Value": "b"}]
    hyper = {"AuthToken": "very secret", "depth": "3"}
    job = {
        "TrainingJobName": "t",
        "RoleArn": "arn:aws:iam::123456789012:role/r",
        "AlgorithmSpecification": {"TrainingInputMode": "File"},
        "OutputDataConfig": {"S3OutputPath": "s3://b"},
        "StoppingCondition": {},
        "ResourceConfig": {"VolumeSizeInGB": 1},
        "HyperParameters": hyper,
        "Tags": tags,
    }
    client.create_training_job(**job)
    # The program goes on with its own objects: the record is of the call as it was.
    hyper["depth"] = "4"
    tags.clear()
    record = program.record()
    assert record["requestParameters"]["hyperParameters"] == {"AuthToken": HIDDEN, "depth": "3"}
    assert record["requestParameters"]["tags"] == [{"key": "a", "value": "b"}]
    assert record["additionalEventData"]["endpoint"] == "127.0.0.1:1"
    assert "very" not in json.dumps(record)


def test_what_the_gateway_hides_is_hidden_here_too(program):
    program.answers = [(200, {"AuthorizedUrl": "https://very-secret"})]
    sagemaker = program.client("sagemaker")
    sagemaker.create_presigned_domain_url(DomainId="d", UserProfileName="u")
    assert program.record()["responseElements"] == {"authorizedUrl": HIDDEN}
    program.answers = [(200, {"GrantToken": "very secret", "GrantId": "g"})]
    program.client("kms").create_grant(KeyId="k", GranteePrincipal="arn:p", Operations=["Decrypt"])
    assert program.record()["responseElements"] == {"grantId": "g"}
    program.answers = [(200, {})]
    tool = {"toolSpec": {"name": "n", "description": "very secret", "inputSchema": {"json": {}}}}
    program.client("bedrock-runtime").converse(modelId="m", toolConfig={"tools": [tool]})
    assert program.record()["requestParameters"] == {"modelId": "m"}
    program.answers = [(200, {})]
    destination = {"ToAddresses": ["very-secret@example.com"]}
    program.client("sesv2").send_email(Destination=destination, Content={})
    assert program.record()["requestParameters"] == {"destination": {"toAddresses": HIDDEN}}
    assert "very" not in json.dumps(program.post.records)


def test_presigned_urls_let_nobody_in(program):
    url = "https://b.s3.amazonaws.com/t?X-Amz-Credential=AKID&X-Amz-Signature=very%2Fsecret"
    program.answers = [(200, {})]
    program.client("sagemaker").create_model(
        ModelName="m",
        ExecutionRoleArn="arn:aws:iam::123456789012:role/r",
        PrimaryContainer={"ModelDataUrl": f"{url}&X-Amz-Expires=9"},
    )
    shown = url.replace("very%2Fsecret", HIDDEN) + "&X-Amz-Expires=9"
    container = program.record()["requestParameters"]["primaryContainer"]
    assert container == {"modelDataUrl": shown}


def test_an_error_quotes_no_secret(program):
    quoted = "Value 'very secret' at 'secretString' of 'name-n' failed to satisfy constraint"
    program.answers = [(400, {"__type": "ValidationException", "message": quoted})]
    with pytest.raises(ClientError):
        program.client("secretsmanager").create_secret(Name="name-n", SecretString="very secret")
    assert program.record()["errorMessage"] == quoted.replace("very secret", HIDDEN)


def test_what_is_known_of_a_service_goes_with_its_clients(program):
    program.answers = [(200, {"Models": []})]
    client = program.client("sagemaker")
    client.list_models()
    program.record()
    gc.collect()
    before = len(plugin._operations), len(plugin._forms)
    del client
    gc.collect()
    assert (len(plugin._operations), len(plugin._forms)) == (before[0] - 1, before[1] - 1)


def test_sessions_that_are_handed_out_are_not_kept(program):
    def answered(**_: Any) -> Any:
        secret = "<SecretAccessKey>very secret</SecretAccessKey><SessionToken>very secret"
        body = (
            "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIA1</AccessKeyId>"
            f"{secret}</SessionToken><Expiration>2026-11-28T10:00:00Z</Expiration></Credentials>"
            "</AssumeRoleResult></AssumeRoleResponse>"
        )
        response = AWSResponse("http://x", 200, _headers(200), None)
        vars(response)["_content"] = body.encode()
        return response

    client = program.client("sts", answered=False)
    client.meta.events.register("before-send", answered)
    client.assume_role(RoleArn="arn:aws:iam::123456789012:role/r", RoleSessionName="mysession")
    credentials = program.record()["responseElements"]["credentials"]
    assert credentials == {
        "accessKeyId": "ASIA1",
        "secretAccessKey": HIDDEN,
        "sessionToken": HIDDEN,
        "expiration": "2026-11-28T10:00:00Z",
    }


def test_instrumenting_twice_records_once(program):
    session = boto3.session.Session(KEY_ID, SECRET, region_name="us-east-1")
    client = session.client("sagemaker", endpoint_url="http://127.0.0.1:1")
    client.meta.events.register("before-send", program._answered)
    program.answers = [(200, {"Models": []})]
    instrument(session, client, client, recorder=program.trail)
    client.list_models()
    program.record()
    assert len(program.post.records) == 1


def test_one_line_and_the_variable_reach_every_client_that_is_made(program, monkeypatch):
    monkeypatch.setenv(PLUGINS_VARIABLE, "other=somewhere.else")
    instrument(recorder=program.trail)
    instrument()
    assert os.environ[PLUGINS_VARIABLE] == "other=somewhere.else,opentrail=opentrail.sdk.botocore"
    client = boto3.session.Session(KEY_ID, SECRET, region_name="us-east-1").client(
        "personalize", endpoint_url="http://127.0.0.1:1"
    )
    client.meta.events.register("before-send", program._answered)
    program.answers = [(200, {"schemas": []})]
    client.list_schemas()
    assert program.record()["eventName"] == "ListSchemas"


def test_the_cli_calls_it():
    emitter = botocore.session.Session().get_component("event_emitter")
    plugin.awscli_initialize(emitter)
    assert emitter.emit("after-call.x", parsed={}, context={}, http_response=None, model=None)


def test_a_wrong_endpoint_is_said_and_breaks_nothing(monkeypatch, caplog):
    monkeypatch.setenv("OPENTRAIL_SDK_ENDPOINT", "nonsense")
    monkeypatch.setattr(plugin, "_shared", Plugin())
    emitter = botocore.session.Session().get_component("event_emitter")
    plugin.awscli_initialize(emitter)
    assert emitter.emit("after-call.x", parsed={}, context={}, http_response=None) == []
    assert "not recorded" in caplog.text
    with pytest.raises(ValueError, match="endpoint"):
        instrument(botocore.session.Session())


def test_importing_the_sdk_takes_nothing_of_the_server():
    program = (
        "import sys, opentrail.sdk, opentrail.sdk.asgi, opentrail.sdk.wsgi, opentrail.sdk.botocore\n"
        "ours = {n for n in sys.modules if n.startswith('opentrail.')}\n"
        "others = {n.partition('.')[0] for n in sys.modules}\n"
        "print(sorted(n for n in ours if not n.startswith(('opentrail.sdk', 'opentrail.event'))))\n"
        "print(sorted(others & {'aiohttp', 'numpy', 'uvicorn', 'botocore', 'zstandard', 'click'}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n[]\n"
